//! Running a chain in this process and reading what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use shiren::case_reader::VerdictReader;
use shiren::site::Site;
use shiren::{requests, stages};
use shiren_contract::invariants;
use shiren_log::{Log, Start};
use shiren_runtime::{Drain, Runtime, Summary};
use shiren_schemas::records::{Lane, Mode, Request, Verdict};

use crate::{events, site};

/// Longest wait for all verdicts of a test: with ten busy processes on two cores some take half of it.
pub const MAX_WAIT: Duration = Duration::from_secs(300);
/// Longest wait of one look for more of them.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Publishes `requests` for the tenant `default`.
///
/// # Panics
/// When the log refuses them.
pub fn publish(log: &dyn Log, requests: &[Request]) {
    let mut publisher = log.publisher().expect("a publisher");
    let record =
        |request| requests::record("default", Lane::Interactive, request).expect("encoded");
    // A megabyte or two at a time: a busy machine takes that well within the delivery timeout.
    for part in requests.chunks(20) {
        let records = part.iter().map(|request| record(request).0);
        publisher.publish(records.collect()).expect("published");
    }
}

/// Runs all segments of the site in this process while `work` is done.
///
/// # Panics
/// When the chain fails.
pub fn beside<T>(site: &Arc<Site>, log: &Arc<dyn Log>, work: impl FnOnce() -> T) -> (T, Summary) {
    segments_beside(site, log, &[], work)
}

/// As [`beside`], of these segments; none: all.
///
/// # Panics
/// When the chain fails.
pub fn segments_beside<T>(
    site: &Arc<Site>,
    log: &Arc<dyn Log>,
    segments: &[&str],
    work: impl FnOnce() -> T,
) -> (T, Summary) {
    let segments: Vec<String> = segments.iter().map(|&name| name.to_owned()).collect();
    site.set_up(log.as_ref()).expect("topics and policy");
    let options = site.runtime_options(&segments, 0).expect("options");
    let runtime = Runtime::build(options, stages::registry(site), log.clone()).expect("a runtime");
    runtime_beside(&runtime, work)
}

/// As [`beside`], of a runtime that is built already.
///
/// # Panics
/// When the chain fails.
pub fn runtime_beside<T>(runtime: &Runtime, work: impl FnOnce() -> T) -> (T, Summary) {
    let drain = Drain::new();
    std::thread::scope(|scope| {
        let chain = scope.spawn(|| runtime.run(&drain, || {}));
        // Drained even when `work` panics, so that the test ends.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        drain.request();
        let summary = chain
            .join()
            .expect("the chain's thread")
            .expect("the chain");
        (
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            summary,
        )
    })
}

/// Events of a run that is compared with [`undisturbed`], at most.
pub const EVENTS: usize = 200;

/// What every layout and every disturbed run must come to: the canonical verdicts of the first
/// `count` of the [`EVENTS`] events, of an undisturbed run.
///
/// # Panics
/// When the run fails.
#[must_use]
pub fn undisturbed(count: usize) -> BTreeMap<String, String> {
    let mut first = canonical(undisturbed_verdicts());
    first.retain(|event, _| {
        let number = event.strip_prefix("event-").and_then(|n| n.parse().ok());
        number.is_some_and(|number: usize| number < count)
    });
    assert_eq!(first.len(), count);
    first
}

/// The verdicts of the [`EVENTS`] events, of an undisturbed run on the embedded log, all in one.
/// It is made once for all tests of a program.
///
/// # Panics
/// When the run fails.
#[must_use]
pub fn undisturbed_verdicts() -> &'static [Verdict] {
    static VERDICTS: OnceLock<Vec<Verdict>> = OnceLock::new();
    VERDICTS.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let site = site::embedded(folder.path(), &[site::LARGE_FACES]);
        let log = site.open_log().expect("a log");
        site.set_up(log.as_ref()).expect("topics and policy");
        publish(log.as_ref(), &events::requests(&site.home, EVENTS));
        let (verdicts, summary) = beside(&site, &log, || verdicts(log.as_ref(), EVENTS));
        assert_eq!((summary.verdicts, summary.dead_letters), (200, 0));
        verdicts
    })
}

