//! A record that kills the process, on real Kafka.

use shiren_integration_tests::poison::{assert_alone, supervise};
use shiren_integration_tests::{events, run, site};

use shiren_integration_tests::cluster::Cluster;

const EVENTS: usize = 24;
const POISON: &str = "event-17";

#[test]
fn a_record_that_aborts_the_process_ends_alone() {
    let changes = [
        site::LARGE_FACES,
        site::SMALL_BUNDLES,
        ("session_timeout_ms = 10000 ", "session_timeout_ms = 6000 "),
        ("drain_max_ms = 8000 ", "drain_max_ms = 5000 "),
    ];
    let cluster = Cluster::without_workers(&changes);
    let log = cluster.log.as_ref();
    run::publish(log, &events::requests(&site::home(), EVENTS));
    let command = || {
        let mut command = cluster.command("front", 0);
        command.env("SHIREN_POISON", format!("abort@{POISON}@detect"));
        command
    };
    let deaths = supervise(log, EVENTS, command, "front");
    println!("abort of {POISON} in detect: deaths {deaths:?}");
    assert!((4..=6).contains(&deaths.len()), "{deaths:?}");
    assert!(deaths.iter().all(|death| death.contains("SIGABRT")));
    let letter = assert_alone(log, EVENTS, POISON, "record_kills_process");
    assert_eq!(letter.attempts, 3);
}
