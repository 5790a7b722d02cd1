//! The consume-transform-produce end of the log in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use shiren_log::{Bundle, Commit, LogError, NewRecord, Record, Worker, WorkerOptions};

use crate::memory_log::{MemoryLog, State, now};

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

    fn assignment(&self, state: &State) -> u32 {
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

    fn read(&self, state: &State) -> Result<Vec<Record>, LogError> {
        let turned = self.assignment(state);
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
                self.outstanding = Some((self.assignment(&state), moves_of(&records)));
                return Ok(Some(Bundle {
                    records,
                    generation: self.generation,
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
        let read = (self.assignment(&state), moves);
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
}
