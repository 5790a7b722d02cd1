//! Limits on the quality of faces.

use crate::build::{Undeclared, number};
use crate::values::Values;

/// Limits of the quality stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Least face flag of the mesh, 0 to 1.
    pub min_presence: f64,
    /// Of a face to be compared.
    pub comparison: QualityLimits,
    /// Of a face to be enrolled.
    pub enrolment: QualityLimits,
    /// Of a picture that was just taken.
    pub live: QualityDetail,
    /// Of a photo on file.
    pub on_file: QualityDetail,
    /// Of a print on a card.
    pub card_print: QualityDetail,
    /// Of the portrait in a chip.
    pub chip: QualityDetail,
}

/// Limits for one purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualityLimits {
    /// Largest yaw either way, degrees.
    pub max_yaw_degrees: f64,
    /// Largest pitch either way, degrees.
    pub max_pitch_degrees: f64,
    /// Largest roll either way, degrees.
    pub max_roll_degrees: f64,
    /// Least mean luma of the face, levels.
    pub min_brightness: f64,
    /// Largest mean luma of the face, levels.
    pub max_brightness: f64,
    /// Least standard deviation of the luma of the face, levels.
    pub min_contrast: f64,
    /// Largest share of the face that is nearly black (luma 20 or less), 0 to 1.
    pub max_dark_share: f64,
    /// Largest share of the face that is nearly white (luma 250 or more), 0 to 1.
    pub max_bright_share: f64,
    /// Least share of the box of the face inside the picture, 0 to 1.
    pub min_inside_share: f64,
}

/// Limits by where a picture comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualityDetail {
    /// Least distance of the eyes of a face to be compared, pixels.
    pub comparison_min_inter_eye_px: f64,
    /// Least distance of the eyes of a face to be enrolled, pixels.
    pub enrolment_min_inter_eye_px: f64,
    /// Least sharpness of a face to be compared, squared levels.
    pub comparison_min_sharpness: f64,
    /// Least sharpness of a face to be enrolled, squared levels.
    pub enrolment_min_sharpness: f64,
    /// Largest blockiness of a face to be compared.
    pub comparison_max_blockiness: f64,
    /// Largest blockiness of a face to be enrolled.
    pub enrolment_max_blockiness: f64,
}

impl Quality {
    /// Of the values that were read.
    pub(crate) fn read(values: &Values) -> Result<Self, Undeclared> {
        Ok(Self {
            min_presence: number(values, "quality.min_presence")?,
            comparison: QualityLimits::read(values, "comparison")?,
            enrolment: QualityLimits::read(values, "enrolment")?,
            live: QualityDetail::read(values, "live")?,
            on_file: QualityDetail::read(values, "on_file")?,
            card_print: QualityDetail::read(values, "card_print")?,
            chip: QualityDetail::read(values, "chip")?,
        })
    }
}

impl QualityLimits {
    fn read(values: &Values, purpose: &str) -> Result<Self, Undeclared> {
        let path = |key: &str| format!("quality.{purpose}.{key}");
        Ok(Self {
            max_yaw_degrees: number(values, &path("max_yaw_degrees"))?,
            max_pitch_degrees: number(values, &path("max_pitch_degrees"))?,
            max_roll_degrees: number(values, &path("max_roll_degrees"))?,
            min_brightness: number(values, &path("min_brightness"))?,
            max_brightness: number(values, &path("max_brightness"))?,
            min_contrast: number(values, &path("min_contrast"))?,
            max_dark_share: number(values, &path("max_dark_share"))?,
            max_bright_share: number(values, &path("max_bright_share"))?,
            min_inside_share: number(values, &path("min_inside_share"))?,
        })
    }
}

impl QualityDetail {
    fn read(values: &Values, kind: &str) -> Result<Self, Undeclared> {
        let path = |key: &str| format!("quality.{kind}.{key}");
        Ok(Self {
            comparison_min_inter_eye_px: number(values, &path("comparison_min_inter_eye_px"))?,
            enrolment_min_inter_eye_px: number(values, &path("enrolment_min_inter_eye_px"))?,
            comparison_min_sharpness: number(values, &path("comparison_min_sharpness"))?,
            enrolment_min_sharpness: number(values, &path("enrolment_min_sharpness"))?,
            comparison_max_blockiness: number(values, &path("comparison_max_blockiness"))?,
            enrolment_max_blockiness: number(values, &path("enrolment_max_blockiness"))?,
        })
    }
}
