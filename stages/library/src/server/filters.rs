//! Filters in the server's terms.

use qdrant_client::qdrant::{Condition, Filter, Range};
use uuid::Uuid;

use crate::point::{KIND, Kind, SCOPE, SEQUENCE, scope};

pub(super) fn is(field: &str, value: &str) -> Condition {
    Condition::matches(field, value.to_owned())
}

pub(super) fn is_any(field: &str, values: impl IntoIterator<Item = String>) -> Condition {
    Condition::matches(field, values.into_iter().collect::<Vec<_>>())
}

/// Earlier than `sequence`. Exact, since sequences are below 2^53.
pub(super) fn before(sequence: u64) -> Condition {
    let range = Range {
        lt: Some(sequence as f64),
        ..Range::default()
    };
    Condition::range(SEQUENCE, range)
}

/// Not later than `sequence`.
pub(super) fn up_to(sequence: u64) -> Condition {
    let range = Range {
        lte: Some(sequence as f64),
        ..Range::default()
    };
    Condition::range(SEQUENCE, range)
}

pub(super) fn is_kind(kind: Kind) -> Condition {
    is(KIND, kind.name())
}

/// All faces of a library.
pub(super) fn faces_of(tenant: &str, library: Uuid) -> Filter {
    Filter::must([is(SCOPE, &scope(tenant, library)), is_kind(Kind::Face)])
}
