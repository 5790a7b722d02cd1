//! The log's port with faults in between, and a watch on what is read and committed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use shiren_contract::invariants::{Progress, Violation, memory_within_budget};
use shiren_log::{
    Applied, Assignment, Bundle, Commit, Log, LogError, NewRecord, Partitions, Position, Publisher,
    Reader, Record, Start, TopicSpec, TopicState, Worker, WorkerOptions,
};

use crate::memory_log::{MemoryLog, Place};
use crate::memory_worker::{moves_of, size};
use crate::plan::{CommitFault, Mutation, Plan, crash};

/// What the runs of one seed share. Clones share it.
#[derive(Clone)]
pub(crate) struct FaultyLog {
    pub(crate) memory: MemoryLog,
    plan: Plan,
    mutation: Option<Mutation>,
    watch: Arc<Mutex<Watch>>,
}

struct Watch {
    progress: Progress<Place>,
    violation: Option<Violation>,
    /// Transactions that are neither committed nor aborted yet.
    late: Vec<Vec<NewRecord>>,
    read: HashSet<(Place, i64)>,
}

impl FaultyLog {
    pub(crate) fn new(memory: MemoryLog, plan: Plan, mutation: Option<Mutation>) -> Self {
        Self {
            memory,
            plan,
            mutation,
            watch: Arc::new(Mutex::new(Watch {
                progress: Progress::new(true),
                violation: None,
                late: Vec::new(),
                read: HashSet::new(),
            })),
        }
    }

    fn watch<T>(&self, look: impl FnOnce(&mut Watch) -> T) -> T {
        look(&mut self.watch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first invariant that did not hold.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.watch(|watch| watch.violation.clone())
    }

    /// One commit that was given up for lost is written after all. Its offsets are not: the successor began at the
    /// committed ones, and commits its own.
    pub(crate) fn land_late(&self) -> Result<(), LogError> {
        let late = self.watch(|watch| watch.late.pop());
        late.map_or(Ok(()), |outputs| self.memory.append(outputs))
    }
}

impl Log for FaultyLog {
    fn engine(&self) -> &'static str {
        self.memory.engine()
    }

    fn apply_topics(&self, topics: &[TopicSpec]) -> Result<Vec<Applied>, LogError> {
        self.memory.apply_topics(topics)
    }

    fn partitions(&self, topic: &str) -> Result<Partitions, LogError> {
        self.memory.partitions(topic)
    }

