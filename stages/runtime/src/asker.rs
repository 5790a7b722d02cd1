//! Asks of a bundle: deadline, retry with jitter, breaker, bulkhead around a port.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shiren_contract::asking::{AskFailure, Port};
use shiren_contract::codes;

use crate::clock::Clock;

/// Bounds of the asks of one stage, in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskBounds {
    /// Longest wait for the reply to an ask, retries included; a case's own deadline may be earlier.
    pub max_wait: Duration,
    /// Longest single call of the port.
    pub call_max_wait: Duration,
    /// Times an ask is made, the first included.
    pub max_attempts: u32,
    /// Longest pause before the second; doubled each time.
    pub backoff: Duration,
    /// Failed calls in a row after which the port is left alone for a while.
    pub breaker_max_failures: u32,
    /// How long it is left alone.
    pub breaker_pause: Duration,
    /// Calls under way at once, over all workers.
    pub max_calls: u32,
}

/// Until when an ask may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// The case has a deadline of its own.
    Until(Instant),
    /// As long as [`AskBounds::max_wait`].
    Bounded,
    /// Until the dependency is back, or the worker drains.
    Unbounded,
}

/// The worker drains while an ask waits for its dependency: nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted;

/// What became of the asks of a stage, over all workers of the process.
#[derive(Debug, Default)]
pub(crate) struct AskTally {
    replied: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
    deadline: AtomicU64,
    interrupted: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    left_alone_until: Mutex<Option<Instant>>,
}

