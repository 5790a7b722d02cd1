//! The order of a library's commands: which write stands, for every engine.

use std::collections::HashMap;

use uuid::Uuid;

use crate::point::{Kind, Stored, face_id, library_id, person_id, scope};
use crate::port::{Erased, FaceWrite, Standing};

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
        FaceWrite::Create {
            tenant, library, ..
        }
        | FaceWrite::EraseLibrary {
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
    /// Its library is not there, or was not yet at its place in the order.
    LibraryUnknown,
    /// Another person has the face.
    FaceConflict,
}

impl Verdict {
    /// The answer; `None` while the write is due.
    pub(crate) fn standing(self) -> Option<Standing> {
        match self {
            Self::Due => None,
            Self::Stands => Some(Standing::Written),
            Self::Superseded(by) => Some(Standing::Superseded { by }),
            Self::LibraryUnknown => Some(Standing::LibraryUnknown),
            Self::FaceConflict => Some(Standing::FaceConflict),
        }
    }
}

/// Answers to a batch; `None` while any of its writes is due.
pub(crate) fn standings(writes: &[FaceWrite], state: &State) -> Option<Vec<Standing>> {
    let stands = |write| judge(write, state).standing();
    writes.iter().map(stands).collect()
}

/// The rule of order, the only one: a write needs its library, and everything else that is stored about
/// it to be earlier.
pub(crate) fn judge(write: &FaceWrite, state: &State) -> Verdict {
    match write {
        // Whichever sequence the head has: the first one stays.
        FaceWrite::Create {
            tenant, library, ..
        } => match state.get(&library_id(tenant, *library)) {
            None => Verdict::Due,
            Some(head) if head.kind == Kind::Library => Verdict::Stands,
            Some(marker) => Verdict::Superseded(marker.sequence),
        },
        FaceWrite::Enrol {
            tenant,
            library,
            person,
            face,
            sequence,
            ..
        } => {
            if let Some(verdict) = without_library(tenant, *library, *sequence, state) {
                return verdict;
            }
            let marker = state.get(&person_id(tenant, *library, person));
            if let Some(marker) = marker.filter(|marker| marker.sequence >= *sequence) {
                return Verdict::Superseded(marker.sequence);
            }
            let stored = state.get(&face_id(tenant, *library, *face));
            let is_anothers = stored.is_some_and(|stored| {
                stored.kind == Kind::Face && stored.person.as_ref() != Some(person)
            });
            match against(stored, *sequence, Kind::Face) {
                Verdict::Due | Verdict::Stands if is_anothers => Verdict::FaceConflict,
                verdict => verdict,
            }
        }
        FaceWrite::Erase {
            tenant,
            library,
            erased,
            sequence,
        } => {
            if let Some(verdict) = without_library(tenant, *library, *sequence, state) {
                return verdict;
            }
            let (id, kind) = match erased {
                Erased::Person(person) => (person_id(tenant, *library, person), Kind::PersonMarker),
                Erased::Face(face) => (face_id(tenant, *library, *face), Kind::FaceMarker),
            };
            against(state.get(&id), *sequence, kind)
        }
        // Whichever sequence the marker has: the library is gone for good.
        FaceWrite::EraseLibrary {
            tenant,
            library,
            sequence,
        } => match without_library(tenant, *library, *sequence, state) {
            None => Verdict::Due,
            Some(Verdict::Superseded(_)) => Verdict::Stands,
            Some(verdict) => verdict,
        },
    }
}

/// What is to be said of a write at `sequence` whose library is not there.
fn without_library(tenant: &str, library: Uuid, sequence: u64, state: &State) -> Option<Verdict> {
    match state.get(&library_id(tenant, library)) {
        None => Some(Verdict::LibraryUnknown),
        Some(point) if point.kind != Kind::Library => Some(Verdict::Superseded(point.sequence)),
        // Its place in the order is before the library's creation.
        Some(head) if head.sequence > sequence => Some(Verdict::LibraryUnknown),
        Some(_) => None,
    }
}

/// Applies a batch: `perform` is called for each write as it is due, with the state so far. Goes over the
/// writes until none is due, since one may stand in the way of another before it: then the same
/// batch again finds nothing to do, and gives the same answers. It ends, since nothing that stands is ever
/// replaced by something earlier.
pub(crate) fn apply<E>(
    writes: &[FaceWrite],
    state: &mut State,
    mut perform: impl FnMut(&FaceWrite, &State) -> Result<(), E>,
) -> Result<(), E> {
    loop {
        let mut is_settled = true;
        for write in writes {
            if judge(write, state) == Verdict::Due {
                perform(write, state)?;
                settle(write, state);
                is_settled = false;
            }
        }
        if is_settled {
            return Ok(());
        }
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
fn settle(write: &FaceWrite, state: &mut State) {
    match write {
        FaceWrite::Create { .. } => state.extend(Stored::created(write)),
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
