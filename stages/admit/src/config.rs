//! What admit is told by the topology.

use std::collections::BTreeSet;

use shiren_contract::policies::Policies;
use shiren_schemas::records::RequestKind;

use crate::question::QuestionBounds;

/// Configuration of the stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// Kinds that the chain answers.
    pub kinds: BTreeSet<RequestKind>,
    /// The policy: a case is judged by the version that is the newest when it is admitted.
    pub policies: Policies,
    /// Bounds of searches.
    pub questions: QuestionBounds,
    /// Longest deadline a request may name, milliseconds.
    pub deadline_max_ms: i64,
}