impl AskTally {
    /// By outcome.
    pub(crate) fn asks(&self) -> Vec<(&'static str, u64)> {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        vec![
            ("replied", load(&self.replied)),
            ("refused", load(&self.refused)),
            ("unavailable", load(&self.unavailable)),
            ("deadline", load(&self.deadline)),
            ("interrupted", load(&self.interrupted)),
        ]
    }

    /// Calls by outcome.
    pub(crate) fn calls(&self) -> Vec<(&'static str, u64)> {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        vec![("done", load(&self.done)), ("failed", load(&self.failed))]
    }

    /// Whether the port is left alone now.
    pub(crate) fn is_open(&self) -> bool {
        let until = self.left_alone_until.lock();
        let until = *until.unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn ended(&self, failure: Option<&AskFailure>) {
        let count = match failure {
            None => &self.replied,
            Some(failure) if failure.code == codes::DEADLINE_EXCEEDED => &self.deadline,
            Some(failure) if failure.transient => &self.unavailable,
            Some(_) => &self.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A port with its bounds; the workers of a process share one.
pub(crate) struct Asker<A, R> {
    port: Arc<dyn Port<A, R>>,
    bounds: AskBounds,
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
    tally: Arc<AskTally>,
}

#[derive(Default)]
struct State {
    calls: u32,
    failures: u32,
    left_alone_until: Option<Instant>,
    /// Why the last call failed.
    last: Option<AskFailure>,
}

/// An ask without a reply yet.
struct Pending<'a, A> {
    index: usize,
    ask: &'a A,
    /// `None`: no bound.
    deadline: Option<Instant>,
    attempts: u32,
    last: Option<AskFailure>,
}

impl<A, R> Asker<A, R> {
    pub(crate) fn new(port: Arc<dyn Port<A, R>>, bounds: AskBounds, clock: Clock) -> Self {
        let max_attempts = if port.may_repeat() {
            bounds.max_attempts
        } else {
            1
        };
        Self {
            port,
            bounds: AskBounds {
                max_attempts,
                ..bounds
            },
            clock,
            state: Mutex::default(),
            changed: Condvar::new(),
            tally: Arc::default(),
        }
    }

    /// As [`Port::may_repeat`].
    pub(crate) fn may_repeat(&self) -> bool {
        self.port.may_repeat()
    }

    /// What became of its asks.
    pub(crate) fn tally(&self) -> Arc<AskTally> {
        Arc::clone(&self.tally)
    }

    /// Asks for a bundle: one reply each, in order. `wait` pauses at most so long and says whether to give up.
    pub(crate) fn round(
        &self,
        asks: &[(A, Patience)],
        wait: &dyn Fn(Duration) -> bool,
    ) -> Result<Vec<Result<R, AskFailure>>, Interrupted> {
        let replies = self.replies(asks, wait);
        match &replies {
            Ok(replies) => replies
                .iter()
                .for_each(|r| self.tally.ended(r.as_ref().err())),
            Err(Interrupted) => {
                let count = asks.len() as u64;
                self.tally.interrupted.fetch_add(count, Ordering::Relaxed);
            }
        }
        replies
    }

    fn replies(
        &self,
        asks: &[(A, Patience)],
        wait: &dyn Fn(Duration) -> bool,
    ) -> Result<Vec<Result<R, AskFailure>>, Interrupted> {
        let begun = self.clock.instant();
        let mut replies: Vec<Option<Result<R, AskFailure>>> = asks.iter().map(|_| None).collect();
        let mut pending: Vec<Pending<'_, A>> = asks
            .iter()
            .enumerate()
            .map(|(index, (ask, patience))| Pending {
                index,
                ask,
                deadline: self.deadline(begun, *patience),
                attempts: 0,
                last: None,
            })
            .collect();
        let mut pause = self.bounds.backoff;
        loop {
            let now = self.clock.instant();
            pending.retain_mut(|one| match self.given_up(one, now) {
                Some(failure) => {
                    replies[one.index] = Some(Err(failure));
                    false
                }
                None => true,
            });
            if pending.is_empty() {
                break;
            }
            if let Some((left, why)) = self.left_alone(now) {
                for one in &mut pending {
                    one.last = one.last.take().or_else(|| why.clone());
                }
                if wait(self.within(&pending, now, left)) {
                    return Err(Interrupted);
                }
                continue;
            }
            self.call(&mut pending, &mut replies, now);
            if !pending.is_empty() {
                let now = self.clock.instant();
                if wait(self.within(&pending, now, self.clock.jittered(pause))) {
                    return Err(Interrupted);
                }
                pause = pause.saturating_mul(2).min(self.bounds.max_wait);
            }
        }
        let lost = || AskFailure::lasting(codes::STAGE_FAILED, "the port gave no reply");
        Ok(replies
            .into_iter()
            .map(|reply| reply.unwrap_or_else(|| Err(lost())))
            .collect())
    }

    /// One call for all that is pending; what got its reply, or failed for good, is pending no more.
    fn call(
        &self,
        pending: &mut Vec<Pending<'_, A>>,
        replies: &mut [Option<Result<R, AskFailure>>],
        now: Instant,
    ) {
        let earliest = pending.iter().filter_map(|one| one.deadline).min();
        let longest = now + self.bounds.call_max_wait;
        let deadline = earliest.map_or(longest, |earliest| earliest.min(longest));
        let Some(_place) = self.place(deadline) else {
            return;
        };
        let asks: Vec<&A> = pending.iter().map(|one| one.ask).collect();
        let mut given = self.port.ask(&asks, deadline);
        if given.len() != asks.len() {
            // Which reply is whose cannot be known.
            let what = format!(
                "the port gave {} replies to {} asks",
                given.len(),
                asks.len()
            );
            let failure = AskFailure::lasting(codes::STAGE_FAILED, what);
            given = asks.iter().map(|_| Err(failure.clone())).collect();
        }
        // An ask that another's deadline cut short was not tried in full.
        let cut =
            self.may_repeat() && earliest.is_some_and(|earliest| self.clock.instant() >= earliest);
        let mut given = given.into_iter();
        let mut down = None;
        pending.retain_mut(|one| match given.next() {
            Some(Err(failure)) if failure.transient => {
                down.get_or_insert_with(|| failure.clone());
                one.attempts += u32::from(!cut);
                one.last = Some(failure);
                true
            }
            reply => {
                replies[one.index] = reply;
                false
            }
        });
        self.note(down);
    }

    fn deadline(&self, begun: Instant, patience: Patience) -> Option<Instant> {
        let bound = begun + self.bounds.max_wait;
        match patience {
            Patience::Until(deadline) => Some(deadline.min(bound)),
            Patience::Bounded => Some(bound),
            Patience::Unbounded => None,
        }
    }

    /// Why an ask is not made any more.
    fn given_up(&self, one: &mut Pending<'_, A>, now: Instant) -> Option<AskFailure> {
        let deadline = one.deadline?;
        if one.attempts >= self.bounds.max_attempts {
            return one.last.take();
        }
        if now < deadline {
            return None;
        }
        let why = one.last.take();
        Some(why.unwrap_or_else(|| {
            AskFailure::lasting(codes::DEADLINE_EXCEEDED, "no reply before the deadline")
        }))
    }

    fn within(&self, pending: &[Pending<'_, A>], now: Instant, pause: Duration) -> Duration {
        let earliest = pending.iter().filter_map(|one| one.deadline).min();
        earliest.map_or(pause, |earliest| {
            pause.min(earliest.saturating_duration_since(now))
        })
    }

    /// How much longer the port is left alone, and why.
    fn left_alone(&self, now: Instant) -> Option<(Duration, Option<AskFailure>)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = state.left_alone_until?.saturating_duration_since(now);
        (!left.is_zero()).then(|| (left, state.last.clone()))
    }

    /// A place among the calls under way; `None` when there is none before `deadline`.
    fn place(&self, deadline: Instant) -> Option<Place<'_, A, R>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.calls >= self.bounds.max_calls {
            let left = deadline.saturating_duration_since(self.clock.instant());
            if left.is_zero() {
                return None;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.calls += 1;
        Some(Place(self))
    }

    fn note(&self, down: Option<AskFailure>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if down.is_none() {
            self.tally.done.fetch_add(1, Ordering::Relaxed);
            (state.failures, state.left_alone_until) = (0, None);
            self.show(&state);
            return;
        }
        self.tally.failed.fetch_add(1, Ordering::Relaxed);
        state.last = down;
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.bounds.breaker_max_failures {
            state.left_alone_until = Some(self.clock.instant() + self.bounds.breaker_pause);
            self.show(&state);
        }
    }

    fn show(&self, state: &State) {
        let shown = self.tally.left_alone_until.lock();
        *shown.unwrap_or_else(PoisonError::into_inner) = state.left_alone_until;
    }
}

/// Given back when dropped, also by a panic in the port.
struct Place<'a, A, R>(&'a Asker<A, R>);

impl<A, R> Drop for Place<'_, A, R> {
    fn drop(&mut self) {
        let state = &self.0.state;
        state.lock().unwrap_or_else(PoisonError::into_inner).calls -= 1;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
#[path = "asker_tests.rs"]
mod tests;
