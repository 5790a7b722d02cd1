//! Records of an exact size, and the transform that both sides do.

use std::sync::Arc;

use bytes::Bytes;
use shiren_log::NewRecord;
use shiren_schemas::records::{
    AdmittedCase, AdmittedPicture, Envelope, PictureRole, Request, RequestKind, StageTiming,
};
use shiren_schemas::{Wire, ids, keys};

/// Tenant of all records.
pub(crate) const TENANT: &str = "bench";
/// The stage that the hop is named by.
pub(crate) const STAGE: &str = "hop";

/// Makes records of one size.
pub(crate) struct Records {
    topic: Arc<str>,
    /// Bytes of the picture that make the whole value as large as was asked for.
    picture: Vec<u8>,
}

impl Records {
    /// Records for `topic` whose value is `value_bytes` long.
    pub(crate) fn new(topic: &str, value_bytes: usize) -> Self {
        let mut records = Self {
            topic: topic.into(),
            picture: Vec::new(),
        };
        let empty_bytes = records.value(0).len();
        records.picture.resize(value_bytes - empty_bytes, 0);
        // The picture's length takes more bytes than that of an empty one.
        let length_bytes = records.value(0).len() - value_bytes;
        records
            .picture
            .truncate(value_bytes - empty_bytes - length_bytes);
        // Noise: what a JPEG is to a compressor.
        let mut state = 0x9e37_79b9_u32;
        for byte in &mut records.picture {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            *byte = state.to_le_bytes()[0];
        }
        assert_eq!(records.value(0).len(), value_bytes, "{value_bytes} bytes");
        records
    }

    /// The record of this number, which its key tells: see [`number`].
    pub(crate) fn record(&self, number: u64) -> NewRecord {
        NewRecord {
            topic: Arc::clone(&self.topic),
            partition: None,
            key: Bytes::from(keys::request(TENANT, &request_id(number))),
            value: Some(Bytes::from(self.value(number))),
            headers: Vec::new(),
        }
    }

    fn value(&self, number: u64) -> Vec<u8> {
        let request_id = request_id(number);
        let case_id = ids::case(&self.topic, &request_id);
        let case = AdmittedCase {
            search: None,
            command: None,
            claim: None,
            envelope: Envelope {
                tenant: TENANT.to_owned(),
                ..Envelope::new(case_id, &Request::new(&request_id, RequestKind::Detect), 0)
            },
            pictures: vec![AdmittedPicture {
                role: PictureRole::Probe,
                reference_kind: None,
                bytes: self.picture.clone(),
                sealed: None,
            }],
        };
        case.encode().expect("a record of its schema")
    }
}

/// Of one length, so that all records of a run are.
fn request_id(number: u64) -> String {
    format!("{number:012}")
}

/// The number of the record with this key.
pub(crate) fn number(key: &[u8]) -> u64 {
    let (_, id) = keys::split(key).expect("a key of ours");
    id.parse().expect("a number")
}

/// What the runtime does to a record that a stage hands on, by hand.
pub(crate) fn transform(value: &[u8]) -> Vec<u8> {
    let mut case = AdmittedCase::decode(value).expect("a record of ours");
    let envelope = &mut case.envelope;
    envelope.record_id = ids::record(envelope.record_id, STAGE, "next", 0);
    envelope.trail.push(StageTiming {
        stage: STAGE.to_owned(),
        wall_us: 1,
    });
    case.encode().expect("a record of its schema")
}
