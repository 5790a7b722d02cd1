//! How faces, markers and heads lie in an engine: ids and payload.

use shiren_schemas::ids::{Field, Id, derive};
use uuid::Uuid;

use crate::port::{Entry, FaceWrite, LibraryHead};

/// Payload: `<tenant>/<library>`, the only thing that searches filter by.
pub(crate) const SCOPE: &str = "scope";
/// Payload: a [`Kind`].
pub(crate) const KIND: &str = "kind";
/// Payload: the person's label.
pub(crate) const PERSON: &str = "person";
/// Payload: the face's id.
pub(crate) const FACE: &str = "face";
/// Payload: a library's label.
pub(crate) const LABEL: &str = "label";
/// Payload: a library's model.
pub(crate) const MODEL: &str = "model_sha256";
/// Payload: the command's place in its library's order.
pub(crate) const SEQUENCE: &str = "sequence";

/// What a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Face,
    FaceMarker,
    PersonMarker,
    /// A library's head.
    Library,
    LibraryMarker,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Face,
        Self::FaceMarker,
        Self::PersonMarker,
        Self::Library,
        Self::LibraryMarker,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::FaceMarker => "face_marker",
            Self::PersonMarker => "person_marker",
            Self::Library => "library",
            Self::LibraryMarker => "library_marker",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Names of all markers.
    pub(crate) fn markers() -> [&'static str; 3] {
        [Self::FaceMarker, Self::PersonMarker, Self::LibraryMarker].map(Self::name)
    }
}

/// What is written into a library, and goes with it.
pub(crate) const CONTENT: [Kind; 3] = [Kind::Face, Kind::FaceMarker, Kind::PersonMarker];
/// What a list of a library shows.
pub(crate) const LISTED: [Kind; 4] = [
    Kind::Face,
    Kind::FaceMarker,
    Kind::PersonMarker,
    Kind::LibraryMarker,
];

/// Value of [`SCOPE`]. A UUID has no slash and one length, so no two pairs give the same.
pub(crate) fn scope(tenant: &str, library: Uuid) -> String {
    format!("{tenant}/{library}")
}

/// Id of a face's point. Over tenant and library, so that nobody's face can take the place of another's.
pub(crate) fn face_id(tenant: &str, library: Uuid, face: Uuid) -> Uuid {
    point_id(tenant, library, "face", Field::Id(id_of(face)))
}

/// Id of the point that marks a person as erased.
pub(crate) fn person_id(tenant: &str, library: Uuid, person: &str) -> Uuid {
    point_id(tenant, library, "person", Field::Text(person))
}

/// Id of a library's point: its head, and later the marker that it was erased.
pub(crate) fn library_id(tenant: &str, library: Uuid) -> Uuid {
    point_id(tenant, library, "library", Field::Text(""))
}

fn point_id(tenant: &str, library: Uuid, kind: &str, last: Field<'_>) -> Uuid {
    let library = Field::Id(id_of(library));
    let fields = [Field::Text(tenant), library, Field::Text(kind), last];
    Uuid::from_bytes(derive("library_point", &fields).0)
}

fn id_of(uuid: Uuid) -> Id {
    Id(*uuid.as_bytes())
}

/// A point without its template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) kind: Kind,
    pub(crate) scope: String,
    pub(crate) person: Option<String>,
    pub(crate) face: Option<Uuid>,
    pub(crate) label: Option<String>,
    pub(crate) model_sha256: Option<String>,
    pub(crate) sequence: u64,
}

impl Stored {
    /// `None` where it holds less than its kind asks for.
    pub(crate) fn entry(&self) -> Option<Entry> {
        let person = self.person.clone();
        Some(match self.kind {
            Kind::Face => Entry::Face {
                person: person?,
                face: self.face?,
            },
            Kind::FaceMarker => Entry::FaceMarker {
                person,
                face: self.face?,
            },
            Kind::PersonMarker => Entry::PersonMarker { person: person? },
            Kind::LibraryMarker => Entry::LibraryMarker,
            Kind::Library => return None,
        })
    }

    /// `None` for anything but a head.
    pub(crate) fn head(&self) -> Option<LibraryHead> {
        if self.kind != Kind::Library {
            return None;
        }
        Some(LibraryHead {
            label: self.label.clone()?,
            model_sha256: self.model_sha256.clone()?,
            sequence: self.sequence,
        })
    }

    fn bare(kind: Kind, scope: String, sequence: u64) -> Self {
        Self {
            kind,
            scope,
            person: None,
            face: None,
            label: None,
            model_sha256: None,
            sequence,
        }
    }

    /// `None` for a write that is no enrolment.
    pub(crate) fn face(write: &FaceWrite) -> Option<(Uuid, Self)> {
        let FaceWrite::Enrol {
            tenant,
            library,
            person,
            face,
            sequence,
            ..
        } = write
        else {
            return None;
        };
        let stored = Self {
            person: Some(person.clone()),
            face: Some(*face),
            ..Self::bare(Kind::Face, scope(tenant, *library), *sequence)
        };
        Some((face_id(tenant, *library, *face), stored))
    }

    /// `None` for a write that creates no library.
    pub(crate) fn created(write: &FaceWrite) -> Option<(Uuid, Self)> {
        let FaceWrite::Create {
            tenant,
            library,
            label,
            model_sha256,
            sequence,
        } = write
        else {
            return None;
        };
        let stored = Self {
            label: Some(label.clone()),
            model_sha256: Some(model_sha256.clone()),
            ..Self::bare(Kind::Library, scope(tenant, *library), *sequence)
        };
        Some((library_id(tenant, *library), stored))
    }

    pub(crate) fn face_marker(scope: String, face: Uuid, person: Option<String>, at: u64) -> Self {
        Self {
            person,
            face: Some(face),
            ..Self::bare(Kind::FaceMarker, scope, at)
        }
    }

    pub(crate) fn person_marker(scope: String, person: &str, at: u64) -> Self {
        Self {
            person: Some(person.to_owned()),
            ..Self::bare(Kind::PersonMarker, scope, at)
        }
    }

    pub(crate) fn library_marker(scope: String, at: u64) -> Self {
        Self::bare(Kind::LibraryMarker, scope, at)
    }
}
