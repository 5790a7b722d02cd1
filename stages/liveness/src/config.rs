//! What liveness is told by the topology.

use shiren_contract::policies::Policies;

/// Configuration of the stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// The policy: whether a passive check alone may accept.
    pub policies: Policies,
    /// Narrowest face that is judged, pixels of the upright picture.
    pub min_face_px: u32,
    /// Least sharpness that is judged, where quality measured it: variance of the Laplacian on the face at 128 px.
    pub min_sharpness: f64,
}
