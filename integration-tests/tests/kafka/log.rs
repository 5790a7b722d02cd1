//! The contract suite on real Kafka, and what is its own.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use shiren_integration_tests::broker::Broker;
use shiren_log::contract_suite::Subject;
use shiren_log::{
    Bundle, Commit, Log, LogError, NewRecord, Start, TopicSpec, Worker, WorkerOptions,
};
use shiren_log_kafka::{KafkaLog, KafkaOptions};

/// One broker for all tests of this binary; it ends with the process.
fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(Broker::start)
}

fn open() -> KafkaLog {
    KafkaLog::open(KafkaOptions::new(broker().bootstrap())).unwrap()
}

/// Kafka's newer group protocol (KIP-848).
fn open_consumer_protocol() -> KafkaLog {
    let mut options = KafkaOptions::new(broker().bootstrap());
    let properties = BTreeMap::from([("group.protocol".into(), "consumer".into())]);
    options.properties = properties;
    KafkaLog::open(options).unwrap()
}

shiren_log::contract_tests!(|promise: &str| Subject::new(promise, || Arc::new(open())));

#[test]
fn the_newer_group_protocol_keeps_the_promises_too() {
    let subject = |promise: &str| Subject::new(promise, || Arc::new(open_consumer_protocol()));
    use shiren_log::contract_suite as suite;
    suite::two_workers_share_the_partitions(&subject("consumer-protocol-share"));
    suite::a_worker_that_was_replaced_cannot_commit(&subject("consumer-protocol-replaced"));
    suite::a_dropped_bundle_is_read_again(&subject("consumer-protocol-dropped"));
}

fn spec(name: &str) -> TopicSpec {
    TopicSpec {
        name: name.into(),
        partitions: 1,
        retention_ms: 3_600_000,
        max_record_bytes: 100_000,
        compacted: false,
    }
}

fn worker(log: &dyn Log, topic: &str, queue_max_bytes: usize) -> Box<dyn Worker> {
    log.worker(WorkerOptions {
        group: format!("{topic}-group"),
        transactional_id: format!("{topic}-0"),
        topics: vec![topic.into()],
        slot: 0,
        slots: 1,
        bundle_max_records: 5,
        bundle_max_bytes: 1_000_000,
        poll_max_wait: Duration::from_millis(500),
        queue_max_bytes,
    })
    .unwrap()
}

fn record(topic: &str, value: &str) -> NewRecord {
    NewRecord {
        topic: topic.into(),
        partition: None,
        key: "key".into(),
        value: Some(value.to_owned().into()),
        headers: vec![],
    }
}

fn next(worker: &mut dyn Worker) -> Bundle {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(bundle) = worker.next_bundle().unwrap() {
            return bundle;
        }
        assert!(Instant::now() < deadline, "no bundle came");
    }
}

/// A second worker of the group takes partitions away while a bundle is out: its commit is
/// refused, the worker goes on, and every record is through once.
#[test]
fn a_bundle_of_a_former_assignment_is_revoked() {
    let log = open();
    let topics = ["revoked-in", "revoked-out"].map(spec);
    log.apply_topics(&topics).unwrap();
    let mut publisher = log.publisher().unwrap();
    publisher.publish(vec![record("revoked-in", "1")]).unwrap();
    let mut first = worker(&log, "revoked-in", 1_000_000);
    let stale = next(first.as_mut());
    // Another member, with a name of its own, so that the first is not fenced.
    let mut other = log
        .worker(WorkerOptions {
            group: "revoked-in-group".into(),
            transactional_id: "revoked-in-1".into(),
            topics: vec!["revoked-in".into()],
            slot: 1,
            slots: 2,
            bundle_max_records: 5,
            bundle_max_bytes: 1_000_000,
            poll_max_wait: Duration::from_millis(500),
            queue_max_bytes: 1_000_000,
        })
        .unwrap();
    // The newcomer's assignment shows as a new generation of the first one's bundle, or as a
    // bundle of its own.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "the group never changed");
        let moved = match first.next_bundle().unwrap() {
            Some(bundle) => bundle.generation != stale.generation,
            None => true,
        };
        if moved {
            break;
        }
    }
    let out = vec![record("revoked-out", "once")];
    assert_eq!(first.commit(&stale, out.clone()).unwrap(), Commit::Revoked);
    let owner = [&mut first, &mut other].into_iter().find_map(|worker| {
        let bundle = worker.next_bundle().unwrap()?;
        Some((worker, bundle))
    });
    let (owner, bundle) = owner.expect("one of the two has the partition");
    assert_eq!(owner.commit(&bundle, out).unwrap(), Commit::Done);
    let mut reader = log.reader("revoked-out", Start::Beginning).unwrap();
    let seen = reader.read(10, Duration::from_secs(10)).unwrap();
    assert_eq!(seen.len(), 1);
}

/// A full queue takes nothing more until there is room; nothing is lost or doubled.
#[test]
fn a_small_queue_holds_back_without_loss() {
    let log = open();
    log.apply_topics(&[spec("small-queue")]).unwrap();
    let mut publisher = log.publisher().unwrap();
    let body = "x".repeat(1_000);
    let records = (0..200).map(|n| record("small-queue", &format!("{n:03}{body}")));
    publisher.publish(records.collect()).unwrap();
    let mut worker = worker(&log, "small-queue", 4_000);
    let mut offsets = vec![];
    while offsets.len() < 200 {
        let bundle = next(worker.as_mut());
        offsets.extend(bundle.records.iter().map(|record| record.offset));
        assert_eq!(worker.commit(&bundle, vec![]).unwrap(), Commit::Done);
    }
    assert_eq!(offsets, (0..200).collect::<Vec<i64>>());
}

/// A broker that is not there is said to be so, in the time that was set.
#[test]
fn a_missing_broker_is_reported_in_time() {
    let mut options = KafkaOptions::new("127.0.0.1:1");
    options.request_max_wait_ms = 1_000;
    let from = Instant::now();
    let error = KafkaLog::open(options).err().unwrap();
    assert!(matches!(error, LogError::Unavailable { .. }), "{error:?}");
    assert!(
        from.elapsed() < Duration::from_secs(5),
        "{:?}",
        from.elapsed()
    );
}

/// A property that librdkafka does not know is an error that names it.
#[test]
fn an_unknown_property_is_refused() {
    let mut options = KafkaOptions::new("127.0.0.1:1");
    options
        .properties
        .insert("no.such.thing".into(), "1".into());
    match KafkaLog::open(options).err().unwrap() {
        LogError::Config { what } => assert!(what.contains("no.such.thing"), "{what}"),
        other => panic!("{other:?}"),
    }
}
