//! What is committed while a bundle is under way, and how its dependency is waited for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shiren_log::{Bundle, Commit, LogError, NewRecord, Position, Worker};

use crate::clock::Clock;
use crate::drain::Drain;
use crate::health::{Phase, Pulse};
use crate::keeper::{Keeper, Reached};
use crate::runtime_error::RuntimeError;
use crate::segment::Meanwhile;
use crate::states::{Source, StateChange};
use crate::watch::Watch;

/// First pause before a full log is tried again; doubled each time.
const FULL_BACKOFF_START: Duration = Duration::from_millis(100);
/// Longest such pause.
const FULL_BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Commits up to `max_attempts` times while the transaction was aborted and may be repeated. The outputs do not change
/// between attempts: stages are pure and ids are derived. While the log is full it waits: the bundle stays, so no model
/// runs anew and nobody is asked again. [`Commit::Rebuild`] when the worker drains meanwhile.
pub(crate) fn commit(
    watch: &Watch,
    pauses: &Pauses,
    max_attempts: u32,
    mut attempt: impl FnMut(Vec<NewRecord>) -> Result<Commit, LogError>,
    outputs: &[NewRecord],
) -> Result<Commit, RuntimeError> {
    let started = Instant::now();
    let mut commit = Commit::Rebuild;
    let (mut attempts, mut full) = (0, None);
    while attempts < max_attempts {
        let tried = attempt(outputs.to_vec());
        watch.tried(&tried);
        if let Err(error @ LogError::Full { .. }) = &tried {
            let backoff = full.unwrap_or(FULL_BACKOFF_START);
            full = Some((backoff * 2).min(FULL_BACKOFF_MAX));
            if pauses.wait_for_space(error, backoff) {
                return Ok(Commit::Rebuild);
            }
            continue;
        }
        commit = tried?;
        attempts += 1;
        if commit != Commit::Retry {
            break;
        }
    }
    if full.is_some() {
        pauses.pulse.because("");
        pauses.pulse.set(Phase::Ready);
    }
    watch
        .instruments
        .commit_took(started.elapsed().as_secs_f64());
    Ok(commit)
}

/// Pauses of a worker, which end when it drains.
pub(crate) struct Pauses {
    pub(crate) drain: Drain,
    pub(crate) clock: Clock,
    pub(crate) pulse: Arc<Pulse>,
}

impl Pauses {
    /// Pauses at most so long, and says whether the worker drains.
    pub(crate) fn wait(&self, pause: Duration) -> bool {
        // It waits, it does not hang.
        self.pulse.turn();
        self.clock.wait(pause, &|pause| self.drain.wait(pause));
        self.drain.requested()
    }

    /// As [`Pauses::wait`], unready meanwhile.
    fn wait_for_space(&self, error: &LogError, pause: Duration) -> bool {
        tracing::warn!(%error, "a bundle is kept until there is space");
        self.pulse.because(&error.to_string());
        self.pulse.set(Phase::Starting);
        self.wait(pause)
    }
}

/// A worker between the reading of a bundle and its commit.
pub(crate) struct Between<'a> {
    pub(crate) worker: &'a mut dyn Worker,
    pub(crate) keeper: &'a mut Keeper,
    pub(crate) watch: &'a Watch,
    pub(crate) pauses: Pauses,
    pub(crate) commit_max_attempts: u32,
    pub(crate) generation: u64,
    /// Where the bundle begins, by partition.
    pub(crate) begins: Reached,
    /// Why an intent was not committed.
    pub(crate) failed: Option<Result<Commit, RuntimeError>>,
}

/// Why a bundle is dropped before its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// The worker drains while a dependency is awaited.
    Drained,
    /// An intent was not committed.
    NotKept(Commit),
}

impl Between<'_> {
    /// What the segment made of the bundle, or why it made nothing.
    pub(crate) fn outcome<T>(self, made: Option<T>) -> Result<Result<T, Dropped>, RuntimeError> {
        match (made, self.failed) {
            (Some(made), _) => Ok(Ok(made)),
            (None, Some(failed)) => Ok(Err(Dropped::NotKept(failed?))),
            (None, None) => Ok(Err(Dropped::Drained)),
        }
    }

    fn commit(
        &mut self,
        stage: &'static str,
        changes: Vec<StateChange>,
        sources: &BTreeSet<Source>,
    ) -> Result<Commit, RuntimeError> {
        let mut reached = Reached::new();
        for source in sources {
            let committed = self.keeper.committed_offset(source);
            // A partition that is not this worker's any more.
            let Some(next) = committed.or_else(|| self.begins.get(source).copied()) else {
                return Ok(Commit::Revoked);
            };
            reached.insert(source.clone(), next);
        }
        let positions: Vec<Position> = reached
            .iter()
            .map(|((topic, partition), next)| Position {
                topic: topic.clone(),
                partition: *partition,
                next: *next,
            })
            .collect();
        let records = self.keeper.change_records(stage, changes);
        let (worker, generation) = (&mut *self.worker, self.generation);
        let between = |outputs| worker.commit_between(generation, &positions, outputs);
        let (pauses, max_attempts) = (&self.pauses, self.commit_max_attempts);
        let commit = commit(self.watch, pauses, max_attempts, between, &records)?;
        if commit == Commit::Done {
            self.keeper.committed(&reached);
        }
        Ok(commit)
    }
}

impl Meanwhile for Between<'_> {
    fn wait(&self, pause: Duration) -> bool {
        self.pauses.wait(pause)
    }

    fn keep(
        &mut self,
        stage: &'static str,
        changes: Vec<StateChange>,
        sources: &BTreeSet<Source>,
    ) -> bool {
        match self.commit(stage, changes, sources) {
            Ok(Commit::Done) => true,
            other => {
                self.failed = Some(other);
                false
            }
        }
    }
}

/// Where a bundle begins, by partition.
pub(crate) fn begins(bundle: &Bundle) -> Reached {
    let mut begins = Reached::new();
    for record in &bundle.records {
        let source = (record.topic.clone(), record.partition);
        begins.entry(source).or_insert(record.offset);
    }
    begins
}
