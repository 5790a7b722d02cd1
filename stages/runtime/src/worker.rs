//! One worker loop: poll, compute with no transaction open, commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry::Context;
use shiren_contract::invariants::{memory_within_budget, state_matches_offset};
use shiren_contract::stage::Arrival;
use shiren_log::{Bundle, Commit, Log, LogError, Record, Worker, WorkerOptions, kill_point};

use crate::between::{Between, Dropped, Pauses, begins, commit};
use crate::clock::Clock;
use crate::clock_check::ClockCheck;
use crate::computed::Computed;
use crate::crash_attempts::CrashAttempts;
use crate::dead_letter_limits::DeadLetterLimits;
use crate::drain::Drain;
use crate::emission::Emitter;
use crate::health::Phase;
use crate::keeper::{Keeper, Reached};
use crate::one_by_one::Became;
use crate::passage::{Taken, Timer};
use crate::resident::resident_bytes;
use crate::run::Summary;
use crate::runtime_error::RuntimeError;
use crate::segment::{Emission, Segment};
use crate::trace_context;
use crate::watch::Watch;

/// First pause before a log that did not answer is tried again; doubled each time.
const BACKOFF_START: Duration = Duration::from_millis(100);
/// Longest such pause.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Offset of what no record of the log gave rise to.
const NO_OFFSET: i64 = -1;

/// Bounds of a worker loop.
#[derive(Clone, Copy, Debug)]
pub struct WorkerBounds {
    /// Times one bundle is committed anew after a transaction was aborted, before the worker is rebuilt.
    pub commit_max_attempts: u32,
    /// Times in a row the worker is rebuilt without a commit between, before the process stops.
    pub rebuild_max_attempts: u32,
    /// Dead letters in a row before the process stops: something is wrong with all records.
    pub dead_letters_max_consecutive: u32,
    /// Largest share of dead letters among the last `dead_letters_window_records`.
    pub dead_letters_max_ratio: f64,
    /// Records over which the ratio is taken.
    pub dead_letters_window_records: usize,
    /// Deaths of the process on one record alone, after which it becomes a dead letter.
    pub crash_max_attempts: i32,
    /// Longest time of one stage with one record before the process is ended.
    pub record_max: Duration,
    /// Largest distance of the clock from append times, and from what the monotonic clock says, by which records are
    /// processed.
    pub clock_max_skew: Duration,
    /// Longest time with a clock that is off before the process stops.
    pub clock_max_off: Duration,
    /// Resident memory of the process beyond which it stops, MiB.
    pub max_resident_mib: u64,
    /// Least pause between two looks for timers of idle partitions.
    pub tick: Duration,
}

/// A worker loop, ready to run, or to be driven turn by turn.
pub struct WorkerLoop {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) options: WorkerOptions,
    pub(crate) segment: Segment,
    pub(crate) emitter: Emitter,
    pub(crate) bounds: WorkerBounds,
    pub(crate) drain: Drain,
    pub(crate) clock: Clock,
    pub(crate) partitions: HashMap<Arc<str>, i32>,
    pub(crate) keeper: Keeper,
    /// When idle partitions were last looked at.
    pub(crate) ticked: Instant,
    pub(crate) summary: Summary,
    pub(crate) limits: DeadLetterLimits,
    pub(crate) attempts: CrashAttempts,
    pub(crate) watch: Watch,
    pub(crate) clock_check: ClockCheck,
}

/// What one turn of a worker loop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There was nothing to do, or the assignment changed before it was done.
    Idle,
    /// Outputs were committed.
    Committed,
    /// A bundle was dropped: its partitions are another worker's.
    Revoked,
    /// The worker shall end.
    Drained,
    /// This end of the log must be dropped and opened anew, and why.
    Rebuild(&'static str),
}

