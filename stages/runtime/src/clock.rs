//! Time as the runtime sees it: the machine's, or a simulation's.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where time comes from.
pub trait TimeSource: Send + Sync {
    /// Microseconds since the Unix epoch.
    fn now_us(&self) -> i64;

    /// A moment of the monotonic clock: deadlines and pauses are reckoned by it.
    fn instant(&self) -> Instant;

    /// Lets `pause` pass; a source of its own time may return at once. `idle` waits on the machine's clock, and may
    /// return early.
    fn wait(&self, pause: Duration, idle: &dyn Fn(Duration));

    /// A share, at least 0 and below 1, that scatters pauses.
    fn share(&self) -> f64;
}

/// The clock of a process: by default the machine's.
#[derive(Clone)]
pub struct Clock(Arc<dyn TimeSource>);

impl Clock {
    /// A clock of another source.
    #[must_use]
    pub fn of(source: Arc<dyn TimeSource>) -> Self {
        Self(source)
    }

    pub(crate) fn now_us(&self) -> i64 {
        self.0.now_us()
    }

    pub(crate) fn instant(&self) -> Instant {
        self.0.instant()
    }

    pub(crate) fn wait(&self, pause: Duration, idle: &dyn Fn(Duration)) {
        self.0.wait(pause, idle);
    }

    /// Half of it to all of it: workers that failed together do not come back together.
    pub(crate) fn jittered(&self, pause: Duration) -> Duration {
        pause.mul_f64(0.5 + self.0.share() / 2.0)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(Machine))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({} us)", self.now_us())
    }
}

/// The machine's clocks.
struct Machine;

impl TimeSource for Machine {
    fn now_us(&self) -> i64 {
        crate::now_us()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn wait(&self, pause: Duration, idle: &dyn Fn(Duration)) {
        idle(pause);
    }

    fn share(&self) -> f64 {
        let random = RandomState::new().build_hasher().finish();
        (random >> 40) as f64 / f64::from(1_u32 << 24)
    }
}
