//! How faces and markers lie in an engine: ids, payload, and which write stands.

use std::collections::HashMap;

use shiren_schemas::ids::{Field, Id, derive};
use uuid::Uuid;

use crate::port::{Entry, Erased, FaceWrite, Standing};

/// Payload: `<tenant>/<library>`, the only thing that searches filter by.
pub(crate) const SCOPE: &str = "scope";
/// Payload: a [`Kind`].
pub(crate) const KIND: &str = "kind";
/// Payload: the person's label.
pub(crate) const PERSON: &str = "person";
/// Payload: the face's id.
pub(crate) const FACE: &str = "face";
/// Payload: the command's place in its library's order.
pub(crate) const SEQUENCE: &str = "sequence";

/// What a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Face,
    FaceMarker,
    PersonMarker,
    LibraryMarker,
}

impl Kind {
    const ALL: [Self; 4] = [
        Self::Face,
        Self::FaceMarker,
        Self::PersonMarker,
        Self::LibraryMarker,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::FaceMarker => "face_marker",
            Self::PersonMarker => "person_marker",
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

/// Id of the point that marks a library as erased.
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
        })
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
            kind: Kind::Face,
            scope: scope(tenant, *library),
            person: Some(person.clone()),
            face: Some(*face),
            sequence: *sequence,
        };
        Some((face_id(tenant, *library, *face), stored))
    }

    pub(crate) fn face_marker(scope: String, face: Uuid, person: Option<String>, at: u64) -> Self {
        Self {
            kind: Kind::FaceMarker,
            scope,
            person,
            face: Some(face),
            sequence: at,
        }
    }

    pub(crate) fn person_marker(scope: String, person: &str, at: u64) -> Self {
        Self {
            kind: Kind::PersonMarker,
            scope,
            person: Some(person.to_owned()),
            face: None,
            sequence: at,
        }
    }

    pub(crate) fn library_marker(scope: String, at: u64) -> Self {
        Self {
            kind: Kind::LibraryMarker,
            scope,
            person: None,
            face: None,
            sequence: at,
        }
    }
}

/// Points by their ids, as far as a batch depends on them.
pub(crate) type State = HashMap<Uuid, Stored>;

/// Ids of the points that decide over a batch.
pub(crate) fn deciding(writes: &[FaceWrite]) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = writes.iter().flat_map(deciding_one).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn deciding_one(write: &FaceWrite) -> Vec<Uuid> {
    match write {
        FaceWrite::Enrol {
            tenant,
            library,
            person,
            face,
            ..
        } => vec![
            library_id(tenant, *library),
            person_id(tenant, *library, person),
            face_id(tenant, *library, *face),
        ],
        FaceWrite::Erase {
            tenant,
            library,
            erased,
            ..
        } => {
            let point = match erased {
                Erased::Person(person) => person_id(tenant, *library, person),
                Erased::Face(face) => face_id(tenant, *library, *face),
            };
            vec![library_id(tenant, *library), point]
        }
        FaceWrite::EraseLibrary {
            tenant, library, ..
        } => vec![library_id(tenant, *library)],
    }
}

/// How a write relates to what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is in its way; it has not been written.
    Due,
    /// It has been written.
    Stands,
    /// Something later stands.
    Superseded(u64),
}

impl From<Verdict> for Standing {
    /// Of the state after a batch, in which nothing is due any more.
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Superseded(by) => Self::Superseded { by },
            Verdict::Stands | Verdict::Due => Self::Written,
        }
    }
}

/// The rule of order, the only one: a write needs everything stored about it to be earlier.
pub(crate) fn judge(write: &FaceWrite, state: &State) -> Verdict {
    match write {
        FaceWrite::Enrol {
            tenant,
            library,
            person,
            face,
            sequence,
            ..
        } => {
            if let Some(marker) = state.get(&library_id(tenant, *library)) {
                return Verdict::Superseded(marker.sequence);
            }
            let marker = state.get(&person_id(tenant, *library, person));
            if let Some(marker) = marker.filter(|marker| marker.sequence >= *sequence) {
                return Verdict::Superseded(marker.sequence);
            }
            let stored = state.get(&face_id(tenant, *library, *face));
            against(stored, *sequence, Kind::Face)
        }
        FaceWrite::Erase {
            tenant,
            library,
            erased,
            sequence,
        } => {
            if let Some(marker) = state.get(&library_id(tenant, *library)) {
                return Verdict::Superseded(marker.sequence);
            }
            let (id, kind) = match erased {
                Erased::Person(person) => (person_id(tenant, *library, person), Kind::PersonMarker),
                Erased::Face(face) => (face_id(tenant, *library, *face), Kind::FaceMarker),
            };
            against(state.get(&id), *sequence, kind)
        }
        // Whichever sequence the marker has: the library is gone for good.
        FaceWrite::EraseLibrary {
            tenant, library, ..
        } => match state.get(&library_id(tenant, *library)) {
            Some(_) => Verdict::Stands,
            None => Verdict::Due,
        },
    }
}

fn against(stored: Option<&Stored>, sequence: u64, kind: Kind) -> Verdict {
    match stored {
        Some(stored) if stored.sequence > sequence => Verdict::Superseded(stored.sequence),
        Some(stored) if stored.sequence == sequence && stored.kind == kind => Verdict::Stands,
        Some(stored) if stored.sequence == sequence && stored.kind != Kind::Face => {
            Verdict::Superseded(sequence)
        }
        _ => Verdict::Due,
    }
}

/// The state as it is after a write that was due.
pub(crate) fn settle(write: &FaceWrite, state: &mut State) {
    match write {
        FaceWrite::Enrol { .. } => state.extend(Stored::face(write)),
        FaceWrite::Erase {
            tenant,
            library,
            erased,
            sequence,
        } => {
            let scope = scope(tenant, *library);
            match erased {
                Erased::Face(face) => {
                    let id = face_id(tenant, *library, *face);
                    let person = state.get(&id).and_then(|was| was.person.clone());
                    let marker = Stored::face_marker(scope, *face, person, *sequence);
                    state.insert(id, marker);
                }
                Erased::Person(person) => {
                    for stored in state.values_mut() {
                        let is_theirs =
                            stored.scope == scope && stored.person.as_ref() == Some(person);
                        if is_theirs && stored.kind == Kind::Face && stored.sequence <= *sequence {
                            stored.kind = Kind::FaceMarker;
                            stored.sequence = *sequence;
                        }
                    }
                    let marker = Stored::person_marker(scope, person, *sequence);
                    state.insert(person_id(tenant, *library, person), marker);
                }
            }
        }
        FaceWrite::EraseLibrary {
            tenant,
            library,
            sequence,
        } => {
            let scope = scope(tenant, *library);
            state.retain(|_, stored| stored.scope != scope);
            let marker = Stored::library_marker(scope, *sequence);
            state.insert(library_id(tenant, *library), marker);
        }
    }
}
