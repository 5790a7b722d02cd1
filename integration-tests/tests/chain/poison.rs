//! A record that harms the process, on the embedded log: it ends alone among the dead letters.

use std::sync::Arc;

use shiren_integration_tests::poison::{assert_alone, supervise};
use shiren_integration_tests::processes;
use shiren_integration_tests::{events, run, site};
use shiren_log::Log;
use shiren_schemas::records::DeadLetter;
use tempfile::TempDir;

const EVENTS: usize = 24;
/// Behind the first bundles.
const POISON: &str = "event-17";
/// Far more than the chain maps, far less than the poison claims.
const ADDRESS_SPACE_MAX_KIB: u64 = 16 << 20;
/// Two deaths until the record runs alone, then `runtime.crash_max_attempts`.
const DEATHS: std::ops::RangeInclusive<usize> = 4..=6;

fn site(more: &[(&str, &str)]) -> (TempDir, Arc<dyn Log>) {
    let folder = tempfile::tempdir().unwrap();
    let mut changes = vec![site::LARGE_FACES, site::SMALL_BUNDLES];
    changes.extend(more);
    let site = site::embedded(folder.path(), &changes);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    run::publish(log.as_ref(), &events::requests(&site::home(), EVENTS));
    (folder, log)
}

/// Runs all events with one that does `harm`; how the processes died, and the dead letter with this code.
fn harmed(harm: &str, code: &str, more: &[(&str, &str)]) -> (Vec<String>, DeadLetter) {
    let (folder, log) = site(more);
    let topology = folder.path().join("topology.toml");
    let command = || {
        let mut command = processes::on_embedded(&topology);
        command
            .arg("run")
            .env("SHIREN_POISON", format!("{harm}@{POISON}@detect"));
        match harm {
            "memory" => processes::limited(&command, ADDRESS_SPACE_MAX_KIB),
            _ => command,
        }
    };
    let deaths = supervise(log.as_ref(), EVENTS, command, harm);
    println!("{harm} of {POISON} in detect: deaths {deaths:?}");
    let letter = assert_alone(log.as_ref(), EVENTS, POISON, code);
    (deaths, letter)
}

fn kills(harm: &str, how: &str, more: &[(&str, &str)]) {
    let (deaths, letter) = harmed(harm, "record_kills_process", more);
    assert!(DEATHS.contains(&deaths.len()), "{deaths:?}");
    assert!(deaths.iter().all(|death| death.contains(how)), "{deaths:?}");
    assert_eq!(letter.attempts, 3);
}

#[test]
fn a_record_that_aborts_the_process_ends_alone() {
    kills("abort", "SIGABRT", &[]);
}

#[test]
fn a_record_that_violates_memory_ends_alone() {
    kills("segv", "SIGSEGV", &[]);
}

#[test]
fn a_record_that_runs_out_of_memory_ends_alone() {
    kills("memory", "SIGABRT", &[]);
}

/// The process that hangs ends itself.
#[test]
fn a_record_that_hangs_ends_alone() {
    let soon = (
        "drain_max_ms = 8000 ",
        "record_max_ms = 4000\ndrain_max_ms = 8000 ",
    );
    kills("hang", "SIGABRT", &[soon]);
}

#[test]
fn a_record_that_panics_ends_alone_and_kills_nobody() {
    let (deaths, letter) = harmed("panic", "stage_failed", &[]);
    assert_eq!((deaths.len(), letter.attempts), (0, 0));
}
