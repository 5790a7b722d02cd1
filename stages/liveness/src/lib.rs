//! Liveness: whether the probe shows a person before the camera, or a print or a screen (ISO/IEC 30107).
//!
//! One still carries little of that, so the answer is advisory: on its own it leads to `review` at most, unless the
//! scene says why it may accept. docs/liveness.md has what it was measured to miss.

mod config;

use shiren_contract::codes::{self, Code};
use shiren_contract::policy::{self, Scene, check};
use shiren_contract::raster::Rgb8;
use shiren_contract::stage::{Outcome, Rejection, Stage, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_models::BoundingBox;
use shiren_models::liveness::fusion::Answer;
use shiren_models::liveness::{self, Measured, PassiveLiveness, Presented, ViewSize};
use shiren_schemas::Wire;
use shiren_schemas::records::{
    CheckState, Crop, Cue, Face, FaceCase, FacedPicture, ModelRef, PictureRole, RequestKind,
};

pub use config::Config;

/// Contexts of two views that differ by less are one.
const SAME_CONTEXT: f32 = 1e-3;

/// The stage.
pub struct Liveness {
    passive: PassiveLiveness,
    config: Config,
}

/// What a picture's subject was found to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// State of the check.
    pub state: CheckState,
    /// Why, where it did not pass.
    pub reason: Option<Code>,
    /// What was measured; `None` where nothing was.
    pub liveness: Option<shiren_schemas::records::Liveness>,
}

impl Liveness {
    /// The stage with its nets.
    #[must_use]
    pub fn new(passive: PassiveLiveness, config: Config) -> Self {
        Self { passive, config }
    }

    /// The nets, the cues and their table.
    #[must_use]
    pub fn passive(&self) -> &PassiveLiveness {
        &self.passive
    }

    /// What nets and cues see of the picture's subject.
    ///
    /// # Errors
    /// There is no subject with a crop, or a net could not be run.
    pub fn measure(&mut self, picture: &FacedPicture) -> Result<Vec<Measured>, Rejection> {
        let (face, crop) = subject(picture)
            .and_then(|face| Some((face, face.crop.as_ref()?)))
            .ok_or_else(|| broken("a picture without a subject's crop"))?;
        let raster =
            raster(crop).ok_or_else(|| broken("a crop whose bytes do not fit its size"))?;
        let at = |x: f32, y: f32| {
            let [x, y] = [x - crop.origin_x, y - crop.origin_y];
            [x * crop.scale_x, y * crop.scale_y]
        };
        let b = &face.bounding_box;
        let ([x1, y1], [x2, y2]) = (at(b.x1, b.y1), at(b.x2, b.y2));
        let presented = Presented {
            crop: &raster,
            face: BoundingBox { x1, y1, x2, y2 },
            view: &|size| view(face, size),
        };
        self.passive
            .measure(&presented)
            .map_err(|error| Rejection::new(error.code(), error.to_string()))
    }

    /// Judges the picture's subject.
    ///
    /// # Errors
    /// As [`Liveness::measure`].
    pub fn judge(&mut self, picture: &FacedPicture) -> Result<Finding, Rejection> {
        if self.passive.fusion().is_none() {
            return Ok(Finding::without(
                CheckState::NotChecked,
                codes::LIVENESS_NOT_CHECKED,
            ));
        }
        if self.is_unfit(picture) {
            return Ok(Finding::without(
                CheckState::Abstained,
                codes::LIVENESS_INPUT_UNFIT,
            ));
        }
        let measured = self.measure(picture)?;
        let Some(fusion) = self.passive.fusion() else {
            return Ok(Finding::without(
                CheckState::NotChecked,
                codes::LIVENESS_NOT_CHECKED,
            ));
        };
        let score = liveness::score(fusion, &measured);
        let (state, reason) = match score.map(|score| fusion.answer(score)) {
            Some(Answer::BonaFide) => (CheckState::Passed, None),
            Some(Answer::Uncertain) => (CheckState::Abstained, Some(codes::LIVENESS_UNCERTAIN)),
            Some(Answer::Attack) => (CheckState::Failed, Some(codes::LIVENESS_ATTACK_SUSPECTED)),
            None => (CheckState::Abstained, Some(codes::LIVENESS_INPUT_UNFIT)),
        };
        let cue = |m: Measured| Cue {
            name: m.name,
            value: m.value,
        };
        Ok(Finding {
            state,
            reason,
            liveness: Some(shiren_schemas::records::Liveness {
                score,
                reject_below: fusion.reject_below,
                accept_from: fusion.accept_from,
                advisory: true,
                table: fusion.name.clone(),
                cues: measured.into_iter().map(cue).collect(),
            }),
        })
    }

