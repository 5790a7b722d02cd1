//! Ends a process in which a stage does not come back.
//!
//! A thread cannot be ended from outside, so the process is; whoever takes its partitions over finds the record as one
//! that kills (`crash_attempts`). Asks are left out: they have bounds of their own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::drain::Drain;

/// Looks within the longest time. A process that is paused does not look, so that a pause is not taken for a hang.
const LOOKS: u32 = 20;

/// How far one worker is: odd while a stage is at work, and another number with each step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// A stage begins, or comes back.
    pub(crate) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One worker as it was seen last.
struct Seen {
    worker: String,
    progress: Progress,
    steps: u64,
    /// Looks in a row at which it stood there.
    looks: u32,
}

/// All workers of a process.
pub(crate) struct Watchdog {
    record_max: Duration,
    workers: Mutex<Vec<Seen>>,
}

impl Watchdog {
    /// `record_max`: longest time of one stage with one record.
    pub(crate) fn new(record_max: Duration) -> Self {
        Self {
            record_max,
            workers: Mutex::default(),
        }
    }

    /// Watches one more worker.
    pub(crate) fn watch(&self, worker: String) -> Progress {
        let progress = Progress::default();
        let seen = Seen {
            worker,
            progress: progress.clone(),
            steps: 0,
            looks: 0,
        };
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.push(seen);
        progress
    }

    /// Looks until `drain` is asked for; a drain has a longest time of its own.
    pub(crate) fn run(&self, drain: &Drain) {
        while !drain.requested() {
            drain.wait(self.record_max / LOOKS);
            if let Some(worker) = self.look() {
                let max_ms = self.record_max.as_millis();
                tracing::error!(
                    worker,
                    "[record_over_time] a stage works on one record for more than runtime.record_max_ms = {max_ms}; \
                     the process ends, the record counts as one that killed it, nothing is lost"
                );
                std::process::abort();
            }
        }
    }

    /// A worker that has stood in one step for longer than it may.
    fn look(&self) -> Option<String> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        for seen in workers.iter_mut() {
            let steps = seen.progress.0.load(Ordering::Relaxed);
            let stands = steps % 2 == 1 && steps == seen.steps;
            seen.looks = if stands { seen.looks + 1 } else { 0 };
            seen.steps = steps;
            if seen.looks > LOOKS {
                return Some(seen.worker.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_in_one_step_is_found_and_nobody_else() {
        let watchdog = Watchdog::new(Duration::from_secs(1));
        let (stuck, busy, idle) = (
            watchdog.watch("stuck".to_owned()),
            watchdog.watch("busy".to_owned()),
            watchdog.watch("idle".to_owned()),
        );
        stuck.step();
        busy.step();
        idle.step();
        idle.step();
        // One look sees where it stands, the others that it still does.
        for _ in 0..=LOOKS {
            assert_eq!(watchdog.look(), None);
            busy.step();
            busy.step();
        }
        assert_eq!(watchdog.look().as_deref(), Some("stuck"));
        stuck.step();
        assert_eq!(watchdog.look(), None);
    }
}
