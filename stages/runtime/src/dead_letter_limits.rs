//! How many dead letters are too many: beyond it something is wrong with all records, not with one.

use std::collections::VecDeque;

use crate::runtime_error::RuntimeError;
use crate::worker::WorkerBounds;

/// What the last committed records of a worker came to.
#[derive(Debug, Default)]
pub(crate) struct DeadLetterLimits {
    in_a_row: u32,
    /// Of the last records, the oldest first: whether each became a dead letter.
    window: VecDeque<bool>,
    /// How many of the window did.
    dead: usize,
}

impl DeadLetterLimits {
    /// Counts one record that is committed.
    pub(crate) fn count(&mut self, is_dead: bool, bounds: &WorkerBounds) {
        self.in_a_row = if is_dead { self.in_a_row + 1 } else { 0 };
        self.window.push_back(is_dead);
        self.dead += usize::from(is_dead);
        while self.window.len() > bounds.dead_letters_window_records {
            let was_dead = self.window.pop_front().unwrap_or(false);
            self.dead -= usize::from(was_dead);
        }
    }

    /// Whether the worker may go on. The ratio says nothing before the window is full.
    ///
    /// # Errors
    /// A limit is passed.
    pub(crate) fn check(&self, group: &str, bounds: &WorkerBounds) -> Result<(), RuntimeError> {
        let max = bounds.dead_letters_max_consecutive;
        if self.in_a_row > max {
            return Err(RuntimeError::DeadLettersOverLimit {
                group: group.to_owned(),
                max,
            });
        }
        let (dead, records) = (self.dead, self.window.len());
        let allowed = bounds.dead_letters_max_ratio * as_number(records);
        if records == bounds.dead_letters_window_records && as_number(dead) > allowed {
            return Err(RuntimeError::DeadLetterRatioOverLimit {
                group: group.to_owned(),
                dead,
                records,
                max_ratio: bounds.dead_letters_max_ratio,
            });
        }
        Ok(())
    }
}

/// At most `runtime.dead_letters_window_records`, a million.
fn as_number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BOUNDS: WorkerBounds = WorkerBounds {
        commit_max_attempts: 1,
        rebuild_max_attempts: 1,
        dead_letters_max_consecutive: 3,
        dead_letters_max_ratio: 0.5,
        dead_letters_window_records: 8,
        crash_max_attempts: 3,
        record_max: Duration::from_secs(1),
        clock_max_skew: Duration::from_secs(30),
        clock_max_off: Duration::from_secs(60),
        max_resident_mib: 1,
        tick: Duration::from_secs(1),
    };

    /// The error after these records: `x` is a dead letter.
    fn after(records: &str) -> Option<RuntimeError> {
        let mut limits = DeadLetterLimits::default();
        for record in records.chars() {
            limits.count(record == 'x', &BOUNDS);
        }
        limits.check("g", &BOUNDS).err()
    }

    #[test]
    fn one_sound_record_ends_a_row() {
        assert!(after("xxx").is_none());
        assert!(after("xx.xx").is_none());
        let over = after("xxxx");
        assert!(matches!(
            over,
            Some(RuntimeError::DeadLettersOverLimit { max: 3, .. })
        ));
    }

    #[test]
    fn the_ratio_is_taken_over_a_full_window_and_forgets_what_left_it() {
        // Not full yet.
        assert!(after("x.x.xxx").is_none());
        // Half of it is allowed.
        assert!(after("x.x.x.x.").is_none());
        let over = after("xx.x.x.x");
        assert!(matches!(
            over,
            Some(RuntimeError::DeadLetterRatioOverLimit {
                dead: 5,
                records: 8,
                ..
            })
        ));
        assert!(after("xx.x.x.x..").is_none());
    }
}
