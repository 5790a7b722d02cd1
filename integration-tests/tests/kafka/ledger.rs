//! Requests that come again while processes die, on real Kafka.

use shiren_integration_tests::processes::Worker;
use shiren_integration_tests::{events, ledger, run, site};

use shiren_integration_tests::cluster::Cluster;

const EVENTS: usize = 40;

/// Everything is published three times over, and processes die in between: each request is answered once, and what a
/// later process knows of the requests before it is what the log says.
#[test]
fn a_request_that_comes_again_is_answered_once_whatever_dies() {
    let cluster = Cluster::without_workers(&[site::LARGE_FACES, site::SMALL_BUNDLES]);
    let requests = events::requests(&site::home(), EVENTS);
    let log = cluster.log.as_ref();
    run::publish(log, &requests);
    run::publish(log, &requests);
    for point in ["computed@2", "offsets_sent@2", "committed@2", "produced@3"] {
        let mut command = cluster.command("front", 0);
        command.env("SHIREN_KILL_POINT", point);
        Worker::launch(command, point).await_kill();
    }
    let worker = cluster.start_worker("front", 0);
    run::publish(log, &requests);
    run::publish(log, &ledger::altered(&requests));
    drop(ledger::await_conflicts(log, EVENTS));
    let verdicts = run::verdicts(log, EVENTS);
    assert_eq!(run::canonical(&verdicts), run::undisturbed(EVENTS));
    let drained = worker.drain();
    println!("{drained:?}");
    run::no_verdict_twice(log);
}
