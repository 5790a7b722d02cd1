//! The local register of persons.

use crate::build::{Undeclared, int, text};
use crate::values::Values;

/// Where the register is, and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// Its file, relative to the home.
    pub file: String,
    /// File of its key, relative to the home.
    pub kek_file: String,
    /// Most persons.
    pub max_persons: usize,
    /// Largest file, bytes.
    pub max_bytes: u64,
    /// Largest file of a portrait, bytes.
    pub portrait_max_bytes: u32,
    /// Most rows of an imported table.
    pub import_max_rows: u64,
    /// Largest table that is imported, bytes.
    pub import_max_bytes: u64,
}

impl Register {
    pub(crate) fn read(values: &Values) -> Result<Self, Undeclared> {
        Ok(Self {
            file: text(values, "register.file")?,
            kek_file: text(values, "register.kek_file")?,
            max_persons: int(values, "register.max_persons")?,
            max_bytes: int(values, "register.max_bytes")?,
            portrait_max_bytes: int(values, "register.portrait_max_bytes")?,
            import_max_rows: int(values, "register.import_max_rows")?,
            import_max_bytes: int(values, "register.import_max_bytes")?,
        })
    }
}
