//! State of a worker's partitions: restored when they are assigned, written with each commit.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use shiren_log::{Assignment, Log, NewRecord, Position, Record};
use shiren_schemas::Wire;
use shiren_schemas::records::{Lane, StatePosition};
use shiren_schemas::topics::Topic;

use crate::clock::Clock;
use crate::health::Phase;
use crate::runtime_error::RuntimeError;
use crate::segment::Segment;
use crate::states::{Source, StateChange};

/// What a worker knows of the partitions whose state it keeps.
pub(crate) struct Keeper {
    lane: Lane,
    clock: Clock,
    /// The assignment that all this holds for; `None`: nothing is restored.
    generation: Option<u64>,
    parts: HashMap<Source, Part>,
}

struct Part {
    /// The group's committed offset.
    committed: Option<i64>,
    /// When its event time was last set, by the monotonic clock.
    since: Instant,
}

/// Partitions with the offset that each reaches by a commit.
pub(crate) type Reached = HashMap<Source, i64>;

impl Keeper {
    pub(crate) fn new(lane: Lane, clock: Clock) -> Self {
        Self {
            lane,
            clock,
            generation: None,
            parts: HashMap::new(),
        }
    }

    pub(crate) fn holds(&self, generation: u64) -> bool {
        self.generation == Some(generation)
    }

    /// Where a worker of this segment is when nothing else holds it up.
    pub(crate) fn phase(&self, segment: &Segment) -> Phase {
        match self.generation {
            None if segment.is_keyed() => Phase::Restoring,
            _ => Phase::Ready,
        }
    }

    /// Drops all that is remembered: the assignment changed, or a commit came to nothing.
    pub(crate) fn forget(&mut self, segment: &mut Segment) {
        segment.forget();
        self.generation = None;
        self.parts.clear();
    }

    /// Reads the state of the assigned partitions. Their committed offsets were read before, so that a commit which
    /// moved one is in the changelog, too.
    ///
    /// # Errors
    /// The log does not answer; a state that cannot be read; one that is not of the committed offset.
    pub(crate) fn restore(
        &mut self,
        log: &dyn Log,
        segment: &mut Segment,
        assignment: &Assignment,
    ) -> Result<(), RuntimeError> {
        self.forget(segment);
        let begun = self.clock.instant();
        let mut records = 0_u64;
        for part in &assignment.partitions {
            let source = (part.topic.clone(), part.partition);
            self.parts.insert(
                source,
                Part {
                    committed: part.committed,
                    since: begun,
                },
            );
        }
        for stage in segment.keyed() {
            records += self.restore_stage(log, segment, stage)?;
        }
        let now = self.clock.instant();
        for part in self.parts.values_mut() {
            part.since = now;
        }
        self.generation = Some(assignment.generation);
        tracing::info!(
            partitions = self.parts.len(),
            records,
            elapsed_ms = u64::try_from(self.clock.instant().duration_since(begun).as_millis())
                .unwrap_or(u64::MAX),
            "state restored"
        );
        Ok(())
    }

