//! What stages found of a face.

use serde::{Deserialize, Serialize};

text_enum! {
    /// answered, abstained (no measured table, or the input allowed no answer).
    AnswerState {
        /// `answered`
        Answered => "answered",
        /// `abstained`
        Abstained => "abstained",
    }
}

/// What the face shows, as a model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// is_face, sex, age, smiling, eyes_open_left ...
    pub name: String,
    /// State.
    pub state: AnswerState,
    /// yes, no, female, male.
    pub value: Option<String>,
    /// Years, or a ratio.
    pub number: Option<f64>,
    /// 0..1 as the model gives it, not calibrated.
    pub confidence: Option<f64>,
    /// Why it abstained.
    pub reason_code: Option<String>,
}

/// What was measured of a face, and what it is fit for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Face flag of the dense mesh, 0..1.
    pub presence: f64,
    /// Above 0: turned towards the picture's right side.
    pub yaw_degrees: f64,
    /// Above 0: turned up.
    pub pitch_degrees: f64,
    /// Above 0: clockwise as seen.
    pub roll_degrees: f64,
    /// Variance of the Laplacian on the face at 128 px.
    pub sharpness: f64,
    /// How far block coding coarsened the face; 0 without a grid of blocks.
    pub blockiness: f64,
    /// Mean luma, 0..255.
    pub brightness: f64,
    /// Standard deviation of luma, 0..128.
    pub contrast: f64,
    /// Share of the face that is nearly black.
    pub dark_share: f64,
    /// Share of the face that is nearly white.
    pub bright_share: f64,
    /// Width of the box, pixels of the upright picture.
    pub face_width_px: f64,
    /// Distance of the eyes, pixels of the upright picture.
    pub inter_eye_px: f64,
    /// Share of the box inside the picture.
    pub inside_share: f64,
    /// The face has no colour.
    pub monochrome: bool,
    /// Fit for comparison.
    pub fit_for_comparison: bool,
    /// Fit for enrolment.
    pub fit_for_enrolment: bool,
    /// Codes why it is not fit for comparison.
    pub comparison_reasons: Vec<String>,
    /// Codes why it is not fit for enrolment.
    pub enrolment_reasons: Vec<String>,
    /// Kind attributes only.
    pub attributes: Vec<Attribute>,
}

/// One net or measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cue {
    /// Name.
    pub name: String,
    /// Value.
    pub value: f64,
}

/// Passive presentation attack detection on one picture; what came of it is the check `liveness`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Liveness {
    /// 0..1, higher is more alive.
    pub score: Option<f64>,
    /// Scores below are taken for an attack.
    pub reject_below: f64,
    /// Scores from here on are taken for a live person; between the two it abstains.
    pub accept_from: f64,
    /// On its own it leads to review at most.
    pub advisory: bool,
    /// Table of weights and thresholds.
    pub table: String,
    /// Cues.
    pub cues: Vec<Cue>,
}
