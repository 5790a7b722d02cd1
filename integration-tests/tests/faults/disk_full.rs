//! The log has no space left: the embedded one at its cap, one broker's disk, the disks of all.

use std::time::{Duration, Instant};

use shiren::requests;
use shiren_integration_tests::broker::Broker;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::{self, Worker, await_that};
use shiren_integration_tests::{events, run, site};
use shiren_log::{Log, LogError, NewRecord, TopicSpec};
use shiren_schemas::records::{Lane, Request};

use crate::brokers::{INGRESS, Leaders, await_one, publish_until_taken};
use crate::row::{self, Row, SHORT_SESSION, SHORT_TRANSACTION, form};

/// Cap of the embedded log; all topics between the stages are in it, and are kept. Retention is looked after often.
const CAP: (&str, &str) = (
    "max_mib = 4096 ",
    "max_mib = 256\nretention_sweep_ms = 200 ",
);
const LONG_CAP: (&str, &str) = (
    "max_mib = 4096 ",
    "max_mib = 1024\nretention_sweep_ms = 200 ",
);
const BALLAST: &str = "ballast";
const BALLAST_MAX_BYTES: usize = 8 * 1024 * 1024;
/// What a worker says that keeps a bundle.
const WAITS: &str = "a bundle is kept until there is space";

/// A topic beside Shiren's, kept so long.
fn ballast(retention_ms: i64) -> TopicSpec {
    TopicSpec {
        name: BALLAST.to_owned(),
        partitions: 1,
        retention_ms,
        max_record_bytes: 2 * BALLAST_MAX_BYTES,
        compacted: false,
    }
}

/// Publishes ever smaller records until even the smallest are refused; how many MiB were taken.
fn fill(log: &dyn Log) -> usize {
    log.apply_topics(&[ballast(i64::from(i32::MAX))]).unwrap();
    let mut publisher = log.publisher().unwrap();
    let (mut bytes, mut size) = (0, BALLAST_MAX_BYTES);
    while size >= 1024 {
        let record = NewRecord {
            topic: BALLAST.into(),
            partition: None,
            key: "ballast".into(),
            value: Some(vec![7; size].into()),
            headers: Vec::new(),
        };
        match publisher.publish(vec![record]) {
            Ok(()) => bytes += size,
            Err(LogError::Full { .. }) => size /= 2,
            Err(other) => panic!("{other}"),
        }
    }
    bytes / (1024 * 1024)
}

fn publish_one(log: &dyn Log, request: &Request) -> Result<(), LogError> {
    let record = requests::record("default", Lane::Interactive, request);
    log.publisher()?.publish(vec![record.unwrap().0])
}

#[test]
fn a_full_embedded_log_refuses_and_goes_on_once_there_is_space() {
    let count = row::events();
    let expected = run::undisturbed(count);
    let mut row = Row::begin("embedded log full");
    let folder = tempfile::tempdir().unwrap();
    let changes = [
        site::LARGE_FACES,
        site::SMALL_BUNDLES,
        site::ONE_STAGE_A_SEGMENT,
        form(CAP, LONG_CAP),
    ];
    let site = site::embedded(folder.path(), &changes);
    let log = site.open_log().unwrap();
    let log = log.as_ref();
    site.set_up(log).unwrap();
    let requests = events::requests(&site::home(), count);
    let (first, rest) = requests.split_at(count / 2);
    run::publish(log, first);
    let mib = fill(log);
    let refused = publish_one(log, &rest[0]).unwrap_err();
    assert_eq!(refused.code(), "log_full", "{refused}");
    row.injected(
        1,
        format!("publishers' share of the log filled, {mib} MiB of ballast: publishing refused, log_full"),
    );
    // Its own outputs come to the cap.
    let mut command = processes::on_embedded(&folder.path().join("topology.toml"));
    command.arg("run");
    let mut worker = Worker::launch(command, "chain").ready();
    worker.await_message(WAITS);
    let answered = run::count_all(log);
    assert!(answered < first.len(), "all {answered} cases have ended");
    assert_eq!(worker.ended(), None, "it waits");
    let refused = publish_one(log, &rest[0]).unwrap_err();
    assert_eq!(refused.code(), "log_full", "{refused}");
    row.injected(
        1,
        format!("cap of the log reached by the workers: bundles kept, {answered} cases answered"),
    );

    log.apply_topics(&[ballast(1)]).unwrap();
    let space = Instant::now();
    await_that("publishing is taken again", || {
        publish_one(log, &rest[0]).is_ok()
    });
    row.recovered("there is space again: publishing is taken", space.elapsed());
    run::publish(log, &rest[1..]);
    run::await_some(log, answered + 1);
    row.recovered("there is space again: another verdict", space.elapsed());
    row.compare(log, &expected);
    row.drain_unaided(worker);
    row.end();
}