    fn restore_stage(
        &self,
        log: &dyn Log,
        segment: &mut Segment,
        stage: &'static str,
    ) -> Result<u64, RuntimeError> {
        let topic = self.changelog(stage);
        let partitions: BTreeSet<i32> =
            self.parts.keys().map(|(_, partition)| *partition).collect();
        let partitions: Vec<i32> = partitions.into_iter().collect();
        let mut positions: HashMap<Source, StatePosition> = HashMap::new();
        let mut failed = None;
        let mut records = 0;
        log.read_partitions(&topic, &partitions, &mut |record| {
            records += 1;
            let taken = self.take(segment, stage, &record, &mut positions);
            if let Err(what) = taken {
                failed.get_or_insert(RuntimeError::StateUnreadable {
                    topic: topic.clone(),
                    partition: record.partition,
                    offset: record.offset,
                    what,
                });
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if !segment.is_of_offset(stage) {
            return Ok(records);
        }
        for (source, part) in &self.parts {
            let position = positions.get(source);
            if let Some(position) = position {
                segment.restore_event_time(source, position.event_time);
            }
            let state = position.map(|position| position.next_offset);
            // Both are new, or the stage remembers nothing yet: it did not when the group began.
            let begins = state.is_none() && segment.is_empty(stage, source);
            if state != part.committed && !begins {
                return Err(RuntimeError::StateElsewhere {
                    stage,
                    topic: source.0.to_string(),
                    partition: source.1,
                    state,
                    committed: part.committed,
                });
            }
        }
        Ok(records)
    }

    /// Takes one record of the changelog, if it is of one of the partitions.
    fn take(
        &self,
        segment: &mut Segment,
        stage: &str,
        record: &Record,
        positions: &mut HashMap<Source, StatePosition>,
    ) -> Result<(), String> {
        let key = record.key.as_deref().unwrap_or_default();
        let key = std::str::from_utf8(key).map_err(|error| error.to_string())?;
        let value = record.value.as_deref();
        let (topic, state_key) = match key.split_once('/') {
            Some((topic, state_key)) => (topic, Some(state_key)),
            None => (key, None),
        };
        let source: Source = (Arc::from(topic), record.partition);
        let of_all_inputs = source.0.is_empty();
        if !of_all_inputs && !self.parts.contains_key(&source) {
            return Ok(());
        }
        let Some(state_key) = state_key else {
            match value.map(StatePosition::decode).transpose() {
                Ok(Some(position)) => positions.insert(source, position),
                Ok(None) => positions.remove(&source),
                Err(error) => return Err(error.to_string()),
            };
            return Ok(());
        };
        segment
            .restore(stage, &source, state_key, value)
            .map_err(|error| error.to_string())
    }

    /// The records that keep what has changed, and up to where each partition is then.
    ///
    /// # Errors
    /// A fault of this program: a position that cannot be encoded.
    pub(crate) fn records(
        &self,
        segment: &mut Segment,
        reached: &Reached,
    ) -> Result<Vec<NewRecord>, RuntimeError> {
        let mut records = Vec::new();
        for (stage, changes, of_offset) in segment.take_changes() {
            records.extend(self.change_records(stage, changes));
            if !of_offset {
                continue;
            }
            let topic: Arc<str> = self.changelog(stage).into();
            for (source, next_offset) in reached {
                let position = StatePosition {
                    next_offset: *next_offset,
                    event_time: segment.event_time_us(source).unwrap_or_default(),
                };
                records.push(NewRecord {
                    topic: Arc::clone(&topic),
                    partition: Some(source.1),
                    key: Bytes::copy_from_slice(source.0.as_bytes()),
                    value: Some(position.encode()?.into()),
                    headers: Vec::new(),
                });
            }
        }
        Ok(records)
    }

    /// The records that keep what one stage has changed.
    pub(crate) fn change_records(&self, stage: &str, changes: Vec<StateChange>) -> Vec<NewRecord> {
        let topic: Arc<str> = self.changelog(stage).into();
        let changes = changes.into_iter();
        changes
            .map(|change| change_record(&topic, change))
            .collect()
    }

    /// The group's offset in a partition; `None` before its first commit.
    pub(crate) fn committed_offset(&self, source: &Source) -> Option<i64> {
        self.parts.get(source)?.committed
    }

    /// Takes note of a commit.
    pub(crate) fn committed(&mut self, reached: &Reached) {
        let now = self.clock.instant();
        for (source, next_offset) in reached {
            if let Some(part) = self.parts.get_mut(source) {
                part.committed = Some(*next_offset);
                part.since = now;
            }
        }
    }

    /// Idle partitions with a timer that is due when the time since their last record is counted, and the event time
    /// that each has then.
    pub(crate) fn due(&self, segment: &Segment) -> Vec<(Source, i64, Position)> {
        let due = |(source, part): (&Source, &Part)| {
            let committed = part.committed?;
            let idle_us =
                i64::try_from(self.clock.instant().duration_since(part.since).as_micros())
                    .unwrap_or(i64::MAX);
            let now_us = segment.event_time_us(source)?.saturating_add(idle_us);
            (segment.next_due_us(source)? <= now_us).then(|| {
                let position = Position {
                    topic: source.0.clone(),
                    partition: source.1,
                    next: committed,
                };
                (source.clone(), now_us, position)
            })
        };
        self.parts.iter().filter_map(due).collect()
    }

    fn changelog(&self, stage: &str) -> String {
        Topic::State {
            stage: stage.to_owned(),
            lane: self.lane,
        }
        .to_string()
    }
}

fn change_record(topic: &Arc<str>, change: StateChange) -> NewRecord {
    let (input, partition) = change.source;
    NewRecord {
        topic: Arc::clone(topic),
        partition: Some(partition),
        key: Bytes::from(format!("{input}/{}", change.key)),
        value: change.value,
        headers: Vec::new(),
    }
}
