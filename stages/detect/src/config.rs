//! What detect is told by the topology.

use shiren_contract::policies::Policies;
use shiren_contract::still::StillLimits;
use shiren_models::liveness::ViewSize;

/// Configuration of the stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// Limits on stills, as in decode.
    pub limits: StillLimits,
    /// The policy: each scene has its smallest face.
    pub policies: Policies,
    /// Most faces of a picture that are passed on; the best are kept.
    pub max_faces: usize,
    /// Longest side of a crop, pixels.
    pub crop_max_side_px: u32,
    /// Most bytes of a crop.
    pub crop_max_bytes: usize,
    /// Side of a crop in sides of the face's box.
    pub crop_context: f32,
    /// Small pictures of a probe's subject that later stages ask for.
    pub views: Vec<ViewSize>,
    /// Largest roll of the subject's face, degrees.
    pub roll_max_degrees: f32,
    /// Prominence of the subject over that of the next face, at least 1.
    pub subject_min_margin: f32,
}
