//! Requests that come again while processes die.

use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::Worker;
use shiren_integration_tests::{events, ledger, run, site};

use crate::row::{Row, SHORT_SESSION};

const EVENTS: usize = 40;
const POINTS: [&str; 4] = ["computed@2", "offsets_sent@2", "committed@2", "produced@3"];

/// Everything is published three times over, and processes die in between: each request is answered once, and what a
/// later process knows of the requests before it is what the log says.
#[test]
fn a_request_that_comes_again_is_answered_once_whatever_dies() {
    let expected = run::undisturbed(EVENTS);
    let mut row = Row::begin("requests that come again, kill -9 in between");
    let mut changes = vec![site::LARGE_FACES, site::SMALL_BUNDLES];
    changes.extend(SHORT_SESSION);
    let cluster = Cluster::without_workers(&changes);
    let requests = events::requests(&site::home(), EVENTS);
    let log = cluster.log.as_ref();
    run::publish(log, &requests);
    run::publish(log, &requests);
    for point in POINTS {
        let mut command = cluster.command("front", 0);
        command.env("SHIREN_KILL_POINT", point);
        Worker::launch(command, point).await_kill();
    }
    row.injected(POINTS.len(), format!("signal 9: {}", POINTS.join(", ")));
    let worker = cluster.start_worker("front", 0);
    run::publish(log, &requests);
    run::publish(log, &ledger::altered(&requests));
    drop(ledger::await_conflicts(log, EVENTS));
    row.injected(2 * EVENTS, "request that came again");
    row.injected(
        EVENTS,
        "request id with another payload: idempotency_conflict",
    );
    row.compare(log, &expected);
    worker.drain();
    run::no_verdict_twice(log);
    row.end();
}
