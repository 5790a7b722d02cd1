//! Quality: what a face is fit for, and why not; for kind `attributes` also what it shows.
//!
//! Pose comes from a dense mesh, the rest from the pixels and the detector's points. Limits are by purpose and by
//! reference kind (ISO/IEC 29794-5 names the figures; it sets no limits for them).

mod attributes;
mod config;
mod fitness;
mod subject;

use shiren_contract::codes;
use shiren_contract::policy::{self, check};
use shiren_contract::stage::{Outcome, Rejection, Stage, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_models::photometry::inside_share;
use shiren_models::{FaceMesh, Mesh, ModelError, Photometer};
use shiren_schemas::Wire;
use shiren_schemas::records::{
    Check, CheckState, Decision, FaceCase, FacedPicture, ModelRef, PictureAttributes, Quality,
    RequestKind,
};
use subject::Subject;

pub use attributes::AttributeModels;
pub use config::{Config, Detail, KindLimits, Limits};

/// The stage.
pub struct QualityStage {
    mesh: Option<FaceMesh>,
    models: AttributeModels,
    photometer: Photometer,
    config: Config,
}

impl QualityStage {
    /// The stage with its models. Without a mesh nothing is checked, and the verdict says so.
    #[must_use]
    pub fn new(mesh: Option<FaceMesh>, models: AttributeModels, config: Config) -> Self {
        Self {
            mesh,
            models,
            photometer: Photometer::default(),
            config,
        }
    }

    /// Quality of the picture's subject, with attributes where asked for; `None` without a mesh.
    ///
    /// # Errors
    /// There is no subject with a crop, or a model cannot be run on it.
    pub fn quality(
        &mut self,
        picture: &FacedPicture,
        with_attributes: bool,
    ) -> Result<Option<Quality>, Rejection> {
        let failed = |error: ModelError| Rejection::new(error.code(), error.to_string());
        let Some(net) = &mut self.mesh else {
            return Ok(None);
        };
        let subject = Subject::of(picture)?;
        let mesh = net.mesh(&subject.raster, &subject.face).map_err(failed)?;
        let mut quality = self.figures(picture, &subject, &mesh)?;
        self.config.judge(&mut quality, picture.reference_kind);
        if with_attributes {
            let least = self.config.min_presence;
            let answers = self.models.answer(&subject, &mesh, least);
            quality.attributes = answers.map_err(failed)?;
        }
        Ok(Some(quality))
    }

    fn figures(
        &mut self,
        picture: &FacedPicture,
        subject: &Subject,
        mesh: &Mesh,
    ) -> Result<Quality, Rejection> {
        let fault = |what: &str| Rejection::new(codes::MODEL_FAILED, what);
        let pose = mesh
            .pose()
            .ok_or_else(|| fault("a mesh that spans no plane"))?;
        let light = self
            .photometer
            .measure(&subject.raster, &subject.face.bbox, subject.scale)
            .ok_or_else(|| fault("a face outside its crop"))?;
        let side = |px: i32| u32::try_from(px).unwrap_or(0);
        let bbox = &subject.in_picture.bbox;
        Ok(Quality {
            presence: mesh.presence,
            yaw_degrees: pose.yaw,
            pitch_degrees: pose.pitch,
            roll_degrees: pose.roll,
            sharpness: light.sharpness,
            blockiness: light.blockiness,
            brightness: light.brightness,
            contrast: light.contrast,
            dark_share: light.dark_share,
            bright_share: light.bright_share,
            face_width_px: bbox.width().into(),
            inter_eye_px: subject.inter_eye_px(),
            inside_share: inside_share(bbox, side(picture.width), side(picture.height)),
            monochrome: light.monochrome,
            fit_for_comparison: false,
            fit_for_enrolment: false,
            comparison_reasons: Vec::new(),
            enrolment_reasons: Vec::new(),
            attributes: Vec::new(),
        })
    }

    fn models(&self, with_attributes: bool) -> Vec<ModelRef> {
        let mesh = self.mesh.iter().map(|mesh| ModelRef {
            name: mesh.model().to_owned(),
            sha256: mesh.sha256().to_owned(),
        });
        let mut models: Vec<ModelRef> = mesh.collect();
        if with_attributes && !models.is_empty() {
            models.extend(self.models.refs());
        }
        models
    }
}

/// The check `quality`: the pictures must be fit for a comparison.
fn verdict(pictures: &[FacedPicture]) -> Check {
    let mut reasons = pictures
        .iter()
        .filter_map(|picture| picture.quality.as_ref());
    let unfit = reasons.find(|quality| !quality.fit_for_comparison);
    if pictures.iter().any(|picture| picture.quality.is_none()) {
        let why = Some(codes::QUALITY_NOT_CHECKED);
        return check(policy::QUALITY, CheckState::NotChecked, why);
    }
    match unfit {
        None => check(policy::QUALITY, CheckState::Passed, None),
        Some(quality) => Check {
            reason_code: quality.comparison_reasons.first().cloned(),
            ..check(policy::QUALITY, CheckState::Failed, None)
        },
    }
}

/// Kind `attributes` ends here: every figure and attribute, and what the face is not fit for.
fn attributes(case: FaceCase) -> Terminal {
    let mut terminal = Terminal::new(case.envelope, Decision::Done);
    terminal.reason_codes = case.reason_codes;
    let measured = case.pictures.iter().filter_map(|picture| {
        Some(PictureAttributes {
            role: picture.role,
            quality: picture.quality.clone()?,
        })
    });
    let measured: Vec<PictureAttributes> = measured.collect();
    if measured.len() < case.pictures.len() {
        terminal.decision = Decision::Error;
        terminal.reason(codes::QUALITY_NOT_CHECKED);
    }
    for quality in measured.iter().map(|picture| &picture.quality) {
        terminal
            .reason_codes
            .extend(quality.comparison_reasons.clone());
        terminal
            .reason_codes
            .extend(quality.enrolment_reasons.clone());
    }
    terminal.attributes = Some(measured);
    terminal.checks = case.checks;
    terminal.models = case.models;
    terminal.pictures = case.pictures;
    terminal
}

impl Stage for QualityStage {
    type Input = FaceCase;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "quality",
        kinds: &[
            RequestKind::Attributes,
            RequestKind::Liveness,
            RequestKind::Compare,
            RequestKind::Search,
            RequestKind::Enrol,
            RequestKind::Unenrol,
            RequestKind::Verify,
        ],
        input: FaceCase::NAME,
        outputs: &[FaceCase::NAME],
        checks: &[policy::QUALITY],
        state: None,
        is_rekeyed: false,
    };

    fn process(&mut self, mut case: FaceCase) -> Outcome {
        // A command without a picture only keeps its place in the order.
        if case.pictures.is_empty() {
            return Outcome::next(case);
        }
        let with_attributes = case.envelope.kind == RequestKind::Attributes;
        case.models.extend(self.models(with_attributes));
        for index in 0..case.pictures.len() {
            match self.quality(&case.pictures[index], with_attributes) {
                Ok(quality) => case.pictures[index].quality = quality,
                Err(rejection) => {
                    let (name, role) = (Self::DESCRIPTOR.name, Some(case.pictures[index].role));
                    let mut terminal = Terminal::error(case.envelope, name, rejection, role);
                    terminal.pictures = case.pictures;
                    terminal.models = case.models;
                    terminal.dead_letter = true;
                    return Outcome::terminal(terminal);
                }
            }
        }
        case.checks.push(verdict(&case.pictures));
        if with_attributes {
            Outcome::terminal(attributes(case))
        } else {
            Outcome::next(case)
        }
    }
}
