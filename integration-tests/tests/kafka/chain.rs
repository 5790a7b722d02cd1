//! One process a stage on Kafka against all in one on the embedded log.

use shiren_integration_tests::processes::Worker;
use shiren_integration_tests::run::EVENTS;
use shiren_integration_tests::{events, processes, run, site};

use shiren_integration_tests::cluster::Cluster;

/// Drains all processes; how many records they processed.
fn drain(workers: Vec<Worker>) -> Vec<u64> {
    workers.into_iter().map(|w| w.drain().records).collect()
}

#[test]
fn one_process_a_stage_agrees_with_all_in_one() {
    let cluster = Cluster::start(&[site::LARGE_FACES, site::ONE_STAGE_A_SEGMENT]);
    assert_eq!(cluster.workers.len(), site::STAGES.len());
    let requests = events::requests(&site::home(), EVENTS);
    run::publish(cluster.log.as_ref(), &requests);
    let apart = run::verdicts(cluster.log.as_ref(), EVENTS);
    assert_eq!(run::canonical(&apart), run::undisturbed(EVENTS));
    let ended_in: std::collections::BTreeSet<_> = apart
        .iter()
        .map(|verdict| verdict.observed.layout.as_str())
        .collect();
    assert!(
        ended_in.contains("decode") && ended_in.contains("detect") && ended_in.contains("match")
    );
    drain(cluster.workers);
}

/// Two processes of one stage share its records, each record with one of them.
#[test]
fn two_detect_workers_agree_with_one() {
    let mut cluster = Cluster::start(&[site::LARGE_FACES, site::ONE_STAGE_A_SEGMENT]);
    let mut second = cluster.command("detect", 1);
    second.env("RUST_LOG", processes::ASSIGNMENTS);
    let second = Worker::launch(second, "detect 1").ready();
    // Both are in the group before there is anything to do.
    second.await_message("partitions assigned");
    let requests = events::requests(&site::home(), EVENTS);
    run::publish(cluster.log.as_ref(), &requests);
    let verdicts = run::verdicts(cluster.log.as_ref(), EVENTS);
    assert_eq!(run::canonical(&verdicts), run::undisturbed(EVENTS));
    let first = cluster.workers.remove(2).drain();
    let second = second.drain();
    assert!(first.records > 0 && second.records > 0);
    let in_decode = verdicts.iter().filter(|v| v.observed.layout == "decode");
    let reached_detect = EVENTS - in_decode.count();
    assert_eq!(first.records + second.records, reached_detect as u64);
    drain(cluster.workers);
}

/// The main job as a user sees it: the demo's mix, the chain in other processes.
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
    assert_eq!(cluster.site.topology.segments.len(), site::STAGES.len());
}
