//! Making ingress records, as any producer would.

use std::sync::Arc;

use bytes::Bytes;
use shiren_log::NewRecord;
use shiren_schemas::records::{
    Inline, Lane, Mode, Picture, PictureContent, ReferenceKind, Request, RequestKind,
};
use shiren_schemas::topics::Topic;
use shiren_schemas::{CodecError, Id, Wire, ids, keys};

/// A request of this kind with every optional field at its default.
#[must_use]
pub fn request(request_id: &str, kind: RequestKind) -> Request {
    Request {
        request_id: request_id.to_owned(),
        kind,
        scene: "default".to_owned(),
        mode: Mode::Live,
        deadline_ms: None,
        capture_time: None,
        stream_id: None,
        session_id: None,
        sequence: None,
        stream_epoch: None,
        spectrum: None,
        purpose: None,
        consent_ref: None,
        device_risk: None,
        replay_of: None,
        probe: None,
        reference: None,
    }
}

/// A picture in the record.
#[must_use]
pub fn inline(bytes: Vec<u8>, reference_kind: Option<ReferenceKind>) -> Picture {
    Picture {
        content: PictureContent::Inline(Inline { bytes }),
        reference_kind,
    }
}

/// The record that carries `request` to a tenant's lane, and the id of its case.
///
/// # Errors
/// [`CodecError::Unwritable`]: a fault of this program.
pub fn record(tenant: &str, lane: Lane, request: &Request) -> Result<(NewRecord, Id), CodecError> {
    let topic = Topic::Requests {
        tenant: tenant.to_owned(),
        lane,
    }
    .to_string();
    let case = ids::case(&topic, &request.request_id);
    let record = NewRecord {
        topic: Arc::from(topic),
        partition: None,
        key: Bytes::from(keys::request(tenant, &request.request_id)),
        value: Bytes::from(request.encode()?),
        headers: Vec::new(),
    };
    Ok((record, case))
}
