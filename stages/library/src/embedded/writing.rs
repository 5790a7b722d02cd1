//! A batch of writes: read, judge, apply. The caller holds the only writer's lock, and flushes.

use std::collections::HashMap;
use std::time::Instant;

use qdrant_edge::PointStructPersisted;
use uuid::Uuid;

use super::points::{delete, is, is_any, to_point, upsert};
use super::reading::{every, state};
use super::shard::Shard;
use crate::bounds::in_time;
use crate::error::LibraryError;
use crate::order::{self, State, deciding, standings};
use crate::point::{
    CONTENT, KIND, Kind, PERSON, SCOPE, Stored, face_id, library_id, person_id, scope,
};
use crate::port::{Erased, FaceWrite, Standing};

/// A batch on its way.
pub(super) struct Batch<'a> {
    shard: &'a Shard,
    deadline: Instant,
    /// What decides over the batch, as it is after the writes so far.
    state: State,
    /// Faces to be written; together, since each operation of the engine has its price.
    pending: HashMap<Uuid, PointStructPersisted>,
    /// Points put or removed.
    pub(super) changes: usize,
}

impl<'a> Batch<'a> {
    pub(super) fn begin(
        shard: &'a Shard,
        writes: &[FaceWrite],
        deadline: Instant,
    ) -> Result<Self, LibraryError> {
        Ok(Self {
            shard,
            deadline,
            state: state(shard, &deciding(writes))?,
            pending: HashMap::new(),
            changes: 0,
        })
    }

    /// Applies the writes in order. After an error, a part of them has been applied.
    pub(super) fn apply(&mut self, writes: &[FaceWrite]) -> Result<Vec<Standing>, LibraryError> {
        let mut state = std::mem::take(&mut self.state);
        order::apply(writes, &mut state, |write, state| {
            in_time(self.deadline, "within the batch")?;
            self.perform(write, state)
        })?;
        self.put_pending()?;
        // Nothing is due once a batch is applied.
        standings(writes, &state).ok_or_else(|| self.shard.broken("left a write undone"))
    }

    fn perform(&mut self, write: &FaceWrite, state: &State) -> Result<(), LibraryError> {
        match write {
            FaceWrite::Create { .. } => {
                let head = Stored::created(write).map(|(id, head)| to_point(id, &head, None));
                self.changes += 1;
                self.shard.update(upsert(head.into_iter().collect()))
            }
            FaceWrite::Enrol { template, .. } => {
                let face = Stored::face(write);
                let point = face.map(|(id, face)| (id, to_point(id, &face, Some(template))));
                self.pending.extend(point);
                Ok(())
            }
            FaceWrite::Erase {
                tenant,
                library,
                erased,
                sequence,
            } => {
                // Faces written before it are to be found by it.
                self.put_pending()?;
                match erased {
                    Erased::Face(face) => {
                        let id = face_id(tenant, *library, *face);
                        let person = state.get(&id).and_then(|was| was.person.clone());
                        let scope = scope(tenant, *library);
                        let marker = Stored::face_marker(scope, *face, person, *sequence);
                        self.put_markers(&[(id, marker)])
                    }
                    Erased::Person(label) => {
                        self.erase_person((tenant, *library), label, *sequence)
                    }
                }
            }
            FaceWrite::EraseLibrary {
                tenant,
                library,
                sequence,
            } => {
                self.put_pending()?;
                self.erase_library((tenant, *library), *sequence)
            }
        }
    }

    fn erase_person(
        &mut self,
        (tenant, library): (&str, Uuid),
        person: &str,
        sequence: u64,
    ) -> Result<(), LibraryError> {
        let scope = scope(tenant, library);
        let theirs = [
            is(SCOPE, &scope),
            is(PERSON, person),
            is(KIND, Kind::Face.name()),
        ];
        let faces = every(self.shard, &theirs, self.deadline)?;
        let earlier = faces.into_iter().filter_map(|(id, was)| {
            let face = was.face.filter(|_| was.sequence <= sequence)?;
            let marker = Stored::face_marker(was.scope, face, was.person, sequence);
            Some((id, marker))
        });
        let mut markers: Vec<_> = earlier.collect();
        let marker = Stored::person_marker(scope, person, sequence);
        markers.push((person_id(tenant, library, person), marker));
        self.put_markers(&markers)
    }

    fn erase_library(
        &mut self,
        (tenant, library): (&str, Uuid),
        sequence: u64,
    ) -> Result<(), LibraryError> {
        let scope = scope(tenant, library);
        // The marker first: a library that is half gone takes nothing new. It takes the head's place at
        // once, since a head has no template that could stay.
        let marker = Stored::library_marker(scope.clone(), sequence);
        let marker = to_point(library_id(tenant, library), &marker, None);
        self.changes += 1;
        self.shard.update(upsert(vec![marker]))?;
        let rest = is_any(KIND, CONTENT.map(|kind| kind.name().to_owned()));
        let gone = every(self.shard, &[is(SCOPE, &scope), rest], self.deadline)?;
        let ids: Vec<_> = gone.into_iter().map(|(id, _)| id).collect();
        self.changes += ids.len();
        self.shard.update(delete(&ids))
    }

    fn put_pending(&mut self) -> Result<(), LibraryError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.changes += self.pending.len();
        let points = self.pending.drain().map(|(_, point)| point).collect();
        self.shard.update(upsert(points))
    }

    /// Removes what was there before the markers take its place: the engine keeps a point's template
    /// where the new point has none and the old one lies in an indexed segment, and its upkeep sees
    /// only what was removed.
    fn put_markers(&mut self, markers: &[(Uuid, Stored)]) -> Result<(), LibraryError> {
        self.changes += markers.len();
        let ids: Vec<_> = markers.iter().map(|(id, _)| *id).collect();
        self.shard.update(delete(&ids))?;
        let points = (markers.iter()).map(|(id, marker)| to_point(*id, marker, None));
        self.shard.update(upsert(points.collect()))
    }
}

/// Removes a library's markers up to a sequence; tells how many.
pub(super) fn expire_markers(
    shard: &Shard,
    (tenant, library): (&str, Uuid),
    up_to_sequence: u64,
    deadline: Instant,
) -> Result<usize, LibraryError> {
    let markers = is_any(KIND, Kind::markers().map(str::to_owned));
    let all = every(
        shard,
        &[is(SCOPE, &scope(tenant, library)), markers],
        deadline,
    )?;
    let expired = all
        .into_iter()
        .filter(|(_, marker)| marker.sequence <= up_to_sequence);
    let ids: Vec<_> = expired.map(|(id, _)| id).collect();
    if !ids.is_empty() {
        shard.update(delete(&ids))?;
    }
    Ok(ids.len())
}

/// Removes all of a library, its head last; tells how many points.
pub(super) fn forget(
    shard: &Shard,
    (tenant, library): (&str, Uuid),
    deadline: Instant,
) -> Result<usize, LibraryError> {
    let all = every(shard, &[is(SCOPE, &scope(tenant, library))], deadline)?;
    let head = library_id(tenant, library);
    let ids: Vec<_> = all.into_iter().map(|(id, _)| id).collect();
    let rest: Vec<_> = ids.iter().copied().filter(|id| *id != head).collect();
    if !rest.is_empty() {
        shard.update(delete(&rest))?;
    }
    if ids.len() > rest.len() {
        shard.update(delete(&[head]))?;
    }
    Ok(ids.len())
}
