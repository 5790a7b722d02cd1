//! How workers are told to end.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A wish to stop: workers finish the bundle they are at, commit it, and end.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<(Mutex<bool>, Condvar)>);

impl Drain {
    /// No wish yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks all workers to end.
    pub fn request(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether it was asked.
    #[must_use]
    pub fn requested(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is asked, at most `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let until = Instant::now() + timeout;
        let mut requested = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*requested {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            requested = self
                .0
                .1
                .wait_timeout(requested, rest)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