impl WorkerLoop {
    /// Runs until drained. `ready` is called once the log has been opened.
    pub(crate) fn run(mut self, ready: impl FnOnce()) -> Result<Summary, RuntimeError> {
        let mut ready = Some(ready);
        let mut attempts = 0;
        let mut backoff = BACKOFF_START;
        loop {
            let committed = self.summary.bundles;
            let why = match self.open() {
                Ok(mut worker) => {
                    self.watch.opened(self.keeper.phase(&self.segment));
                    if let Some(ready) = ready.take() {
                        ready();
                    }
                    match self.session(worker.as_mut()) {
                        Ok(Turn::Rebuild(why)) => why.to_owned(),
                        Ok(_) => return Ok(self.summary),
                        Err(RuntimeError::Log(error @ LogError::Unavailable { .. })) => {
                            error.to_string()
                        }
                        Err(RuntimeError::Log(error @ LogError::Full { .. })) => {
                            // Space may take as long as it takes.
                            (attempts, backoff) = (0, BACKOFF_MAX);
                            error.to_string()
                        }
                        Err(error @ RuntimeError::Timer { .. }) => error.to_string(),
                        Err(error) => return Err(error),
                    }
                }
                Err(error @ LogError::Unavailable { .. }) => error.to_string(),
                Err(error) => return Err(error.into()),
            };
            if self.drain.requested() {
                return Ok(self.summary);
            }
            if self.summary.bundles > committed {
                (attempts, backoff) = (0, BACKOFF_START);
            }
            attempts += 1;
            if attempts > self.bounds.rebuild_max_attempts {
                return Err(RuntimeError::RebuildsOverLimit {
                    group: self.options.group,
                    attempts,
                    why,
                });
            }
            self.summary.rebuilds += 1;
            self.watch.rebuilt(&why);
            tracing::warn!(
                group = self.options.group,
                attempts,
                why,
                "the worker is built anew"
            );
            self.clock.wait(backoff, &|pause| self.drain.wait(pause));
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Opens the loop's end of the log; a predecessor of the same name is fenced. Nothing is remembered of the end before.
    ///
    /// # Errors
    /// As [`Log::worker`].
    pub fn open(&mut self) -> Result<Box<dyn Worker>, LogError> {
        self.keeper.forget(&mut self.segment);
        self.attempts.forget();
        self.clock_check.forget();
        self.log.worker(self.options.clone())
    }

    /// Turns until drained, or until the end of the log must be opened anew.
    fn session(&mut self, worker: &mut dyn Worker) -> Result<Turn, RuntimeError> {
        loop {
            let turn = self.turn(worker)?;
            if matches!(turn, Turn::Drained | Turn::Rebuild(_)) {
                return Ok(turn);
            }
        }
    }

    /// Polls, computes and commits once.
    ///
    /// # Errors
    /// As [`Runtime::run`](crate::Runtime::run).
    pub fn turn(&mut self, worker: &mut dyn Worker) -> Result<Turn, RuntimeError> {
        if self.drain.requested() {
            return Ok(Turn::Drained);
        }
        self.watch.turned(worker)?;
        let bundle = match self.clock_check.take_held() {
            Some(held) => Some(held),
            None => worker.next_bundle()?,
        };
        let bundle = match self.by_a_true_clock(bundle)? {
            Ok(bundle) => bundle,
            Err(turn) => return Ok(turn),
        };
        match bundle {
            Some(bundle) => self.bundle(worker, &bundle),
            None => self.idle(worker),
        }
    }

    /// One bundle: computed and committed, or dropped.
    fn bundle(&mut self, worker: &mut dyn Worker, bundle: &Bundle) -> Result<Turn, RuntimeError> {
        kill_point("polled");
        if !self.is_restored(worker, bundle.generation)? {
            return Ok(Turn::Idle);
        }
        if !self.watch.read(bundle) {
            let why = "a bundle that is not the one that is due";
            return Ok(Turn::Rebuild(why));
        }
        let computed = match self.compute(worker, bundle)? {
            Ok(computed) => computed,
            Err(dropped) => return self.drop_bundle(dropped),
        };
        kill_point("computed");
        let attempt = |outputs| worker.commit(bundle, outputs);
        let max_attempts = self.bounds.commit_max_attempts;
        let outputs = &computed.outputs;
        let commit = commit(&self.watch, &self.pauses(), max_attempts, attempt, outputs)?;
        self.settle(commit, Some(bundle), &computed)
    }

    /// What can be done before the next record comes.
    fn idle(&mut self, worker: &mut dyn Worker) -> Result<Turn, RuntimeError> {
        let generation = worker.assignment()?.generation;
        self.attempts.assigned(self.log.as_ref(), generation)?;
        self.tick(worker, generation)
    }

    /// Fires the timers of idle partitions.
    fn tick(&mut self, worker: &mut dyn Worker, generation: u64) -> Result<Turn, RuntimeError> {
        if !self.is_restored(worker, generation)?
            || !self.segment.is_keyed()
            || self.clock.instant().duration_since(self.ticked) < self.bounds.tick
        {
            return Ok(Turn::Idle);
        }
        self.ticked = self.clock.instant();
        let mut positions = Vec::new();
        let mut computed = Computed::default();
        for (source, event_time_us, position) in self.keeper.due(&self.segment) {
            // Records that wait have come before the timer.
            if !worker.at_end(&source.0, source.1)? {
                continue;
            }
            let now_us = self.clock.now_us();
            let mut between = Between {
                pauses: self.pauses(),
                worker: &mut *worker,
                keeper: &mut self.keeper,
                watch: &self.watch,
                commit_max_attempts: self.bounds.commit_max_attempts,
                generation,
                begins: Reached::new(),
                failed: None,
            };
            let made = self
                .segment
                .tick(&source, event_time_us, now_us, &mut between)?;
            let taken = match between.outcome(made)? {
                Ok(taken) => taken,
                Err(dropped) => return self.drop_bundle(dropped),
            };
            self.emit_timers(taken.timers, &mut computed)?;
            computed.reached.insert(source, position.next);
            positions.push(position);
        }
        if positions.is_empty() {
            return Ok(Turn::Idle);
        }
        let kept = self.keeper.records(&mut self.segment, &computed.reached)?;
        computed.outputs.extend(kept);
        let attempt = |outputs| worker.commit_between(generation, &positions, outputs);
        let max_attempts = self.bounds.commit_max_attempts;
        let outputs = &computed.outputs;
        let commit = commit(&self.watch, &self.pauses(), max_attempts, attempt, outputs)?;
        self.settle(commit, None, &computed)
    }

    /// Whether the state of this assignment is here; reads it where it is not. False when the assignment has changed
    /// meanwhile.
    fn is_restored(
        &mut self,
        worker: &mut dyn Worker,
        generation: u64,
    ) -> Result<bool, RuntimeError> {
        if !self.segment.is_keyed() || self.keeper.holds(generation) {
            return Ok(true);
        }
        let assignment = worker.assignment()?;
        self.watch.pulse().set(Phase::Restoring);
        let log = self.log.as_ref();
        let restored = self.keeper.restore(log, &mut self.segment, &assignment);
        if let Err(RuntimeError::StateElsewhere {
            state, committed, ..
        }) = &restored
        {
            self.watch.holds(state_matches_offset(*state, *committed));
        }
        restored?;
        self.watch.pulse().set(Phase::Ready);
        Ok(self.keeper.holds(generation))
    }

    /// What a commit came to.
    fn settle(
        &mut self,
        commit: Commit,
        bundle: Option<&Bundle>,
        computed: &Computed,
    ) -> Result<Turn, RuntimeError> {
        match commit {
            Commit::Done => {
                self.keeper.committed(&computed.reached);
                if let Some(bundle) = bundle {
                    self.attempts.committed(self.log.as_ref(), bundle)?;
                }
                let records = bundle.map_or(&[][..], |bundle| &bundle.records);
                self.watch
                    .committed(records, &computed.ends, computed.bad_trace_headers);
                self.count(records.len(), computed)?;
                self.check_memory()?;
                Ok(Turn::Committed)
            }
            other => self.drop_bundle(Dropped::NotKept(other)),
        }
    }

    /// As if it had not been read.
    fn drop_bundle(&mut self, dropped: Dropped) -> Result<Turn, RuntimeError> {
        match dropped {
            Dropped::Drained => Ok(Turn::Drained),
            Dropped::NotKept(Commit::Revoked) => {
                self.keeper.forget(&mut self.segment);
                tracing::info!(
                    group = self.options.group,
                    "the bundle's partitions were revoked; dropped"
                );
                Ok(Turn::Revoked)
            }
            Dropped::NotKept(_) => Ok(Turn::Rebuild("a commit whose outcome is unknown")),
        }
    }

    fn pauses(&self) -> Pauses {
        Pauses {
            drain: self.drain.clone(),
            clock: self.clock.clone(),
            pulse: self.watch.pulse(),
        }
    }

    /// Takes records of `bundle` through the segment.
    pub(crate) fn take(
        &mut self,
        bundle: &Bundle,
        records: Vec<(Arrival, Context)>,
        now_us: i64,
        worker: &mut dyn Worker,
    ) -> Result<Result<Taken, Dropped>, RuntimeError> {
        let mut between = Between {
            pauses: self.pauses(),
            worker,
            keeper: &mut self.keeper,
            watch: &self.watch,
            commit_max_attempts: self.bounds.commit_max_attempts,
            generation: bundle.generation,
            begins: begins(bundle),
            failed: None,
        };
        let made = self.segment.process_bundle(records, now_us, &mut between)?;
        between.outcome(made)
    }

    /// What the bundle becomes. No transaction is open but for intents.
    fn compute(
        &mut self,
        worker: &mut dyn Worker,
        bundle: &Bundle,
    ) -> Result<Result<Computed, Dropped>, RuntimeError> {
        let now_us = self.clock.now_us();
        let mut computed = Computed::default();
        let mut arrivals = Vec::with_capacity(bundle.records.len());
        for record in &bundle.records {
            let (context, bad) = trace_context::extract(&record.headers);
            computed.bad_trace_headers += u64::from(bad);
            arrivals.push((self.arrival(record)?, context));
            let source = (record.topic.clone(), record.partition);
            computed.reached.insert(source, record.offset + 1);
        }
        let became = if self.attempts.look_at(self.log.as_ref(), bundle)? {
            self.one_by_one(bundle, arrivals, now_us, worker)?
        } else {
            self.take(bundle, arrivals, now_us, worker)?.map(Became::of)
        };
        let became = match became {
            Ok(became) => became,
            Err(dropped) => return Ok(Err(dropped)),
        };
        for (record, (emissions, attempts)) in bundle.records.iter().zip(became.records) {
            computed.count(&emissions);
            let now_us = self.clock.now_us();
            let emitted = self.emitter.emit(record, emissions, attempts, now_us)?;
            computed.outputs.extend(emitted.records);
            computed.ends.extend(emitted.ends);
        }
        self.emit_timers(became.timers, &mut computed)?;
        let kept = self.keeper.records(&mut self.segment, &computed.reached)?;
        computed.outputs.extend(kept);
        Ok(Ok(computed))
    }

    fn emit_timers(
        &self,
        timers: Vec<(Timer, Vec<Emission>)>,
        computed: &mut Computed,
    ) -> Result<(), RuntimeError> {
        for (timer, emissions) in timers {
            computed.count(&emissions);
            let origin = Record {
                topic: timer.topic,
                partition: timer.partition,
                offset: NO_OFFSET,
                append_time_us: timer.due_us,
                key: Some(Bytes::copy_from_slice(timer.key.as_bytes())),
                value: None,
                headers: Vec::new(),
            };
            let emitted = self
                .emitter
                .emit(&origin, emissions, 0, self.clock.now_us())?;
            computed.outputs.extend(emitted.records);
            computed.ends.extend(emitted.ends);
        }
        Ok(())
    }

    fn count(&mut self, records: usize, computed: &Computed) -> Result<(), RuntimeError> {
        self.summary.bundles += 1;
        self.summary.records += records as u64;
        self.summary.verdicts += computed.verdicts;
        for dead in &computed.dead {
            self.summary.dead_letters += u64::from(*dead);
            self.limits.count(*dead, &self.bounds);
        }
        self.summary.absorbed += computed.absorbed;
        self.summary.bad_trace_headers += computed.bad_trace_headers;
        self.limits.check(&self.options.group, &self.bounds)
    }

    /// After a commit, so that nothing is done twice for it. A worker that outgrows its bound would be ended by
    /// the kernel at a moment of its choice, perhaps with its neighbours.
    fn check_memory(&self) -> Result<(), RuntimeError> {
        let max_mib = self.bounds.max_resident_mib;
        let resident_mib = resident_bytes().unwrap_or(0).div_ceil(1024 * 1024);
        if !self
            .watch
            .holds(memory_within_budget(resident_mib, max_mib))
        {
            return Err(RuntimeError::MemoryOverBudget {
                group: self.options.group.clone(),
                resident_mib,
                max_mib,
            });
        }
        Ok(())
    }

    fn arrival(&mut self, record: &Record) -> Result<Arrival, RuntimeError> {
        let partitions = match self.partitions.get(&record.topic) {
            Some(partitions) => *partitions,
            None => {
                let found =
                    self.log
                        .partitions(&record.topic)?
                        .ok_or_else(|| LogError::UnknownTopic {
                            topic: record.topic.to_string(),
                        })?;
                self.partitions.insert(record.topic.clone(), found);
                found
            }
        };
        Ok(Arrival {
            topic: record.topic.clone(),
            partition: record.partition,
            partitions,
            offset: record.offset,
            append_time_us: record.append_time_us,
            key: record.key.clone(),
            value: record.value.clone(),
        })
    }
}
