//! What stages ask the face library, and what it answers.

use shiren_schemas::Id;

/// Kind search: the faces most like one probe.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchAsk {
    /// Whose libraries.
    pub tenant: String,
    /// Which of them; never empty.
    pub libraries: Vec<Id>,
    /// The probe's template.
    pub template: Vec<f32>,
    /// Most faces found, 1 or more.
    pub faces_max: usize,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The libraries that were searched, and the number of faces in each.
    pub libraries: Vec<(Id, u64)>,
    /// Best first.
    pub faces: Vec<FaceFound>,
}

/// A face that a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceFound {
    /// Library it lies in.
    pub library: Id,
    /// Whose face it is.
    pub person: String,
    /// Which of the person's faces.
    pub face: Id,
    /// Comparison score of probe and reference, by the model's metric; higher is more alike.
    pub score: f32,
    /// Sequence of the command that wrote it.
    pub sequence: u64,
}

/// One change of a library, to be made in the order of `sequence`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeAsk {
    /// Whose library.
    pub tenant: String,
    /// Library, by the id of its creation.
    pub library: Id,
    /// Place of the command in its library's order.
    pub sequence: u64,
    /// What changes.
    pub change: Change,
}

/// What changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A library is made.
    Create {
        /// Its name.
        label: String,
        /// Model of all templates in it, lower-case hex of its file.
        model_sha256: String,
    },
    /// A face is added, or replaces the one of the same id.
    Enrol {
        /// Whose.
        person: String,
        /// Which.
        face: Id,
        /// Model that made the template.
        model_sha256: String,
        /// Its numbers.
        template: Vec<f32>,
    },
    /// A person, or one face of them, is erased.
    Unenrol {
        /// Who.
        person: String,
        /// Which face; `None`: all.
        face: Option<Id>,
    },
    /// A library is erased with all in it.
    Delete,
}

/// What became of a change. The same change asked again gives the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Every later search sees it.
    Done {
        /// Faces that were added or erased.
        faces: Vec<Id>,
        /// The key that sealed the templates of who or what was erased, which is no more.
        key_destroyed: Option<String>,
    },
    /// A later command stands instead; nothing was changed.
    Superseded,
    /// There was nothing to erase.
    NothingThere,
    /// There is no such library, or no more.
    LibraryUnknown,
    /// The face id is another person's.
    FaceConflict,
    /// The library is of another model.
    ModelMismatch {
        /// The library's.
        wanted: String,
    },
    /// The person has as many faces as a library keeps of one.
    FacesOverLimit {
        /// That many.
        max: usize,
    },
}
