//! One worker loop: poll, compute with no transaction open, commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use shiren_contract::stage::Arrival;
use shiren_log::{
    Bundle, Commit, Log, LogError, NewRecord, Record, Worker, WorkerOptions, kill_point,
};

use crate::clock::Clock;
use crate::emission::Emitter;
use crate::resident::resident_bytes;
use crate::run::{Drain, RuntimeError, Summary};
use crate::segment::{Emission, Segment};
use crate::trace_context;

/// First pause before a log that did not answer is tried again; doubled each time.
const BACKOFF_START: Duration = Duration::from_millis(100);
/// Longest such pause.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Bounds of a worker loop.
#[derive(Clone, Copy, Debug)]
pub struct WorkerBounds {
    /// Times one bundle is committed anew after a transaction was aborted, before the worker is rebuilt.
    pub commit_max_attempts: u32,
    /// Times in a row the worker is rebuilt without a commit between, before the process stops.
    pub rebuild_max_attempts: u32,
    /// Dead letters in a row before the process stops: something is wrong with all records.
    pub dead_letters_max_consecutive: u32,
    /// Resident memory of the process beyond which it stops, MiB.
    pub max_resident_mib: u64,
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
    pub(crate) summary: Summary,
    pub(crate) dead_letters_in_a_row: u32,
}

/// What one turn of a worker loop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There was nothing to read.
    Idle,
    /// A bundle was committed.
    Committed,
    /// A bundle was dropped: its partitions are another worker's.
    Revoked,
    /// The worker shall end.
    Drained,
    /// The outcome of a commit is not known: this end of the log must be dropped and opened anew.
    Rebuild,
}

/// What a bundle became.
struct Computed {
    outputs: Vec<NewRecord>,
    dead_letters_in_a_row: u32,
    dead_letters: u64,
    verdicts: u64,
    bad_trace_headers: u64,
}

impl Computed {
    /// Counts what one record became.
    fn count(&mut self, emissions: &[Emission]) {
        let dead = emissions.iter().any(|emission| match emission {
            Emission::Dead { .. } => true,
            Emission::Closed { terminal, .. } => terminal.dead_letter,
            Emission::Forward { .. } => false,
        });
        self.dead_letters += u64::from(dead);
        self.dead_letters_in_a_row = if dead {
            self.dead_letters_in_a_row + 1
        } else {
            0
        };
        let closed = emissions
            .iter()
            .filter(|e| matches!(e, Emission::Closed { .. }))
            .count();
        self.verdicts += closed as u64;
    }
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
                    if let Some(ready) = ready.take() {
                        ready();
                    }
                    match self.session(worker.as_mut()) {
                        Ok(Turn::Drained) => return Ok(self.summary),
                        Ok(_) => "a commit whose outcome is unknown".to_owned(),
                        Err(RuntimeError::Log(error @ LogError::Unavailable { .. })) => {
                            error.to_string()
                        }
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

    /// Opens the loop's end of the log; a predecessor of the same name is fenced.
    ///
    /// # Errors
    /// As [`Log::worker`].
    pub fn open(&self) -> Result<Box<dyn Worker>, LogError> {
        self.log.worker(self.options.clone())
    }

    /// Turns until drained, or until the end of the log must be opened anew.
    fn session(&mut self, worker: &mut dyn Worker) -> Result<Turn, RuntimeError> {
        loop {
            let turn = self.turn(worker)?;
            if matches!(turn, Turn::Drained | Turn::Rebuild) {
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
        let Some(bundle) = worker.next_bundle()? else {
            return Ok(Turn::Idle);
        };
        kill_point("polled");
        let Some(computed) = self.compute(&bundle)? else {
            return Ok(Turn::Drained);
        };
        kill_point("computed");
        match self.commit(worker, &bundle, &computed.outputs)? {
            Commit::Done => {
                self.count(&bundle, &computed)?;
                self.check_memory()?;
                Ok(Turn::Committed)
            }
            Commit::Revoked => {
                tracing::info!(
                    group = self.options.group,
                    "the bundle's partitions were revoked; dropped"
                );
                Ok(Turn::Revoked)
            }
            Commit::Retry | Commit::Rebuild => Ok(Turn::Rebuild),
        }
    }

    /// Takes the records of the bundle through the segment. No transaction is open. `None` when the worker drains while
    /// a dependency is awaited.
    fn compute(&mut self, bundle: &Bundle) -> Result<Option<Computed>, RuntimeError> {
        let now_us = self.clock.now_us();
        let mut computed = Computed {
            outputs: Vec::with_capacity(bundle.records.len() * 2),
            dead_letters_in_a_row: self.dead_letters_in_a_row,
            dead_letters: 0,
            verdicts: 0,
            bad_trace_headers: 0,
        };
        let mut arrivals = Vec::with_capacity(bundle.records.len());
        for record in &bundle.records {
            let (context, bad) = trace_context::extract(&record.headers);
            computed.bad_trace_headers += u64::from(bad);
            arrivals.push((self.arrival(record)?, context));
        }
        let (drain, clock) = (self.drain.clone(), self.clock.clone());
        let wait = move |pause| {
            clock.wait(pause, &|pause| drain.wait(pause));
            drain.requested()
        };
        let Some(emissions) = self.segment.process_bundle(arrivals, now_us, &wait)? else {
            return Ok(None);
        };
        for (record, emissions) in bundle.records.iter().zip(emissions) {
            computed.count(&emissions);
            let records = self
                .emitter
                .records(record, emissions, self.clock.now_us())?;
            computed.outputs.extend(records);
        }
        Ok(Some(computed))
    }

    /// The outputs do not change between attempts: stages are pure and ids are derived.
    fn commit(
        &self,
        worker: &mut dyn Worker,
        bundle: &Bundle,
        outputs: &[NewRecord],
    ) -> Result<Commit, RuntimeError> {
        for _ in 0..self.bounds.commit_max_attempts {
            let commit = worker.commit(bundle, outputs.to_vec())?;
            if commit != Commit::Retry {
                return Ok(commit);
            }
        }
        Ok(Commit::Rebuild)
    }

    fn count(&mut self, bundle: &Bundle, computed: &Computed) -> Result<(), RuntimeError> {
        self.summary.bundles += 1;
        self.summary.records += bundle.records.len() as u64;
        self.summary.verdicts += computed.verdicts;
        self.summary.dead_letters += computed.dead_letters;
        self.summary.bad_trace_headers += computed.bad_trace_headers;
        self.dead_letters_in_a_row = computed.dead_letters_in_a_row;
        let max = self.bounds.dead_letters_max_consecutive;
        if self.dead_letters_in_a_row > max {
            return Err(RuntimeError::DeadLettersOverLimit {
                group: self.options.group.clone(),
                max,
            });
        }
        Ok(())
    }

    /// After a commit, so that nothing is done twice for it. A worker that outgrows its bound would be ended by
    /// the kernel at a moment of its choice, perhaps with its neighbours.
    fn check_memory(&self) -> Result<(), RuntimeError> {
        let max_mib = self.bounds.max_resident_mib;
        let resident_mib = resident_bytes().unwrap_or(0).div_ceil(1024 * 1024);
        if resident_mib > max_mib {
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
