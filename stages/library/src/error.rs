//! What can go wrong, by stable code.

use std::path::PathBuf;

/// Why a face library did not do what it was asked. Each kind has a stable code.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The engine is down, or did not answer in time.
    #[error(
        "{place} does not answer: {what}; nothing is known of this call's effect, and repeating it is safe"
    )]
    Unavailable {
        /// Address or folder of the engine.
        place: String,
        /// What was seen.
        what: String,
    },
    /// Another process, or another engine of this one, has the folder.
    #[error(
        "{} is in use by another process: one process has a library's folder at a time; stop the other, or use the server engine", dir.display()
    )]
    Locked {
        /// The folder.
        dir: PathBuf,
    },
    /// The place holds templates of another size or metric.
    #[error(
        "{place} holds templates of {found}, wanted are {wanted}: give the other model a library of its own"
    )]
    DimensionMismatch {
        /// Folder, or collection at its address.
        place: String,
        /// Size and metric there.
        found: String,
        /// Size and metric of the options.
        wanted: String,
    },
    /// A template that no engine may see: wrong size, not finite, or not of unit norm.
    #[error("template refused: {what}; nothing of this call was done")]
    TemplateRefused {
        /// Which one, and what is wrong with it.
        what: String,
    },
    /// Something is empty, too long or too many.
    #[error("{what}; nothing of this call was done")]
    OverLimit {
        /// Which limit, and what was met.
        what: String,
    },
    /// The call's deadline passed.
    #[error(
        "the deadline passed {at}; writes before that point may have been done, and repeating the call is safe"
    )]
    DeadlineExceeded {
        /// Where in the call.
        at: &'static str,
    },
    /// Anything else: the engine refused or broke.
    #[error("{place} failed: {what}")]
    Failed {
        /// Address or folder of the engine.
        place: String,
        /// What was seen, and what to do where that is known.
        what: String,
    },
}

impl LibraryError {
    /// Its code, which never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "library_unavailable",
            Self::Locked { .. } => "library_locked",
            Self::DimensionMismatch { .. } => "library_dimension_mismatch",
            Self::TemplateRefused { .. } => "library_template_refused",
            Self::OverLimit { .. } => "library_over_limit",
            Self::DeadlineExceeded { .. } => "library_deadline_exceeded",
            Self::Failed { .. } => "library_failed",
        }
    }

    /// Whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::DeadlineExceeded { .. }
        )
    }
}
