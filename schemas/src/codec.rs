//! Framing and Avro, closed on every side: what is not one whole record of a known schema is refused.

use std::collections::HashMap;
use std::sync::{LazyLock, Once};

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::digest::Digest;

mod before;

pub use before::as_before;

/// Avro single-object marker.
const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];
/// Marker and fingerprint.
const SINGLE_OBJECT_HEADER: usize = 10;
/// Confluent marker and schema id.
const CONFLUENT_HEADER: usize = 5;
/// Most memory one record may claim while it is decoded, bytes. No record is larger:
/// `topics.max_record_bytes` is bounded by it.
pub const MAX_DECODED_BYTES: usize = 64 * 1024 * 1024;

/// Why bytes are not a record, or a record cannot be put into bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// No bytes at all.
    #[error("the record is empty")]
    Empty,
    /// Neither framing's first byte.
    #[error(
        "the record begins with byte {0:#04x}; Avro single-object encoding begins with C3 01, Confluent framing with 00"
    )]
    UnknownFraming(u8),
    /// Confluent framing without a registry.
    #[error(
        "the record has Confluent framing (schema id {0}), and no schema registry is configured"
    )]
    ConfluentUnconfigured(u32),
    /// A fingerprint that no known schema of this record has.
    #[error("no schema of {record} has the fingerprint {fingerprint}")]
    UnknownSchema {
        /// Record expected.
        record: &'static str,
        /// Fingerprint found, hex as on the wire.
        fingerprint: String,
    },
    /// Not one whole record.
    #[error("not a whole {record}: {what}")]
    Unreadable {
        /// Record expected.
        record: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The value does not fit its schema: a fault of this program.
    #[error("{record} could not be encoded: {what}")]
    Unwritable {
        /// Record.
        record: &'static str,
        /// What is wrong.
        what: String,
    },
}

/// A record's schemas: the one it is written with, and the frozen ones it is still read with.
pub struct SchemaSet {
    current: Schema,
    fingerprint: [u8; 8],
    /// By fingerprint; the current one is not among them.
    history: HashMap<[u8; 8], Schema>,
    /// The newest of them.
    previous: Option<[u8; 8]>,
}

impl SchemaSet {
    /// Parses the schemas compiled into this crate.
    ///
    /// # Panics
    /// When one of them is not a schema, which the tests of this crate exclude.
    #[must_use]
    pub(crate) fn compiled_in(current: &str, history: &[&str]) -> Self {
        static LIMIT: Once = Once::new();
        LIMIT.call_once(|| {
            apache_avro::util::max_allocation_bytes(MAX_DECODED_BYTES);
        });
        #[expect(
            clippy::expect_used,
            reason = "constants of this crate, parsed by its tests"
        )]
        let parse = |text: &str| Schema::parse_str(text).expect("a schema of this crate");
        let current = parse(current);
        let fingerprint = fingerprint(&current);
        let history: Vec<_> = history
            .iter()
            .map(|text| parse(text))
            .map(|schema| (self::fingerprint(&schema), schema))
            .filter(|(known, _)| *known != fingerprint)
            .collect();
        Self {
            current,
            fingerprint,
            previous: history.last().map(|(newest, _)| *newest),
            history: history.into_iter().collect(),
        }
    }

    /// The schema that records are written with.
    #[must_use]
    pub fn current(&self) -> &Schema {
        &self.current
    }

    /// CRC-64-AVRO of the current schema's canonical form, as on the wire.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 8] {
        self.fingerprint
    }

    /// The frozen schemas, the current one left out.
    pub fn history(&self) -> impl Iterator<Item = &Schema> {
        self.history.values()
    }
}

/// CRC-64-AVRO of the Parsing Canonical Form. apache-avro leaves a primitive that carried a logical
/// type as `{"type":"long"}`; the specification's rule [PRIMITIVES] wants `"long"`, as every other
/// implementation writes it, and a producer's fingerprint must be ours.
fn fingerprint(schema: &Schema) -> [u8; 8] {
    let mut canonical = schema.canonical_form();
    for primitive in [
        "null", "boolean", "int", "long", "float", "double", "bytes", "string",
    ] {
        let wrapped = format!("{{\"type\":\"{primitive}\"}}");
        canonical = canonical.replace(&wrapped, &format!("\"{primitive}\""));
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&Rabin::digest(canonical));
    bytes
}

