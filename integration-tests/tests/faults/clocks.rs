//! Clocks that are wrong: a worker's, and a camera's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use shiren::authority::SiteAuthority;
use shiren::{requests, stages};
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::await_that;
use shiren_integration_tests::{events, run, site};
use shiren_runtime::{Clock, Phase, Runtime, TimeSource};
use shiren_schemas::records::{Decision, Mode, Request, RequestKind, Verdict};

use crate::row::{self, Row, form};

/// By how much the clock of a running worker is set: the wall clock. The monotonic clock goes on, as it does when somebody
/// sets a machine's.
const JUMPS_S: [i64; 2] = [600, -600];
/// Deadline of some requests, which passes while the clock is off.
const DEADLINE: Duration = Duration::from_secs(1);

const HOUR_US: i64 = 3_600_000_000;

fn captured(id: &str, capture_time: Option<i64>) -> Request {
    let mut request = Request::new(id, RequestKind::Detect);
    let picture = events::picture(&site::home(), "obama.jpg");
    request.probe = Some(requests::inline(picture, None));
    request.capture_time = capture_time;
    request
}

/// The machine's clock, set wrong by so many microseconds.
#[derive(Default)]
struct Wrong(AtomicI64);

impl TimeSource for Wrong {
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

fn late(jump_s: i64, like: &Request) -> Vec<Request> {
    let request = |n: usize| Request {
        request_id: format!("late-{jump_s}-{n}"),
        deadline_ms: Some(i32::try_from(DEADLINE.as_millis()).unwrap()),
        ..like.clone()
    };
    (0..LATE).map(request).collect()
}

/// Requests with a deadline, of each jump.
const LATE: usize = 5;

/// In this process and by its clock port: libfaketime leaves librdkafka's timed waits at the true time while it shows it a
/// wrong one, so that they last until the clocks meet. No machine's clock does that.
#[test]
fn a_worker_whose_clock_jumps_waits_until_it_is_right_again() {
    let count = row::events();
    let off = form(Duration::from_secs(5), Duration::from_secs(40));
    let expected = run::undisturbed(count);
    let mut row = Row::begin("worker's clock jumps 10 minutes both ways");
    let cluster = Cluster::without_workers(&[site::LARGE_FACES, site::SMALL_BUNDLES]);
    let log = cluster.log.as_ref();
    let clock = Arc::new(Wrong::default());
    let options = cluster.site.runtime_options(&[], 0).unwrap();
    let health = options.health.clone();
    let is = |phase: Phase| health.workers().iter().all(|worker| worker.phase == phase);
    let registry = stages::registry_with(
        &cluster.site,
        SiteAuthority::new(&cluster.site),
        Clock::of(clock.clone()),
    );
    let runtime = Runtime::build(options, registry, cluster.log.clone()).unwrap();
    let requests = events::requests(&site::home(), count);
    let mut parts = requests.chunks(count.div_ceil(1 + JUMPS_S.len()));
    run::runtime_beside(&runtime, || {
        run::publish(log, parts.next().unwrap());
        run::await_some(log, 1);
        for jump_s in JUMPS_S {
            clock.0.store(jump_s * 1_000_000, Ordering::SeqCst);
            await_that("the worker is unready", || is(Phase::Starting));
            let reasons: Vec<_> = health.workers().into_iter().map(|w| w.reason).collect();
            assert!(
                reasons.iter().all(|r| r.contains("clock_off")),
                "{reasons:?}"
            );
            let (ended, since) = (run::count_all(log), Instant::now());
            run::publish(log, &late(jump_s, &requests[0]));
            run::publish(log, parts.next().unwrap());
            // The time with a wrong clock is the fault itself.
            std::thread::sleep(off.saturating_sub(since.elapsed()));
            assert!(is(Phase::Starting));
            assert_eq!(run::count_all(log), ended, "processed by a wrong clock");
            row.injected(
                1,
                format!("jump of a running worker's clock by {jump_s} s for {off:?}: unready with clock_off, nothing processed"),
            );
            clock.0.store(0, Ordering::SeqCst);
            let back = Instant::now();
            run::await_some(log, ended + 1);
            row.recovered(
                "the clock was set right: another verdict is there",
                back.elapsed(),
            );
            await_that("the worker is ready", || is(Phase::Ready));
        }
        hold(
            &row.await_verdicts(log, count + LATE * JUMPS_S.len()),
            &expected,
        );
    });
    row.note(format!(
        "{} cases whose deadline passed meanwhile ended as deadline_exceeded, none was accepted",
        LATE * JUMPS_S.len()
    ));
    row.end();
}

/// Events end as ever, under the same ids; nothing is accepted after its deadline.
fn hold(verdicts: &[Verdict], expected: &BTreeMap<String, String>) {
    let is_late = |v: &Verdict| v.observed.request_id.starts_with("late-");
    let (late, events): (Vec<_>, Vec<_>) = verdicts.iter().cloned().partition(is_late);
    assert_eq!(&run::canonical(&events), expected);
    for verdict in &late {
        assert_eq!(verdict.canonical.decision, Decision::Error, "{verdict:?}");
        assert_eq!(verdict.canonical.reason_codes, ["deadline_exceeded"]);
    }
}

#[test]
fn a_capture_time_that_is_far_off_is_flagged_and_decides_nothing() {
    let mut row = Row::begin("camera's clock wrong");
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[site::LARGE_FACES]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    let now_us = shiren_runtime::now_us();
    let mut later = captured("backfill", Some(now_us - 24 * HOUR_US));
    later.mode = Mode::Backfill;
    let all = [
        captured("unknown", None),
        captured("right", Some(now_us)),
        captured("behind", Some(now_us - 3 * HOUR_US)),
        captured("ahead", Some(now_us + 10 * HOUR_US)),
        later,
    ];
    run::publish(log.as_ref(), &all);
    let (verdicts, _) = run::beside(&site, &log, || row.await_verdicts(log.as_ref(), 4));
    let flagged = |v: &&Verdict| v.canonical.reason_codes == ["clock_skew"];
    row.injected(
        verdicts.iter().filter(flagged).count(),
        "capture time hours off, flagged clock_skew and judged as any other",
    );
    for verdict in verdicts {
        let flagged = verdict.canonical.reason_codes == ["clock_skew"];
        let id = verdict.observed.request_id.as_str();
        assert_eq!(flagged, ["behind", "ahead"].contains(&id), "{verdict:?}");
        assert_eq!(verdict.canonical.decision.as_str(), "done", "{id}");
    }
    row.end();
}
