//! What authority-verify is told by the topology and the models.

use shiren_contract::policies::Policies;
use shiren_models::calibration::Calibration;

/// Configuration of the stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// The policy: what each scene requires, and its target false-match rate.
    pub policies: Policies,
    /// The model whose templates the authority compares, how, and its tables.
    pub calibration: Calibration,
}
