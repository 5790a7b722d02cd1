//! A batch of writes: read, judge, send with conditions, look again.
//!
//! The server checks conditions on a point when it applies a write to that point: order, and that a face
//! stays its person's. A condition on another one (that the library is there, that the person was not
//! erased) it cannot check; so after the batch it is looked at, and a face that came too late is taken
//! away again. Until then searches drop what is in a library without a head. A face that came too late to
//! an erased person could be found for that moment, though only one that no writer had written before
//! the erasure.

use std::collections::BTreeMap;
use std::time::Instant;

use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::points_update_operation::{
    DeletePoints, DeleteVectors, Operation, PointStructList, SetPayload,
};
use qdrant_client::qdrant::{
    Condition, Filter, PointId, PointStruct, PointsSelector, PointsUpdateOperation,
    UpdateBatchPoints, UpdateStatus, VectorsSelector, WriteOrdering, WriteOrderingType,
};
use uuid::Uuid;

use super::filters::{before, is, is_any, is_kind, up_to};
use super::points::{Payload, point_id, sequence as number, to_point};
use super::reading::{count, state};
use super::{ServerLibrary, failed};
use crate::error::LibraryError;
use crate::order::{self, State, deciding, standings};
use crate::point::{
    CONTENT, KIND, Kind, PERSON, SCOPE, SEQUENCE, Stored, face_id, library_id, person_id, scope,
};
use crate::port::{Erased, FaceWrite, Standing};

/// Most faces in one operation: each that is there already is compared with the conditions of all.
const ENROLS_TOGETHER_MAX: usize = 100;
/// How often a batch is tried where other writers undo what it stands on.
const ROUNDS_MAX: usize = 5;
/// The vector that a face has and a marker has not.
const VECTOR: &str = "";

pub(super) fn write(
    library: &ServerLibrary,
    writes: &[FaceWrite],
    deadline: Instant,
) -> Result<Vec<Standing>, LibraryError> {
    let ids = deciding(writes);
    let mut stored = state(library, &ids, deadline)?;
    for _ in 0..ROUNDS_MAX {
        let mut plan = Plan::default();
        let planned = order::apply(writes, &mut stored, |write, expected| {
            plan.add(write, expected);
            Ok::<_, LibraryError>(())
        });
        planned?;
        send(library, plan.finish(), deadline)?;
        stored = state(library, &ids, deadline)?;
        send(library, take_away_late(writes, &stored), deadline)?;
        if let Some(answers) = standings(writes, &stored) {
            return Ok(answers);
        }
    }
    Err(LibraryError::Unavailable {
        place: library.options.place(),
        what: format!("other writers changed the same faces {ROUNDS_MAX} times meanwhile"),
    })
}

/// Operations that do a batch, each with its conditions.
#[derive(Default)]
struct Plan {
    operations: Vec<Operation>,
    /// Faces of different points that the next operation writes, with their persons and sequences.
    faces: Vec<(PointStruct, (String, u64))>,
}

impl Plan {
    fn add(&mut self, write: &FaceWrite, state: &State) {
        match write {
            FaceWrite::Create { .. } => {
                // Nothing is before 0: what is there stays.
                let head = Stored::created(write)
                    .map(|(id, head)| upsert_if(to_point(id, &head, None), before(0)));
                self.operations.extend(head);
            }
            FaceWrite::Enrol {
                person,
                sequence,
                template,
                ..
            } => {
                if let Some((id, face)) = Stored::face(write) {
                    let face = to_point(id, &face, Some(template));
                    self.enrol(face, (person.clone(), *sequence));
                }
            }
            FaceWrite::Erase {
                tenant,
                library,
                erased,
                sequence,
            } => {
                self.put_faces();
                let scope = scope(tenant, *library);
                match erased {
                    Erased::Face(face) => {
                        let id = face_id(tenant, *library, *face);
                        let person = state.get(&id).and_then(|was| was.person.clone());
                        let marker = Stored::face_marker(scope, *face, person, *sequence);
                        self.erase_face(id, &marker);
                    }
                    Erased::Person(person) => {
                        let id = person_id(tenant, *library, person);
                        let marker = Stored::person_marker(scope.clone(), person, *sequence);
                        let put = upsert_if(to_point(id, &marker, None), before(*sequence));
                        self.operations.push(put);
                        self.operations
                            .extend(mark_faces(&scope, person, *sequence));
                    }
                }
            }
            FaceWrite::EraseLibrary {
                tenant,
                library,
                sequence,
            } => {
                self.put_faces();
                let scope = scope(tenant, *library);
                let id = library_id(tenant, *library);
                let marker = Stored::library_marker(scope.clone(), *sequence);
                // The first marker stays.
                let put = upsert_if(to_point(id, &marker, None), is_kind(Kind::Library));
                self.operations.extend([put, empty_library(&scope)]);
            }
        }
    }

