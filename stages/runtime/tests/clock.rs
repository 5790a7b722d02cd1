//! A worker whose clock is set, ten minutes each way, while the log's is right.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use shiren_contract::stage::{Arrival, Input, Outcome, Stage, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_runtime::{Clock, Phase, Registry, RuntimeError, TimeSource};
use shiren_schemas::ids;
use shiren_schemas::records::{Decision, RequestKind};
use support::{Site, await_that, envelope};

const MINUTES_10_US: i64 = 600_000_000;

/// The machine's clock, set by so many microseconds.
struct Shifted(AtomicI64);

impl TimeSource for Shifted {
    fn now_us(&self) -> i64 {
        shiren_runtime::now_us() + self.0.load(Ordering::SeqCst)
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn wait(&self, pause: Duration, idle: &dyn Fn(Duration)) {
        idle(pause);
    }

    fn share(&self) -> f64 {
        0.5
    }
}

/// Accepts each record within ten seconds of its append time.
struct Echo;

impl Stage for Echo {
    type Input = Arrival;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "echo",
        kinds: &[RequestKind::Detect],
        input: <Arrival as Input>::SCHEMA,
        outputs: &[],
        checks: &[],
        state: None,
        is_rekeyed: false,
    };

    fn process(&mut self, arrival: Arrival) -> Outcome {
        let word = String::from_utf8(arrival.value.unwrap().to_vec()).unwrap();
        let mut envelope = envelope(ids::case("default", &word), arrival.append_time_us);
        envelope.deadline_ms = Some(10_000);
        let mut terminal = Terminal::new(envelope, Decision::Done);
        terminal.reason_codes.push(word);
        Outcome::terminal(terminal)
    }
}

fn on(source: &Arc<Shifted>) -> Registry {
    Registry::on_clock(Clock::of(source.clone())).with(|| Ok(Echo))
}

#[test]
fn nothing_is_processed_by_a_clock_that_is_off_and_all_once_it_is_right() {
    for shift in [MINUTES_10_US, -MINUTES_10_US] {
        let site = Site::new(&["echo"]);
        let source = Arc::new(Shifted(AtomicI64::new(0)));
        site.publish(0, &["before"]);
        let ran = site.run_beside(on(&source), |health, _| {
            await_that("a verdict", || site.reasons() == ["before"]);
            source.0.store(shift, Ordering::SeqCst);
            site.publish(0, &["meanwhile"]);
            await_that("it says why it is not ready", || {
                health.workers()[0].reason.starts_with("clock_off")
            });
            assert_eq!(health.phase(), Phase::Starting);
            let seen = site.reasons();
            source.0.store(0, Ordering::SeqCst);
            await_that("the other verdict", || site.reasons().len() == 2);
            assert_eq!(health.phase(), Phase::Ready);
            seen
        });
        assert_eq!(ran.unwrap().0, ["before"], "{shift}");
        assert_eq!(site.reasons(), ["before", "meanwhile"], "{shift}");
    }
}

#[test]
fn a_clock_that_stays_off_stops_the_process() {
    let mut site = Site::new(&["echo"]);
    site.clock_max_off = Duration::from_millis(300);
    let source = Arc::new(Shifted(AtomicI64::new(-MINUTES_10_US)));
    site.publish(0, &["record of the future"]);
    let stopped = site.run_until(on(&source), 1);
    let Err(RuntimeError::ClockOff { skew_ms, .. }) = stopped else {
        panic!("{stopped:?}");
    };
    assert!((-601_000..=-599_000).contains(&skew_ms), "{skew_ms}");
    assert!(site.reasons().is_empty());
}
