//! The face library.

use crate::build::{Undeclared, int, text};
use crate::values::Values;

/// Settings of the face library.
#[derive(Clone, Debug, PartialEq)]
pub struct Library {
    /// Where it is.
    pub engine: LibraryEngine,
    /// Templates of the libraries asked for up to which they are compared one by one, KiB; beyond, the index is followed.
    pub compare_all_max_kib: usize,
    /// Candidates that a search through the index keeps.
    pub search_width: usize,
    /// Most libraries that a search names.
    pub search_libraries_max: usize,
    /// Most candidates that a search asks for.
    pub search_persons_max: i32,
    /// Most faces of one person.
    pub faces_per_person_max: usize,
    /// Most pictures of one import.
    pub import_max_faces: usize,
    /// Longest wait for an answer, milliseconds.
    pub ask_max_wait_ms: u64,
    /// Longest single call, milliseconds.
    pub call_max_wait_ms: u64,
    /// Times an ask is made.
    pub ask_max_attempts: u32,
    /// Longest pause before the second attempt, milliseconds.
    pub ask_backoff_ms: u64,
    /// Failed calls in a row before it is left alone.
    pub breaker_max_failures: u32,
    /// How long it is left alone, milliseconds.
    pub breaker_pause_ms: u64,
    /// Calls under way at once.
    pub calls_max: u32,
}

/// Where the faces are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibraryEngine {
    /// In this process.
    Embedded {
        /// Folder, relative to the home.
        dir: String,
    },
    /// On a Qdrant server.
    Server {
        /// Address; `None`: not set.
        url: Option<String>,
        /// Collection.
        collection: String,
    },
}

impl Library {
    pub(crate) fn read(values: &Values) -> Result<Self, Undeclared> {
        let engine = if text(values, "library.engine")? == "embedded" {
            LibraryEngine::Embedded {
                dir: text(values, "library.dir")?,
            }
        } else {
            LibraryEngine::Server {
                url: values.text("library.url").map(str::to_owned),
                collection: text(values, "library.collection")?,
            }
        };
        Ok(Self {
            engine,
            compare_all_max_kib: int(values, "library.compare_all_max_kib")?,
            search_width: int(values, "library.search_width")?,
            search_libraries_max: int(values, "library.search_libraries_max")?,
            search_persons_max: int(values, "library.search_persons_max")?,
            faces_per_person_max: int(values, "library.faces_per_person_max")?,
            import_max_faces: int(values, "library.import_max_faces")?,
            ask_max_wait_ms: int(values, "library.ask_max_wait_ms")?,
            call_max_wait_ms: int(values, "library.call_max_wait_ms")?,
            ask_max_attempts: int(values, "library.ask_max_attempts")?,
            ask_backoff_ms: int(values, "library.ask_backoff_ms")?,
            breaker_max_failures: int(values, "library.breaker_max_failures")?,
            breaker_pause_ms: int(values, "library.breaker_pause_ms")?,
            calls_max: int(values, "library.calls_max")?,
        })
    }
}
