//! What quality is told by the topology.

/// Least and most of what a face may have for one purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Largest yaw either way, degrees.
    pub max_yaw_degrees: f64,
    /// Largest pitch either way, degrees.
    pub max_pitch_degrees: f64,
    /// Largest roll either way, degrees.
    pub max_roll_degrees: f64,
    /// Least mean luma, levels of 255.
    pub min_brightness: f64,
    /// Largest mean luma, levels of 255.
    pub max_brightness: f64,
    /// Least standard deviation of luma, levels.
    pub min_contrast: f64,
    /// Largest share of nearly black pixels, 0 to 1.
    pub max_dark_share: f64,
    /// Largest share of nearly white pixels, 0 to 1.
    pub max_bright_share: f64,
    /// Least share of the box inside the picture, 0 to 1.
    pub min_inside_share: f64,
}

/// Least of what depends on where a picture comes from, for both purposes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KindLimits {
    /// Of a picture that is compared.
    pub comparison: Detail,
    /// Of a picture that is enrolled.
    pub enrolment: Detail,
}

/// How much detail a face must have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detail {
    /// Least distance of the eyes, pixels of the upright picture.
    pub min_inter_eye_px: f64,
    /// Least variance of the Laplacian at 128 px.
    pub min_sharpness: f64,
    /// Largest blockiness.
    pub max_blockiness: f64,
}

/// Configuration of the stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Least face flag of the mesh, 0 to 1.
    pub min_presence: f64,
    /// For a comparison.
    pub comparison: Limits,
    /// For enrolment.
    pub enrolment: Limits,
    /// Just taken: every probe, and references of this kind.
    pub live: KindLimits,
    /// A photo on file.
    pub on_file: KindLimits,
    /// The print on a card.
    pub card_print: KindLimits,
    /// The portrait in a chip, about 102 x 126 pixels as a whole.
    pub chip: KindLimits,
}
