//! Wakes those who wait for records.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Rung after every commit of this process, and by the watcher for those of others.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
    /// Told when somebody begins to wait, or when the bell is stopped.
    wanted: Condvar,
    /// Told when the bell is stopped.
    stopping: Condvar,
}

#[derive(Default)]
struct State {
    rings: u64,
    waiters: usize,
    stopped: bool,
}

impl Bell {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings so far: take it before looking for records, then wait beyond it.
    pub(crate) fn rings(&self) -> u64 {
        self.state().rings
    }

    /// Wakes all who wait.
    pub(crate) fn ring(&self) {
        self.state().rings += 1;
        self.rung.notify_all();
    }

    /// Waits for a ring after the `seen`th; false when `deadline` passed without one.
    pub(crate) fn wait_beyond(&self, seen: u64, deadline: Instant) -> bool {
        let mut state = self.state();
        state.waiters += 1;
        self.wanted.notify_all();
        let wait = deadline.saturating_duration_since(Instant::now());
        let (mut state, _) = self
            .rung
            .wait_timeout_while(state, wait, |state| state.rings == seen)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiters -= 1;
        state.rings != seen
    }

    /// Blocks until somebody waits; false once the bell is stopped.
    pub(crate) fn wanted(&self) -> bool {
        let state = self
            .wanted
            .wait_while(self.state(), |state| state.waiters == 0 && !state.stopped)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    /// Waits out `pause`; false as soon as the bell is stopped.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let (state, _) = self
            .stopping
            .wait_timeout_while(self.state(), pause, |state| !state.stopped)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    /// True once the bell is stopped.
    pub(crate) fn stopped(&self) -> bool {
        self.state().stopped
    }

    /// Ends [`Bell::wanted`] and [`Bell::pause`] for good.
    pub(crate) fn stop(&self) {
        self.state().stopped = true;
        self.wanted.notify_all();
        self.stopping.notify_all();
    }
}
