//! The port: vocabulary and promises, whatever engine lies beneath.

use std::time::Instant;

use uuid::Uuid;

use crate::error::LibraryError;
use crate::metric::Metric;

/// A search for the faces most like one probe.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceQuery {
    /// Whose libraries.
    pub tenant: String,
    /// Which of them, by the id of their creation; never empty.
    pub libraries: Vec<Uuid>,
    /// The probe's template, as [`check_template`](crate::check_template) takes it.
    pub template: Vec<f32>,
    /// Most faces found, 1 or more.
    pub faces_max: usize,
    /// Compare with every face, instead of following the index.
    pub exact: bool,
}

/// A face that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceHit {
    /// Library it lies in.
    pub library: Uuid,
    /// Whose face it is.
    pub person: String,
    /// Which of the person's faces.
    pub face: Uuid,
    /// How alike probe and reference are under the engine's [`Metric`](crate::Metric): more is more alike,
    /// 1 is the same.
    pub score: f32,
    /// Sequence of the command that wrote it.
    pub sequence: u64,
}

/// What the engine knows of a library that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryHead {
    /// Its label, as it was created.
    pub label: String,
    /// The model whose templates it takes, as it was created.
    pub model_sha256: String,
    /// Sequence of the command that created it.
    pub sequence: u64,
}

/// One change. A library's commands have one order, given by `sequence` (at most
/// [`SEQUENCE_MAX`](crate::SEQUENCE_MAX)); what an earlier one writes never takes the place of what a later one wrote, whenever it arrives.
#[derive(Clone, Debug, PartialEq)]
pub enum FaceWrite {
    /// Makes a library: puts its head. Where there is one already, that one stays as it is; where the
    /// library was erased, nothing is done.
    Create {
        /// Whose library.
        tenant: String,
        /// Library, by the id of its creation.
        library: Uuid,
        /// Its label, 1 to 128 bytes.
        label: String,
        /// The model whose templates it takes: 1 to 64 bytes, which the engine does not interpret.
        model_sha256: String,
        /// Place of the command in its library's order. The library is unknown to commands before it.
        sequence: u64,
    },
    /// Adds a face, or replaces one of an earlier command. Does nothing where a later command wrote
    /// the face, erased it or its person, where another person has the face, or where the library is
    /// unknown or erased.
    Enrol {
        /// Whose library.
        tenant: String,
        /// Library, by the id of its creation.
        library: Uuid,
        /// Whose face: a label of 1 to 128 bytes.
        person: String,
        /// Which of the person's faces; unique in its library.
        face: Uuid,
        /// Place of the command in its library's order.
        sequence: u64,
        /// As [`check_template`](crate::check_template) takes it.
        template: Vec<f32>,
    },
    /// Puts markers without a template where faces of earlier commands were, and one for whom or what
    /// is erased, so that an earlier command that arrives late writes nothing. Does nothing where the
    /// library is unknown or erased.
    Erase {
        /// Whose library.
        tenant: String,
        /// Library, by the id of its creation.
        library: Uuid,
        /// Whom or what.
        erased: Erased,
        /// Place of the command in its library's order.
        sequence: u64,
    },
    /// Erases a library for good: nothing that is ever written to this id again is found, whatever its
    /// sequence, since a library that is made anew gets an id of its own. Does nothing where the library
    /// is unknown.
    EraseLibrary {
        /// Whose library.
        tenant: String,
        /// Library, by the id of its creation.
        library: Uuid,
        /// Place of the command in its library's order.
        sequence: u64,
    },
}

/// Whom or what an [`FaceWrite::Erase`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// All faces of a person.
    Person(String),
    /// One face.
    Face(Uuid),
}

/// What stands for a write once its batch is done. The same batch again gives the same answers.
///
/// A batch is applied in order, and what could not be done at its place is looked at again once the rest
/// is done: a face enrolled before its library's creation in the batch, but after it in the library's
/// order, is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The write stands: a search finds the face, or does not find what was erased.
    Written,
    /// A later command stands instead.
    Superseded {
        /// Its sequence.
        by: u64,
    },
    /// There is no such library, or none yet at the command's place in the order. Nothing was written.
    LibraryUnknown,
    /// Another person of the library has a face of this id. Nothing was written.
    FaceConflict,
}

/// Which points of a library to list.
#[derive(Clone, Debug, PartialEq)]
pub struct FacesRequest {
    /// Whose library.
    pub tenant: String,
    /// Library, by the id of its creation.
    pub library: Uuid,
    /// Only this person's.
    pub person: Option<String>,
    /// [`FacesPage::next`] of the page before; `None` begins.
    pub from: Option<Uuid>,
    /// Most entries in the page, 1 or more.
    pub entries_max: usize,
    /// Whether faces come with their templates.
    pub templates: bool,
}

/// A page of a library, in an order that stays.
#[derive(Clone, Debug, PartialEq)]
pub struct FacesPage {
    /// The entries.
    pub entries: Vec<FaceEntry>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Uuid>,
}

