//! Detect: pixels are made here, once; faces with box, landmarks and score come out.
//!
//! For a comparison each picture must have a subject, whose context crop travels on; the frame
//! does not.

mod close_look;
mod config;
mod look;
pub mod subject;
mod views;

use close_look::CloseLook;
use look::{Eye, Found, failed};
use shiren_contract::codes;
use shiren_contract::stage::{Outcome, Rejection, Stage, StageDescriptor};
use shiren_contract::still::Pixels;
use shiren_contract::terminal::Terminal;
use shiren_models::{FaceDetector, crop};
use shiren_schemas::Wire;
use shiren_schemas::records::{
    BoundingBox, Crop, Decision, DetectedFace, Face, FaceCase, FacedPicture, Landmark, ModelRef,
    PictureFaces, PictureRole, RequestKind, StillCase, StillPicture,
};
use subject::Choice;

pub use config::Config;

/// The stage.
pub struct Detect {
    eye: Eye,
    config: Config,
}

/// A picture that has no usable subject, with what was seen of it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Why.
    pub rejection: Rejection,
    /// Its faces, where it could be decoded.
    pub picture: Option<FacedPicture>,
}

impl Detect {
    /// The stage, with the port that makes pixels.
    #[must_use]
    pub fn new(pixels: Box<dyn Pixels>, detector: FaceDetector, config: Config) -> Self {
        let eye = Eye {
            pixels,
            detector,
            limits: config.limits,
            max_faces: config.max_faces,
        };
        Self { eye, config }
    }

    /// The faces of a picture, the subject among them with its crop.
    ///
    /// # Errors
    /// The picture cannot be decoded, has no face, or none that can be the subject.
    pub fn subject_picture(
        &mut self,
        still: &StillPicture,
        min_face_px: u32,
    ) -> Result<FacedPicture, Box<Refusal>> {
        let margin = self.config.subject_min_margin;
        let mut found = self
            .eye
            .prominent(&still.bytes, min_face_px, margin)
            .map_err(|rejection| refused(rejection, None))?;
        let mut picture = faced(still, &found);
        match self.subject(&mut found, still, min_face_px) {
            Ok((subject, rule, with_crop)) => {
                picture.subject = i32::try_from(subject).ok();
                picture.subject_rule = Some(rule.to_owned());
                if let Some(face) = picture.faces.get_mut(subject) {
                    *face = with_crop;
                }
                Ok(picture)
            }
            Err(rejection) => Err(refused(rejection, Some(picture))),
        }
    }

    fn subject(
        &mut self,
        found: &mut Found,
        still: &StillPicture,
        min_face_px: u32,
    ) -> Result<(usize, &'static str, Face), Rejection> {
        let (width, height) = (found.picture.width, found.picture.height);
        let margin = self.config.subject_min_margin;
        match subject::choose(&found.faces, width, height, margin) {
            Choice::Subject(index, rule) => {
                let face = self.subject_face(found, index, still, min_face_px)?;
                Ok((index, rule, face))
            }
            Choice::None => Err(Rejection::new(codes::NO_FACE, "no face found")),
            Choice::Ambiguous(lead) => {
                let what = format!(
                    "{} faces, the most prominent leads by {lead:.2}, the limit is {margin}",
                    found.faces_found
                );
                Err(Rejection::new(codes::MULTIPLE_FACES, what))
            }
        }
    }

