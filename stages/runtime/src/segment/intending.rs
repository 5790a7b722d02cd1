//! Asks that must not be made twice: the log holds that each is made before it is.
//!
//! The intent stays until its time to live has passed, also when the reply came: whoever finds it does not ask.

use std::collections::BTreeSet;
use std::time::Duration;

use shiren_contract::asking::AskFailure;
use shiren_contract::codes;
use shiren_schemas::records::AskIntent;

use super::Segment;
use crate::passage::{Passage, Waiting};
use crate::states::{Source, StateBounds, StateChange, States};

/// Bounds of what is remembered of asks that must not be made twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntentBounds {
    /// Of each partition.
    pub state: StateBounds,
    /// How long an ask is remembered, in event time.
    pub ttl: Duration,
}

/// What a worker does for its segment while a bundle is under way.
pub(crate) trait Meanwhile {
    /// Pauses at most so long, and says whether the worker drains.
    fn wait(&self, pause: Duration) -> bool;

    /// Commits what a stage remembers, with the offsets of these partitions unchanged. False: it did not come to that, and
    /// the bundle is dropped.
    fn keep(
        &mut self,
        stage: &'static str,
        changes: Vec<StateChange>,
        sources: &BTreeSet<Source>,
    ) -> bool;
}

/// Of a segment that is on no log: nothing is run again, so nothing need be kept.
pub(crate) struct Alone<F>(pub(crate) F);

impl<F: Fn(Duration) -> bool> Meanwhile for Alone<F> {
    fn wait(&self, pause: Duration) -> bool {
        self.0(pause)
    }

    fn keep(&mut self, _: &'static str, _: Vec<StateChange>, _: &BTreeSet<Source>) -> bool {
        true
    }
}

/// Records that wait at a stage: those that may be asked, and those that must not, with the reason.
pub(super) struct Intended {
    pub(super) asked: Vec<Waiting>,
    pub(super) refused: Vec<(Waiting, AskFailure)>,
}

impl Segment {
    /// Commits that all of these are asked; what the log holds already is not asked again. `None`: the bundle is dropped.
    pub(super) fn intend(
        &mut self,
        stage: usize,
        waiting: Vec<Waiting>,
        bounds: IntentBounds,
        passage: &Passage,
        meanwhile: &mut dyn Meanwhile,
    ) -> Option<Intended> {
        let mut intended = Intended {
            asked: Vec::with_capacity(waiting.len()),
            refused: Vec::new(),
        };
        let mut sources = BTreeSet::new();
        for one in waiting {
            let source = &passage.sources[one.record];
            let event_time_us = self.event_time_us(source).unwrap_or(passage.now_us);
            match self.intend_one(stage, &one, source, bounds, passage.now_us, event_time_us) {
                Ok(()) => {
                    sources.insert(source.clone());
                    intended.asked.push(one);
                }
                Err(failure) => intended.refused.push((one, failure)),
            }
        }
        let name = self.stages[stage].0.descriptor.name;
        let changes = self.states[stage]
            .as_mut()
            .map(|states| states.take_changes());
        let kept = intended.asked.is_empty()
            || meanwhile.keep(name, changes.unwrap_or_default(), &sources);
        kept.then_some(intended)
    }

    fn intend_one(
        &mut self,
        stage: usize,
        one: &Waiting,
        source: &Source,
        bounds: IntentBounds,
        now_us: i64,
        event_time_us: i64,
    ) -> Result<(), AskFailure> {
        let fault = |what: &str| AskFailure::lasting(codes::STAGE_FAILED, what);
        let case = one.case.as_ref();
        let case = case.ok_or_else(|| fault("an ask without a case cannot be remembered"))?;
        let states = self.states[stage].as_mut();
        let states = states.and_then(|states| states.as_any().downcast_mut::<States<AskIntent>>());
        let states = states.ok_or_else(|| fault("there is no place for intents"))?;
        let key = case.case_id.to_string();
        if states.get(source, &key).is_some() {
            let what = "the log holds that it was asked before, and no reply";
            return Err(AskFailure::lasting(codes::OUTCOME_UNKNOWN, what));
        }
        let ttl_us = i64::try_from(bounds.ttl.as_micros()).unwrap_or(i64::MAX);
        let intent = AskIntent {
            asked_at: now_us,
            forgotten_at: event_time_us.saturating_add(ttl_us),
        };
        states
            .apply(source, [(key.into(), Some(intent))].into())
            .map_err(|error| fault(&error.to_string()))
    }
}