    /// Faces go together, since a server brings each operation to disk by itself.
    fn enrol(&mut self, face: PointStruct, of: (String, u64)) {
        let is_there = (self.faces.iter()).any(|(there, _)| there.id == face.id);
        if is_there || self.faces.len() == ENROLS_TOGETHER_MAX {
            self.put_faces();
        }
        self.faces.push((face, of));
    }

    fn put_faces(&mut self) {
        if self.faces.is_empty() {
            return;
        }
        let mut groups: BTreeMap<&(String, u64), Vec<PointId>> = BTreeMap::new();
        for (face, of) in &self.faces {
            groups.entry(of).or_default().extend(face.id.clone());
        }
        // Each point that is there already has to meet its own: to be earlier, and no other person's face.
        let condition = Filter::should(groups.into_iter().map(|((person, sequence), ids)| {
            let free = Filter::should([is_kind(Kind::FaceMarker), is(PERSON, person)]);
            Filter::must([Condition::has_id(ids), before(*sequence), free.into()]).into()
        }));
        self.operations.push(Operation::Upsert(PointStructList {
            points: self.faces.drain(..).map(|(face, _)| face).collect(),
            update_filter: Some(condition),
            ..PointStructList::default()
        }));
    }

    fn erase_face(&mut self, id: Uuid, marker: &Stored) {
        // At its own place in the order an erasure wins.
        let condition = up_to(marker.sequence);
        self.operations
            .push(upsert_if(to_point(id, marker, None), condition));
        let marked = [Condition::has_id([point_id(id)]), is_kind(Kind::FaceMarker)];
        self.operations.push(drop_templates(Filter::must(marked)));
    }

    fn finish(mut self) -> Vec<Operation> {
        self.put_faces();
        self.operations
    }
}

/// Inserts the point where there is none, and replaces it where `condition` holds.
fn upsert_if(point: PointStruct, condition: Condition) -> Operation {
    Operation::Upsert(PointStructList {
        points: vec![point],
        update_filter: Some(Filter::must([condition])),
        ..PointStructList::default()
    })
}

/// Makes markers of a person's faces up to `sequence`, whichever there are when it is applied.
fn mark_faces(scope: &str, person: &str, sequence: u64) -> [Operation; 2] {
    let of = [is(SCOPE, scope), is(PERSON, person)];
    let [in_scope, of_person] = of.clone();
    let faces = [in_scope, of_person, is_kind(Kind::Face), up_to(sequence)];
    let payload: Payload = [
        (KIND.to_owned(), Kind::FaceMarker.name().into()),
        (SEQUENCE.to_owned(), number(sequence)),
    ]
    .into();
    let mark = Operation::SetPayload(SetPayload {
        payload,
        points_selector: Some(all(Filter::must(faces))),
        ..SetPayload::default()
    });
    let [in_scope, of_person] = of;
    let marked = [in_scope, of_person, is_kind(Kind::FaceMarker)];
    [mark, drop_templates(Filter::must(marked))]
}

/// Templates of markers. An upsert is not enough: a server keeps a point's template where the new point
/// has none and the old one lies in an indexed segment.
fn drop_templates(filter: Filter) -> Operation {
    Operation::DeleteVectors(DeleteVectors {
        points_selector: Some(all(filter)),
        vectors: Some(VectorsSelector {
            names: vec![VECTOR.to_owned()],
        }),
        ..DeleteVectors::default()
    })
}

/// Removes all but the library's own point.
fn empty_library(scope: &str) -> Operation {
    let rest = is_any(KIND, CONTENT.map(|kind| kind.name().to_owned()));
    Operation::DeletePoints(DeletePoints {
        points: Some(all(Filter::must([is(SCOPE, scope), rest]))),
        ..DeletePoints::default()
    })
}

fn all(filter: Filter) -> PointsSelector {
    PointsSelectorOneOf::Filter(filter).into()
}

