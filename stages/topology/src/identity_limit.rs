//! Attempts on one identity number.

use crate::build::{Undeclared, int, text};
use crate::values::Values;

/// How many attempts within which window, and the key that numbers are hashed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityLimit {
    /// Attempts within the window.
    pub max_attempts: usize,
    /// The window, milliseconds.
    pub window_ms: u64,
    /// File of the key, relative to the home.
    pub key_file: String,
}

impl IdentityLimit {
    pub(crate) fn read(values: &Values) -> Result<Self, Undeclared> {
        Ok(Self {
            max_attempts: int(values, "identity_limit.max_attempts")?,
            window_ms: int(values, "identity_limit.window_ms")?,
            key_file: text(values, "identity_limit.key_file")?,
        })
    }
}
