//! One worker loop: poll, compute with no transaction open, commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use shiren_contract::stage::Arrival;
use shiren_log::{
    Bundle, Commit, Log, LogError, NewRecord, Record, Worker, WorkerOptions, kill_point,
};

use crate::crash_attempts::CrashAttempts;
use crate::dead_letter_limits::DeadLetterLimits;
use crate::emission::Emitter;
use crate::now_us;
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
    /// Largest share of dead letters among the last `dead_letters_window_records`.
    pub dead_letters_max_ratio: f64,
    /// Records over which the ratio is taken.
    pub dead_letters_window_records: usize,
    /// Deaths of the process on one record alone, after which it becomes a dead letter.
    pub crash_max_attempts: i32,
    /// Longest time of one stage with one record before the process is ended.
    pub record_max: Duration,
    /// Resident memory of the process beyond which it stops, MiB.
    pub max_resident_mib: u64,
}

/// A worker loop, ready to run.
pub(crate) struct WorkerLoop {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) options: WorkerOptions,
    pub(crate) segment: Segment,
    pub(crate) emitter: Emitter,
    pub(crate) bounds: WorkerBounds,
    pub(crate) drain: Drain,
    pub(crate) partitions: HashMap<Arc<str>, i32>,
    pub(crate) summary: Summary,
    pub(crate) limits: DeadLetterLimits,
    pub(crate) attempts: CrashAttempts,
}

/// How one end of the log was left.
enum Left {
    Drained,
    Rebuild,
}

/// What a bundle became.
struct Computed {
    outputs: Vec<NewRecord>,
    /// By record: whether it became a dead letter.
    dead: Vec<bool>,
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
        self.dead.push(dead);
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
            let why = match self.log.worker(self.options.clone()) {
                Ok(mut worker) => {
                    if let Some(ready) = ready.take() {
                        ready();
                    }
                    match self.session(worker.as_mut()) {
                        Ok(Left::Drained) => return Ok(self.summary),
                        Ok(Left::Rebuild) => "a commit whose outcome is unknown".to_owned(),
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
            self.drain.wait(backoff);
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    fn session(&mut self, worker: &mut dyn Worker) -> Result<Left, RuntimeError> {
        self.attempts.forget();
        loop {
            if self.drain.requested() {
                return Ok(Left::Drained);
            }
            let Some(bundle) = worker.next_bundle()? else {
                continue;
            };
            kill_point("polled");
            let Some(computed) = self.compute(&bundle)? else {
                return Ok(Left::Drained);
            };
            kill_point("computed");
            match self.commit(worker, &bundle, &computed.outputs)? {
                Commit::Done => {
                    self.attempts.committed(self.log.as_ref(), &bundle)?;
                    self.count(&bundle, &computed)?;
                    self.check_memory()?;
                }
                Commit::Revoked => {
                    tracing::info!(
                        group = self.options.group,
                        "the bundle's partitions were revoked; dropped"
                    );
                }
                Commit::Retry | Commit::Rebuild => return Ok(Left::Rebuild),
            }
        }
    }

    /// Takes the records of the bundle through the segment. No transaction is open. `None` when the worker drains while
    /// a dependency is awaited.
    fn compute(&mut self, bundle: &Bundle) -> Result<Option<Computed>, RuntimeError> {
        let now_us = now_us();
        let mut computed = Computed {
            outputs: Vec::with_capacity(bundle.records.len() * 2),
            dead: Vec::with_capacity(bundle.records.len()),
            verdicts: 0,
            bad_trace_headers: 0,
        };
        let mut arrivals = Vec::with_capacity(bundle.records.len());
        for record in &bundle.records {
            let (context, bad) = trace_context::extract(&record.headers);
            computed.bad_trace_headers += u64::from(bad);
            arrivals.push((self.arrival(record)?, context));
        }
        let drain = self.drain.clone();
        let wait = move |pause| {
            drain.wait(pause);
            drain.requested()
        };
        let became = if self.attempts.look_at(self.log.as_ref(), bundle)? {
            self.one_by_one(bundle, arrivals, now_us, &wait)?
        } else {
            let made = self.segment.process_bundle(arrivals, now_us, &wait)?;
            made.map(|made| made.into_iter().map(|emissions| (emissions, 0)).collect())
        };
        let Some(became) = became else {
            return Ok(None);
        };
        for (record, (emissions, attempts)) in bundle.records.iter().zip(became) {
            computed.count(&emissions);
            let now_us = crate::now_us();
            let records = self
                .emitter
                .records_after(record, emissions, attempts, now_us)?;
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
        for dead in &computed.dead {
            self.summary.dead_letters += u64::from(*dead);
            self.limits.count(*dead, &self.bounds);
        }
        self.summary.bad_trace_headers += computed.bad_trace_headers;
        self.limits.check(&self.options.group, &self.bounds)
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