/// A face or a marker as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceEntry {
    /// What it is.
    pub entry: Entry,
    /// Sequence of the command that wrote it.
    pub sequence: u64,
    /// Template of a face, where it was asked for.
    pub template: Option<Vec<f32>>,
}

/// What a stored point stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A face that searches find.
    Face {
        /// Whose.
        person: String,
        /// Which.
        face: Uuid,
    },
    /// A face that was erased.
    FaceMarker {
        /// Whose; unknown where the face was never seen.
        person: Option<String>,
        /// Which.
        face: Uuid,
    },
    /// A person who was erased.
    PersonMarker {
        /// Who.
        person: String,
    },
    /// The library was erased.
    LibraryMarker,
}

impl Entry {
    /// Whether it marks an erasure.
    #[must_use]
    pub fn is_marker(&self) -> bool {
        !matches!(self, Self::Face { .. })
    }
}

/// What became of [`FaceLibrary::optimise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimised {
    /// Done: templates erased or replaced before the call have left the engine's files.
    Done,
    /// The engine does it by itself, when it sees fit; no promise about bytes.
    LeftToEngine,
}

/// What an engine says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct LibraryDescription {
    /// `embedded` or `server`.
    pub engine: &'static str,
    /// Its folder, or its collection and address.
    pub place: String,
    /// Length of a template, numbers.
    pub dimension: usize,
    /// How templates are compared.
    pub metric: Metric,
    /// Faces, markers and heads of all libraries, as counted by the engine.
    pub points: u64,
    /// Templates in the index; the others are compared one by one.
    pub indexed: u64,
}

/// Libraries of faces: who is most like this probe?
///
/// Calls block, from any thread but an async one. Each keeps its deadline as far as its engine lets it:
/// waiting ends there, while a step of the engine that has begun is not broken off. All are safe to
/// repeat.
pub trait FaceLibrary: Send + Sync {
    /// For each query the faces most like it, best first. Only faces of the query's tenant and
    /// libraries are looked at; markers are never found.
    ///
    /// # Errors
    /// [`LibraryError::TemplateRefused`] and [`LibraryError::OverLimit`] before the engine sees anything
    /// (an empty list of libraries is refused, it never means all).
    fn search(
        &self,
        queries: &[FaceQuery],
        deadline: Instant,
    ) -> Result<Vec<Vec<FaceHit>>, LibraryError>;

    /// Writes in order, and returns once all of it is on disk and seen by every later search.
    ///
    /// # Errors
    /// As [`FaceLibrary::search`]; on others a part may have been written.
    fn write(&self, writes: &[FaceWrite], deadline: Instant)
    -> Result<Vec<Standing>, LibraryError>;

    /// Removes a library's markers of `up_to_sequence` and before, its own too; tells how many. To be
    /// called when no writer of such a command can still be on its way.
    ///
    /// # Errors
    /// As [`FaceLibrary::write`].
    fn expire_markers(
        &self,
        tenant: &str,
        library: Uuid,
        up_to_sequence: u64,
        deadline: Instant,
    ) -> Result<u64, LibraryError>;

    /// A page of a library's faces and markers, without its head: for that there is
    /// [`FaceLibrary::head`]. What stays while pages are read is listed once.
    ///
    /// # Errors
    /// As [`FaceLibrary::search`].
    fn faces(&self, request: &FacesRequest, deadline: Instant) -> Result<FacesPage, LibraryError>;

    /// Number of faces in a library, without markers.
    ///
    /// # Errors
    /// As [`FaceLibrary::search`].
    fn count(&self, tenant: &str, library: Uuid, deadline: Instant) -> Result<u64, LibraryError>;

    /// The head of a library; `None` where it is unknown or erased.
    ///
    /// # Errors
    /// As [`FaceLibrary::search`].
    fn head(
        &self,
        tenant: &str,
        library: Uuid,
        deadline: Instant,
    ) -> Result<Option<LibraryHead>, LibraryError>;

    /// Removes everything that the engine holds of a library, its head and all markers too, as if it had
    /// never been. Only for rebuilding it from its topic, with no writer of it on the way: without its
    /// markers, a writer that comes late brings back what was erased.
    ///
    /// # Errors
    /// As [`FaceLibrary::write`].
    fn forget_library(
        &self,
        tenant: &str,
        library: Uuid,
        deadline: Instant,
    ) -> Result<(), LibraryError>;

    /// Brings the index up to date and drops what was erased; may take minutes.
    ///
    /// # Errors
    /// [`LibraryError::DeadlineExceeded`] when it was not done by then.
    fn optimise(&self, deadline: Instant) -> Result<Optimised, LibraryError>;

    /// Brings what a search touches into memory: the first ones after opening are slow otherwise.
    ///
    /// # Errors
    /// As [`FaceLibrary::search`].
    fn warm_up(&self, deadline: Instant) -> Result<(), LibraryError>;

    /// The engine, its place and its size.
    ///
    /// # Errors
    /// [`LibraryError::Unavailable`] when the engine does not answer.
    fn describe(&self, deadline: Instant) -> Result<LibraryDescription, LibraryError>;
}
