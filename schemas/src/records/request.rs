//! What producers send, and the envelope it becomes.

use serde::{Deserialize, Serialize};

use super::identity::IdentityClaim;
use super::library::{LibraryCommand, SearchQuestion};
use crate::ids::{Id, Sha256};

text_enum! {
    /// What is asked.
    RequestKind {
        /// `detect`
        Detect => "detect",
        /// `attributes`
        Attributes => "attributes",
        /// `liveness`
        Liveness => "liveness",
        /// `compare`
        Compare => "compare",
        /// `search`
        Search => "search",
        /// `enrol`
        Enrol => "enrol",
        /// `unenrol`
        Unenrol => "unenrol",
        /// `read_document`
        ReadDocument => "read_document",
        /// `verify`
        Verify => "verify",
    }
}
text_enum! {
    /// live, shadow (judged, published apart) or backfill.
    Mode {
        /// `live`
        Live => "live",
        /// `shadow`
        Shadow => "shadow",
        /// `backfill`
        Backfill => "backfill",
    }
}
text_enum! {
    /// Light a frame was taken in.
    Spectrum {
        /// `rgb`
        Rgb => "rgb",
        /// `nir`
        Nir => "nir",
    }
}
text_enum! {
    /// Lane of the ingress topic.
    Lane {
        /// `interactive`
        Interactive => "interactive",
        /// `stream`
        Stream => "stream",
        /// `bulk`
        Bulk => "bulk",
    }
}
text_enum! {
    /// Where a reference picture comes from; each kind has its own calibration.
    ReferenceKind {
        /// `live`
        Live => "live",
        /// `on_file`
        OnFile => "on_file",
        /// `card_print`
        CardPrint => "card_print",
        /// `chip`
        Chip => "chip",
    }
}
text_enum! {
    /// Part a picture plays in the request.
    PictureRole {
        /// `probe`
        Probe => "probe",
        /// `reference`
        Reference => "reference",
    }
}
/// The picture's file, as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inline {
    /// Bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// The picture's file, encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Key id.
    pub key_id: String,
    /// Nonce.
    #[serde(with = "serde_bytes")]
    pub nonce: Vec<u8>,
    /// Ciphertext.
    #[serde(with = "serde_bytes")]
    pub ciphertext: Vec<u8>,
}

/// The picture's file, elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Uri.
    pub uri: String,
    /// Sha256.
    pub sha256: Sha256,
    /// Bytes len.
    pub bytes_len: i64,
}

/// One still picture: JPEG, PNG, WebP or BMP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Content.
    pub content: PictureContent,
    /// For a reference; null reads as on_file.
    pub reference_kind: Option<ReferenceKind>,
}

/// Where the picture's bytes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PictureContent {
    /// In the record.
    Inline(Inline),
    /// In the record, encrypted.
    Sealed(Sealed),
    /// Elsewhere.
    Reference(Reference),
}

/// Ingress: one request. Key `<tenant>/<request_id>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Idempotency key, 1..128 bytes of UTF-8, unique within its topic.
    pub request_id: String,
    /// Kind.
    pub kind: RequestKind,
    /// Named place of use with its own policy.
    pub scene: String,
    /// Mode.
    pub mode: Mode,
    /// From received_time; null: the scene's.
    pub deadline_ms: Option<i32>,
    /// The camera's clock: kept, never trusted.
    pub capture_time: Option<i64>,
    /// Stream id.
    pub stream_id: Option<String>,
    /// Session id.
    pub session_id: Option<String>,
    /// Sequence.
    pub sequence: Option<i64>,
    /// Stream epoch.
    pub stream_epoch: Option<i64>,
    /// Spectrum.
    pub spectrum: Option<Spectrum>,
    /// Purpose.
    pub purpose: Option<String>,
    /// Consent ref.
    pub consent_ref: Option<String>,
    /// Device risk.
    #[serde(with = "serde_bytes")]
    pub device_risk: Option<Vec<u8>>,
    /// Case that this one replays; set by the replay command.
    pub replay_of: Option<Id>,
    /// The picture asked about.
    pub probe: Option<Picture>,
    /// compare: the picture it is compared with.
    pub reference: Option<Picture>,
    /// Kind search.
    pub search: Option<SearchQuestion>,
    /// Kinds enrol and unenrol.
    pub command: Option<LibraryCommand>,
    /// Kind verify.
    pub claim: Option<IdentityClaim>,
}

wire!(Request, "request", ["Request/1", "Request/2"]);

impl Request {
    /// Live, in the scene `default`, with nothing optional.
    #[must_use]
    pub fn new(request_id: &str, kind: RequestKind) -> Self {
        Self {
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
            search: None,
            command: None,
            claim: None,
        }
    }
}

/// Wall time of one stage on this case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageTiming {
    /// Stage.
    pub stage: String,
    /// Wall us.
    pub wall_us: i64,
}

/// Who asks what, and where the case stands; first field of every record behind admit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Idempotency key, 1..128 bytes of UTF-8, unique within its topic.
    pub request_id: String,
    /// Kind.
    pub kind: RequestKind,
    /// Named place of use with its own policy.
    pub scene: String,
    /// Mode.
    pub mode: Mode,
    /// From received_time; null: the scene's.
    pub deadline_ms: Option<i32>,
    /// The camera's clock: kept, never trusted.
    pub capture_time: Option<i64>,
    /// Stream id.
    pub stream_id: Option<String>,
    /// Session id.
    pub session_id: Option<String>,
    /// Sequence.
    pub sequence: Option<i64>,
    /// Stream epoch.
    pub stream_epoch: Option<i64>,
    /// Spectrum.
    pub spectrum: Option<Spectrum>,
    /// Purpose.
    pub purpose: Option<String>,
    /// Consent ref.
    pub consent_ref: Option<String>,
    /// Device risk.
    #[serde(with = "serde_bytes")]
    pub device_risk: Option<Vec<u8>>,
    /// Case that this one replays; set by the replay command.
    pub replay_of: Option<Id>,
    /// Case id.
    pub case_id: Id,
    /// Record id.
    pub record_id: Id,
    /// Tenant.
    pub tenant: String,
    /// Lane.
    pub lane: Lane,
    /// The ingress record's append time.
    pub received_time: i64,
    /// Policy version.
    pub policy_version: i64,
    /// Observed, never a ground for a decision.
    pub trail: Vec<StageTiming>,
}

impl Envelope {
    /// Of the request's case: interactive, of tenant `default`, judged by version 1 of the policy, nothing passed yet. Its
    /// record id is the case's.
    #[must_use]
    pub fn new(case_id: Id, request: &Request, received_time: i64) -> Self {
        Self {
            request_id: request.request_id.clone(),
            kind: request.kind,
            scene: request.scene.clone(),
            mode: request.mode,
            deadline_ms: request.deadline_ms,
            capture_time: request.capture_time,
            stream_id: request.stream_id.clone(),
            session_id: request.session_id.clone(),
            sequence: request.sequence,
            stream_epoch: request.stream_epoch,
            spectrum: request.spectrum,
            purpose: request.purpose.clone(),
            consent_ref: request.consent_ref.clone(),
            device_risk: request.device_risk.clone(),
            replay_of: request.replay_of,
            case_id,
            record_id: case_id,
            tenant: "default".to_owned(),
            lane: Lane::Interactive,
            received_time,
            policy_version: 1,
            trail: Vec::new(),
        }
    }
}
