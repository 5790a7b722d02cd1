//! Searches, listings and counts.

use std::time::Instant;

use qdrant_edge::{
    Condition, CountRequest, NamedQuery, PointId, QueryEnum, ScoredPoint, ScrollRequest,
    SearchParams, SearchRequest, WithPayloadInterface, WithVector,
};
use uuid::Uuid;

use super::EmbeddedOptions;
use super::points::{all_of, from_payload, is, is_any, template_of, uuid_of};
use super::shard::Shard;
use crate::bounds::in_time;
use crate::error::LibraryError;
use crate::metric::Metric;
use crate::order::State;
use crate::point::{KIND, Kind, LISTED, PERSON, SCOPE, Stored, library_id, scope};
use crate::port::{Entry, FaceEntry, FaceHit, FaceQuery, FacesPage, FacesRequest, LibraryHead};

/// Points read at once where all of them are wanted.
const PAGE: usize = 1_000;

pub(super) fn search(
    shard: &Shard,
    query: &FaceQuery,
    options: &EmbeddedOptions,
) -> Result<Vec<FaceHit>, LibraryError> {
    let scopes: Vec<(String, Uuid)> = (query.libraries.iter())
        .map(|library| (scope(&query.tenant, *library), *library))
        .collect();
    let wanted = match scopes.as_slice() {
        [(only, _)] => is(SCOPE, only),
        several => is_any(SCOPE, several.iter().map(|(scope, _)| scope.clone())),
    };
    let request = SearchRequest {
        query: QueryEnum::Nearest(NamedQuery::default_dense(query.template.clone())),
        filter: Some(all_of(vec![wanted])),
        params: Some(SearchParams {
            hnsw_ef: Some(options.search_width.max(query.faces_max)),
            exact: query.exact,
            ..SearchParams::default()
        }),
        limit: query.faces_max,
        offset: 0,
        with_payload: Some(WithPayloadInterface::Bool(true)),
        with_vector: None,
        score_threshold: None,
    };
    let found = shard.call("could not search", |edge| edge.search(request))?;
    Ok(found
        .iter()
        .filter_map(|point| hit(point, &scopes, options.metric))
        .collect())
}

/// A face of the libraries asked for; anything else would be the engine's mistake, and is dropped.
fn hit(point: &ScoredPoint, scopes: &[(String, Uuid)], metric: Metric) -> Option<FaceHit> {
    let stored = from_payload(point.payload.as_ref())?;
    let (_, library) = scopes.iter().find(|(scope, _)| *scope == stored.scope)?;
    match stored.entry()? {
        Entry::Face { person, face } => Some(FaceHit {
            library: *library,
            person,
            face,
            score: metric.score(point.score),
            sequence: stored.sequence,
        }),
        _ => None,
    }
}

pub(super) fn faces(shard: &Shard, request: &FacesRequest) -> Result<FacesPage, LibraryError> {
    let listed = LISTED.map(|kind| kind.name().to_owned());
    let mut wanted = vec![
        is(SCOPE, &scope(&request.tenant, request.library)),
        is_any(KIND, listed),
    ];
    if let Some(person) = &request.person {
        wanted.push(is(PERSON, person));
    }
    let scroll = ScrollRequest {
        offset: request.from.map(PointId::Uuid),
        limit: Some(request.entries_max),
        filter: Some(all_of(wanted)),
        with_payload: Some(WithPayloadInterface::Bool(true)),
        with_vector: WithVector::Bool(request.templates),
        order_by: None,
    };
    let (records, next) = shard.call("could not list", |edge| edge.scroll(scroll))?;
    let entries = records.into_iter().filter_map(|record| {
        let stored = from_payload(record.payload.as_ref())?;
        Some(FaceEntry {
            entry: stored.entry()?,
            sequence: stored.sequence,
            template: template_of(record.vector),
        })
    });
    Ok(FacesPage {
        entries: entries.collect(),
        next: next.and_then(uuid_of),
    })
}

/// Faces of a library, markers aside.
pub(super) fn count(shard: &Shard, tenant: &str, library: Uuid) -> Result<u64, LibraryError> {
    let faces = all_of(vec![
        is(SCOPE, &scope(tenant, library)),
        is(KIND, Kind::Face.name()),
    ]);
    let request = CountRequest {
        filter: Some(faces),
        exact: true,
    };
    let count = shard.call("could not count", |edge| edge.count(request))?;
    Ok(count as u64)
}

/// The head of a library, unless it is unknown or erased.
pub(super) fn head(
    shard: &Shard,
    tenant: &str,
    library: Uuid,
) -> Result<Option<LibraryHead>, LibraryError> {
    let id = library_id(tenant, library);
    Ok(state(shard, &[id])?.get(&id).and_then(Stored::head))
}

/// The points of these ids that there are.
pub(super) fn state(shard: &Shard, ids: &[Uuid]) -> Result<State, LibraryError> {
    let ids: Vec<_> = ids.iter().copied().map(PointId::Uuid).collect();
    let payload = Some(WithPayloadInterface::Bool(true));
    let records = shard.call("could not read", |edge| edge.retrieve(&ids, payload, None))?;
    let known = records
        .into_iter()
        .filter_map(|record| Some((uuid_of(record.id)?, from_payload(record.payload.as_ref())?)));
    Ok(known.collect())
}

/// All points that meet `conditions`, a page at a time.
pub(super) fn every(
    shard: &Shard,
    conditions: &[Condition],
    deadline: Instant,
) -> Result<Vec<(Uuid, Stored)>, LibraryError> {
    let (mut all, mut from) = (vec![], None);
    loop {
        in_time(deadline, "while the library was read")?;
        let scroll = ScrollRequest {
            offset: from,
            limit: Some(PAGE),
            filter: Some(all_of(conditions.to_vec())),
            with_payload: Some(WithPayloadInterface::Bool(true)),
            with_vector: WithVector::Bool(false),
            order_by: None,
        };
        let (records, next) = shard.call("could not list", |edge| edge.scroll(scroll))?;
        all.extend(records.into_iter().filter_map(|record| {
            Some((uuid_of(record.id)?, from_payload(record.payload.as_ref())?))
        }));
        from = next;
        if from.is_none() {
            return Ok(all);
        }
    }
}

/// Runs a search over everything: it touches segments, index and payload.
pub(super) fn warm_up(shard: &Shard, dimension: usize) -> Result<(), LibraryError> {
    let length = (dimension as f32).sqrt();
    let request = SearchRequest {
        query: QueryEnum::Nearest(NamedQuery::default_dense(vec![1.0 / length; dimension])),
        filter: None,
        // Compares with each, so that each is read.
        params: Some(SearchParams {
            exact: true,
            ..SearchParams::default()
        }),
        limit: 1,
        offset: 0,
        with_payload: None,
        with_vector: None,
        score_threshold: None,
    };
    shard.call("could not search", |edge| edge.search(request.clone()))?;
    // And once along the index.
    let along = SearchRequest {
        params: None,
        ..request
    };
    shard
        .call("could not search", |edge| edge.search(along))
        .map(drop)
}
