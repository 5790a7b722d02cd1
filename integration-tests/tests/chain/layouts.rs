//! The same events give the same canonical verdicts, whatever the layout.

use std::collections::HashSet;

use shiren_integration_tests::{events, run, site};
use shiren_schemas::records::Verdict;

const EVENTS: usize = 20;

fn run_in(changes: &[(&str, &str)], segments: usize) -> Vec<Verdict> {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), changes);
    assert_eq!(site.topology.segments.len(), segments);
    let log = site.open_log().unwrap();
    log.apply_topics(&site.topics()).unwrap();
    run::publish(log.as_ref(), &events::requests(&site::home(), EVENTS));
    let (verdicts, summary) = run::beside(&site, &log, || run::verdicts(log.as_ref(), EVENTS));
    assert_eq!(summary.verdicts, EVENTS as u64);
    assert_eq!(summary.dead_letters, 0);
    verdicts
}

#[test]
fn fused_and_apart_agree() {
    let fused = run_in(&[], 1);
    let apart = run_in(&[site::ONE_STAGE_A_SEGMENT], 5);
    assert_eq!(run::canonical(&fused), run::canonical(&apart));
    // Not equal because all are alike: the run holds every kind of end.
    let decisions: HashSet<_> = fused
        .iter()
        .map(|verdict| verdict.canonical.decision)
        .collect();
    assert!(decisions.len() >= 4, "{decisions:?}");
}

#[test]
fn two_workers_agree_with_one() {
    let one = run_in(&[], 1);
    let two = run_in(&[("workers = 1 ", "workers = 2 ")], 1);
    assert_eq!(run::canonical(&one), run::canonical(&two));
}

/// What was published before a chain runs, or while it is stopped, is answered when it runs.
#[test]
fn a_drained_chain_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[]);
    let log = site.open_log().unwrap();
    log.apply_topics(&site.topics()).unwrap();
    let requests = events::requests(&site::home(), 8);
    run::publish(log.as_ref(), &requests[..4]);
    let ((), first) = run::beside(&site, &log, || drop(run::verdicts(log.as_ref(), 4)));
    run::publish(log.as_ref(), &requests[4..]);
    let ((), second) = run::beside(&site, &log, || drop(run::verdicts(log.as_ref(), 8)));
    assert_eq!((first.records, second.records), (4, 4));
}
