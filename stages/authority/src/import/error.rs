//! Why a whole import failed. The register is then as it was.

use shiren_contract::codes::{self, Code};

use crate::error::AuthorityError;

/// Why nothing was imported. Names lines and columns, never what stood there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The table cannot be read.
    #[error("the table cannot be read: {what}")]
    Unreadable {
        /// What the system says.
        what: String,
    },
    /// The table is of another encoding.
    #[error(
        "line {line} of the table is not UTF-8 (GB18030, perhaps, or UTF-16): convert it, as by iconv -f GB18030 -t UTF-8; nothing was imported"
    )]
    NotUtf8 {
        /// The first line that is not, from 1.
        line: u64,
    },
    /// The first line does not name the columns.
    #[error("line 1 of the table does not name the columns: {what}; nothing was imported")]
    Columns {
        /// What is wrong and what is wanted.
        what: String,
    },
    /// The register.
    #[error(transparent)]
    Register(#[from] AuthorityError),
}

impl ImportError {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } => codes::IMPORT_UNREADABLE,
            Self::NotUtf8 { .. } => codes::IMPORT_NOT_UTF8,
            Self::Columns { .. } => codes::IMPORT_COLUMNS_WRONG,
            Self::Register(error) => error.code(),
        }
    }
}
