//! One row of the table of faults: what was injected and what came of it, as one line of JSON.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde_json::{Value, json};
use shiren::case_reader::VerdictReader;
use shiren::site::Site;
use shiren_integration_tests::processes::Worker;
use shiren_integration_tests::run;
use shiren_log::{Log, Start};
use shiren_runtime::peak_resident_bytes;
use shiren_schemas::records::{Mode, Verdict};

/// What a fault needs that is over so soon.
pub const SHORT_SESSION: [(&str, &str); 2] = [
    ("session_timeout_ms = 10000 ", "session_timeout_ms = 6000 "),
    ("drain_max_ms = 8000 ", "drain_max_ms = 5000 "),
];
/// A transaction that is soon given up.
pub const SHORT_TRANSACTION: (&str, &str) = (
    "transaction_timeout_ms = 10000 ",
    "delivery_max_wait_ms = 3000\ntransaction_timeout_ms = 5000 ",
);
/// Values of the two above, and how often the brokers of these tests look for transactions to abort.
pub const SESSION: Duration = Duration::from_secs(6);
pub const TRANSACTION: Duration = Duration::from_secs(5);
pub const ABORT_EVERY: Duration = Duration::from_millis(200);

/// How much later than its deadline a case may end that ends by it: its bundle was begun before, and the machine may be busy.
pub const LATE_MAX: Duration = Duration::from_secs(10);

/// Whether the long form is asked for: `SHIREN_FAULTS=long`.
pub fn is_long() -> bool {
    match std::env::var("SHIREN_FAULTS").as_deref() {
        Ok("long") => true,
        Ok("short") | Err(_) => false,
        Ok(other) => panic!("SHIREN_FAULTS={other}: write short or long"),
    }
}

/// `short` or `long`, whichever runs.
pub fn form<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// Events of a row that needs no other number; at most [`run::EVENTS`].
pub fn events() -> usize {
    form(60, run::EVENTS)
}

/// Whether others may run beside a row; held while it runs.
enum Turn {
    Beside {
        _turn: RwLockReadGuard<'static, ()>,
    },
    Alone {
        _turn: RwLockWriteGuard<'static, ()>,
    },
}

/// A row while it runs.
pub struct Row {
    name: &'static str,
    injected: Vec<Value>,
    cases: usize,
    lost: usize,
    doubled: u64,
    contradicted: u64,
    recovered: Option<Duration>,
    notes: Vec<String>,
    _turn: Turn,
}

static TURN: RwLock<()> = RwLock::new(());

impl Row {
    /// Of which nothing is judged that hangs on the machine: others may run beside it. `name` is that of the row on
    /// docs/reliability.md.
    pub fn begin(name: &'static str) -> Self {
        // A row that failed says nothing of the next.
        let turn = TURN.read().unwrap_or_else(PoisonError::into_inner);
        Self::on(name, Turn::Beside { _turn: turn })
    }

    /// As [`Row::begin`], with the machine for itself: its times or rates are judged.
    pub fn begin_alone(name: &'static str) -> Self {
        let turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
        Self::on(name, Turn::Alone { _turn: turn })
    }

    fn on(name: &'static str, turn: Turn) -> Self {
        Self {
            name,
            injected: Vec::new(),
            cases: 0,
            lost: 0,
            doubled: 0,
            contradicted: 0,
            recovered: None,
            notes: Vec::new(),
            _turn: turn,
        }
    }

    /// Something was injected so often; the caller has seen that it happened.
    pub fn injected(&mut self, times: usize, what: impl Display) {
        assert!(times > 0, "{what}: did not happen");
        println!("{}: {times} x {what}", self.name);
        self.injected
            .push(json!({"times": times, "what": what.to_string()}));
    }

    /// It took so long until work went on. The longest counts.
    pub fn recovered(&mut self, after: impl Display, time: Duration) {
        println!("{}: {:.1} s after {after}", self.name, time.as_secs_f64());
        self.recovered = self.recovered.max(Some(time));
    }

    /// Something else that was measured.
    pub fn note(&mut self, note: impl Display) {
        println!("{}: {note}", self.name);
        self.notes.push(note.to_string());
    }

    /// Waits until there are as many verdicts as expected, and compares: nothing is lost, none contradicts another, and
    /// those that are left once doubles are dropped are the expected ones. Doubles are counted.
    pub fn compare(&mut self, log: &dyn Log, expected: &BTreeMap<String, String>) -> Vec<Verdict> {
        let verdicts = self.await_verdicts(log, expected.len());
        let came = run::canonical(&verdicts);
        assert_eq!(&came, expected, "{}", self.name);
        verdicts
    }

    /// As [`Row::compare`], where another set is expected than that of a run without faults: the caller compares.
    pub fn await_verdicts(&mut self, log: &dyn Log, count: usize) -> Vec<Verdict> {
        let live = Mode::Live;
        let mut reader = VerdictReader::open(log, "default", live, Start::Beginning).unwrap();
        let verdicts = reader.await_count(count, run::MAX_WAIT).unwrap();
        verdicts.iter().for_each(run::hold_invariants);
        self.cases = count;
        self.lost = count.saturating_sub(verdicts.len());
        (self.doubled, self.contradicted) = (reader.duplicates, reader.contradictions);
        assert_eq!(verdicts.len(), count, "more verdicts than cases");
        assert_eq!(self.contradicted, 0, "verdicts of one case that differ");
        verdicts
    }

    /// The process never held more than its bound.
    pub fn hold_memory(&mut self, worker: &Worker, site: &Site) {
        const MIB: u64 = 1024 * 1024;
        let peak_mib = peak_resident_bytes(worker.pid()).unwrap() / MIB;
        let max_mib = site.topology.runtime.max_resident_mib;
        self.note(format!(
            "peak {peak_mib} MiB resident, the bound is {max_mib} MiB"
        ));
        assert!(
            peak_mib <= max_mib,
            "{peak_mib} MiB, the bound is {max_mib}"
        );
    }

    /// Ends the one worker, which nobody has started anew.
    pub fn drain_unaided(&mut self, worker: Worker) {
        let drained = worker.drain();
        self.note(format!(
            "the one worker went on unaided, built anew {} times",
            drained.rebuilds
        ));
    }

    /// What scripts/faults collects.
    pub fn end(self) {
        assert!(!self.injected.is_empty(), "nothing was injected");
        let line = json!({
            "row": self.name,
            "form": form("short", "long"),
            "injected": self.injected,
            "cases": self.cases,
            "lost": self.lost,
            "doubled": self.doubled,
            "doubled_after": self.contradicted,
            "recovery_s": self.recovered.map(|time| (time.as_secs_f64() * 10.0).round() / 10.0),
            "notes": self.notes,
        });
        println!("\nFAULT {line}");
    }
}

/// The longest that a case waited for its verdict, from its arrival in the log.
pub fn longest_wait(verdicts: &[Verdict]) -> Duration {
    let waits = verdicts
        .iter()
        .map(|v| v.observed.decided_time - v.observed.received_time);
    Duration::from_micros(u64::try_from(waits.max().unwrap_or(0)).unwrap_or(0))
}
