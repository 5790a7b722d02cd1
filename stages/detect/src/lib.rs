//! Detect: pixels are made here, once; faces with box, landmarks and score come out.
//!
//! For a comparison each picture must have a subject, whose context crop travels on; the frame
//! does not.

mod config;
pub mod subject;
mod upright;

use shiren_contract::codes;
use shiren_contract::raster::Rgb8;
use shiren_contract::stage::{Outcome, Rejection, Stage, StageDescriptor};
use shiren_contract::still::Pixels;
use shiren_contract::terminal::Terminal;
use shiren_models::{FaceDetector, ModelError, crop};
use shiren_schemas::Wire;
use shiren_schemas::records::{
    BoundingBox, Crop, Decision, DetectedFace, Face, FaceCase, FacedPicture, Landmark, ModelRef,
    PictureFaces, PictureRole, RequestKind, StillCase, StillPicture,
};
use subject::Choice;

pub use config::Config;

/// The stage.
pub struct Detect {
    pixels: Box<dyn Pixels>,
    detector: FaceDetector,
    config: Config,
}

/// A picture's faces, not yet in the wire's form.
struct Found {
    raster: Rgb8,
    faces: Vec<shiren_models::Face>,
    faces_found: usize,
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
        Self {
            pixels,
            detector,
            config,
        }
    }

    /// Decodes `bytes` and finds faces of at least about `min_face_px` pixels.
    fn find(&mut self, bytes: &[u8], min_face_px: u32) -> Result<Found, Rejection> {
        let raster = self
            .pixels
            .decode(bytes, &self.config.limits)
            .map_err(|error| Rejection::new(error.code, error.detail))?;
        let mut faces = self
            .detector
            .detect(&raster, min_face_px)
            .map_err(failed)?
            .faces;
        let faces_found = faces.len();
        faces.truncate(self.config.max_faces);
        Ok(Found {
            raster,
            faces,
            faces_found,
        })
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
        let found = self
            .find(&still.bytes, min_face_px)
            .map_err(|rejection| refused(rejection, None))?;
        let mut picture = faced(still, &found);
        match self.subject(&found, still.role, min_face_px) {
            Ok((subject, rule, crop)) => {
                picture.subject = i32::try_from(subject).ok();
                picture.subject_rule = Some(rule.to_owned());
                if let Some(face) = picture.faces.get_mut(subject) {
                    face.crop = Some(crop);
                }
                Ok(picture)
            }
            Err(rejection) => Err(refused(rejection, Some(picture))),
        }
    }

    fn subject(
        &mut self,
        found: &Found,
        role: PictureRole,
        min_face_px: u32,
    ) -> Result<(usize, &'static str, Crop), Rejection> {
        let (width, height) = (found.raster.width(), found.raster.height());
        let margin = self.config.subject_min_margin;
        match subject::choose(&found.faces, width, height, margin) {
            Choice::Subject(index, rule) => {
                let crop = self.subject_crop(found, index, role, min_face_px)?;
                Ok((index, rule, crop))
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

    /// The subject's crop, once it is known to be readable.
    fn subject_crop(
        &mut self,
        found: &Found,
        subject: usize,
        role: PictureRole,
        min_face_px: u32,
    ) -> Result<Crop, Rejection> {
        let face = &found.faces[subject];
        let (width, height) = (found.raster.width() as f32, found.raster.height() as f32);
        let outside = |[x, y]: &[f32; 2]| *x < 0.0 || *y < 0.0 || *x > width || *y > height;
        if face.landmarks.iter().any(outside) {
            let what = "eyes, nose or mouth lie outside the picture";
            return Err(Rejection::new(codes::FACE_TOO_CLOSE, what));
        }
        // A reference may be a small print or chip portrait; its kind has limits of its own.
        if role == PictureRole::Probe && face.bbox.width() < min_face_px as f32 {
            let what = format!(
                "{:.0} px wide, the scene wants {min_face_px}",
                face.bbox.width()
            );
            return Err(Rejection::new(codes::FACE_TOO_SMALL, what));
        }
        let roll = face.roll_degrees();
        if roll.abs() > self.config.roll_max_degrees {
            let what = format!(
                "roll {roll:.0} degrees, the limit is {}",
                self.config.roll_max_degrees
            );
            return Err(Rejection::new(codes::FACE_ROTATED, what));
        }
        let max_side = self.config.crop_max_side_px;
        let crop = crop::context_crop(&found.raster, face, self.config.crop_context, max_side)
            .ok_or_else(|| {
                Rejection::new(codes::FACE_TOO_CLOSE, "the face lies outside the picture")
            })?;
        let face_px = face.bbox.width() * crop.transform.scale[0];
        if upright::is_upside_down(&mut self.detector, &crop.pixels, face_px).map_err(failed)? {
            return Err(Rejection::new(
                codes::FACE_ROTATED,
                "the face is upside down",
            ));
        }
        if crop.pixels.data().len() > self.config.crop_max_bytes {
            let what = format!("a crop of {} bytes", crop.pixels.data().len());
            return Err(Rejection::new(codes::RECORD_TOO_LARGE, what));
        }
        Ok(Crop {
            width: side(crop.pixels.width()),
            height: side(crop.pixels.height()),
            origin_x: crop.transform.x as f32,
            origin_y: crop.transform.y as f32,
            scale_x: crop.transform.scale[0],
            scale_y: crop.transform.scale[1],
            rgb: crop.pixels.into_data(),
        })
    }

    fn model(&self) -> ModelRef {
        ModelRef {
            name: self.detector.model().to_owned(),
            sha256: self.detector.sha256().to_owned(),
        }
    }

    /// Kind `detect` ends here: every face, none of them a subject.
    fn detections(&mut self, case: StillCase, min_face_px: u32) -> Terminal {
        let mut terminal = Terminal::new(case.envelope, Decision::Done);
        let mut detections = Vec::with_capacity(case.pictures.len());
        for still in &case.pictures {
            let found = match self.find(&still.bytes, min_face_px) {
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
        Outcome::next(FaceCase {
            envelope: case.envelope,
            pictures,
            checks: Vec::new(),
            reason_codes,
            models: vec![self.model()],
        })
    }
}

impl Stage for Detect {
    type Input = StillCase;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "detect",
        kinds: &[RequestKind::Detect, RequestKind::Compare],
        input: StillCase::NAME,
        outputs: &[FaceCase::NAME],
        checks: &[],
    };

    fn process(&mut self, case: StillCase) -> Outcome {
        let Some(scene) = self.config.scenes.get(&case.envelope.scene) else {
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
        width: side(found.raster.width()),
        height: side(found.raster.height()),
        faces: found.faces.iter().map(on_the_wire).collect(),
        faces_found: i32::try_from(found.faces_found).unwrap_or(i32::MAX),
        subject: None,
        subject_rule: None,
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
    }
}

fn detected(face: &Face) -> DetectedFace {
    DetectedFace {
        bounding_box: face.bounding_box.clone(),
        landmarks: face.landmarks.clone(),
        score: face.score,
    }
}

fn side(px: u32) -> i32 {
    i32::try_from(px).unwrap_or(i32::MAX)
}

fn failed(error: ModelError) -> Rejection {
    Rejection::new(error.code(), error.to_string())
}
