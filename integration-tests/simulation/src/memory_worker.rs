//! The consume-transform-produce end of the log in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use shiren_log::{
    Assigned, Assignment, Bundle, Commit, Lag, LogError, NewRecord, Position, Record, Worker,
    WorkerOptions,
};

use crate::memory_log::{MemoryLog, Partition, Place, State, now};
use crate::transactions::Pending;

/// What is committed.
pub(crate) enum Work<'a> {
    Bundle(&'a Bundle),
    /// State between bundles: the generation, and offsets that stay.
    Between(u64, &'a [Position]),
}

/// When a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Now,
    /// Later: committed where the coordinator took the request, else aborted.
    Late {
        accepted: bool,
    },
}

/// First offset of a bundle in a partition, and the one behind its last.
pub(crate) type Moves = BTreeMap<(Arc<str>, i32), (i64, i64)>;

/// A partition with its topic and number.
type Mine<'a> = (&'a Arc<str>, i32, &'a Partition);

pub(crate) struct MemoryWorker {
    log: MemoryLog,
    options: WorkerOptions,
    generation: u64,
    outstanding: Option<(u32, Moves)>,
    /// The next bundle begins with another partition, so that none is starved.
    turn: usize,
}

pub(crate) fn moves_of(records: &[Record]) -> Moves {
    let mut moves = Moves::new();
    for record in records {
        let place = (record.topic.clone(), record.partition);
        moves.entry(place).or_insert((record.offset, 0)).1 = record.offset + 1;
    }
    moves
}

impl MemoryWorker {
    pub(crate) fn open(log: MemoryLog, options: WorkerOptions) -> Result<Self, LogError> {
        let mut state = log.state();
        for topic in &options.topics {
            state.partitions(topic)?;
        }
        // Its predecessor's transaction ends before it begins.
        state.resolve(|pending| pending.transactional_id == options.transactional_id);
        let name = (options.group.clone(), options.transactional_id.clone());
        let generation = state.generations.entry(name).or_default();
        *generation += 1;
        let generation = *generation;
        drop(state);
        Ok(Self {
            log,
            options,
            generation,
            outstanding: None,
            turn: 0,
        })
    }

    fn dealt(&self, state: &State) -> u32 {
        state
            .assignments
            .get(&self.options.group)
            .copied()
            .unwrap_or(0)
    }

    fn fenced(&self, state: &State) -> bool {
        let options = &self.options;
        let name = (options.group.clone(), options.transactional_id.clone());
        state.generations.get(&name) != Some(&self.generation)
    }

    /// Changes with this worker and with each dealing of its group's partitions.
    fn generation(&self, state: &State) -> u64 {
        (self.generation << 32) | u64::from(self.dealt(state))
    }

    /// The partitions of this worker's slot as they are dealt now.
    fn mine<'a>(&self, state: &'a State) -> Result<Vec<Mine<'a>>, LogError> {
        let turned = self.dealt(state);
        let mut mine = Vec::new();
        for topic in &self.options.topics {
            let (name, partitions) = state.partitions(topic)?;
            for (number, partition) in (0_i32..).zip(partitions) {
                let slot = (number.cast_unsigned() + turned) % self.options.slots;
                if slot == self.options.slot {
                    mine.push((name, number, partition));
                }
            }
        }
        Ok(mine)
    }

    fn read(&self, state: &State) -> Result<Vec<Record>, LogError> {
        let mut mine = self.mine(state)?;
        let count = mine.len().max(1);
        mine.rotate_left(self.turn % count);
        let mut read = Vec::new();
        let mut bytes = 0;
        for (topic, number, partition) in mine {
            let place = (self.options.group.clone(), topic.clone(), number);
            if state.pending.iter().any(|pending| pending.moves(&place)) {
                continue;
            }
            let first = partition.first();
            let next = state.offsets.get(&place).copied();
            let next = next.unwrap_or(first);
            if !(first..=partition.end).contains(&next) {
                return Err(LogError::OffsetOutOfRange {
                    group: place.0,
                    topic: topic.to_string(),
                    partition: number,
                    committed: next,
                    first,
                    end: partition.end,
                });
            }
            for record in partition.from(next) {
                bytes += size(record);
                let full = read.len() >= self.options.bundle_max_records
                    || (bytes > self.options.bundle_max_bytes && !read.is_empty());
                if full {
                    return Ok(read);
                }
                read.push(record.clone());
            }
        }
        Ok(read)
    }
}

