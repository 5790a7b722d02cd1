//! A stage that remembers: state by key, kept by the runtime in a changelog.

use std::collections::BTreeMap;
use std::sync::Arc;

use shiren_schemas::Wire;
use shiren_schemas::records::{AskIntent, IdentityAttempts, LedgerEntry};

use crate::stage::{Input, Outcome, StageDescriptor};

/// What a stage keeps under one key. It has an end: nothing is remembered for ever.
pub trait State: Wire + Clone + Send + 'static {
    /// When its timer fires: event time, microseconds since the Unix epoch. A partition that holds too much
    /// fires its earliest timers before their time.
    fn due_us(&self) -> i64;
}

/// A stage whose decisions depend on what it has seen under the same key.
///
/// Its state belongs to the partition of the log that its records come from, and is committed with what became of them:
/// what a record finds is what all records before it in its partition have left, whatever crashed in between.
/// It reads no clock and does no IO, as every stage.
pub trait KeyedStage: Send + 'static {
    /// What it reads.
    type Input: Input;
    /// What it keeps.
    type State: State;

    /// What it is; `state` names the schema of [`KeyedStage::State`].
    const DESCRIPTOR: StageDescriptor;

    /// Decides on one record. Never fails: see [`crate::stage::Stage::process`].
    fn process(&mut self, input: Self::Input, memory: &mut Memory<'_, Self::State>) -> Outcome;

    /// The timer of `state` fires, which has been removed. `None`: no case ends by that.
    fn fire(
        &mut self,
        key: &str,
        state: Self::State,
        memory: &mut Memory<'_, Self::State>,
    ) -> Option<Outcome>;
}

/// What is kept, for looking up.
pub trait Kept<S> {
    /// The state under `key`.
    fn get(&self, key: &str) -> Option<&S>;
}

/// For tests of stages.
impl<S> Kept<S> for BTreeMap<String, S> {
    fn get(&self, key: &str) -> Option<&S> {
        BTreeMap::get(self, key)
    }
}

/// What a stage may read and change while it decides on one record. Changes count once it has decided: those of a
/// stage that panics are dropped.
pub struct Memory<'a, S> {
    kept: &'a dyn Kept<S>,
    changes: BTreeMap<Arc<str>, Option<S>>,
}

impl<'a, S> Memory<'a, S> {
    /// Of what is kept, with no change yet.
    #[must_use]
    pub fn new(kept: &'a dyn Kept<S>) -> Self {
        Self {
            kept,
            changes: BTreeMap::new(),
        }
    }

    /// The state under `key`, as it is with the changes so far.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&S> {
        match self.changes.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.kept.get(key),
        }
    }

    /// Keeps `state` under `key`, in place of what was there.
    pub fn put(&mut self, key: &str, state: S) {
        self.changes.insert(key.into(), Some(state));
    }

    /// Forgets what is under `key`.
    pub fn remove(&mut self, key: &str) {
        self.changes.insert(key.into(), None);
    }

    /// The changes by key; `None`: forgotten.
    #[must_use]
    pub fn into_changes(self) -> BTreeMap<Arc<str>, Option<S>> {
        self.changes
    }
}

impl State for LedgerEntry {
    fn due_us(&self) -> i64 {
        self.forgotten_at
    }
}

impl State for AskIntent {
    fn due_us(&self) -> i64 {
        self.forgotten_at
    }
}

impl State for IdentityAttempts {
    fn due_us(&self) -> i64 {
        self.forgotten_at
    }
}
