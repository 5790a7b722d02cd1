//! What downstream and operators read.

use serde::{Deserialize, Serialize};

use super::findings::Quality;
use super::identity::AuthorityEvidence;
use super::library::{Enrolment, PersonFound, SearchEvidence};
use super::request::{Mode, PictureRole, ReferenceKind, RequestKind, StageTiming};
use super::stages::{BoundingBox, FacedPicture, Landmark};
use crate::ids::{Id, Sha256};

text_enum! {
    /// accept and reject answer a yes-or-no question; done returns data; error could not be answered.
    Decision {
        /// `accept`
        Accept => "accept",
        /// `reject`
        Reject => "reject",
        /// `nobody`
        Nobody => "nobody",
        /// `done`
        Done => "done",
        /// `review`
        Review => "review",
        /// `error`
        Error => "error",
    }
}
text_enum! {
    /// passed, failed, abstained (ran, the input allowed no answer), not_checked (did not run).
    CheckState {
        /// `passed`
        Passed => "passed",
        /// `failed`
        Failed => "failed",
        /// `abstained`
        Abstained => "abstained",
        /// `not_checked`
        NotChecked => "not_checked",
    }
}
text_enum! {
    /// How an operating point is known: enough false matches seen, or a fitted tail.
    Basis {
        /// `measured`
        Measured => "measured",
        /// `extrapolated`
        Extrapolated => "extrapolated",
    }
}
/// State of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Name.
    pub name: String,
    /// State.
    pub state: CheckState,
    /// Why it is not passed.
    pub reason_code: Option<String>,
}

/// A model that took part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRef {
    /// Name.
    pub name: String,
    /// Lower-case hex of the ONNX file.
    pub sha256: String,
}

/// The part of a verdict that is hashed and compared; lists sorted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanonicalVerdict {
    /// Verdict id.
    pub verdict_id: Id,
    /// Case id.
    pub case_id: Id,
    /// Tenant.
    pub tenant: String,
    /// Kind.
    pub kind: RequestKind,
    /// Scene.
    pub scene: String,
    /// Mode.
    pub mode: Mode,
    /// Decision.
    pub decision: Decision,
    /// Reason codes.
    pub reason_codes: Vec<String>,
    /// Sorted by name.
    pub checks: Vec<Check>,
    /// Matched subject.
    pub matched_subject: Option<String>,
    /// Reference kind.
    pub reference_kind: Option<ReferenceKind>,
    /// Authority source.
    pub authority_source: Option<String>,
    /// Policy version.
    pub policy_version: i64,
    /// name:sha256
    pub model_hashes: Vec<String>,
}

wire!(
    CanonicalVerdict,
    "canonical-verdict",
    ["CanonicalVerdict/1"]
);

/// What may differ between runs: outside the hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedVerdict {
    /// Request id.
    pub request_id: String,
    /// Received time.
    pub received_time: i64,
    /// Decided time.
    pub decided_time: i64,
    /// received_time + the scene's expiry: act on no verdict later.
    pub expires_at: i64,
    /// Host.
    pub host: String,
    /// Segment that closed the case.
    pub layout: String,
}

/// One terminal record a case. First by verdict_id counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Canonical.
    pub canonical: CanonicalVerdict,
    /// SHA-256 of the Avro binary encoding of canonical.
    pub canonical_sha256: Sha256,
    /// Observed.
    pub observed: ObservedVerdict,
}

wire!(Verdict, "verdicts", ["Verdict/1"]);

/// A face as returned to the caller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectedFace {
    /// Bounding box.
    pub bounding_box: BoundingBox,
    /// Landmarks.
    pub landmarks: Vec<Landmark>,
    /// Score.
    pub score: f32,
}

/// Faces of one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureFaces {
    /// Role.
    pub role: PictureRole,
    /// Upright width.
    pub width: i32,
    /// Height.
    pub height: i32,
    /// Best first.
    pub faces: Vec<DetectedFace>,
    /// Faces found.
    pub faces_found: i32,
}

/// The subject of one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureAttributes {
    /// Role.
    pub role: PictureRole,
    /// Quality.
    pub quality: Quality,
}

/// The data the caller asked for; same id and transaction as the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Verdict id.
    pub verdict_id: Id,
    /// Case id.
    pub case_id: Id,
    /// Request id.
    pub request_id: String,
    /// Tenant.
    pub tenant: String,
    /// Kind.
    pub kind: RequestKind,
    /// Kind detect.
    pub detections: Vec<PictureFaces>,
    /// Kind attributes.
    pub attributes: Vec<PictureAttributes>,
    /// Kind search: best first, only those from the threshold on.
    pub candidates: Vec<PersonFound>,
    /// Kinds enrol and unenrol.
    pub enrolment: Option<Enrolment>,
}

wire!(Results, "results", ["Results/1", "Results/2", "Results/3"]);

/// One 1:1 comparison and its operating point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Higher is more alike.
    pub score: f64,
    /// Threshold.
    pub threshold: f64,
    /// cosine, or one_minus_euclidean
    pub metric: String,
    /// Target fmr.
    pub target_fmr: f64,
    /// Basis.
    pub basis: Basis,
    /// Calibration table.
    pub table: String,
    /// Seen at the threshold.
    pub false_matches: i64,
    /// N genuine.
    pub n_genuine: i64,
    /// N impostor.
    pub n_impostor: i64,
    /// Identity pairs.
    pub identity_pairs: i64,
}

/// What ended a case as an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Stage.
    pub stage: String,
    /// Code.
    pub code: String,
    /// Detail.
    pub detail: String,
    /// Picture concerned.
    pub role: Option<PictureRole>,
}

/// Grounds of a verdict: own access, short retention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Verdict id.
    pub verdict_id: Id,
    /// Case id.
    pub case_id: Id,
    /// Request id.
    pub request_id: String,
    /// Tenant.
    pub tenant: String,
    /// Kind.
    pub kind: RequestKind,
    /// Scene.
    pub scene: String,
    /// Pictures.
    pub pictures: Vec<FacedPicture>,
    /// Comparison.
    pub comparison: Option<Comparison>,
    /// Models.
    pub models: Vec<ModelRef>,
    /// Timings.
    pub timings: Vec<StageTiming>,
    /// Faults.
    pub faults: Vec<Fault>,
    /// Kind search.
    pub search: Option<SearchEvidence>,
    /// Kind verify.
    pub authority: Option<AuthorityEvidence>,
}

wire!(
    Evidence,
    "evidence",
    ["Evidence/1", "Evidence/2", "Evidence/3"]
);
