//! Embed: the subject's crop is aligned and becomes a template.

use shiren_contract::codes;
use shiren_contract::raster::Rgb8;
use shiren_contract::stage::{Outcome, Rejection, Stage, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_models::FaceEmbedder;
use shiren_schemas::Wire;
use shiren_schemas::records::{
    FaceCase, FacedPicture, ModelRef, RequestKind, Template, TemplateCase, TemplatedPicture,
};

/// The stage.
pub struct Embed {
    embedder: FaceEmbedder,
}

impl Embed {
    /// The stage with its model.
    #[must_use]
    pub fn new(embedder: FaceEmbedder) -> Self {
        Self { embedder }
    }

    /// Template of the picture's subject.
    ///
    /// # Errors
    /// There is no subject with a crop, or the model gave no template for it.
    pub fn template(&mut self, picture: &FacedPicture) -> Result<Template, Rejection> {
        let subject = picture
            .subject
            .and_then(|index| picture.faces.get(usize::try_from(index).ok()?));
        let (face, crop) = subject
            .and_then(|face| face.crop.as_ref().map(|crop| (face, crop)))
            .ok_or_else(|| {
                Rejection::new(codes::STAGE_FAILED, "a picture without a subject's crop")
            })?;
        let mut landmarks = [[0.0; 2]; 5];
        for (into, from) in landmarks.iter_mut().zip(&face.landmarks) {
            *into = [
                (from.x - crop.origin_x) * crop.scale_x,
                (from.y - crop.origin_y) * crop.scale_y,
            ];
        }
        let side = |px: i32| u32::try_from(px).unwrap_or(0);
        let raster =
            Rgb8::new(side(crop.width), side(crop.height), crop.rgb.clone()).ok_or_else(|| {
                Rejection::new(
                    codes::STAGE_FAILED,
                    "a crop whose bytes do not fit its size",
                )
            })?;
        let template = self
            .embedder
            .embed(&raster, &landmarks)
            .map_err(|error| Rejection::new(error.code(), error.to_string()))?;
        Ok(Template {
            model: template.model,
            model_sha256: self.embedder.sha256().to_owned(),
            values: template.values,
            sealed: None,
        })
    }
}

impl Stage for Embed {
    type Input = FaceCase;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "embed",
        kinds: &[
            RequestKind::Compare,
            RequestKind::Search,
            RequestKind::Enrol,
            RequestKind::Unenrol,
            RequestKind::Verify,
        ],
        input: FaceCase::NAME,
        outputs: &[TemplateCase::NAME],
        checks: &[],
        state: None,
        is_rekeyed: false,
    };

    fn process(&mut self, mut case: FaceCase) -> Outcome {
        // A command without a picture only keeps its place in the order.
        if !case.pictures.is_empty() {
            case.models.push(ModelRef {
                name: self.embedder.model().to_owned(),
                sha256: self.embedder.sha256().to_owned(),
            });
        }
        let mut pictures = Vec::with_capacity(case.pictures.len());
        for picture in &case.pictures {
            match self.template(picture) {
                Ok(template) => pictures.push(TemplatedPicture {
                    picture: picture.clone(),
                    template,
                }),
                Err(rejection) => {
                    let (name, role) = (Self::DESCRIPTOR.name, Some(picture.role));
                    let mut terminal = Terminal::error(case.envelope, name, rejection, role);
                    terminal.pictures = case.pictures;
                    terminal.models = case.models;
                    terminal.dead_letter = true;
                    return Outcome::terminal(terminal);
                }
            }
        }
        Outcome::next(TemplateCase {
            search: case.search,
            command: case.command,
            claim: case.claim,
            envelope: case.envelope,
            pictures,
            checks: case.checks,
            reason_codes: case.reason_codes,
            models: case.models,
        })
    }
}