/// What stands in front of a record's first field: marker and fingerprint, or Confluent's 5 bytes. Empty where bytes begin
/// with neither, since any of them may be about a person.
#[must_use]
pub fn framing(bytes: &[u8]) -> &[u8] {
    let length = match bytes {
        [first, second, ..] if [*first, *second] == SINGLE_OBJECT => SINGLE_OBJECT_HEADER,
        [0x00, ..] => CONFLUENT_HEADER,
        _ => 0,
    };
    bytes.get(..length).unwrap_or(bytes)
}

/// A record with a schema.
pub trait Wire: Serialize + DeserializeOwned + Send + 'static {
    /// Name of the Avro record.
    const NAME: &'static str;

    /// Its schemas.
    fn schemas() -> &'static LazyLock<SchemaSet>;

    /// Encodes with the single-object header in front.
    ///
    /// # Errors
    /// [`CodecError::Unwritable`]: a fault of this program.
    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let set = Self::schemas();
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&SINGLE_OBJECT);
        bytes.extend_from_slice(&set.fingerprint);
        write_body(self, &mut bytes)?;
        Ok(bytes)
    }

    /// Avro binary encoding alone, for hashing.
    ///
    /// # Errors
    /// As [`Wire::encode`].
    fn encode_body(&self) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::with_capacity(256);
        write_body(self, &mut bytes)?;
        Ok(bytes)
    }

    /// Decodes one whole framed record, written with the current or a frozen schema.
    ///
    /// # Errors
    /// Anything but exactly one record: see [`CodecError`].
    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let (fingerprint, body) = open_frame(bytes, Self::NAME)?;
        let set = Self::schemas();
        let mut rest = body;
        let unreadable = |what: String| CodecError::Unreadable {
            record: Self::NAME,
            what,
        };
        let record = if fingerprint == set.fingerprint {
            GenericDatumReader::builder(&set.current)
                .human_readable(false)
                .build()
                .and_then(|reader| reader.read_deser(&mut rest))
        } else {
            let Some(writer) = set.history.get(&fingerprint) else {
                return Err(CodecError::UnknownSchema {
                    record: Self::NAME,
                    fingerprint: fingerprint.iter().map(|b| format!("{b:02x}")).collect(),
                });
            };
            GenericDatumReader::builder(writer)
                .reader_schema(&set.current)
                .human_readable(false)
                .build()
                .and_then(|reader| reader.read_value(&mut rest))
                .and_then(|value| apache_avro::from_value(&value))
        }
        .map_err(|error| unreadable(without_values(&error.to_string())))?;
        if rest.is_empty() {
            Ok(record)
        } else {
            Err(unreadable(format!(
                "{} bytes behind the record",
                rest.len()
            )))
        }
    }
}

/// A message of the Avro library up to the first value that it quotes: that may be a name, a number or a picture.
fn without_values(message: &str) -> String {
    let kept = message.split(['"', '`', '[']).next().unwrap_or_default();
    kept.trim_end().to_owned()
}

fn write_body<T: Wire>(record: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    GenericDatumWriter::builder(&T::schemas().current)
        .human_readable(false)
        .build()
        .and_then(|writer| writer.write_ser(bytes, record))
        .map(|_| ())
        .map_err(|error| CodecError::Unwritable {
            record: T::NAME,
            what: error.to_string(),
        })
}

/// The schema's fingerprint and the body behind the header.
fn open_frame<'a>(
    bytes: &'a [u8],
    record: &'static str,
) -> Result<([u8; 8], &'a [u8]), CodecError> {
    let truncated = || CodecError::Unreadable {
        record,
        what: "it ends within its header".into(),
    };
    match bytes {
        [] => Err(CodecError::Empty),
        [0x00, ..] => {
            let id = bytes.get(1..CONFLUENT_HEADER).ok_or_else(truncated)?;
            let id = id.iter().fold(0_u32, |id, byte| id << 8 | u32::from(*byte));
            Err(CodecError::ConfluentUnconfigured(id))
        }
        [first, ..] if *first != SINGLE_OBJECT[0] => Err(CodecError::UnknownFraming(*first)),
        [_, second, ..] if *second != SINGLE_OBJECT[1] => Err(CodecError::UnknownFraming(*second)),
        _ => {
            let header = bytes.get(2..SINGLE_OBJECT_HEADER).ok_or_else(truncated)?;
            let mut fingerprint = [0; 8];
            fingerprint.copy_from_slice(header);
            Ok((fingerprint, &bytes[SINGLE_OBJECT_HEADER..]))
        }
    }
}
