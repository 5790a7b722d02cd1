//! Points and payload in the server's terms.

use std::collections::HashMap;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::value::Kind as Json;
use qdrant_client::qdrant::vector_output::Vector;
use qdrant_client::qdrant::vectors_output::VectorsOptions;
use qdrant_client::qdrant::{NamedVectors, PointId, PointStruct, Value, Vectors, VectorsOutput};
use uuid::Uuid;

use crate::point::{FACE, KIND, Kind, LABEL, MODEL, PERSON, SCOPE, SEQUENCE, Stored};

pub(super) type Payload = HashMap<String, Value>;

pub(super) fn point_id(id: Uuid) -> PointId {
    PointId::from(id.to_string())
}

pub(super) fn uuid_of(id: Option<&PointId>) -> Option<Uuid> {
    match id?.point_id_options.as_ref()? {
        PointIdOptions::Uuid(id) => id.parse().ok(),
        PointIdOptions::Num(_) => None,
    }
}

/// The point as the server takes it; a marker comes without a template.
pub(super) fn to_point(id: Uuid, stored: &Stored, template: Option<&[f32]>) -> PointStruct {
    let mut payload = Payload::new();
    let mut put = |name: &str, value: Value| payload.insert(name.to_owned(), value);
    put(SCOPE, stored.scope.clone().into());
    put(KIND, stored.kind.name().into());
    put(SEQUENCE, sequence(stored.sequence));
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
        Some(template) => template.into(),
        None => NamedVectors::default().into(),
    };
    PointStruct {
        id: Some(point_id(id)),
        payload,
        vectors: Some(vectors),
    }
}

/// Sequences are below 2^53.
pub(super) fn sequence(sequence: u64) -> Value {
    i64::try_from(sequence).unwrap_or(i64::MAX).into()
}

/// `None` for a payload that this crate never wrote.
pub(super) fn from_payload(payload: &Payload) -> Option<Stored> {
    let text = |name: &str| match payload.get(name)?.kind.as_ref()? {
        Json::StringValue(text) => Some(text.as_str()),
        _ => None,
    };
    let sequence = match payload.get(SEQUENCE)?.kind.as_ref()? {
        Json::IntegerValue(number) => u64::try_from(*number).ok()?,
        _ => return None,
    };
    Some(Stored {
        kind: Kind::parse(text(KIND)?)?,
        scope: text(SCOPE)?.to_owned(),
        person: text(PERSON).map(str::to_owned),
        face: text(FACE).and_then(|face| face.parse().ok()),
        label: text(LABEL).map(str::to_owned),
        model_sha256: text(MODEL).map(str::to_owned),
        sequence,
    })
}

pub(super) fn template_of(vectors: Option<VectorsOutput>) -> Option<Vec<f32>> {
    let VectorsOptions::Vector(vector) = vectors?.vectors_options? else {
        return None;
    };
    match vector.into_vector() {
        Vector::Dense(dense) if !dense.data.is_empty() => Some(dense.data),
        _ => None,
    }
}
