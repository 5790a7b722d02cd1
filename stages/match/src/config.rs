//! What match is told by the topology and the models.

use shiren_contract::policies::Policies;
use shiren_models::calibration::Calibration;

/// Configuration of the stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// The policy: what each scene requires, and its target false-match rate.
    pub policies: Policies,
    /// The model whose templates are compared, how, and its tables.
    pub calibration: Calibration,
    /// Most faces that a library keeps of one person.
    pub faces_per_person_max: usize,
}
