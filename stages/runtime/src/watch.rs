//! What a worker loop looks at beside its work: invariants, measures, whether it turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shiren_contract::invariants::{Progress, Seen, Terminals, Violation};
use shiren_log::{Bundle, Commit, LogError, Record, Worker};

use crate::emission::End;
use crate::health::{Phase, Pulse};
use crate::metrics::WorkerInstruments;

/// Bounds of watching.
#[derive(Clone, Copy, Debug)]
pub struct WatchBounds {
    /// Verdicts that a worker remembers, to count those that it commits again.
    pub recent_verdicts_max: usize,
    /// Between two looks at the lag.
    pub lag_every: Duration,
}

impl Default for WatchBounds {
    fn default() -> Self {
        Self {
            recent_verdicts_max: 4096,
            lag_every: Duration::from_secs(5),
        }
    }
}

/// What one worker loop watches.
pub(crate) struct Watch {
    pub(crate) instruments: WorkerInstruments,
    pulse: Arc<Pulse>,
    progress: Progress<(Arc<str>, i32)>,
    /// Assignment that `progress` is of.
    generation: Option<u64>,
    verdicts: Terminals,
    lag_every: Duration,
    looked: Option<Instant>,
}

impl Watch {
    /// `dense`: whether every offset of the log holds a record.
    pub(crate) fn new(
        instruments: WorkerInstruments,
        pulse: Arc<Pulse>,
        dense: bool,
        bounds: WatchBounds,
    ) -> Self {
        Self {
            instruments,
            pulse,
            progress: Progress::new(dense),
            generation: None,
            verdicts: Terminals::newest(bounds.recent_verdicts_max),
            lag_every: bounds.lag_every,
            looked: None,
        }
    }

    /// For the waits of a bundle.
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// The worker has its end of the log.
    pub(crate) fn opened(&mut self, phase: Phase) {
        self.progress.forget();
        self.generation = None;
        self.pulse.because("");
        self.pulse.set(phase);
    }

    /// The worker is built anew.
    pub(crate) fn rebuilt(&mut self, why: &str) {
        self.instruments.rebuild();
        self.instruments.lag(Vec::new());
        self.pulse.because(why);
        self.pulse.set(Phase::Starting);
    }

    /// The loop turns.
    pub(crate) fn turned(&mut self, worker: &mut dyn Worker) -> Result<(), LogError> {
        self.pulse.turn();
        if self.looked.is_none_or(|at| at.elapsed() >= self.lag_every) {
            self.looked = Some(Instant::now());
            self.instruments.lag(worker.lag()?);
        }
        Ok(())
    }

    /// A bundle was read; false: not the one that is due, and must not be processed.
    pub(crate) fn read(&mut self, bundle: &Bundle) -> bool {
        self.instruments.bundle(bundle.records.len());
        if self.generation.replace(bundle.generation) != Some(bundle.generation) {
            self.progress.forget();
        }
        let places = places(&bundle.records);
        let read = self.progress.read(places.iter().map(|(p, o)| (p, *o)));
        self.holds(read)
    }

    /// What came of a commit that took `spent`.
    pub(crate) fn tried(&self, commit: &Result<Commit, LogError>) {
        self.instruments.commit(match commit {
            Ok(Commit::Done) => "done",
            Ok(Commit::Retry) => "retry",
            Ok(Commit::Revoked) => "revoked",
            Ok(Commit::Rebuild) => "rebuild",
            Err(_) => "failed",
        });
    }

    /// A bundle is committed.
    pub(crate) fn committed(&mut self, records: &[Record], ends: &[End], bad_traces: u64) {
        let places = places(records);
        self.progress.committed(places.iter().map(|(p, o)| (p, *o)));
        self.instruments.records(records.len() as u64, bad_traces);
        for end in ends {
            self.ended(end);
        }
    }

    fn ended(&mut self, end: &End) {
        match end {
            End::DeadLetter { code } => {
                self.instruments.dead_letter();
                if let Some(code) = code {
                    self.instruments.reason(code);
                }
            }
            End::Verdict {
                canonical,
                sha256,
                took_us,
            } => {
                let kind = canonical.kind.to_string();
                let decision = canonical.decision.to_string();
                let seconds = *took_us as f64 / 1e6;
                self.instruments.verdict(&kind, &decision, seconds);
                for code in &canonical.reason_codes {
                    self.instruments.reason(code);
                }
                match self.verdicts.add(canonical.verdict_id, *sha256) {
                    Ok(Seen::First) => {}
                    Ok(Seen::Again) => self.instruments.duplicate(),
                    Err(violation) => {
                        self.instruments.duplicate();
                        self.instruments.all.violated(&violation);
                    }
                }
            }
        }
    }

    /// Counts a violation; true where there is none.
    pub(crate) fn holds(&self, checked: Result<(), Violation>) -> bool {
        if let Err(violation) = &checked {
            self.instruments.all.violated(violation);
        }
        checked.is_ok()
    }
}

type Place = ((Arc<str>, i32), i64);

fn places(records: &[Record]) -> Vec<Place> {
    let place = |record: &Record| ((Arc::clone(&record.topic), record.partition), record.offset);
    records.iter().map(place).collect()
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
