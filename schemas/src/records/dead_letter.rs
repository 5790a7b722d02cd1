//! What operators read of records that failed, and what the runtime notes of those that kill.

use serde::{Deserialize, Serialize};

use super::request::Sealed;
use crate::ids::{Id, Sha256};

/// A record that was refused or failed: bounded head, hash, origin, code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Id.
    pub id: Id,
    /// Tenant.
    pub tenant: String,
    /// Origin topic.
    pub origin_topic: String,
    /// Origin partition.
    pub origin_partition: i32,
    /// Origin offset.
    pub origin_offset: i64,
    /// Origin time.
    pub origin_time: i64,
    /// Key.
    #[serde(with = "serde_bytes")]
    pub key: Option<Vec<u8>>,
    /// Stage.
    pub stage: String,
    /// Code.
    pub code: String,
    /// Detail.
    pub detail: String,
    /// Set when the case could be read; it then has a verdict too.
    pub case_id: Option<Id>,
    /// Value bytes.
    pub value_bytes: i64,
    /// Value sha256.
    pub value_sha256: Sha256,
    /// Its framing: first bytes of the value, at most 64.
    #[serde(with = "serde_bytes")]
    pub head: Vec<u8>,
    /// Times that the process died while it worked on the record; 0: never, as far as is known.
    pub attempts: i32,
    /// W3C trace context of the origin.
    pub traceparent: Option<String>,
    /// A [`DeadLetterContent`] under the tenant's key of the epoch; `None` without a vault.
    pub content: Option<Sealed>,
}

wire!(DeadLetter, "dead-letters", ["DeadLetter/1", "DeadLetter/2"]);

/// A header of the origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterHeader {
    /// Name.
    pub name: String,
    /// Value, if it has one.
    #[serde(with = "serde_bytes")]
    pub value: Option<Vec<u8>>,
}

/// What a dead letter keeps of its origin's content; written sealed only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterContent {
    /// First bytes of the value.
    #[serde(with = "serde_bytes")]
    pub head: Vec<u8>,
    /// Headers in order, as many as fit in the bound of the head.
    pub headers: Vec<DeadLetterHeader>,
}

wire!(
    DeadLetterContent,
    "dead-letter-content",
    ["DeadLetterContent/1"]
);

/// A partition that was taken over, or a record that was begun after a process died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashAttempt {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset of the record; of a takeover: of the first record.
    pub offset: i64,
    /// Times that the record was begun; 0: a takeover.
    pub attempts: i32,
    /// Worker that wrote it, one name a life of a process.
    pub owner: String,
}

wire!(CrashAttempt, "attempts", ["CrashAttempt/1"]);
