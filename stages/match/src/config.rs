//! What match is told by the topology and the models.

use shiren_contract::policies::Policies;
use shiren_models::calibration::Table;
use shiren_models::manifest::Metric;

/// Configuration of the stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// The policy: what each scene requires, and its target false-match rate.
    pub policies: Policies,
    /// The model whose templates are compared.
    pub model: String,
    /// How they are compared.
    pub metric: Metric,
    /// The model's calibration tables.
    pub tables: Vec<Table>,
}