/// What removes faces that stand although their library is not there, or their person was erased.
fn take_away_late(writes: &[FaceWrite], stored: &State) -> Vec<Operation> {
    let mut operations = vec![];
    for write in writes {
        let FaceWrite::Enrol {
            tenant,
            library,
            face,
            ..
        } = write
        else {
            continue;
        };
        let id = face_id(tenant, *library, *face);
        let Some(face) = stored.get(&id).filter(|face| face.kind == Kind::Face) else {
            continue;
        };
        match stored.get(&library_id(tenant, *library)) {
            Some(head) if head.kind == Kind::Library => {}
            Some(_) => operations.push(empty_library(&face.scope)),
            // Forgotten meanwhile. Only this one: the library may be on its way back.
            None => operations.push(Operation::DeletePoints(DeletePoints {
                points: Some(all(Filter::must([
                    Condition::has_id([point_id(id)]),
                    up_to(face.sequence),
                ]))),
                ..DeletePoints::default()
            })),
        }
        let Some(person) = &face.person else { continue };
        let marker = stored.get(&person_id(tenant, *library, person));
        if let Some(marker) = marker.filter(|marker| marker.sequence >= face.sequence) {
            operations.extend(mark_faces(&face.scope, person, marker.sequence));
        }
    }
    operations.dedup();
    operations
}

/// Has operations applied in order, and waits for it.
fn send(
    library: &ServerLibrary,
    operations: Vec<Operation>,
    deadline: Instant,
) -> Result<(), LibraryError> {
    if operations.is_empty() {
        return Ok(());
    }
    let operations = operations
        .into_iter()
        .map(|operation| PointsUpdateOperation {
            operation: Some(operation),
        });
    let answer = library.client.update_points_batch(UpdateBatchPoints {
        collection_name: library.options.collection.clone(),
        wait: Some(true),
        operations: operations.collect(),
        ordering: Some(WriteOrdering {
            r#type: WriteOrderingType::Strong.into(),
        }),
        timeout: None,
    });
    let results = library.ask(deadline, answer)?.result;
    match results
        .iter()
        .find(|result| result.status() != UpdateStatus::Completed)
    {
        None => Ok(()),
        Some(result) => Err(LibraryError::Unavailable {
            place: library.options.place(),
            what: format!("a write is not done yet: {:?}", result.status()),
        }),
    }
}

/// Removes a library's markers up to a sequence; tells how many there were.
pub(super) fn expire_markers(
    library: &ServerLibrary,
    (tenant, id): (&str, Uuid),
    up_to_sequence: u64,
    deadline: Instant,
) -> Result<u64, LibraryError> {
    let expired = Filter::must([
        is(SCOPE, &scope(tenant, id)),
        is_any(KIND, Kind::markers().map(str::to_owned)),
        up_to(up_to_sequence),
    ]);
    let expiring = count(library, expired.clone(), deadline)?;
    if expiring > 0 {
        let delete = DeletePoints {
            points: Some(all(expired)),
            ..DeletePoints::default()
        };
        send(library, vec![Operation::DeletePoints(delete)], deadline)?;
    }
    Ok(expiring)
}

/// Removes all of a library.
pub(super) fn forget(
    library: &ServerLibrary,
    (tenant, id): (&str, Uuid),
    deadline: Instant,
) -> Result<(), LibraryError> {
    let delete = DeletePoints {
        points: Some(all(Filter::must([is(SCOPE, &scope(tenant, id))]))),
        ..DeletePoints::default()
    };
    send(library, vec![Operation::DeletePoints(delete)], deadline)
}

/// Makes sure that the server heeds conditions: one that is too old to know them writes regardless.
pub(super) fn try_conditions(
    library: &ServerLibrary,
    deadline: Instant,
) -> Result<(), LibraryError> {
    // Of no tenant: names have a byte at least.
    let (scope, id) = (scope("", Uuid::nil()), library_id("", Uuid::nil()));
    let put = |sequence| to_point(id, &Stored::library_marker(scope.clone(), sequence), None);
    let probes = vec![upsert_if(put(1), before(0)), upsert_if(put(2), before(0))];
    send(library, probes, deadline)?;
    let stored = state(library, &[id], deadline)?;
    match stored.get(&id) {
        Some(probe) if probe.sequence == 1 => Ok(()),
        _ => {
            let what =
                "the server writes points regardless of conditions; use Qdrant 1.16 or later";
            Err(failed(&library.options, what))
        }
    }
}
