//! Libraries: what is asked of them, and what comes of it.

use serde::{Deserialize, Serialize};

use super::stages::Template;
use super::verdict::Basis;
use crate::ids::Id;

/// Kind search: among whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchQuestion {
    /// Ids of libraries, 1 or more.
    pub libraries: Vec<Id>,
    /// Most candidates in results.
    pub persons_max: i32,
}

text_enum! {
    /// create and enrol are of kind enrol; unenrol and delete of kind unenrol.
    LibraryOperation {
        /// `create`
        Create => "create",
        /// `enrol`
        Enrol => "enrol",
        /// `unenrol`
        Unenrol => "unenrol",
        /// `delete`
        Delete => "delete",
    }
}

/// Kinds enrol and unenrol: what changes in a library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LibraryCommand {
    /// Operation.
    pub operation: LibraryOperation,
    /// Id of its creation.
    pub library: Id,
    /// create: the library's name.
    pub label: String,
    /// enrol, unenrol: whose face, 1..128 bytes.
    pub person_id: String,
    /// enrol: null gives the face the case's id. unenrol: null means all of the person.
    pub face_id: Option<Id>,
    /// enrol: instead of a picture, made by a bulk import.
    pub template: Option<Template>,
    /// Place in the library's order: the ingress record's offset, filled by admit.
    pub sequence: i64,
}

/// A library as the search found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchedLibrary {
    /// Library.
    pub library: Id,
    /// Faces in it.
    pub faces: i64,
}

/// A person by the best of the faces found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Library.
    pub library: Id,
    /// Person id.
    pub person_id: String,
    /// Face id.
    pub face_id: Id,
    /// Score.
    pub score: f64,
    /// Command that wrote the face.
    pub sequence: i64,
}

/// A search of libraries and its operating point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchEvidence {
    /// Libraries.
    pub libraries: Vec<SearchedLibrary>,
    /// Target of the scene.
    pub target_fpir: f64,
    /// False-match rate that gives it at this many faces.
    pub fmr: f64,
    /// Threshold.
    pub threshold: f64,
    /// Whether the threshold was measured.
    pub basis: Basis,
    /// Best first, those below the threshold too.
    pub candidates: Vec<Candidate>,
}

/// Somebody who was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PersonFound {
    /// Library.
    pub library: Id,
    /// Person id.
    pub person_id: String,
}

/// What a library command changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Library.
    pub library: Id,
    /// Person id.
    pub person_id: String,
    /// Faces that were added or erased.
    pub faces: Vec<Id>,
    /// Place of the command in its library's order.
    pub sequence: i64,
    /// unenrol of a person, delete: the key that sealed their templates, which is no more.
    pub key_destroyed: Option<String>,
}

/// The libraries' truth: the last change of each library, person and face, by key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LibraryChange {
    /// Tenant.
    pub tenant: String,
    /// Id of its creation.
    pub library: Id,
    /// Operation.
    pub operation: LibraryOperation,
    /// Place of the command in its library's order.
    pub sequence: i64,
    /// Case of the command.
    pub case_id: Id,
    /// The command's append time.
    pub received_time: i64,
    /// create: the library's name.
    pub label: String,
    /// create: model of all templates in it.
    pub model: String,
    /// create: its file, lower-case hex.
    pub model_sha256: String,
    /// enrol, unenrol.
    pub person_id: String,
    /// enrol; unenrol of one face.
    pub face_id: Option<Id>,
    /// enrol: sealed under the person's key.
    pub template: Option<Template>,
    /// enrol.
    pub consent_ref: Option<String>,
    /// enrol.
    pub purpose: Option<String>,
}

wire!(LibraryChange, "library", ["LibraryChange/1"]);
