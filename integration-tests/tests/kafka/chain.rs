//! One process a stage on Kafka against all in one on the embedded log.

use shiren_integration_tests::{events, processes, run, site};

use crate::Cluster;

const EVENTS: usize = 50;

#[test]
fn one_process_a_stage_agrees_with_all_in_one() {
    let requests = events::requests(&site::home(), EVENTS);
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[]);
    let log = site.open_log().unwrap();
    log.apply_topics(&site.topics()).unwrap();
    run::publish(log.as_ref(), &requests);
    let (all_in_one, _) = run::beside(&site, &log, || run::verdicts(log.as_ref(), EVENTS));

    let cluster = Cluster::start(&[site::ONE_STAGE_A_SEGMENT]);
    assert_eq!(cluster.workers.len(), 5);
    run::publish(cluster.log.as_ref(), &requests);
    let apart = run::verdicts(cluster.log.as_ref(), EVENTS);
    assert_eq!(run::canonical(&all_in_one), run::canonical(&apart));
    let ended_in: std::collections::BTreeSet<_> = apart
        .iter()
        .map(|verdict| verdict.observed.layout.as_str())
        .collect();
    assert!(
        ended_in.contains("decode") && ended_in.contains("detect") && ended_in.contains("match")
    );
    cluster
        .workers
        .into_iter()
        .for_each(processes::Worker::drain);
}

/// The main job as a user sees it: the demo's mix, the chain in five other processes.
#[test]
fn the_demo_runs_with_one_process_a_stage() {
    let cluster = Cluster::start(&[site::ONE_STAGE_A_SEGMENT]);
    let output = processes::on_kafka(cluster.topology(), &cluster.bootstrap())
        .args(["demo", "--json", "--external"])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{error}");
    let last: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["terminal"], last["published"]);
    assert_eq!(last["unexpected"], 0);
    assert_eq!(cluster.site.topology.segments.len(), 5);
}
