//! Where each worker of a process is, and whether its loop turns.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use shiren_schemas::records::Lane;

use crate::drain::Drain;

/// Longest reason that is told, characters.
const REASON_MAX_CHARS: usize = 300;

/// Where a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It builds its stages, or opens its end of the log.
    Starting,
    /// It reads its state.
    Restoring,
    /// It takes records.
    Ready,
    /// It finishes what it is at, and ends.
    Draining,
}

impl Phase {
    /// All, in the order in which a worker comes to them.
    pub const ALL: &[Self] = &[Self::Starting, Self::Restoring, Self::Ready, Self::Draining];

    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Restoring => "restoring",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// The health of a process: one for all its workers.
#[derive(Clone, Debug)]
pub struct Health(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    since: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Workers that the process is to have; 0: not known yet.
    expected: usize,
    workers: Vec<Arc<Pulse>>,
    drain: Option<Drain>,
}

/// One worker's place in it: the worker tells, others look.
#[derive(Debug)]
pub struct Pulse {
    segment: String,
    lane: Lane,
    slot: u32,
    since: Instant,
    phase: AtomicU8,
    /// When its loop turned last, milliseconds after `since`.
    turned_ms: AtomicU64,
    reason: Mutex<String>,
}

impl Pulse {
    /// The worker comes to a phase, which is a turn too.
    pub fn set(&self, phase: Phase) {
        let place = Phase::ALL.iter().position(|p| *p == phase).unwrap_or(0);
        self.phase.store(place as u8, Ordering::Relaxed);
        self.turn();
    }

    /// Its loop turns: it does not hang.
    pub fn turn(&self) {
        let ms = self.since.elapsed().as_millis();
        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
        self.turned_ms.store(ms, Ordering::Relaxed);
    }

    /// Why it is where it is; empty: nothing to say.
    pub fn because(&self, reason: &str) {
        let mut kept = lock(&self.reason);
        *kept = reason.chars().take(REASON_MAX_CHARS).collect();
    }

    fn phase(&self) -> Phase {
        let place = usize::from(self.phase.load(Ordering::Relaxed));
        Phase::ALL.get(place).copied().unwrap_or(Phase::Starting)
    }
}

/// What is known of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerHealth {
    /// Its segment.
    pub segment: String,
    /// Its lane.
    pub lane: Lane,
    /// Its slot.
    pub slot: u32,
    /// Where it is.
    pub phase: Phase,
    /// Time since its loop turned.
    pub still_for: Duration,
    /// Why it is there; may be empty.
    pub reason: String,
}

impl WorkerHealth {
    /// Whether its loop turned within `max`. One that loads models or reads its state is not judged: these take as long as
    /// they take.
    #[must_use]
    pub fn turns(&self, max: Duration) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Restoring) || self.still_for <= max
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A process that starts.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            since: Instant::now(),
            state: Mutex::default(),
        }))
    }

    /// The process is to have so many workers more, and drains by `drain`.
    pub(crate) fn expect(&self, workers: usize, drain: &Drain) {
        let mut state = lock(&self.0.state);
        state.expected += workers;
        state.drain = Some(drain.clone());
    }

    /// A worker that starts.
    #[must_use]
    pub fn worker(&self, segment: &str, lane: Lane, slot: u32) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse {
            segment: segment.to_owned(),
            lane,
            slot,
            since: self.0.since,
            phase: AtomicU8::new(0),
            turned_ms: AtomicU64::new(0),
            reason: Mutex::default(),
        });
        pulse.set(Phase::Starting);
        lock(&self.0.state).workers.push(Arc::clone(&pulse));
        pulse
    }

    /// Each worker now.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerHealth> {
        let now_ms = u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let state = lock(&self.0.state);
        let draining = state.drain.as_ref().is_some_and(Drain::requested);
        let workers = state.workers.iter().map(|pulse| WorkerHealth {
            segment: pulse.segment.clone(),
            lane: pulse.lane,
            slot: pulse.slot,
            phase: if draining {
                Phase::Draining
            } else {
                pulse.phase()
            },
            still_for: Duration::from_millis(
                now_ms.saturating_sub(pulse.turned_ms.load(Ordering::Relaxed)),
            ),
            reason: lock(&pulse.reason).clone(),
        });
        workers.collect()
    }

    /// Where the process is: as far as the last of its workers.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let workers = self.workers();
        let state = lock(&self.0.state);
        if state.drain.as_ref().is_some_and(Drain::requested) {
            return Phase::Draining;
        }
        if state.expected == 0 || workers.len() < state.expected {
            return Phase::Starting;
        }
        let place = |worker: &WorkerHealth| Phase::ALL.iter().position(|p| *p == worker.phase);
        let first = workers.iter().filter_map(place).min().unwrap_or(0);
        Phase::ALL[first]
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_where_the_last_of_its_workers_is() {
        let (health, drain) = (Health::new(), Drain::new());
        assert_eq!(health.phase(), Phase::Starting);
        health.expect(2, &drain);
        let one = health.worker("front", Lane::Interactive, 0);
        one.set(Phase::Ready);
        assert_eq!(health.phase(), Phase::Starting, "the other is not there");
        let other = health.worker("front", Lane::Bulk, 0);
        assert_eq!(health.phase(), Phase::Starting);
        other.set(Phase::Restoring);
        assert_eq!(health.phase(), Phase::Restoring);
        other.set(Phase::Ready);
        assert_eq!(health.phase(), Phase::Ready);
        other.set(Phase::Starting);
        other.because("the log does not answer");
        assert_eq!(health.phase(), Phase::Starting, "built anew");
        assert_eq!(health.workers()[1].reason, "the log does not answer");
        drain.request();
        assert_eq!(health.phase(), Phase::Draining);
        assert!(health.workers().iter().all(|w| w.phase == Phase::Draining));
    }

    #[test]
    fn a_loop_that_stands_still_is_found() {
        let health = Health::new();
        let pulse = health.worker("front", Lane::Interactive, 0);
        let turns = |max| health.workers()[0].turns(max);
        while health.workers()[0].still_for.is_zero() {
            std::thread::yield_now();
        }
        assert!(turns(Duration::ZERO), "models are being loaded");
        pulse.set(Phase::Ready);
        while turns(Duration::ZERO) {
            std::thread::yield_now();
        }
        assert!(turns(Duration::from_secs(600)));
    }
}
