//! The log's port with faults in between, and a watch on what is read and committed.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use shiren_contract::invariants::{
    Progress, Violation, memory_within_budget, no_verdict_past_deadline,
};
use shiren_log::{
    Applied, Assignment, Bundle, Commit, Log, LogError, NewRecord, Partitions, Position, Publisher,
    Reader, Record, Start, TopicSpec, TopicState, Worker, WorkerOptions,
};
use shiren_schemas::records::{Decision, Verdict};
use shiren_schemas::{Id, Wire, ids};

use crate::memory_log::{MemoryLog, Place};
use crate::memory_worker::{Ending, MemoryWorker, Work, moves_of, size};
use crate::plan::{CommitFault, Mutation, Plan, crash};
use crate::site::mutate_verdicts;

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
    read: HashSet<(Place, i64)>,
    /// Deadlines of cases that have one, milliseconds after they were received.
    deadlines_ms: BTreeMap<Id, i32>,
    /// Commits of workers that no longer have the partitions: a mutation lets them through.
    stale: Vec<Stale>,
}

struct Stale {
    outputs: Vec<NewRecord>,
    offsets: Vec<(Place, i64)>,
}

impl FaultyLog {
    pub(crate) fn new(
        memory: MemoryLog,
        plan: Plan,
        mutation: Option<Mutation>,
        deadlines_ms: BTreeMap<Id, i32>,
    ) -> Self {
        Self {
            memory,
            plan,
            mutation,
            watch: Arc::new(Mutex::new(Watch {
                progress: Progress::new(true),
                violation: None,
                read: HashSet::new(),
                deadlines_ms,
                stale: Vec::new(),
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

    /// Notes the first.
    pub(crate) fn violated(&self, found: Option<Violation>) {
        self.watch(|watch| watch.violation = watch.violation.take().or(found));
    }

    /// The oldest open transaction ends, and what a mutation let through is written.
    pub(crate) fn land_late(&self) -> Result<(), LogError> {
        self.memory.state().resolve_oldest();
        let stale = self.watch(|watch| std::mem::take(&mut watch.stale));
        for Stale { outputs, offsets } in stale {
            self.memory.append(outputs)?;
            self.memory.state().offsets.extend(offsets);
        }
        Ok(())
    }

    /// Takes note of transactions that ended late.
    fn take_landed(&self) {
        let landed = std::mem::take(&mut self.memory.state().landed);
        let landed = self.ranked(&landed);
        self.watch(|watch| {
            let landed = landed.iter().map(|(place, rank)| (place, *rank));
            watch.progress.committed(landed);
        });
    }

    /// Records by how many stand before them in their partition: what was aborted leaves no gap.
    fn ranked(&self, records: &[(Place, i64)]) -> Vec<(Place, i64)> {
        let state = self.memory.state();
        let rank = |(place, offset): &(Place, i64)| {
            let partition = state.partitions(&place.1).ok().and_then(|(_, all)| {
                let at = usize::try_from(place.2).ok()?;
                all.get(at)
            });
            let rank = partition.map_or(*offset, |partition| partition.rank(*offset));
            (place.clone(), rank)
        };
        records.iter().map(rank).collect()
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
            inner: MemoryWorker::open(self.memory.clone(), inner)?,
            log: self.clone(),
            options,
            polled_us: 0,
        }))
    }
}

struct FaultyWorker {
    inner: MemoryWorker,
    log: FaultyLog,
    options: WorkerOptions,
    /// When its last bundle was read, by the log's clock.
    polled_us: i64,
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
        self.log.memory.state().landed.extend(self.places(bundle));
        self.log.take_landed();
    }

    /// Cases are decided by the time at which their bundle began, which is not before it was read.
    fn check_deadlines(&self, outputs: &[NewRecord]) {
        let topic = crate::simulation::verdicts().to_string();
        for record in outputs.iter().filter(|record| *record.topic == *topic) {
            let value = record.value.as_deref().unwrap_or_default();
            let Ok(verdict) = Verdict::decode(value) else {
                continue;
            };
            let case = verdict.canonical.case_id;
            let ms = self
                .log
                .watch(|watch| watch.deadlines_ms.get(&case).copied());
            let deadline = ms.map(|ms| verdict.observed.received_time + i64::from(ms) * 1_000);
            let decision = verdict.canonical.decision;
            let held = no_verdict_past_deadline(decision, self.polled_us, deadline);
            self.log.violated(held.err());
        }
    }

    /// As the engine does it, and as a mutation would.
    fn write(
        &mut self,
        work: &Work<'_>,
        mut outputs: Vec<NewRecord>,
        ending: Ending,
    ) -> Result<Commit, LogError> {
        let between = matches!(work, Work::Between(..));
        if between && self.log.mutation == Some(Mutation::IntentNotWritten) {
            outputs.clear();
        }
        let (Some(mutation), Work::Bundle(bundle)) = (self.log.mutation, work) else {
            let done = self.inner.write(work, outputs, ending)?;
            self.log.take_landed();
            return Ok(done);
        };
        let sometimes = self.log.plan.below(4) == 0;
        match mutation {
            Mutation::OffsetsBeforeOutputs => {
                self.move_offsets(bundle, 0);
                if sometimes {
                    self.committed(bundle);
                    self.log.plan.state().injected.crashes += 1;
                    crash();
                }
            }
            Mutation::OutputsDropped if sometimes => outputs.clear(),
            Mutation::StateNotWritten if sometimes => {
                outputs.retain(|record| !record.topic.starts_with("shiren.state."));
            }
            Mutation::VerdictIdDiffers => mutate_verdicts(&mut outputs, |verdict| {
                verdict.verdict_id = ids::verdict(verdict.verdict_id);
            }),
            // Behind the runtime's guard, which would make an error of it.
            Mutation::AcceptOnFailure => mutate_verdicts(&mut outputs, |verdict| {
                verdict.decision = Decision::Accept;
            }),
            _ => {}
        }
        let done = self.inner.write(work, outputs.clone(), ending)?;
        self.log.take_landed();
        if mutation == Mutation::CommitAfterRevocation && done == Commit::Revoked {
            let group = &self.options.group;
            let moves = moves_of(&bundle.records).into_iter();
            let offsets = moves
                .map(|((topic, partition), (_, to))| ((group.clone(), topic, partition), to))
                .collect();
            let stale = Stale { outputs, offsets };
            self.log.watch(|watch| watch.stale.push(stale));
            return Ok(done);
        }
        if mutation == Mutation::OffsetSkips && done == Commit::Done {
            self.move_offsets(bundle, 1);
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

impl FaultyWorker {
    fn faulty(&mut self, work: &Work<'_>, outputs: Vec<NewRecord>) -> Result<Commit, LogError> {
        let Some(fault) = self.log.plan.commit() else {
            return self.write(work, outputs, Ending::Now);
        };
        match fault {
            CommitFault::Retry => Ok(Commit::Retry),
            CommitFault::UnknownLanded => {
                self.write(work, outputs, Ending::Now)?;
                Ok(Commit::Rebuild)
            }
            CommitFault::UnknownNotLanded => Ok(Commit::Rebuild),
            CommitFault::UnknownLate { accepted } => {
                self.write(work, outputs, Ending::Late { accepted })
            }
            CommitFault::CrashBefore => crash(),
            CommitFault::CrashAfter => {
                self.write(work, outputs, Ending::Now)?;
                crash()
            }
            CommitFault::Revoked => {
                self.log.memory.rebalance(&self.options.group);
                self.write(work, outputs, Ending::Now)
            }
            CommitFault::Unavailable => Err(LogError::Unavailable {
                engine: "memory",
                what: "it does not answer".to_owned(),
            }),
        }
    }
}

impl Worker for FaultyWorker {
    fn next_bundle(&mut self) -> Result<Option<Bundle>, LogError> {
        let Some(mut bundle) = self.inner.next_bundle()? else {
            return Ok(None);
        };
        self.polled_us = self.log.memory.now_us();
        self.log.take_landed();
        let places = self.log.ranked(&self.places(&bundle));
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
        self.check_deadlines(&outputs);
        self.faulty(&Work::Bundle(bundle), outputs)
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
        shiren_log::check_positions(positions)?;
        self.faulty(&Work::Between(generation, positions), outputs)
    }
}
