//! The same events give the same canonical verdicts, whatever the layout.

use std::collections::HashSet;

use shiren_integration_tests::run::EVENTS;
use shiren_integration_tests::{events, run, site};
use shiren_schemas::records::Verdict;

fn run_in(changes: &[(&str, &str)], segments: usize) -> Vec<Verdict> {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), changes);
    assert_eq!(site.topology.segments.len(), segments);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    run::publish(log.as_ref(), &events::requests(&site::home(), EVENTS));
    let (verdicts, summary) = run::beside(&site, &log, || run::verdicts(log.as_ref(), EVENTS));
    assert_eq!((summary.verdicts, summary.dead_letters), (200, 0));
    verdicts
}

#[test]
fn all_in_one_and_several_segments_agree() {
    let apart = run_in(
        &[site::LARGE_FACES, site::ONE_STAGE_A_SEGMENT],
        site::STAGES.len(),
    );
    assert_eq!(run::canonical(&apart), run::undisturbed(EVENTS));
    // Not equal because all are alike: the run holds every kind of end.
    let decisions: HashSet<_> = apart
        .iter()
        .map(|verdict| verdict.canonical.decision)
        .collect();
    assert!(decisions.len() >= 4, "{decisions:?}");
}

#[test]
fn two_workers_agree_with_one() {
    let two = run_in(&[site::LARGE_FACES, ("workers = 1 ", "workers = 2 ")], 1);
    assert_eq!(run::canonical(&two), run::undisturbed(EVENTS));
}

/// A stage is set apart, and fused again, by topology alone: what is under way is answered in
/// the new layout, each case once.
#[test]
fn a_stage_is_moved_by_topology_alone() {
    let folder = tempfile::tempdir().unwrap();
    let requests = events::requests(&site::home(), 90);
    let detect_apart = (
        "[segment.front]\nstages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\", \"embed\", \"match\", \"enrol\", \"authority-verify\"]\n",
        "[segment.head]\nstages = [\"admit\", \"decode\"]\n[segment.detect]\nstages = [\"detect\"]\n\
         [segment.tail]\nstages = [\"quality\", \"liveness\", \"embed\", \"match\", \"enrol\", \"authority-verify\"]\n",
    );
    let layouts: [&[(&str, &str)]; 3] = [
        &[site::LARGE_FACES],
        &[site::LARGE_FACES, detect_apart],
        &[site::LARGE_FACES],
    ];
    let mut answered = Vec::new();
    let mut ended_in = HashSet::new();
    for (layout, part) in layouts.into_iter().zip(requests.chunks(30)) {
        let site = site::embedded(folder.path(), layout);
        let log = site.open_log().unwrap();
        site.set_up(log.as_ref()).unwrap();
        run::publish(log.as_ref(), part);
        let count = answered.len() + part.len();
        (answered, _) = run::beside(&site, &log, || run::verdicts(log.as_ref(), count));
        ended_in.extend(answered.iter().map(|v| v.observed.layout.clone()));
    }
    assert_eq!(run::canonical(&answered), run::undisturbed(requests.len()));
    let ended_in: Vec<_> = ["front", "head", "detect", "tail"]
        .into_iter()
        .filter(|segment| ended_in.contains(*segment))
        .collect();
    assert_eq!(ended_in, ["front", "head", "detect", "tail"]);
}

/// What was published before a chain runs, or while it is stopped, is answered when it runs.
#[test]
fn a_drained_chain_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    let requests = events::requests(&site::home(), 8);
    run::publish(log.as_ref(), &requests[..4]);
    let ((), first) = run::beside(&site, &log, || drop(run::verdicts(log.as_ref(), 4)));
    run::publish(log.as_ref(), &requests[4..]);
    let ((), second) = run::beside(&site, &log, || drop(run::verdicts(log.as_ref(), 8)));
    assert_eq!((first.records, second.records), (4, 4));
}
