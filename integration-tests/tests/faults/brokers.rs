//! Brokers die: three of them, every partition on all, acknowledged by two.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use shiren::case_reader::VerdictReader;
use shiren_integration_tests::broker::Broker;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::await_that;
use shiren_integration_tests::{events, run, site};
use shiren_log::{Log, Start};
use shiren_schemas::records::{Mode, Request};

use crate::row::{Row, SHORT_SESSION};

const EVENTS: usize = 100;
/// Longest time until work goes on.
const RESUMED_MAX: Duration = Duration::from_secs(60);
/// Partitions of Kafka's own two topics, as the test's brokers are set up.
const OWN_PARTITIONS: i32 = 4;
const ASK_MAX_WAIT: Duration = Duration::from_secs(10);

pub(super) const INGRESS: &str = "shiren.default.requests.interactive";
/// Group and transactional.id of the only worker.
const GROUP: &str = "shiren.admit.interactive";
const TRANSACTIONAL_ID: &str = "shiren.admit.interactive-0";

/// What Kafka's own tools know of it.
pub(super) struct Leaders(BaseConsumer);

impl Leaders {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap());
        Self(config.create().unwrap())
    }

    /// Index of the broker that leads a partition.
    pub(super) fn leader(&self, topic: &str, partition: i32) -> usize {
        let mut leader = None;
        await_that(&format!("{topic}/{partition} has a leader"), || {
            let asked = self.0.fetch_metadata(Some(topic), ASK_MAX_WAIT);
            let Ok(metadata) = asked else { return false };
            let found = metadata.topics().first().and_then(|topic| {
                let mut partitions = topic.partitions().iter();
                partitions.find(|found| found.id() == partition)
            });
            leader = found.and_then(|found| usize::try_from(found.leader() - 1).ok());
            leader.is_some()
        });
        leader.unwrap()
    }

    /// Waits until every partition is on all three brokers again.
    pub(super) fn await_in_sync(&self) {
        await_that("all copies are in sync", || {
            let Ok(metadata) = self.0.fetch_metadata(None, ASK_MAX_WAIT) else {
                return false;
            };
            let mut partitions = metadata
                .topics()
                .iter()
                .flat_map(|topic| topic.partitions());
            partitions.all(|partition| partition.isr().len() == 3)
        });
    }
}

/// Which partition of Kafka's own topics a name belongs to: Java's hash of a text.
fn own_partition(name: &str) -> i32 {
    let hash = |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    let hash: i32 = name.encode_utf16().map(|u| u.cast_signed()).fold(0, hash);
    hash.checked_abs().unwrap_or(0) % OWN_PARTITIONS
}

/// Publishes until the log takes it; how often it was tried.
pub(super) fn publish_until_taken(log: &dyn Log, requests: &[Request]) -> usize {
    let mut tries = 0;
    await_that("the events are published", || {
        tries += 1;
        let records = requests.iter().map(|request| {
            let lane = shiren_schemas::records::Lane::Interactive;
            shiren::requests::record("default", lane, request)
                .unwrap()
                .0
        });
        let publisher = log.publisher();
        publisher
            .and_then(|mut p| p.publish(records.collect()))
            .is_ok()
    });
    tries
}

/// Waits until one of these events has its verdict, whatever the reader meets meanwhile.
pub(super) fn await_one(log: &dyn Log, events: Range<usize>) {
    let wanted: BTreeSet<_> = events.map(|n| format!("event-{n}")).collect();
    let mut reader = None;
    await_that("a verdict of an event that came after the fault", || {
        if reader.is_none() {
            reader = VerdictReader::open(log, "default", Mode::Live, Start::Beginning).ok();
        }
        let Some(Ok(verdicts)) = reader.as_mut().map(|r| r.next(run::LOOK_EVERY)) else {
            reader = None;
            return false;
        };
        verdicts
            .iter()
            .any(|v| wanted.contains(&v.observed.request_id))
    });
}

#[test]
fn brokers_are_killed_one_by_one_and_all_at_once() {
    let expected = run::undisturbed(EVENTS);
    let mut row = Row::begin_alone("brokers kill -9: three nodes, RF 3, min ISR 2");
    let mut changes = vec![site::LARGE_FACES, site::SMALL_BUNDLES];
    changes.extend(SHORT_SESSION);
    let mut cluster = Cluster::on(Broker::three(), &changes);
    let log = cluster.log.clone();
    let log = log.as_ref();
    let requests = events::requests(&site::home(), EVENTS);
    let worker = cluster.start_worker("front", 0);
    publish_until_taken(log, &requests[..20]);
    await_one(log, 0..20);
    let leaders = Leaders::of(&cluster);
    let roles = [
        ("the leader of a partition of requests", INGRESS, 0),
        (
            "the transaction coordinator",
            "__transaction_state",
            own_partition(TRANSACTIONAL_ID),
        ),
        (
            "the group coordinator",
            "__consumer_offsets",
            own_partition(GROUP),
        ),
    ];
    for (number, (role, topic, partition)) in roles.into_iter().enumerate() {
        leaders.await_in_sync();
        let victim = leaders.leader(topic, partition);
        cluster.brokers[victim].kill();
        let killed = Instant::now();
        row.injected(
            1,
            format!(
                "signal 9 of {role}, broker {}; its port is closed",
                victim + 1
            ),
        );
        let part = 20 + number * 20..40 + number * 20;
        publish_until_taken(log, &requests[part.clone()]);
        await_one(log, part);
        // Before the broker's return, from which a bound is promised.
        row.recovered(
            format!("the death of {role}, still away: a case that came afterwards has ended"),
            killed.elapsed(),
        );
        assert_ne!(
            leaders.leader(topic, partition),
            victim,
            "{role} is still the dead one"
        );
        cluster.brokers[victim].restart();
    }
    leaders.await_in_sync();
    cluster.brokers.iter_mut().for_each(Broker::kill);
    row.injected(
        3,
        "signal 9 of all three brokers, one after the other; their ports are closed",
    );
    cluster.brokers.iter_mut().for_each(Broker::launch);
    cluster.brokers.iter_mut().for_each(Broker::await_port);
    let back = Instant::now();
    let tries = publish_until_taken(log, &requests[80..]);
    row.note(format!(
        "publishing after the return of all three took {tries} tries"
    ));
    await_one(log, 80..EVENTS);
    let time = back.elapsed();
    row.recovered(
        "the return of all three: a case that came afterwards has ended",
        time,
    );
    assert!(time <= RESUMED_MAX, "{time:?}");
    row.compare(log, &expected);
    row.drain_unaided(worker);
    row.end();
}
