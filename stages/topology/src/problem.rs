//! What is wrong with a topology, and where.

use std::fmt;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The topology is refused.
    Error,
    /// Legal, and likely to hurt.
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable code, lower snake case; see [`crate::CODES`].
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// File as the caller named it, or `environment`.
    pub file: String,
    /// Line from 1; 0 in the environment.
    pub line: usize,
    /// Dotted path of the setting, or the environment variable.
    pub path: String,
    /// What is wrong. Never a value of `log.kafka.properties`: it may be a secret.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        f.write_str(": ")?;
        if self.severity == Severity::Warning {
            f.write_str("warning ")?;
        }
        write!(f, "[{}] ", self.code)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        if let Some(hint) = &self.hint {
            write!(f, "; hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// A code and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemCode {
    /// The code.
    pub id: &'static str,
    /// What it means and what to do.
    pub meaning: &'static str,
}