/// Of each broker, MiB.
const DISK_MIB: u32 = 96;
/// Longest time until work goes on, as after the death of brokers.
const RESUMED_MAX: Duration = Duration::from_secs(60);

#[test]
fn brokers_whose_disks_are_full_end_and_nothing_is_lost() {
    let count = form(60, 100);
    // Before, while one disk is full, after all were.
    let (one, all) = (count / 5, count / 2);
    let expected = run::undisturbed(count);
    let mut row = Row::begin_alone("disk full: one broker's, then all three");
    let mut changes = vec![site::LARGE_FACES, site::SMALL_BUNDLES, SHORT_TRANSACTION];
    changes.extend(SHORT_SESSION);
    let brokers = Broker::three_on_small_disks(DISK_MIB);
    let mut cluster = Cluster::on(brokers, &changes);
    let log = cluster.log.clone();
    let log = log.as_ref();
    let requests = events::requests(&site::home(), count);
    let worker = cluster.start_worker("front", 0);
    publish_until_taken(log, &requests[..one]);
    await_one(log, 0..one);

    let leaders = Leaders::of(&cluster);
    leaders.await_in_sync();
    let victim = leaders.leader(INGRESS, 0);
    let mib = cluster.brokers[victim].disk().fill();
    let filled = Instant::now();
    publish_until_taken(log, &requests[one..all]);
    let why = cluster.brokers[victim].await_end();
    assert!(why.contains("No space left on device"), "{why}");
    row.injected(
        1,
        format!(
            "disk of a leader filled, {mib} of {DISK_MIB} MiB: it ended by itself, broker {}",
            victim + 1
        ),
    );
    await_one(log, one..all);
    resumed(&mut row, "a leader's disk was full", filled);
    cluster.brokers[victim].disk().clear();
    cluster.brokers[victim].restart();
    leaders.await_in_sync();

    for broker in &mut cluster.brokers {
        assert!(broker.disk().fill() > 0);
    }
    for broker in &mut cluster.brokers {
        let why = broker.await_end();
        assert!(why.contains("No space left on device"), "{why}");
    }
    row.injected(3, "disk filled, of all brokers: they ended by themselves");
    let refused = publish_one(log, &requests[all]).unwrap_err();
    assert_eq!(refused.code(), "log_unavailable", "{refused}");
    row.note(format!(
        "publishing without a broker is refused, {}",
        refused.code()
    ));
    cluster
        .brokers
        .iter_mut()
        .for_each(|broker| broker.disk().clear());
    cluster.brokers.iter_mut().for_each(Broker::launch);
    cluster.brokers.iter_mut().for_each(Broker::await_port);
    let back = Instant::now();
    publish_until_taken(log, &requests[all..]);
    await_one(log, all..count);
    resumed(&mut row, "space and brokers came back", back);
    row.compare(log, &expected);
    row.drain_unaided(worker);
    row.end();
}

fn resumed(row: &mut Row, after: &str, since: Instant) {
    let time = since.elapsed();
    row.recovered(
        format!("{after}: a case that came afterwards has ended"),
        time,
    );
    assert!(time <= RESUMED_MAX, "{after}: {time:?}");
}
