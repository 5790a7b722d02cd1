//! Time and CPU between two records of a backlog.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shiren::bench::spread::cpu_ms;

/// CPU time that `/proc` counts in one second: USER_HZ, the same on every Linux that runs Shiren.
const TICKS_PER_SECOND: f64 = 100.0;

/// Counts records as they are transformed, and looks at the clocks at two of them.
pub(crate) struct Meter {
    broker_pid: u32,
    from: u64,
    to: u64,
    seen: AtomicU64,
    marks: Mutex<Vec<Mark>>,
    reached: Condvar,
}

#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    client_cpu_ms: f64,
    broker_cpu_ms: f64,
}

/// What was spent between the two marks.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) records: f64,
    pub(crate) wall_s: f64,
    pub(crate) client_cpu_ms: f64,
    pub(crate) broker_cpu_ms: f64,
}

impl Meter {
    /// Measures from record `from` to record `to`, counted from 1.
    pub(crate) fn new(broker_pid: u32, from: u64, to: u64) -> Self {
        assert!(from < to, "{from} records of {to} are left to measure");
        Self {
            broker_pid,
            from,
            to,
            seen: AtomicU64::new(0),
            marks: Mutex::default(),
            reached: Condvar::new(),
        }
    }

    /// One more record is about to be transformed.
    pub(crate) fn record(&self) {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if seen == self.from || seen == self.to {
            let mark = Mark {
                at: Instant::now(),
                client_cpu_ms: cpu_ms(),
                broker_cpu_ms: process_cpu_ms(self.broker_pid),
            };
            let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
            marks.push(mark);
            self.reached.notify_all();
        }
    }

    /// Waits for the last record, which must come within `max_wait`.
    pub(crate) fn spent(&self, max_wait: Duration) -> Spent {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let (marks, _) = self
            .reached
            .wait_timeout_while(marks, max_wait, |marks| marks.len() < 2)
            .unwrap_or_else(PoisonError::into_inner);
        let [from, to] = marks[..] else {
            let seen = self.seen.load(Ordering::Relaxed);
            panic!("{seen} of {} records within {max_wait:?}", self.to);
        };
        Spent {
            records: (self.to - self.from) as f64,
            wall_s: (to.at - from.at).as_secs_f64(),
            client_cpu_ms: to.client_cpu_ms - from.client_cpu_ms,
            broker_cpu_ms: to.broker_cpu_ms - from.broker_cpu_ms,
        }
    }
}

/// CPU time of a process so far, user and system, milliseconds.
fn process_cpu_ms(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the broker runs");
    // The name, in parentheses, may hold anything; utime and stime are the 14th and 15th field.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks
        .map(|ticks| ticks.parse::<f64>().expect("ticks"))
        .sum();
    ticks / TICKS_PER_SECOND * 1e3
}
