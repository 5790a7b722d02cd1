//! Whether a worker's clock can be trusted: deadlines are judged by it.
//!
//! Two things tell. A record of the log that was appended in the future: the clock is behind. Wall clock and monotonic clock
//! that have moved apart: it was set. A record that came a moment ago then says whether it was set right. A clock that is
//! ahead since before the process began is not seen; by it cases end as `deadline_exceeded`, never the other way round.

use std::time::{Duration, Instant};

use shiren_log::Bundle;

use crate::health::Phase;
use crate::runtime_error::RuntimeError;
use crate::worker::{Turn, WorkerLoop};

/// Pause before an untrusted clock is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What one worker knows of its clock.
#[derive(Debug, Default)]
pub(crate) struct ClockCheck {
    /// Both clocks at a moment when they were right.
    base: Option<(i64, Instant)>,
    off_since: Option<Instant>,
    /// What was read and is not processed by a clock that is off.
    held: Option<Bundle>,
}

impl ClockCheck {
    /// By how much the clock is off, microseconds, ahead positive; `None`: by no more than `max_us`, as far as can be told.
    /// `appended_us`: append time of the newest record at hand.
    fn skew_us(
        &mut self,
        now_us: i64,
        instant: Instant,
        appended_us: Option<i64>,
        max_us: i64,
    ) -> Option<i64> {
        let (base_us, base) = *self.base.get_or_insert((now_us, instant));
        let from_log_us = appended_us.map(|appended_us| now_us.saturating_sub(appended_us));
        if let Some(skew_us) = from_log_us.filter(|skew_us| *skew_us < -max_us) {
            return Some(skew_us);
        }
        let passed_us = i64::try_from(instant.duration_since(base).as_micros()).unwrap_or(i64::MAX);
        let moved_us = now_us.saturating_sub(base_us.saturating_add(passed_us));
        if (-max_us..=max_us).contains(&moved_us) {
            return None;
        }
        if from_log_us.is_some_and(|skew_us| skew_us <= max_us) {
            self.base = Some((now_us, instant));
            return None;
        }
        Some(moved_us)
    }

    /// What is held back, to be looked at again.
    pub(crate) fn take_held(&mut self) -> Option<Bundle> {
        self.held.take()
    }

    /// Nothing is held of another end of the log.
    pub(crate) fn forget(&mut self) {
        self.held = None;
    }
}

impl WorkerLoop {
    /// Holds `bundle` back while the clock is off: then what the turn came to. Gives it back otherwise.
    pub(crate) fn by_a_true_clock(
        &mut self,
        bundle: Option<Bundle>,
    ) -> Result<Result<Option<Bundle>, Turn>, RuntimeError> {
        let max = self.bounds.clock_max_skew;
        let max_us = i64::try_from(max.as_micros()).unwrap_or(i64::MAX);
        let (now_us, instant) = (self.clock.now_us(), self.clock.instant());
        let records = bundle.iter().flat_map(|bundle| &bundle.records);
        let appended_us = records.map(|record| record.append_time_us).max();
        let check = &mut self.clock_check;
        let Some(skew_us) = check.skew_us(now_us, instant, appended_us, max_us) else {
            if check.off_since.take().is_some() {
                tracing::info!(group = self.options.group, "the clock is right again");
                self.watch.pulse().because("");
                let phase = self.keeper.phase(&self.segment);
                self.watch.pulse().set(phase);
            }
            return Ok(Ok(bundle));
        };
        check.held = bundle;
        let skew_ms = skew_us / 1_000;
        let since = *check.off_since.get_or_insert_with(|| {
            tracing::error!(
                group = self.options.group,
                skew_ms,
                "the clock is off: nothing is processed by it"
            );
            instant
        });
        if instant.duration_since(since) > self.bounds.clock_max_off {
            return Err(RuntimeError::ClockOff {
                group: self.options.group.clone(),
                skew_ms,
            });
        }
        let reason = format!("clock_off: this machine's clock is off by {skew_ms} ms");
        self.watch.pulse().because(&reason);
        self.watch.pulse().set(Phase::Starting);
        self.clock.wait(LOOK_EVERY, &|pause| self.drain.wait(pause));
        Ok(Err(Turn::Idle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_US: i64 = 30_000_000;
    const MINUTES_10_US: i64 = 600_000_000;
    const NOW_US: i64 = 1_795_838_400_000_000;

    fn later(base: Instant, us: i64) -> Instant {
        base + Duration::from_micros(us.unsigned_abs())
    }

    #[test]
    fn a_record_of_the_future_says_that_the_clock_is_behind() {
        let mut check = ClockCheck::default();
        let begun = Instant::now();
        let mut skew = |appended| check.skew_us(NOW_US, begun, Some(appended), MAX_US);
        assert_eq!(skew(NOW_US + MINUTES_10_US), Some(-MINUTES_10_US));
        assert_eq!(skew(NOW_US + MAX_US), None);
        // A backlog says nothing.
        assert_eq!(skew(NOW_US - 100 * MINUTES_10_US), None);
    }

    #[test]
    fn a_clock_that_is_set_is_off_until_it_is_back_or_a_fresh_record_agrees() {
        for jump in [MINUTES_10_US, -MINUTES_10_US] {
            let mut check = ClockCheck::default();
            let begun = Instant::now();
            assert_eq!(check.skew_us(NOW_US, begun, None, MAX_US), None);
            let (second, now_us) = (later(begun, 1_000_000), NOW_US + 1_000_000);
            assert_eq!(
                check.skew_us(now_us + jump, second, None, MAX_US),
                Some(jump)
            );
            // By a record that was appended by a right clock it is off, too.
            let fresh = Some(now_us);
            assert_eq!(
                check.skew_us(now_us + jump, second, fresh, MAX_US),
                Some(jump)
            );
            assert_eq!(check.skew_us(now_us, second, None, MAX_US), None);
            // Set right: the records agree with it.
            let fresh = Some(now_us + jump);
            assert_eq!(check.skew_us(now_us + jump, second, fresh, MAX_US), None);
            assert_eq!(check.skew_us(now_us + jump, second, None, MAX_US), None);
        }
    }
}
