//! What a hand-over of partitions costs: a member that is started again, and one that leaves, by either kind of membership.

use std::ops::Range;
use std::time::{Duration, Instant};

use shiren::case_reader::VerdictReader;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::await_that;
use shiren_integration_tests::{events, run, site};
use shiren_log::{Log, Start};
use shiren_schemas::records::{Mode, Request};

use crate::row::{Row, SHORT_SESSION};

/// Cases of each look: some for every partition.
const CASES: usize = 48;
const STATIC: (&str, &str) = (
    "[log.kafka.properties]\n",
    "static_membership = true\n[log.kafka.properties]\n",
);

#[test]
#[ignore = "a measurement, of which nothing is judged but the verdicts; scripts/faults runs it"]
fn a_hand_over_with_dynamic_membership() {
    hand_over("hand-over, dynamic membership", &[]);
}

#[test]
#[ignore = "a measurement, of which nothing is judged but the verdicts; scripts/faults runs it"]
fn a_hand_over_with_static_membership() {
    hand_over("hand-over, static membership", &[STATIC]);
}

fn hand_over(name: &'static str, membership: &[(&str, &str)]) {
    let expected = run::undisturbed(4 * CASES);
    let mut row = Row::begin_alone(name);
    let mut changes = vec![site::LARGE_FACES];
    changes.extend(SHORT_SESSION);
    changes.extend(membership);
    let cluster = Cluster::without_workers(&changes);
    let log = cluster.log.as_ref();
    let requests = events::requests(&site::home(), 4 * CASES);
    let members = [0, 1].map(|slot| cluster.start_worker("front", slot));
    let took = |part: usize| answered(log, &requests, part * CASES..(part + 1) * CASES);
    let _models_are_warm = took(0);
    let steady = took(1);
    let [stays, goes] = members;

    goes.drain();
    let begun = Instant::now();
    let again = cluster.start_worker("front", 1);
    let restarted = took(2);
    row.injected(1, "SIGTERM of one of two members, which is started again");
    row.recovered(
        "the end of the member: it is back, and cases of every partition have ended",
        begun.elapsed(),
    );
    row.note(said("once it was ready again", restarted, steady));

    again.drain();
    let left = took(3);
    row.injected(1, "SIGTERM of one of two members, for good");
    row.recovered(
        "the end of the member: cases of every partition have ended",
        left,
    );
    row.note(said("after it left", left, steady));
    row.compare(log, &expected);
    stays.drain();
    row.end();
}

fn said(when: &str, took: Duration, steady: Duration) -> String {
    format!(
        "{CASES} cases over all partitions took {took:.1?} {when}, {steady:.1?} with two members at rest"
    )
}

/// Publishes these cases, and waits until each has its verdict.
fn answered(log: &dyn Log, requests: &[Request], part: Range<usize>) -> Duration {
    let live = Mode::Live;
    let mut reader = VerdictReader::open(log, "default", live, Start::End).unwrap();
    let begun = Instant::now();
    run::publish(log, &requests[part.clone()]);
    let mut ended = 0;
    await_that("cases of every partition have ended", || {
        ended += reader.next(run::LOOK_EVERY).unwrap().len();
        ended >= part.len()
    });
    begun.elapsed()
}
