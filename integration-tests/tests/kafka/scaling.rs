//! docs/operate.md, "Scaling": one stage is given a second process under load, and loses it again.

use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::run::EVENTS;
use shiren_integration_tests::{events, run, site};
use shiren_schemas::records::Verdict;

use shiren_integration_tests::cluster::Cluster;

/// `shiren run` of `stage` as `docker compose up --scale` starts it: the same words for each process.
fn scaled(cluster: &Cluster, stage: &str) -> Worker {
    let mut command = processes::on_kafka(cluster.topology(), &cluster.bootstrap());
    command
        .args(["run", "--segment", stage, "--slots-dir"])
        .arg(cluster.folder().join("slots"))
        .env("RUST_LOG", processes::ASSIGNMENTS);
    Worker::launch(command, stage)
}

/// Verdicts a second among those decided from `from_us` to `to_us`.
fn rate(verdicts: &[Verdict], from_us: i64, to_us: i64) -> f64 {
    let times = verdicts.iter().map(|v| v.observed.decided_time);
    let count = times.filter(|t| (from_us..to_us).contains(t)).count();
    count as f64 * 1e6 / (to_us - from_us).max(1) as f64
}

/// One process of `detect` under load, then two, then one again by SIGTERM under load: both did their share, nothing
/// is lost, no verdict is there twice, nobody was fenced. The rates are printed and not judged: how much a second
/// process helps depends on the cores that are idle, and here all stages share those of one machine.
#[test]
fn a_stage_is_scaled_up_and_down_under_load() {
    let cluster = Cluster::without_workers(&[
        site::LARGE_FACES,
        site::SMALL_BUNDLES,
        site::ONE_STAGE_A_SEGMENT,
    ]);
    let others = site::STAGES.iter().filter(|stage| **stage != "detect");
    let others: Vec<_> = others.map(|s| cluster.start_worker(s, 0)).collect();
    let requests = events::requests(&site::home(), EVENTS);
    let log = cluster.log.as_ref();

    let first = scaled(&cluster, "detect").ready();
    let alone_us = shiren_runtime::now_us();
    run::publish(log, &requests[..100]);
    run::await_some(log, 20);
    let second = scaled(&cluster, "detect");
    second.await_message("partitions assigned");
    let two_us = shiren_runtime::now_us();
    run::publish(log, &requests[100..160]);
    run::await_some(log, 130);
    let down_us = shiren_runtime::now_us();
    // Work is on its way to both when one is told to end.
    run::publish(log, &requests[160..]);
    let second = second.drain();

    let verdicts = run::verdicts(log, EVENTS);
    let first = first.drain();
    assert_eq!(run::canonical(&verdicts), run::undisturbed(EVENTS));
    let in_decode = verdicts.iter().filter(|v| v.observed.layout == "decode");
    let reached = (EVENTS - in_decode.count()) as u64;
    println!(
        "detect: {} and {} of {reached} records; verdicts a second with one process {:.1}, with two {:.1}",
        first.records,
        second.records,
        rate(&verdicts, alone_us, two_us),
        rate(&verdicts, two_us, down_us),
    );
    assert!(first.records > 0 && second.records > 0);
    assert_eq!(first.records + second.records, reached);
    assert_eq!((first.rebuilds, second.rebuilds), (0, 0));
    for worker in others {
        worker.drain();
    }
}
