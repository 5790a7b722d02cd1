//! Searches, listings and counts.

use std::collections::HashSet;
use std::time::Instant;

use qdrant_client::qdrant::read_consistency::Value as Consistency;
use qdrant_client::qdrant::{
    Condition, CountPoints, Filter, GetPoints, QuantizationSearchParams, Query, QueryBatchPoints,
    QueryPoints, ReadConsistency, ReadConsistencyType, ScoredPoint, ScrollPoints, SearchParams,
    VectorInput,
};
use uuid::Uuid;

use super::filters::{is, is_any};
use super::points::{from_payload, point_id, template_of, uuid_of};
use super::{ServerLibrary, failed};
use crate::error::LibraryError;
use crate::metric::Metric;
use crate::order::State;
use crate::point::{KIND, Kind, LISTED, PERSON, SCOPE, Stored, library_id, scope};
use crate::port::{Entry, FaceEntry, FaceHit, FaceQuery, FacesPage, FacesRequest, LibraryHead};

/// How many times `faces_max` candidates the quantised templates give.
const OVERSAMPLING: f64 = 2.0;

/// Searches, and in the same request asks which of the libraries there are: a writer that was stopped and
/// woken can put a face into an erased one, which [`super::writing`] takes away again, a moment later.
pub(super) fn search(
    library: &ServerLibrary,
    queries: &[FaceQuery],
    deadline: Instant,
) -> Result<Vec<Vec<FaceHit>>, LibraryError> {
    if queries.is_empty() {
        return Ok(vec![]);
    }
    let mut requests: Vec<_> = (queries.iter())
        .map(|query| nearest(library, query))
        .collect();
    requests.push(heads(library, queries));
    let asked = requests.len();
    let answer = library.client.query_batch(QueryBatchPoints {
        collection_name: library.options.collection.clone(),
        query_points: requests,
        read_consistency: consistency(library),
        timeout: None,
    });
    let mut results = library.ask(deadline, answer)?.result;
    if results.len() != asked {
        let what = format!("{} answers came to {asked} queries", results.len());
        return Err(failed(&library.options, what));
    }
    let heads = results.pop().map(|heads| heads.result).unwrap_or_default();
    let there: HashSet<_> = (heads.iter())
        .filter_map(|point| from_payload(&point.payload))
        .filter(|point| point.kind == Kind::Library)
        .map(|head| head.scope)
        .collect();
    let hits = (queries.iter().zip(results)).map(|(query, found)| {
        let scopes: Vec<_> = (query.libraries.iter())
            .map(|library| (scope(&query.tenant, *library), *library))
            .filter(|(scope, _)| there.contains(scope))
            .collect();
        let hits = found.result.iter();
        hits.filter_map(|point| hit(point, &scopes, library.options.metric))
            .collect()
    });
    Ok(hits.collect())
}

fn nearest(library: &ServerLibrary, query: &FaceQuery) -> QueryPoints {
    let scopes = (query.libraries.iter()).map(|library| scope(&query.tenant, *library));
    let quantised = QuantizationSearchParams {
        ignore: Some(query.exact),
        rescore: Some(true),
        oversampling: Some(OVERSAMPLING),
    };
    QueryPoints {
        collection_name: library.options.collection.clone(),
        query: Some(Query::from(VectorInput::from(query.template.clone()))),
        filter: Some(Filter::must([is_any(SCOPE, scopes)])),
        params: Some(SearchParams {
            hnsw_ef: Some(library.options.search_width.max(query.faces_max) as u64),
            exact: Some(query.exact),
            quantization: library.options.is_quantised.then_some(quantised),
            ..SearchParams::default()
        }),
        limit: Some(query.faces_max as u64),
        with_payload: Some(true.into()),
        with_vectors: Some(false.into()),
        ..QueryPoints::default()
    }
}

/// A query without a probe lists what meets the filter.
fn heads(library: &ServerLibrary, queries: &[FaceQuery]) -> QueryPoints {
    let points: HashSet<_> = (queries.iter())
        .flat_map(|query| (query.libraries.iter()).map(|id| library_id(&query.tenant, *id)))
        .collect();
    QueryPoints {
        collection_name: library.options.collection.clone(),
        limit: Some(points.len() as u64),
        filter: Some(Filter::must([Condition::has_id(
            points.into_iter().map(point_id),
        )])),
        with_payload: Some(true.into()),
        with_vectors: Some(false.into()),
        ..QueryPoints::default()
    }
}

