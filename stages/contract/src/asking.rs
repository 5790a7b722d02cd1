//! A stage that asks the world something: two pure halves, and a port between them that the runtime drives.

use std::time::Instant;

use crate::codes::Code;
use crate::stage::{Input, Outcome, StageDescriptor};

/// A stage that needs to know something before it can decide, or that has something written. Both halves give the same
/// for the same input; neither does IO.
pub trait AskingStage: Send + 'static {
    /// What it reads.
    type Input: Input;
    /// What it asks its port.
    type Ask: Send + 'static;
    /// What the port answers.
    type Reply: Send + 'static;

    /// What it is.
    const DESCRIPTOR: StageDescriptor;

    /// What must be asked before this record can be decided; `None`: nothing.
    fn ask(&mut self, input: &Self::Input) -> Option<Self::Ask>;

    /// Decides on one record. `reply` is `None` where nothing was asked. Never fails: see [`crate::stage::Stage::process`].
    fn decide(
        &mut self,
        input: Self::Input,
        reply: Option<Result<Self::Reply, AskFailure>>,
    ) -> Outcome;
}

/// Why an ask has no reply. `detail` carries no personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskFailure {
    /// What is wrong, by code.
    pub code: Code,
    /// The particulars.
    pub detail: String,
    /// The same ask may succeed later.
    pub transient: bool,
}

impl AskFailure {
    /// A failure that repeating does not mend.
    #[must_use]
    pub fn lasting(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            transient: false,
        }
    }

    /// A failure that may be over soon.
    #[must_use]
    pub fn transient(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            transient: true,
        }
    }
}

/// The world's side of an asking stage. Called with no transaction open, on a thread that may block.
pub trait Port<A, R>: Send + Sync {
    /// Answers the asks of one bundle in their order, one reply each, by `deadline`.
    ///
    /// A port that writes does so in order, and when one write fails in a way that may be over soon, all behind it fail so
    /// too: what is asked again is then a tail, and no write overtakes another. An ask may come again, even after its
    /// reply: the same ask has the same effect once.
    fn ask(&self, asks: &[&A], deadline: Instant) -> Vec<Result<R, AskFailure>>;

    /// Whether the same ask, made again, has no further effect. If not, the log must hold that it is made before it is,
    /// and it is never made again: its outcome is unknown then.
    fn may_repeat(&self) -> bool {
        true
    }
}