    /// Too small, or by quality too blurred, to carry what is looked for.
    fn is_unfit(&self, picture: &FacedPicture) -> bool {
        let width =
            subject(picture).map_or(0.0, |face| face.bounding_box.x2 - face.bounding_box.x1);
        let blurred = |quality: &shiren_schemas::records::Quality| {
            quality.sharpness < self.config.min_sharpness
        };
        width < self.config.min_face_px as f32 || picture.quality.as_ref().is_some_and(blurred)
    }

    fn models(&self) -> impl Iterator<Item = ModelRef> {
        self.passive.nets().iter().map(|net| ModelRef {
            name: net.model().to_owned(),
            sha256: net.sha256().to_owned(),
        })
    }
}

impl Finding {
    fn without(state: CheckState, reason: Code) -> Self {
        Self {
            state,
            reason: Some(reason),
            liveness: None,
        }
    }
}

impl Stage for Liveness {
    type Input = FaceCase;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "liveness",
        kinds: &[
            RequestKind::Liveness,
            RequestKind::Compare,
            RequestKind::Search,
            RequestKind::Verify,
        ],
        input: FaceCase::NAME,
        outputs: &[FaceCase::NAME],
        checks: &[policy::LIVENESS],
        state: None,
        is_rekeyed: false,
    };

    fn process(&mut self, mut case: FaceCase) -> Outcome {
        let name = Self::DESCRIPTOR.name;
        let Some(scene) = self.config.policies.of(&case.envelope) else {
            let rejection = Rejection::new(codes::SCENE_UNKNOWN, "not in this worker's policy");
            return Outcome::terminal(Terminal::error(case.envelope, name, rejection, None));
        };
        let probe = case
            .pictures
            .iter_mut()
            .find(|p| p.role == PictureRole::Probe);
        let found = match probe {
            Some(picture) => self.judge(picture).map(|mut finding| {
                picture.liveness = finding.liveness.take();
                finding
            }),
            None => Err(broken("there is no probe")),
        };
        let finding = match found {
            Ok(finding) => finding,
            Err(rejection) => {
                let role = Some(PictureRole::Probe);
                let mut terminal = Terminal::error(case.envelope, name, rejection, role);
                terminal.pictures = case.pictures;
                terminal.models = case.models;
                terminal.dead_letter = true;
                return Outcome::terminal(terminal);
            }
        };
        if finding.state != CheckState::NotChecked {
            case.models.extend(self.models());
        }
        case.checks
            .push(check(policy::LIVENESS, finding.state, finding.reason));
        case.reason_codes
            .extend(finding.reason.map(|code| code.id.to_owned()));
        if case.envelope.kind == RequestKind::Liveness {
            return Outcome::terminal(ended(case, &scene));
        }
        Outcome::next(case)
    }
}

/// Kind `liveness` ends here. Everything that it was judged by is advisory.
fn ended(case: FaceCase, scene: &Scene) -> Terminal {
    let (decision, why) = policy::decide(&[policy::LIVENESS], &case.checks, &scene.requires);
    let (decision, held_back) = policy::hold_back_advisory(decision, scene);
    let mut terminal = Terminal::new(case.envelope, decision);
    terminal.reason_codes = case.reason_codes;
    terminal.checks = case.checks;
    terminal.models = case.models;
    terminal.pictures = case.pictures;
    for reason in why.into_iter().chain(held_back) {
        terminal.reason(reason);
    }
    terminal
}

fn subject(picture: &FacedPicture) -> Option<&Face> {
    picture.faces.get(usize::try_from(picture.subject?).ok()?)
}

/// The view of that size, as detect made it.
fn view(face: &Face, size: ViewSize) -> Option<Rgb8> {
    let same = |context: f32| (context - size.context).abs() < SAME_CONTEXT;
    let found = face
        .views
        .iter()
        .find(|view| same(view.context) && u32::try_from(view.pixels.width) == Ok(size.side_px));
    raster(&found?.pixels)
}

fn raster(crop: &Crop) -> Option<Rgb8> {
    let side = |px: i32| u32::try_from(px).ok();
    Rgb8::new(side(crop.width)?, side(crop.height)?, crop.rgb.clone())
}

fn broken(what: &str) -> Rejection {
    Rejection::new(codes::STAGE_FAILED, what)
}
