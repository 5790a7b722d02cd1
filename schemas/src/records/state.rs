//! What stages remember, as the compacted topics `shiren.state.<stage>.<lane>` hold it.

use serde::{Deserialize, Serialize};

use crate::ids::{Id, Sha256};

/// Up to where a stage's state has seen a partition of its input. Key <topic of the input>; written in the transaction that moves the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatePosition {
    /// Offset of the record that is next; equal to the group's committed one.
    pub next_offset: i64,
    /// The latest append time seen, or later where the partition was idle: timers due by then have fired.
    pub event_time: i64,
}

wire!(StatePosition, "state-position", ["StatePosition/1"]);

/// A request that admit has seen. Key <topic>/<request_id>; forgotten when its time to live has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Case id.
    pub case_id: Id,
    /// Of the record's value as it came; another one under the same request_id is a conflict.
    pub payload_sha256: Sha256,
    /// Append time plus the scene's request_ttl_ms.
    pub forgotten_at: i64,
}

wire!(LedgerEntry, "ledger", ["LedgerEntry/1"]);

/// The log holds that this is asked, before it is: such an ask is never made twice. Key /<case id>; forgotten when its time to live has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskIntent {
    /// When, by the clock of the worker.
    pub asked_at: i64,
    /// Event time of the partition plus the stage's intent_ttl_ms.
    pub forgotten_at: i64,
}

wire!(AskIntent, "ask-intent", ["AskIntent/1"]);

/// An attempt that identity-limit has let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityAttempt {
    /// Case id.
    pub case_id: Id,
    /// Append time of the case's request.
    pub time: i64,
}

/// The attempts that identity-limit has let through for one identity number. Key <topic of the input>/<tenant>/<keyed hash of the number>; forgotten when the last of them has left the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityAttempts {
    /// In the order in which they came; at most identity_limit.max_attempts.
    pub attempts: Vec<IdentityAttempt>,
    /// The latest time among them plus identity_limit.window_ms.
    pub forgotten_at: i64,
}

wire!(
    IdentityAttempts,
    "identity-attempts",
    ["IdentityAttempts/1"]
);