    fn describe(&self, topic: &str) -> Result<Option<TopicState>, LogError> {
        self.memory.describe(topic)
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError> {
        self.memory.publisher()
    }

    fn reader(&self, topic: &str, start: Start) -> Result<Box<dyn Reader>, LogError> {
        self.memory.reader(topic, start)
    }

    fn read_at(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Record>, LogError> {
        self.memory.read_at(topic, partition, offset)
    }

    fn read_partitions(
        &self,
        topic: &str,
        partitions: &[i32],
        each: &mut dyn FnMut(Record),
    ) -> Result<(), LogError> {
        self.memory.read_partitions(topic, partitions, each)
    }

    fn worker(&self, options: WorkerOptions) -> Result<Box<dyn Worker>, LogError> {
        let mut inner = options.clone();
        if self.mutation == Some(Mutation::BundleUnbounded) {
            inner.bundle_max_bytes = usize::MAX;
        }
        Ok(Box::new(FaultyWorker {
            inner: self.memory.worker(inner)?,
            log: self.clone(),
            options,
        }))
    }
}

struct FaultyWorker {
    inner: Box<dyn Worker>,
    log: FaultyLog,
    options: WorkerOptions,
}

impl FaultyWorker {
    fn places(&self, bundle: &Bundle) -> Vec<(Place, i64)> {
        let group = &self.options.group;
        let place = |record: &shiren_log::Record| {
            let place = (group.clone(), record.topic.clone(), record.partition);
            (place, record.offset)
        };
        bundle.records.iter().map(place).collect()
    }

    fn committed(&self, bundle: &Bundle) {
        let places = self.places(bundle);
        self.log.watch(|watch| {
            watch
                .progress
                .committed(places.iter().map(|(place, offset)| (place, *offset)));
        });
    }

    /// As the engine does it, and as a mutation would.
    fn write(&mut self, bundle: &Bundle, mut outputs: Vec<NewRecord>) -> Result<Commit, LogError> {
        let mutation = self.log.mutation;
        if mutation == Some(Mutation::OffsetsBeforeOutputs) {
            self.move_offsets(bundle, 0);
            if self.log.plan.below(4) == 0 {
                self.committed(bundle);
                self.log.plan.state().injected.crashes += 1;
                crash();
            }
        }
        if mutation == Some(Mutation::OutputsDropped) && self.log.plan.below(4) == 0 {
            outputs.clear();
        }
        let mut done = self.inner.commit(bundle, outputs.clone())?;
        if mutation == Some(Mutation::CommitAfterRevocation) && done == Commit::Revoked {
            self.log.memory.append(outputs)?;
            self.move_offsets(bundle, 0);
            done = Commit::Done;
        }
        if done == Commit::Done {
            if mutation == Some(Mutation::OffsetSkips) {
                self.move_offsets(bundle, 1);
            }
            self.committed(bundle);
        }
        Ok(done)
    }

    fn move_offsets(&self, bundle: &Bundle, too_far: i64) {
        let mut state = self.log.memory.state();
        for ((topic, partition), (_, to)) in moves_of(&bundle.records) {
            let end = state
                .partitions(&topic)
                .ok()
                .and_then(|(_, all)| Some(all.get(usize::try_from(partition).ok()?)?.end));
            let to = (to + too_far).min(end.unwrap_or(to));
            let place = (self.options.group.clone(), topic, partition);
            state.offsets.insert(place, to);
        }
    }
}

impl Worker for FaultyWorker {
    fn next_bundle(&mut self) -> Result<Option<Bundle>, LogError> {
        let Some(mut bundle) = self.inner.next_bundle()? else {
            return Ok(None);
        };
        let places = self.places(&bundle);
        let bytes: usize = bundle.records.iter().map(size).sum();
        let budget = self.options.bundle_max_bytes as u64;
        let single = bundle.records.len() == 1;
        let again: Vec<bool> = self.log.watch(|watch| {
            let read = places.iter().map(|(place, offset)| (place, *offset));
            let mut found = watch.progress.read(read).err();
            if !single {
                found = found.or(memory_within_budget(bytes as u64, budget).err());
            }
            watch.violation = watch.violation.take().or(found);
            places
                .iter()
                .map(|place| !watch.read.insert(place.clone()))
                .collect()
        });
        if self.log.mutation == Some(Mutation::RerunDiffers) {
            crate::site::mark(&mut bundle.records, &again);
        }
        Ok(Some(bundle))
    }

    fn commit(&mut self, bundle: &Bundle, outputs: Vec<NewRecord>) -> Result<Commit, LogError> {
        let Some(fault) = self.log.plan.commit() else {
            return self.write(bundle, outputs);
        };
        match fault {
            CommitFault::Retry => Ok(Commit::Retry),
            CommitFault::UnknownLanded => {
                self.write(bundle, outputs)?;
                Ok(Commit::Rebuild)
            }
            CommitFault::UnknownNotLanded => Ok(Commit::Rebuild),
            CommitFault::UnknownLate => {
                self.log.watch(|watch| watch.late.push(outputs));
                Ok(Commit::Rebuild)
            }
            CommitFault::CrashBefore => crash(),
            CommitFault::CrashAfter => {
                self.write(bundle, outputs)?;
                crash()
            }
            CommitFault::Revoked => {
                self.log.memory.rebalance(&self.options.group);
                self.write(bundle, outputs)
            }
            CommitFault::Unavailable => Err(LogError::Unavailable {
                engine: "memory",
                what: "it does not answer".to_owned(),
            }),
        }
    }

    fn assignment(&mut self) -> Result<Assignment, LogError> {
        self.inner.assignment()
    }

    fn at_end(&mut self, topic: &str, partition: i32) -> Result<bool, LogError> {
        self.inner.at_end(topic, partition)
    }

    fn commit_between(
        &mut self,
        generation: u64,
        positions: &[Position],
        outputs: Vec<NewRecord>,
    ) -> Result<Commit, LogError> {
        self.inner.commit_between(generation, positions, outputs)
    }
}
