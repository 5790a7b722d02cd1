//! The stage: a comparison is fit for nothing when a face is small. It answers the check
//! `quality`, so that a scene can require it.

use shiren_contract::codes::Code;
use shiren_contract::policy::{self, check};
use shiren_contract::stage::{Outcome, Rejection, Stage, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_schemas::Wire;
use shiren_schemas::records::{CheckState, FaceCase, FacedPicture, RequestKind};

/// A code of this crate's own.
pub const FACE_TOO_SMALL: Code = Code {
    id: "face_too_small",
    meaning: "The subject's face is narrower than this site wants.",
    advice: "Stand closer to the camera.",
};
const NO_SUBJECT: Code = Code {
    id: "face_size_without_subject",
    meaning: "A picture came without a subject.",
    advice: "Put the stage `face-size` behind `detect`.",
};

/// Settings.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Smallest width of a subject's face, pixels of the upright picture.
    pub min_width_px: f32,
}

/// The stage.
pub struct FaceSize {
    config: Config,
}

impl FaceSize {
    /// The stage with its settings.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    fn judge(&self, widths_px: &[f32]) -> (CheckState, Option<Code>) {
        if widths_px.iter().all(|w| *w >= self.config.min_width_px) {
            (CheckState::Passed, None)
        } else {
            (CheckState::Failed, Some(FACE_TOO_SMALL))
        }
    }
}

impl Stage for FaceSize {
    type Input = FaceCase;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "face-size",
        kinds: &[RequestKind::Compare],
        input: FaceCase::NAME,
        outputs: &[FaceCase::NAME],
        checks: &[policy::QUALITY],
        state: None,
        is_rekeyed: false,
    };

    fn process(&mut self, mut case: FaceCase) -> Outcome {
        let widths: Option<Vec<f32>> = case.pictures.iter().map(subject_width_px).collect();
        let Some(widths) = widths else {
            let rejection = Rejection::new(NO_SUBJECT, "");
            let name = Self::DESCRIPTOR.name;
            return Outcome::terminal(Terminal::error(case.envelope, name, rejection, None));
        };
        let (state, reason) = self.judge(&widths);
        case.checks.push(check(policy::QUALITY, state, reason));
        case.reason_codes
            .extend(reason.map(|code| code.id.to_owned()));
        Outcome::next(case)
    }
}

fn subject_width_px(picture: &FacedPicture) -> Option<f32> {
    let subject = usize::try_from(picture.subject?).ok()?;
    let bounds = &picture.faces.get(subject)?.bounding_box;
    Some(bounds.x2 - bounds.x1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_face_must_be_wide_enough() {
        let stage = FaceSize::new(Config {
            min_width_px: 100.0,
        });
        for (widths_px, expected) in [
            (vec![100.0, 300.0], CheckState::Passed),
            (vec![99.9, 300.0], CheckState::Failed),
            (vec![300.0, 99.9], CheckState::Failed),
        ] {
            let (state, reason) = stage.judge(&widths_px);
            assert_eq!(state, expected, "{widths_px:?}");
            assert_eq!(reason.is_some(), state == CheckState::Failed);
        }
    }
}