impl MemoryWorker {
    /// Writes all, or nothing; one that ends late is of unknown outcome.
    pub(crate) fn write(
        &mut self,
        work: &Work<'_>,
        outputs: Vec<NewRecord>,
        ending: Ending,
    ) -> Result<Commit, LogError> {
        let mut state = self.log.state();
        if self.fenced(&state) {
            return Ok(Commit::Rebuild);
        }
        let group = &self.options.group;
        let place = |topic: &Arc<str>, partition| (group.clone(), topic.clone(), partition);
        let mut answered = Vec::new();
        let offsets: Vec<(Place, i64)> = match work {
            Work::Bundle(bundle) => {
                let read = (self.dealt(&state), moves_of(&bundle.records));
                if self.outstanding.as_ref() != Some(&read) {
                    return Ok(Commit::Revoked);
                }
                for record in &bundle.records {
                    answered.push((place(&record.topic, record.partition), record.offset));
                }
                let moves = read.1.into_iter();
                moves
                    .map(|((topic, partition), (_, to))| (place(&topic, partition), to))
                    .collect()
            }
            Work::Between(generation, positions) => {
                if *generation != self.generation(&state) {
                    return Ok(Commit::Revoked);
                }
                let positions = positions.iter();
                positions
                    .map(|at| (place(&at.topic, at.partition), at.next))
                    .collect()
            }
        };
        let records = self.log.reserve(&mut state, outputs)?;
        let accepted = match ending {
            Ending::Now => true,
            Ending::Late { accepted } => accepted,
        };
        state.pending.push(Pending {
            transactional_id: self.options.transactional_id.clone(),
            group: group.clone(),
            records,
            offsets,
            answered,
            accepted,
        });
        if ending != Ending::Now {
            return Ok(Commit::Rebuild);
        }
        let id = &self.options.transactional_id;
        state.resolve(|pending| pending.transactional_id == *id && pending.group == *group);
        if matches!(work, Work::Bundle(_)) {
            self.outstanding = None;
        }
        self.log.changed();
        Ok(Commit::Done)
    }
}

/// As bundles count it: key and value.
pub(crate) fn size(record: &Record) -> usize {
    let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    len(&record.key) + len(&record.value)
}

impl Worker for MemoryWorker {
    fn next_bundle(&mut self) -> Result<Option<Bundle>, LogError> {
        let until = now() + self.options.poll_max_wait;
        loop {
            let state = self.log.state();
            let records = self.read(&state)?;
            if !records.is_empty() {
                self.turn += 1;
                let generation = self.generation(&state);
                self.outstanding = Some((self.dealt(&state), moves_of(&records)));
                return Ok(Some(Bundle {
                    records,
                    generation,
                }));
            }
            if !self.log.wait(state, until) {
                return Ok(None);
            }
        }
    }

    fn commit(&mut self, bundle: &Bundle, outputs: Vec<NewRecord>) -> Result<Commit, LogError> {
        self.write(&Work::Bundle(bundle), outputs, Ending::Now)
    }

    fn assignment(&mut self) -> Result<Assignment, LogError> {
        let mut state = self.log.state();
        // As one that waits until they have ended.
        state.resolve(|pending| pending.group == self.options.group);
        let assigned = |(topic, partition, _): (&Arc<str>, i32, &Partition)| {
            let place = (self.options.group.clone(), topic.clone(), partition);
            Assigned {
                topic: topic.clone(),
                partition,
                committed: state.offsets.get(&place).copied(),
            }
        };
        Ok(Assignment {
            generation: self.generation(&state),
            partitions: self.mine(&state)?.into_iter().map(assigned).collect(),
        })
    }

    fn at_end(&mut self, topic: &str, partition: i32) -> Result<bool, LogError> {
        let state = self.log.state();
        let place = (self.options.group.clone(), Arc::from(topic), partition);
        let (_, partitions) = state.partitions(topic)?;
        let found = usize::try_from(partition)
            .ok()
            .and_then(|at| partitions.get(at));
        Ok(found.is_some_and(|partition| {
            let next = state.offsets.get(&place).copied();
            let mut rest = partition.from(next.unwrap_or(partition.first()));
            rest.next().is_none()
        }))
    }

    fn commit_between(
        &mut self,
        generation: u64,
        positions: &[Position],
        outputs: Vec<NewRecord>,
    ) -> Result<Commit, LogError> {
        shiren_log::check_positions(positions)?;
        self.write(&Work::Between(generation, positions), outputs, Ending::Now)
    }

    fn lag(&mut self) -> Result<Vec<Lag>, LogError> {
        let state = self.log.state();
        let lag = |(topic, number, partition): (&Arc<str>, i32, &Partition)| {
            let place = (self.options.group.clone(), topic.clone(), number);
            let next = state.offsets.get(&place).copied();
            Lag {
                topic: topic.clone(),
                partition: number,
                records: partition.from(next.unwrap_or(partition.first())).count() as u64,
            }
        };
        Ok(self.mine(&state)?.into_iter().map(lag).collect())
    }
}
