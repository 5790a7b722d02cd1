//! What can go wrong with models, in words an operator can act on.

use std::path::PathBuf;

use shiren_contract::codes::{self, Code};

/// The manifest cannot be used.
pub const MANIFEST_INVALID: Code = Code {
    id: "manifest_invalid",
    meaning: "models/manifest.toml cannot be read, or contradicts itself.",
    advice: "Mend the line that the message names.",
};
/// A file of the profile is not there.
pub const MODEL_FILE_MISSING: Code = Code {
    id: "model_file_missing",
    meaning: "A file that the profile needs is not in SHIREN_HOME.",
    advice: "Run `shiren models fetch`.",
};
/// A file of the profile is another one than the manifest names.
pub const MODEL_HASH_MISMATCH: Code = Code {
    id: "model_hash_mismatch",
    meaning: "A file's sha256 is not the manifest's: it is damaged, half fetched or another file.",
    advice: "Delete the file and run `shiren models fetch`.",
};
/// A network does not take or give what the manifest says.
pub const MODEL_SHAPE_MISMATCH: Code = Code {
    id: "model_shape_mismatch",
    meaning: "A network's inputs or outputs are not those that the manifest states.",
    advice: "Mend the model's entry in models/manifest.toml.",
};
/// ONNX Runtime cannot be used.
pub const MODEL_RUNTIME_FAILED: Code = Code {
    id: "model_runtime_failed",
    meaning: "ONNX Runtime's library cannot be loaded or refuses the model.",
    advice: "Run `shiren models verify`; the library must be the version that the manifest names.",
};

/// Codes that stop a start; the others of [`ModelError::code`] are the contract's.
pub const START_CODES: &[Code] = &[
    MANIFEST_INVALID,
    MODEL_FILE_MISSING,
    MODEL_HASH_MISMATCH,
    MODEL_SHAPE_MISMATCH,
    MODEL_RUNTIME_FAILED,
];

/// A fault of a model, its files or its description.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The manifest cannot be used.
    #[error("manifest {place}: {what}")]
    Manifest {
        /// File, or key within it.
        place: String,
        /// What is wrong and what would be right.
        what: String,
    },
    /// A file is not there.
    #[error("{}: missing; run `shiren models fetch` (or set SHIREN_HOME to the folder that holds it)", path.display())]
    FileMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file is there and cannot be read.
    #[error("{}: cannot be read: {why}", path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A file is another one than the manifest names.
    #[error("{}: sha256 is {found}, the manifest says {wanted}; delete it and run `shiren models fetch`", path.display())]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// Hash in the manifest, hexadecimal.
        wanted: String,
        /// Hash of the file, hexadecimal; "of another length" where it was not worth hashing.
        found: String,
    },
    /// A network does not take or give what the manifest says.
    #[error("model {model}: {what}")]
    WrongShape {
        /// Name in the manifest.
        model: String,
        /// What differs.
        what: String,
    },
    /// ONNX Runtime cannot be used.
    #[error("ONNX Runtime: {what}")]
    Runtime {
        /// What was tried, and the runtime's own words.
        what: String,
    },
    /// A network failed on a picture.
    #[error("model {model}: {what}")]
    Failed {
        /// Name in the manifest.
        model: String,
        /// What was tried, and the runtime's own words.
        what: String,
    },
    /// An embedding that cannot be compared.
    #[error("model {model}: the template is {what}; this face cannot be compared")]
    TemplateInvalid {
        /// Name in the manifest.
        model: String,
        /// Why: not finite, no length, wrong size.
        what: String,
    },
    /// Two templates that do not belong together.
    #[error("templates of {a} and {b} cannot be compared; embed both with one model")]
    TemplatesDiffer {
        /// Model and size of the first.
        a: String,
        /// Model and size of the second.
        b: String,
    },
    /// No calibration supports what was asked.
    #[error("calibration {table}: {what}")]
    Calibration {
        /// Table's name or file.
        table: String,
        /// What is missing, and what the table does support.
        what: String,
    },
}

impl ModelError {
    /// The code that a refused command, a verdict or a dead letter carries for this fault.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Manifest { .. } => MANIFEST_INVALID,
            Self::FileMissing { .. } | Self::FileUnreadable { .. } => MODEL_FILE_MISSING,
            Self::WrongHash { .. } => MODEL_HASH_MISMATCH,
            Self::WrongShape { .. } => MODEL_SHAPE_MISMATCH,
            Self::Runtime { .. } => MODEL_RUNTIME_FAILED,
            Self::Failed { .. } => codes::MODEL_FAILED,
            Self::TemplateInvalid { .. } | Self::TemplatesDiffer { .. } => codes::TEMPLATE_INVALID,
            Self::Calibration { .. } => codes::CALIBRATION_MISSING,
        }
    }
}
