//! What the keyed stages of a segment remember, and the event time of its partitions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use opentelemetry::Context;
use shiren_schemas::{CodecError, ids};

use super::{Meanwhile, Segment, SegmentError};
use crate::passage::{Passage, Place, Taken};
use crate::registry::Fired;
use crate::states::{AnyStates, Source, StateChange};

impl Segment {
    /// Names of the stages that remember.
    pub(crate) fn keyed(&self) -> Vec<&'static str> {
        let stages = self.stages.iter().zip(&self.states);
        stages
            .filter(|(_, states)| states.is_some())
            .map(|((factory, _), _)| factory.descriptor.name)
            .collect()
    }

    /// Whether one of them remembers.
    pub(crate) fn is_keyed(&self) -> bool {
        self.states.iter().any(Option::is_some)
    }

    fn states_of(&mut self, stage: &str) -> Option<&mut (dyn AnyStates + 'static)> {
        let at = self
            .stages
            .iter()
            .position(|(factory, _)| factory.descriptor.name == stage)?;
        Some(self.states[at].as_mut()?.as_mut())
    }

    /// Forgets all that was remembered, event times too: it is restored, or begins anew.
    pub(crate) fn forget(&mut self) {
        for states in self.states.iter_mut().flatten() {
            states.clear();
        }
        self.event_times_us.clear();
    }

    /// Takes a record of the changelog of `stage`.
    ///
    /// # Errors
    /// It is not one whole record of the stage's state.
    pub(crate) fn restore(
        &mut self,
        stage: &str,
        source: &Source,
        key: &str,
        value: Option<&[u8]>,
    ) -> Result<(), CodecError> {
        match self.states_of(stage) {
            Some(states) => states.restore(source, key, value),
            None => Ok(()),
        }
    }

    /// Takes the event time that was recorded with the state.
    pub(crate) fn restore_event_time(&mut self, source: &Source, event_time_us: i64) {
        self.event_times_us.insert(source.clone(), event_time_us);
    }

    /// Event time of a partition; `None` before its first record.
    pub(crate) fn event_time_us(&self, source: &Source) -> Option<i64> {
        self.event_times_us.get(source).copied()
    }

    /// Whether `stage` remembers nothing of the partition.
    pub(crate) fn is_empty(&mut self, stage: &str, source: &Source) -> bool {
        self.states_of(stage)
            .is_none_or(|states| states.is_empty(source))
    }

    /// When the next timer of the partition fires, of whichever stage.
    pub(crate) fn next_due_us(&self, source: &Source) -> Option<i64> {
        let states = self.states.iter().flatten();
        states.filter_map(|one| one.next_due_us(source)).min()
    }

    /// Whether the state of `stage` belongs to an offset of its input.
    pub(crate) fn is_of_offset(&mut self, stage: &str) -> bool {
        self.states_of(stage)
            .is_some_and(|states| states.is_of_offset())
    }

    /// What has changed since the last call, by stage; whether it belongs to an offset.
    pub(crate) fn take_changes(&mut self) -> Vec<(&'static str, Vec<StateChange>, bool)> {
        let stages = self.stages.iter().zip(&mut self.states);
        stages
            .filter_map(|((factory, _), states)| {
                let states = states.as_mut()?;
                let changes = states.take_changes();
                Some((factory.descriptor.name, changes, states.is_of_offset()))
            })
            .collect()
    }

    /// Lets the time of an idle partition go on, and fires what is due then.
    ///
    /// # Errors
    /// As [`Segment::process_bundle`].
    pub(crate) fn tick(
        &mut self,
        source: &Source,
        event_time_us: i64,
        now_us: i64,
        meanwhile: &mut dyn Meanwhile,
    ) -> Result<Option<Taken>, SegmentError> {
        let mut passage = Passage::new(now_us, self.clock.instant(), Vec::new());
        self.fire_due(source, event_time_us, &mut passage)?;
        self.finish(passage, meanwhile)
    }

    /// Moves the partition's event time on, never back, and fires the timers that are due by then.
    pub(super) fn fire_due(
        &mut self,
        source: &Source,
        append_time_us: i64,
        passage: &mut Passage,
    ) -> Result<(), SegmentError> {
        let event_time_us = self
            .event_times_us
            .entry(source.clone())
            .or_insert(i64::MIN);
        *event_time_us = append_time_us.max(*event_time_us);
        let event_time_us = *event_time_us;
        for stage in 0..self.stages.len() {
            let (factory, built) = &mut self.stages[stage];
            let name = factory.descriptor.name;
            let Some(states) = &mut self.states[stage] else {
                continue;
            };
            let remembered = Some((states.as_mut(), source));
            let fired = catch_unwind(AssertUnwindSafe(|| {
                built.fire_due(remembered, event_time_us)
            }));
            let Ok(Some(fired)) = fired else {
                return Err(SegmentError::Timer { stage: name });
            };
            for Fired {
                key,
                due_us,
                outcome,
            } in fired
            {
                let parent = Some(ids::timer(name, &key, due_us));
                let place = Place {
                    record: passage.timer(source.clone(), key, due_us),
                    stage,
                    context: Context::new(),
                    spent: Duration::ZERO,
                    parent,
                };
                self.came_to(place, None, Ok(Some(outcome)), passage)?;
                self.advance(passage)?;
            }
        }
        Ok(())
    }
}
