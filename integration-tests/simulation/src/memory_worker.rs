//! The consume-transform-produce end of the log in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use shiren_log::{
    Assigned, Assignment, Bundle, Commit, LogError, NewRecord, Position, Record, Worker,
    WorkerOptions,
};

use crate::memory_log::{MemoryLog, Partition, State, now};

/// First offset of a bundle in a partition, and the one behind its last.
pub(crate) type Moves = BTreeMap<(Arc<str>, i32), (i64, i64)>;

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
    fn mine<'a>(
        &self,
        state: &'a State,
    ) -> Result<Vec<(&'a Arc<str>, i32, &'a Partition)>, LogError> {
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
        let mut state = self.log.state();
        if self.fenced(&state) {
            return Ok(Commit::Rebuild);
        }
        let moves = moves_of(&bundle.records);
        let read = (self.dealt(&state), moves);
        if self.outstanding.as_ref() != Some(&read) {
            return Ok(Commit::Revoked);
        }
        self.log.append_to(&mut state, outputs)?;
        for ((topic, partition), (_, to)) in read.1 {
            let place = (self.options.group.clone(), topic, partition);
            state.offsets.insert(place, to);
        }
        self.outstanding = None;
        Ok(Commit::Done)
    }

    fn assignment(&mut self) -> Result<Assignment, LogError> {
        let state = self.log.state();
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
        let next = state.offsets.get(&place).copied().unwrap_or(0);
        let (_, partitions) = state.partitions(topic)?;
        let found = usize::try_from(partition)
            .ok()
            .and_then(|at| partitions.get(at));
        Ok(found.is_some_and(|partition| next >= partition.end))
    }

    fn commit_between(
        &mut self,
        generation: u64,
        positions: &[Position],
        outputs: Vec<NewRecord>,
    ) -> Result<Commit, LogError> {
        shiren_log::check_positions(positions)?;
        let mut state = self.log.state();
        if self.fenced(&state) {
            return Ok(Commit::Rebuild);
        }
        if generation != self.generation(&state) {
            return Ok(Commit::Revoked);
        }
        self.log.append_to(&mut state, outputs)?;
        for at in positions {
            let place = (self.options.group.clone(), at.topic.clone(), at.partition);
            state.offsets.insert(place, at.next);
        }
        Ok(Commit::Done)
    }
}
