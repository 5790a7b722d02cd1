//! Why an authority gave no answer. No variant carries a name, a number or bytes of a picture.

use shiren_contract::codes::{self, Code};

use crate::port::ProbeForm;

/// What is wrong with a register that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// There is no file.
    Missing,
    /// Its bytes are not what was written.
    Damaged,
    /// It was written by another version of this program.
    Version,
    /// Its key is another one than the one that was given.
    KeyWrong,
    /// There is no key, or one that cannot be used.
    KeyUnusable,
    /// The system does not let it be read or written.
    Inaccessible,
}

/// What an authority says instead of a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// It may answer in a while.
    #[error("{authority} does not answer: {what}")]
    Unavailable {
        /// The authority's source.
        authority: String,
        /// What happened.
        what: String,
    },
    /// The deadline passed first.
    #[error(
        "the deadline passed before {authority} had answered; raise it, or see why that is slow"
    )]
    DeadlineExceeded {
        /// The authority's source.
        authority: String,
    },
    /// The claim holds the probe in another form than the authority compares.
    #[error("{authority} compares a {wanted} and was given something else: a fault of the wiring")]
    ProbeUnsupported {
        /// The authority's source.
        authority: String,
        /// What it wants.
        wanted: ProbeForm,
    },
    /// The register cannot be read or written.
    #[error("register {path}: {what}")]
    RegisterUnreadable {
        /// Its file.
        path: String,
        /// Which kind of fault it is.
        cause: Unreadable,
        /// What is wrong and what to do.
        what: String,
    },
    /// A register where a new one was to be made.
    #[error("there is a register at {path} already; it is not overwritten")]
    RegisterExists {
        /// Its file.
        path: String,
    },
    /// Somebody else writes it.
    #[error("register {path}: another process or thread is writing it; wait until it is done")]
    RegisterLocked {
        /// Its file.
        path: String,
    },
    /// A bound is exceeded.
    #[error("register {path}: {what}")]
    RegisterOverLimit {
        /// Its file.
        path: String,
        /// Which bound, and what to do.
        what: String,
    },
    /// Two templates of different models.
    #[error(
        "a template of {register} cannot be compared with one of {given}: make the register's templates anew with the model in use"
    )]
    RegisterModelMismatch {
        /// Model of the register's template.
        register: String,
        /// Model of the other.
        given: String,
    },
}

impl AuthorityError {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => codes::AUTHORITY_UNAVAILABLE,
            Self::DeadlineExceeded { .. } => codes::AUTHORITY_DEADLINE_EXCEEDED,
            Self::ProbeUnsupported { .. } => codes::AUTHORITY_PROBE_UNSUPPORTED,
            Self::RegisterUnreadable { .. } => codes::REGISTER_UNREADABLE,
            Self::RegisterExists { .. } => codes::REGISTER_EXISTS,
            Self::RegisterLocked { .. } => codes::REGISTER_LOCKED,
            Self::RegisterOverLimit { .. } => codes::REGISTER_OVER_LIMIT,
            Self::RegisterModelMismatch { .. } => codes::REGISTER_MODEL_MISMATCH,
        }
    }

    /// Whether the same question may be answered in a while with nobody doing anything about it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::RegisterLocked { .. })
    }
}
