//! How a register is opened, and its bounds.

use std::path::PathBuf;

use shiren_vault::KekSource;

use crate::error::AuthorityError;
use crate::template::Metric;

/// How a register is opened. Processes that share one should give the same values.
#[derive(Clone, Debug)]
pub struct RegisterOptions {
    /// Its file. Beside it lie, while it is written, `<file>.lock` and `<file>.tmp`.
    pub file: PathBuf,
    /// Where its key is: a file, the environment or a service, as for the vault, but a key of its own.
    pub kek: KekSource,
    /// How templates are compared: as the calibration tables of the model in use have it.
    pub metric: Metric,
    /// Most persons.
    pub register_max_persons: usize,
    /// Largest file, bytes.
    pub register_max_bytes: u64,
    /// Largest file of a portrait, bytes.
    pub register_portrait_max_bytes: u32,
    /// Most rows of an imported table.
    pub register_import_max_rows: u64,
    /// Largest table that is imported, bytes.
    pub register_import_max_bytes: u64,
}

impl RegisterOptions {
    /// Cosine; 100,000 persons, 4 GiB, portraits of 4 MiB; tables of 200,000 rows and 64 MiB.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>, kek: KekSource) -> Self {
        Self {
            file: file.into(),
            kek,
            metric: Metric::Cosine,
            register_max_persons: 100_000,
            register_max_bytes: 4 << 30,
            register_portrait_max_bytes: 4 << 20,
            register_import_max_rows: 200_000,
            register_import_max_bytes: 64 << 20,
        }
    }

    /// [`AuthorityError::RegisterOverLimit`]: what the register has, and the bound that it exceeds.
    pub(crate) fn over(&self, has: &str, bound: &str, limit: u64) -> AuthorityError {
        AuthorityError::RegisterOverLimit {
            path: self.file.display().to_string(),
            what: format!("{has} than {bound} = {limit} allows; raise it if this is meant"),
        }
    }
}