/// Exactly `count` verdicts, none twice.
///
/// # Panics
/// When there are more, fewer, or one twice.
#[must_use]
pub fn verdicts(log: &dyn Log, count: usize) -> Vec<Verdict> {
    let mut reader =
        VerdictReader::open(log, "default", Mode::Live, Start::Beginning).expect("a reader");
    let verdicts = reader.await_count(count, MAX_WAIT).expect("all verdicts");
    assert_eq!(verdicts.len(), count, "more verdicts than cases");
    assert_eq!(reader.duplicates, 0, "a verdict was written twice");
    verdicts.iter().for_each(hold_invariants);
    verdicts
}

/// What must hold of a verdict by itself, by the policy of the topology; its deadline is not in it.
///
/// # Panics
/// When it does not.
pub fn hold_invariants(verdict: &Verdict) {
    let canonical = &verdict.canonical;
    let held = invariants::verdict_of_its_case(canonical).and_then(|()| {
        let (kind, decision) = (canonical.kind, canonical.decision);
        // The policy's requirements are the runtime's to check: here, what every accept needs.
        invariants::no_accept_on_failure(kind, decision, &canonical.checks, 0, Some(&[]))
    });
    if let Err(violation) = held {
        panic!("{violation}: {verdict:?}");
    }
}

/// Every verdict that there is was written once.
///
/// # Panics
/// When one is there twice.
pub fn no_verdict_twice(log: &dyn Log) {
    let live = Mode::Live;
    let mut reader = VerdictReader::open(log, "default", live, Start::Beginning).expect("a reader");
    let mut count = 0;
    while !reader.at_end().expect("its end") {
        let verdicts = reader.next(LOOK_EVERY).expect("verdicts");
        verdicts.iter().for_each(hold_invariants);
        count += verdicts.len();
    }
    assert!(count > 0, "no verdict");
    assert_eq!(reader.duplicates, 0, "a verdict was written twice");
}

/// Waits until there are `count` verdicts, and no longer.
///
/// # Panics
/// When they do not come.
pub fn await_some(log: &dyn Log, count: usize) {
    let mut reader =
        VerdictReader::open(log, "default", Mode::Live, Start::Beginning).expect("a reader");
    let deadline = Instant::now() + MAX_WAIT;
    let mut seen = 0;
    while seen < count {
        assert!(Instant::now() < deadline, "{seen} of {count} verdicts");
        seen += reader.next(LOOK_EVERY).expect("verdicts").len();
    }
}

/// How many verdicts can be read now.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn count_all(log: &dyn Log) -> usize {
    let mut reader =
        VerdictReader::open(log, "default", Mode::Live, Start::Beginning).expect("a reader");
    let mut count = 0;
    while !reader.at_end().expect("its end") {
        count += reader.next(LOOK_EVERY).expect("verdicts").len();
    }
    count
}

/// How many verdicts there are at the time of the call, at least one, while more may come and
/// while a dead worker's transaction may hold readers up.
///
/// # Panics
/// When there are none, or they cannot be read.
#[must_use]
pub fn count_now(log: &dyn Log) -> usize {
    let now_us = shiren_runtime::now_us();
    let mut reader =
        VerdictReader::open(log, "default", Mode::Live, Start::Beginning).expect("a reader");
    let deadline = Instant::now() + MAX_WAIT;
    let mut count = 0;
    loop {
        let verdicts = reader.next(LOOK_EVERY).expect("verdicts");
        let until_now = |v: &&Verdict| v.observed.decided_time <= now_us;
        let old = verdicts.iter().filter(until_now).count();
        count += old;
        // Empty at first: the reader has just been opened.
        if old == 0 && (count > 0 || !verdicts.is_empty()) {
            return count;
        }
        assert!(Instant::now() < deadline, "no verdict");
    }
}

/// Canonical hash by request: what must be equal between runs.
#[must_use]
pub fn canonical(verdicts: &[Verdict]) -> BTreeMap<String, String> {
    verdicts
        .iter()
        .map(|v| {
            let decision = v.canonical.decision;
            (
                v.observed.request_id.clone(),
                format!("{decision} {}", v.canonical_sha256),
            )
        })
        .collect()
}