    /// The subject with its crop and the points of the second look, once it is known to be readable.
    fn subject_face(
        &mut self,
        found: &mut Found,
        subject: usize,
        still: &StillPicture,
        min_face_px: u32,
    ) -> Result<Face, Rejection> {
        let mut face = found.faces[subject];
        // A reference may be a small print or chip portrait; its kind has limits of its own.
        if still.role == PictureRole::Probe && face.bbox.width() < min_face_px as f32 {
            let what = format!(
                "{:.0} px wide, the scene wants {min_face_px}",
                face.bbox.width()
            );
            return Err(Rejection::new(codes::FACE_TOO_SMALL, what));
        }
        let max_side = self.config.crop_max_side_px;
        let context = self.config.crop_context;
        let side = face.bbox.width().max(face.bbox.height()) * context;
        let long = found.picture.width.max(found.picture.height) as f32;
        let long_px = (long * max_side as f32 / side.max(1.0)).min(long).ceil() as u32;
        self.eye.sharpen(found, &still.bytes, long_px)?;
        let [x, y] = found.picture.factor();
        let here = look::scaled(&face, [x.recip(), y.recip()]);
        let crop = crop::context_crop(&found.picture.pixels, &here, context, max_side).ok_or_else(
            || Rejection::new(codes::FACE_TOO_CLOSE, "the face lies outside the picture"),
        )?;
        let seen = close_look::look(&mut self.eye.detector, &crop.pixels, &crop.face);
        let CloseLook::Upright(landmarks) = seen.map_err(failed)? else {
            let what = "turned by a quarter or a half";
            return Err(Rejection::new(codes::FACE_ROTATED, what));
        };
        face.landmarks = landmarks.map(|point| {
            let [px, py] = crop.transform.to_picture(point);
            [px * x, py * y]
        });
        self.check_points(&face, found)?;
        if crop.pixels.data().len() > self.config.crop_max_bytes {
            let what = format!("a crop of {} bytes", crop.pixels.data().len());
            return Err(Rejection::new(codes::RECORD_TOO_LARGE, what));
        }
        let crop = Crop {
            width: side_px(crop.pixels.width()),
            height: side_px(crop.pixels.height()),
            origin_x: crop.transform.x as f32 * x,
            origin_y: crop.transform.y as f32 * y,
            scale_x: crop.transform.scale[0] / x,
            scale_y: crop.transform.scale[1] / y,
            rgb: crop.pixels.into_data(),
            sealed: None,
        };
        // Only a probe is judged by what asks for views.
        let views = match still.role {
            PictureRole::Probe => {
                views::of(&found.picture.pixels, &face, [x, y], &self.config.views)
            }
            PictureRole::Reference => Vec::new(),
        };
        Ok(Face {
            crop: Some(crop),
            views,
            ..on_the_wire(&face)
        })
    }

    /// Refuses a face whose points lie so that it cannot be compared.
    fn check_points(&self, face: &shiren_models::Face, found: &Found) -> Result<(), Rejection> {
        let (width, height) = (found.picture.width as f32, found.picture.height as f32);
        let outside = |[x, y]: &[f32; 2]| *x < 0.0 || *y < 0.0 || *x > width || *y > height;
        if face.landmarks.iter().any(outside) {
            let what = "eyes, nose or mouth lie outside the picture";
            return Err(Rejection::new(codes::FACE_TOO_CLOSE, what));
        }
        let (roll, limit) = (face.roll_degrees(), self.config.roll_max_degrees);
        if roll.abs() > limit {
            let what = format!("roll {roll:.0} degrees, the limit is {limit}");
            return Err(Rejection::new(codes::FACE_ROTATED, what));
        }
        Ok(())
    }

    fn model(&self) -> ModelRef {
        ModelRef {
            name: self.eye.detector.model().to_owned(),
            sha256: self.eye.detector.sha256().to_owned(),
        }
    }

    /// Kind `detect` ends here: every face, none of them a subject.
    fn detections(&mut self, case: StillCase, min_face_px: u32) -> Terminal {
        let mut terminal = Terminal::new(case.envelope, Decision::Done);
        let mut detections = Vec::with_capacity(case.pictures.len());
        for still in &case.pictures {
            let found = match self.eye.all(&still.bytes, min_face_px) {
                Ok(found) => found,
                Err(rejection) => {
                    let name = Self::DESCRIPTOR.name;
                    return Terminal::error(terminal.envelope, name, rejection, Some(still.role));
                }
            };
            if found.faces.is_empty() {
                terminal.reason(codes::NO_FACE);
            }
            if found.faces_found > found.faces.len() {
                terminal.reason(codes::FACES_OVER_LIMIT);
            }
            let picture = faced(still, &found);
            detections.push(PictureFaces {
                role: picture.role,
                width: picture.width,
                height: picture.height,
                faces: picture.faces.iter().map(detected).collect(),
                faces_found: picture.faces_found,
            });
            terminal.pictures.push(picture);
        }
        terminal.models.push(self.model());
        terminal.detections = Some(detections);
        terminal
    }

