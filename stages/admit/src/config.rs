//! What admit is told by the topology.

use std::collections::BTreeSet;

use shiren_contract::policy::Scenes;
use shiren_schemas::records::RequestKind;

/// Configuration of the stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// Kinds that the chain answers.
    pub kinds: BTreeSet<RequestKind>,
    /// Scenes of the policy.
    pub scenes: Scenes,
    /// Version of the policy.
    pub policy_version: i64,
    /// Longest deadline a request may name, milliseconds.
    pub deadline_max_ms: i64,
}
