//! A record that harms the process which works on it: it ends alone among the dead letters, its neighbours as ever.

use std::process::Command;

use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::poison::{assert_alone, supervise};
use shiren_integration_tests::{events, processes, run, site};
use shiren_log::Log;
use shiren_schemas::records::DeadLetter;

use crate::row::{Row, SHORT_SESSION};

const EVENTS: usize = 24;
/// Behind the first bundles.
const POISON: &str = "event-17";
/// Far more than the chain maps, far less than the poison claims.
const ADDRESS_SPACE_MAX_KIB: u64 = 16 << 20;
/// Two deaths until the record runs alone, then `runtime.crash_max_attempts`.
const DEATHS: std::ops::RangeInclusive<usize> = 4..=6;
const CRASH_MAX_ATTEMPTS: i32 = 3;
/// A stage that hangs is given up soon.
const SOON: (&str, &str) = (
    "drain_max_ms = 8000 ",
    "record_max_ms = 4000\ndrain_max_ms = 8000 ",
);

/// One of the events harms the process in detect; whoever dies is started again.
fn harmed(
    row: &mut Row,
    log: &dyn Log,
    harm: &str,
    command: impl Fn() -> Command,
    code: &str,
) -> (Vec<String>, DeadLetter) {
    let command = || {
        let mut command = command();
        command.env("SHIREN_POISON", format!("{harm}@{POISON}@detect"));
        match harm {
            "memory" => processes::limited(&command, ADDRESS_SPACE_MAX_KIB),
            _ => command,
        }
    };
    let deaths = supervise(log, EVENTS, command, harm);
    row.await_verdicts(log, EVENTS);
    (deaths, assert_alone(log, EVENTS, POISON, code))
}

/// The record kills every process that touches it, in this way.
fn kills(mut row: Row, log: &dyn Log, harm: &str, how: &str, command: impl Fn() -> Command) {
    let (deaths, letter) = harmed(&mut row, log, harm, command, "record_kills_process");
    assert!(DEATHS.contains(&deaths.len()), "{deaths:?}");
    assert!(deaths.iter().all(|death| death.contains(how)), "{deaths:?}");
    assert_eq!(letter.attempts, CRASH_MAX_ATTEMPTS);
    row.injected(
        deaths.len(),
        format!("process ended by {how} over one record; that alone became a dead letter"),
    );
    row.end();
}

/// The events lie in an embedded log; gives its folder, the log and the command of its process.
fn embedded(
    more: &[(&str, &str)],
) -> (
    tempfile::TempDir,
    std::sync::Arc<dyn Log>,
    impl Fn() -> Command,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut changes = vec![site::LARGE_FACES, site::SMALL_BUNDLES];
    changes.extend(more);
    let site = site::embedded(folder.path(), &changes);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    run::publish(log.as_ref(), &events::requests(&site::home(), EVENTS));
    let topology = folder.path().join("topology.toml");
    let command = move || {
        let mut command = processes::on_embedded(&topology);
        command.arg("run");
        command
    };
    (folder, log, command)
}

fn kills_embedded(row: Row, harm: &str, how: &str, more: &[(&str, &str)]) {
    let (_folder, log, command) = embedded(more);
    kills(row, log.as_ref(), harm, how, command);
}

#[test]
fn a_record_that_aborts_the_process_ends_alone() {
    let row = Row::begin("poison record: aborts the process, embedded log");
    kills_embedded(row, "abort", "SIGABRT", &[]);
}

#[test]
fn a_record_that_violates_memory_ends_alone() {
    let row = Row::begin("poison record: violates memory, embedded log");
    kills_embedded(row, "segv", "SIGSEGV", &[]);
}

#[test]
fn a_record_that_runs_out_of_memory_ends_alone() {
    let row = Row::begin("poison record: runs out of memory, embedded log");
    kills_embedded(row, "memory", "SIGABRT", &[]);
}

/// The process that hangs ends itself.
#[test]
fn a_record_that_hangs_ends_alone() {
    let row = Row::begin("poison record: hangs, embedded log");
    kills_embedded(row, "hang", "SIGABRT", &[SOON]);
}

#[test]
fn a_record_that_panics_ends_alone_and_kills_nobody() {
    let mut row = Row::begin("poison record: panics, embedded log");
    let (_folder, log, command) = embedded(&[]);
    let (deaths, letter) = harmed(&mut row, log.as_ref(), "panic", command, "stage_failed");
    assert_eq!((deaths.len(), letter.attempts), (0, 0));
    row.injected(1, "panic over one record, which alone became a dead letter");
    row.end();
}

#[test]
fn a_record_that_aborts_processes_on_kafka_ends_alone() {
    let row = Row::begin("poison record: aborts the process, Kafka");
    let mut changes = vec![site::LARGE_FACES, site::SMALL_BUNDLES];
    changes.extend(SHORT_SESSION);
    let cluster = Cluster::without_workers(&changes);
    let log = cluster.log.as_ref();
    run::publish(log, &events::requests(&site::home(), EVENTS));
    kills(row, log, "abort", "SIGABRT", || cluster.command("front", 0));
}