    fn faces(&mut self, case: StillCase, min_face_px: u32) -> Outcome {
        let mut pictures: Vec<FacedPicture> = Vec::with_capacity(case.pictures.len());
        let mut reason_codes = Vec::new();
        for still in &case.pictures {
            match self.subject_picture(still, min_face_px) {
                Ok(picture) => {
                    if picture.faces_found > 1 {
                        reason_codes.push(codes::MULTIPLE_FACES.id.to_owned());
                    }
                    pictures.push(picture);
                }
                Err(refusal) => {
                    let (name, role) = (Self::DESCRIPTOR.name, Some(still.role));
                    let mut terminal =
                        Terminal::error(case.envelope, name, refusal.rejection, role);
                    pictures.extend(refusal.picture);
                    terminal.pictures = pictures;
                    terminal.models.push(self.model());
                    return Outcome::terminal(terminal);
                }
            }
        }
        // A command without a picture only keeps its place in the order.
        let looked = !pictures.is_empty();
        let models = looked.then(|| self.model()).into_iter().collect();
        Outcome::next(FaceCase {
            search: case.search,
            command: case.command,
            claim: case.claim,
            envelope: case.envelope,
            pictures,
            checks: Vec::new(),
            reason_codes,
            models,
        })
    }
}

impl Stage for Detect {
    type Input = StillCase;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "detect",
        kinds: &[
            RequestKind::Detect,
            RequestKind::Attributes,
            RequestKind::Liveness,
            RequestKind::Compare,
            RequestKind::Search,
            RequestKind::Enrol,
            RequestKind::Unenrol,
            RequestKind::Verify,
        ],
        input: StillCase::NAME,
        outputs: &[FaceCase::NAME],
        checks: &[],
        state: None,
        is_rekeyed: false,
    };

    fn process(&mut self, case: StillCase) -> Outcome {
        let Some(scene) = self.config.policies.of(&case.envelope) else {
            let rejection = Rejection::new(codes::SCENE_UNKNOWN, "not in this worker's policy");
            let name = Self::DESCRIPTOR.name;
            return Outcome::terminal(Terminal::error(case.envelope, name, rejection, None));
        };
        let min_face_px = scene.min_face_px;
        match case.envelope.kind {
            RequestKind::Detect => Outcome::terminal(self.detections(case, min_face_px)),
            _ => self.faces(case, min_face_px),
        }
    }
}

fn refused(rejection: Rejection, picture: Option<FacedPicture>) -> Box<Refusal> {
    Box::new(Refusal { rejection, picture })
}

fn faced(still: &StillPicture, found: &Found) -> FacedPicture {
    FacedPicture {
        role: still.role,
        reference_kind: still.reference_kind,
        width: side_px(found.picture.width),
        height: side_px(found.picture.height),
        faces: found.faces.iter().map(on_the_wire).collect(),
        faces_found: i32::try_from(found.faces_found).unwrap_or(i32::MAX),
        subject: None,
        subject_rule: None,
        quality: None,
        liveness: None,
    }
}

fn on_the_wire(face: &shiren_models::Face) -> Face {
    let b = face.bbox;
    Face {
        bounding_box: BoundingBox {
            x1: b.x1,
            y1: b.y1,
            x2: b.x2,
            y2: b.y2,
        },
        landmarks: face
            .landmarks
            .iter()
            .map(|[x, y]| Landmark { x: *x, y: *y })
            .collect(),
        score: face.score,
        crop: None,
        views: Vec::new(),
    }
}

fn detected(face: &Face) -> DetectedFace {
    DetectedFace {
        bounding_box: face.bounding_box.clone(),
        landmarks: face.landmarks.clone(),
        score: face.score,
    }
}

fn side_px(px: u32) -> i32 {
    i32::try_from(px).unwrap_or(i32::MAX)
}
