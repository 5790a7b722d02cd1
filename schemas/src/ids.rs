//! Deterministic ids: UUIDv8 over named fields, so that a rerun gives the same id.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest;

/// A 16-byte id, shown as a UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub [u8; 16]);

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

/// One field of an id.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    /// Text, as UTF-8.
    Text(&'a str),
    /// A number, as decimal text.
    Number(i64),
    /// An id, as its 16 bytes.
    Id(Id),
}

/// The id of `kind` over `fields`: the first 16 bytes of SHA-256 over the kind and each field,
/// each as its u32 big-endian length and its bytes; version 8 and the RFC 9562 variant set afterwards.
#[must_use]
pub fn derive(kind: &str, fields: &[Field<'_>]) -> Id {
    let mut hash = sha2::Sha256::new();
    let mut put = |bytes: &[u8]| {
        // A field longer than 4 GiB cannot be held in a record; saturate rather than wrap.
        hash.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(bytes);
    };
    put(kind.as_bytes());
    for field in fields {
        match field {
            Field::Text(text) => put(text.as_bytes()),
            Field::Number(number) => put(number.to_string().as_bytes()),
            Field::Id(id) => put(&id.0),
        }
    }
    let mut head = [0_u8; 16];
    head.copy_from_slice(&hash.finalize()[..16]);
    Id(*uuid::Builder::from_custom_bytes(head)
        .into_uuid()
        .as_bytes())
}

/// Id of a case and of its ingress record.
#[must_use]
pub fn case(ingress_topic: &str, request_id: &str) -> Id {
    derive(
        "case",
        &[Field::Text(ingress_topic), Field::Text(request_id)],
    )
}

/// Id of a case whose record was refused for its envelope, key or partition: by place, so that a
/// corrected resend is a case of its own.
#[must_use]
pub fn refused_case(ingress_topic: &str, partition: i32, offset: i64) -> Id {
    derive(
        "case",
        &[
            Field::Text(ingress_topic),
            Field::Number(partition.into()),
            Field::Number(offset),
        ],
    )
}

/// Id of a record that a stage puts out. Independent of the layout.
#[must_use]
pub fn record(parent: Id, stage: &str, output: &str, index: usize) -> Id {
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    derive(
        "record",
        &[
            Field::Id(parent),
            Field::Text(stage),
            Field::Text(output),
            Field::Number(index),
        ],
    )
}

/// Id of a library, by the case of the command that creates it. Its name is a label.
#[must_use]
pub fn library(tenant: &str, creation: Id) -> Id {
    derive("library", &[Field::Text(tenant), Field::Id(creation)])
}

/// Id of a case's verdict.
#[must_use]
pub fn verdict(case: Id) -> Id {
    derive("verdict", &[Field::Id(case)])
}

/// Id of a timer, as the parent of what comes of it.
#[must_use]
pub fn timer(stage: &str, state_key: &str, due_us: i64) -> Id {
    derive(
        "timer",
        &[
            Field::Text(stage),
            Field::Text(state_key),
            Field::Number(due_us),
        ],
    )
}

/// Id of the dead letter of the record at this place.
#[must_use]
pub fn dead_letter(topic: &str, partition: i32, offset: i64) -> Id {
    derive(
        "dead_letter",
        &[
            Field::Text(topic),
            Field::Number(partition.into()),
            Field::Number(offset),
        ],
    )
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid::Uuid::from_str(text).map(|id| Self(*id.as_bytes()))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct Fixed<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for Fixed<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        bytes
            .try_into()
            .map_err(|_| E::invalid_length(bytes.len(), &self))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Self::Value, E> {
        self.visit_bytes(&bytes)
    }
}

macro_rules! fixed_serde {
    ($type:ident, $size:literal) => {
        /// Avro: fixed bytes. Readable formats: text.
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    return Err(D::Error::custom(concat!(
                        stringify!($type),
                        " is read from the wire only"
                    )));
                }
                deserializer.deserialize_bytes(Fixed::<$size>).map(Self)
            }
        }
    };
}
fixed_serde!(Id, 16);
fixed_serde!(Sha256, 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        kind: String,
        fields: Vec<serde_json::Value>,
        id: String,
    }

    #[test]
    fn vectors_hold() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../vectors/ids.json")).unwrap();
        assert!(vectors.len() >= 8);
        for vector in vectors {
            let text = |i: usize| vector.fields[i].as_str().unwrap();
            let number = |i: usize| vector.fields[i].as_i64().unwrap();
            let id = match (vector.kind.as_str(), vector.fields.len()) {
                ("case", 2) => case(text(0), text(1)),
                ("case", 3) => refused_case(text(0), i32::try_from(number(1)).unwrap(), number(2)),
                ("record", 4) => record(
                    text(0).parse().unwrap(),
                    text(1),
                    text(2),
                    usize::try_from(number(3)).unwrap(),
                ),
                ("library", 2) => library(text(0), text(1).parse().unwrap()),
                ("verdict", 1) => verdict(text(0).parse().unwrap()),
                ("timer", 3) => timer(text(0), text(1), number(2)),
                ("dead_letter", 3) => {
                    dead_letter(text(0), i32::try_from(number(1)).unwrap(), number(2))
                }
                other => panic!("vector of an unknown shape: {other:?}"),
            };
            assert_eq!(
                id.to_string(),
                vector.id,
                "{} {:?}",
                vector.kind,
                vector.fields
            );
        }
    }

    #[test]
    fn fields_do_not_run_together() {
        assert_ne!(case("ab", "c"), case("a", "bc"));
        assert_ne!(
            case("t", "1"),
            derive("verdict", &[Field::Text("t"), Field::Text("1")])
        );
    }
}