/// A face of the libraries asked for; anything else would be the server's mistake, and is dropped.
fn hit(point: &ScoredPoint, scopes: &[(String, Uuid)], metric: Metric) -> Option<FaceHit> {
    let stored = from_payload(&point.payload)?;
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

pub(super) fn faces(
    library: &ServerLibrary,
    request: &FacesRequest,
    deadline: Instant,
) -> Result<FacesPage, LibraryError> {
    let mut wanted = vec![
        is(SCOPE, &scope(&request.tenant, request.library)),
        is_any(KIND, LISTED.map(|kind| kind.name().to_owned())),
    ];
    wanted.extend(request.person.as_ref().map(|person| is(PERSON, person)));
    let answer = library.client.scroll(ScrollPoints {
        collection_name: library.options.collection.clone(),
        filter: Some(Filter::must(wanted)),
        offset: request.from.map(point_id),
        limit: Some(u32::try_from(request.entries_max).unwrap_or(u32::MAX)),
        with_payload: Some(true.into()),
        with_vectors: Some(request.templates.into()),
        read_consistency: consistency(library),
        ..ScrollPoints::default()
    });
    let answer = library.ask(deadline, answer)?;
    let entries = answer.result.into_iter().filter_map(|point| {
        let stored = from_payload(&point.payload)?;
        Some(FaceEntry {
            entry: stored.entry()?,
            sequence: stored.sequence,
            template: template_of(point.vectors),
        })
    });
    Ok(FacesPage {
        entries: entries.collect(),
        next: uuid_of(answer.next_page_offset.as_ref()),
    })
}

pub(super) fn count(
    library: &ServerLibrary,
    filter: Filter,
    deadline: Instant,
) -> Result<u64, LibraryError> {
    let answer = library.client.count(CountPoints {
        collection_name: library.options.collection.clone(),
        filter: Some(filter),
        exact: Some(true),
        read_consistency: consistency(library),
        ..CountPoints::default()
    });
    let answer = library.ask(deadline, answer)?;
    let nothing = || failed(&library.options, "the server counted nothing");
    answer.result.map(|result| result.count).ok_or_else(nothing)
}

/// The head of a library, unless it is unknown or erased.
pub(super) fn head(
    library: &ServerLibrary,
    tenant: &str,
    of: Uuid,
    deadline: Instant,
) -> Result<Option<LibraryHead>, LibraryError> {
    let id = library_id(tenant, of);
    let stored = state(library, &[id], deadline)?;
    Ok(stored.get(&id).and_then(Stored::head))
}

/// The points of these ids that there are.
pub(super) fn state(
    library: &ServerLibrary,
    ids: &[Uuid],
    deadline: Instant,
) -> Result<State, LibraryError> {
    if ids.is_empty() {
        return Ok(State::new());
    }
    let answer = library.client.get_points(GetPoints {
        collection_name: library.options.collection.clone(),
        ids: ids.iter().copied().map(point_id).collect(),
        with_payload: Some(true.into()),
        with_vectors: Some(false.into()),
        read_consistency: consistency(library),
        ..GetPoints::default()
    });
    let points = library.ask(deadline, answer)?.result.into_iter();
    let known = points
        .filter_map(|point| Some((uuid_of(point.id.as_ref())?, from_payload(&point.payload)?)));
    Ok(known.collect())
}

/// Connects, and has the server touch its index.
pub(super) fn warm_up(library: &ServerLibrary, deadline: Instant) -> Result<(), LibraryError> {
    let dimension = library.options.dimension;
    let probe = vec![1.0 / (dimension as f32).sqrt(); dimension];
    let answer = library.client.query(QueryPoints {
        collection_name: library.options.collection.clone(),
        query: Some(Query::from(VectorInput::from(probe))),
        limit: Some(1),
        ..QueryPoints::default()
    });
    library.ask(deadline, answer).map(drop)
}

/// Most copies agree, where there are several: what was written is read.
fn consistency(library: &ServerLibrary) -> Option<ReadConsistency> {
    (library.options.replication_factor > 1).then(|| ReadConsistency {
        value: Some(Consistency::Type(ReadConsistencyType::Majority.into())),
    })
}
