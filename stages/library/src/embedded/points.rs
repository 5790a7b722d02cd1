//! Points, payload and filters in the engine's terms.

use qdrant_edge::{
    AnyVariants, Condition, FieldCondition, Filter, JsonPath, Match, NamedVectors, Payload,
    PointId, PointOperations, PointStruct, PointStructPersisted, UpdateOperation, VectorInternal,
    VectorStructInternal, Vectors,
};
use qdrant_edge::{PointInsertOperations, ValueVariants};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::point::{FACE, KIND, Kind, LABEL, MODEL, PERSON, SCOPE, SEQUENCE, Stored};

/// The path of a top-level field.
pub(super) fn path(field: &str) -> JsonPath {
    JsonPath {
        first_key: field.to_owned(),
        rest: vec![],
    }
}

fn field(name: &str, wanted: Match) -> Condition {
    Condition::Field(FieldCondition::new_match(path(name), wanted))
}

/// `field` is `value`.
pub(super) fn is(name: &str, value: &str) -> Condition {
    let value = ValueVariants::String(value.to_owned());
    field(name, Match::new_value(value))
}

/// `field` is one of `values`.
pub(super) fn is_any(name: &str, values: impl IntoIterator<Item = String>) -> Condition {
    let values = AnyVariants::Strings(values.into_iter().collect());
    field(name, values.into())
}

pub(super) fn all_of(conditions: Vec<Condition>) -> Filter {
    Filter {
        should: None,
        min_should: None,
        must: Some(conditions),
        must_not: None,
    }
}

/// The point as the engine takes it; a marker comes without a template.
pub(super) fn to_point(
    id: Uuid,
    stored: &Stored,
    template: Option<&[f32]>,
) -> PointStructPersisted {
    let mut payload = Map::new();
    let mut put = |name: &str, value: Value| payload.insert(name.to_owned(), value);
    put(SCOPE, stored.scope.clone().into());
    put(KIND, stored.kind.name().into());
    put(SEQUENCE, stored.sequence.into());
    let texts = [
        (PERSON, &stored.person),
        (LABEL, &stored.label),
        (MODEL, &stored.model_sha256),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            put(name, text.clone().into());
        }
    }
    if let Some(face) = stored.face {
        put(FACE, face.to_string().into());
    }
    let vectors: Vectors = match template {
        Some(template) => template.to_vec().into(),
        None => NamedVectors::default().into(),
    };
    PointStruct::new(PointId::Uuid(id), vectors, Value::Object(payload)).into()
}

/// `None` for a payload that this crate never wrote.
pub(super) fn from_payload(payload: Option<&Payload>) -> Option<Stored> {
    let payload = &payload?.0;
    let text = |name: &str| payload.get(name).and_then(Value::as_str);
    Some(Stored {
        kind: Kind::parse(text(KIND)?)?,
        scope: text(SCOPE)?.to_owned(),
        person: text(PERSON).map(str::to_owned),
        face: text(FACE).and_then(|face| face.parse().ok()),
        label: text(LABEL).map(str::to_owned),
        model_sha256: text(MODEL).map(str::to_owned),
        sequence: payload.get(SEQUENCE)?.as_u64()?,
    })
}

pub(super) fn uuid_of(id: PointId) -> Option<Uuid> {
    match id {
        PointId::Uuid(id) => Some(id),
        PointId::NumId(_) => None,
    }
}

pub(super) fn template_of(vector: Option<VectorStructInternal>) -> Option<Vec<f32>> {
    match vector? {
        VectorStructInternal::Single(template) => Some(template),
        VectorStructInternal::Named(mut named) => match named.remove("")? {
            VectorInternal::Dense(template) => Some(template),
            _ => None,
        },
        VectorStructInternal::MultiDense(_) => None,
    }
}

pub(super) fn upsert(points: Vec<PointStructPersisted>) -> UpdateOperation {
    let points = PointInsertOperations::PointsList(points);
    UpdateOperation::PointOperation(PointOperations::UpsertPoints(points))
}

pub(super) fn delete(ids: &[Uuid]) -> UpdateOperation {
    let ids = ids.iter().copied().map(PointId::Uuid).collect();
    UpdateOperation::PointOperation(PointOperations::DeletePoints { ids })
}
