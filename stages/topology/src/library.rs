//! The face library.

use crate::asks::Asks;
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
    /// Bounds of what is asked of it.
    pub asks: Asks,
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
            asks: Asks::read(values, "library")?,
        })
    }
}
