//! A clock that only the scheduler and whoever waits move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use shiren_runtime::TimeSource;

/// 28 November 2026, noon in China, microseconds since the Unix epoch.
const BEGUN_US: i64 = 1_795_838_400_000_000;

/// The clock. Clones share it.
#[derive(Clone)]
pub(crate) struct SimulatedTime {
    passed_us: Arc<AtomicI64>,
    /// Stands for the moment at which the run begins.
    base: Instant,
}

impl SimulatedTime {
    pub(crate) fn new() -> Self {
        Self {
            passed_us: Arc::default(),
            base: crate::memory_log::now(),
        }
    }

    pub(crate) fn advance(&self, pause: Duration) {
        let us = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
        self.passed_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(crate) fn us(&self) -> i64 {
        BEGUN_US + self.passed_us.load(Ordering::Relaxed)
    }
}

impl TimeSource for SimulatedTime {
    fn now_us(&self) -> i64 {
        self.us()
    }

    fn instant(&self) -> Instant {
        let passed = self.passed_us.load(Ordering::Relaxed);
        self.base + Duration::from_micros(passed.unsigned_abs())
    }

    fn wait(&self, pause: Duration, _idle: &dyn Fn(Duration)) {
        self.advance(pause);
    }

    fn share(&self) -> f64 {
        0.5
    }
}

/// A worker's clock that stands still: a mutation.
pub(crate) struct Frozen(pub(crate) SimulatedTime);

impl TimeSource for Frozen {
    fn now_us(&self) -> i64 {
        BEGUN_US
    }

    fn instant(&self) -> Instant {
        self.0.instant()
    }

    fn wait(&self, pause: Duration, idle: &dyn Fn(Duration)) {
        self.0.wait(pause, idle);
    }

    fn share(&self) -> f64 {
        self.0.share()
    }
}
