//! The other side: consume, transform and produce by librdkafka alone.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shiren_runtime::{Drain, Options};

use crate::meter::Meter;
use crate::records;

/// Longest wait for the coordinator.
const REQUEST_MAX_WAIT: Duration = Duration::from_secs(10);
/// Rest between two looks for delivery reports, as in `shiren-log-kafka`.
const REST: Duration = Duration::from_micros(300);

/// What a run did.
#[derive(Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) records: u64,
    pub(crate) transactions: u64,
}

/// Runs the loop until `drain` is asked for. `shipped` gives the bounds of a bundle.
pub(crate) fn run(
    bootstrap: &str,
    [input, output]: [&str; 2],
    shipped: &Options,
    meter: &Meter,
    drain: &Drain,
) -> Done {
    let producer: BaseProducer = producer(bootstrap).create().expect("a producer");
    producer
        .init_transactions(REQUEST_MAX_WAIT)
        .expect("transactions");
    let consumer: BaseConsumer = consumer(bootstrap, shipped).create().expect("a consumer");
    consumer.subscribe(&[input]).expect("subscribed");
    let mut done = Done::default();
    while !drain.requested() {
        let bundle = bundle(&consumer, shipped);
        if bundle.is_empty() {
            continue;
        }
        producer.begin_transaction().expect("begun");
        for message in &bundle {
            meter.record();
            send(&producer, output, message);
        }
        await_reports(&producer);
        let membership = consumer.group_metadata().expect("a member of its group");
        producer
            .send_offsets_to_transaction(&offsets(&bundle), &membership, REQUEST_MAX_WAIT)
            .expect("offsets sent");
        producer
            .commit_transaction(REQUEST_MAX_WAIT)
            .expect("committed");
        done.transactions += 1;
        done.records += bundle.len() as u64;
    }
    done
}

/// Waits for a record, then takes what is there already, within the bounds. A bundle is closed by
/// the record that reaches the byte bound.
fn bundle<'a>(consumer: &'a BaseConsumer, bounds: &Options) -> Vec<BorrowedMessage<'a>> {
    let mut bundle = Vec::new();
    let mut bytes = 0;
    let mut wait = bounds.poll_max_wait;
    while bundle.len() < bounds.bundle_max_records && bytes < bounds.bundle_max_bytes {
        let Some(message) = consumer.poll(wait) else {
            break;
        };
        let message = message.expect("a record");
        bytes += message.key_len() + message.payload_len();
        bundle.push(message);
        wait = Duration::ZERO;
    }
    bundle
}

fn send(producer: &BaseProducer, output: &str, message: &BorrowedMessage<'_>) {
    let value = records::transform(message.payload().expect("a value"));
    let key = message.key().expect("a key");
    let record = BaseRecord::to(output).key(key).payload(&value);
    // The client's queue holds many times a bundle: it is never full.
    producer
        .send(record)
        .map_err(|(error, _)| error)
        .expect("queued");
}

/// The waiting recipe of `shiren-log-kafka`: a look, and a rest when it changed nothing.
fn await_reports(producer: &BaseProducer) {
    // Bounded by message.timeout.ms, after which every record is reported as failed.
    loop {
        let before = producer.in_flight_count();
        if before == 0 {
            return;
        }
        producer.poll(Duration::ZERO);
        if producer.in_flight_count() == before {
            std::thread::park_timeout(REST);
        }
    }
}

fn offsets(bundle: &[BorrowedMessage<'_>]) -> TopicPartitionList {
    let last: BTreeMap<(&str, i32), i64> = bundle
        .iter()
        .map(|message| ((message.topic(), message.partition()), message.offset()))
        .collect();
    let mut offsets = TopicPartitionList::with_capacity(last.len());
    for ((topic, partition), offset) in last {
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(offset + 1))
            .expect("an offset");
    }
    offsets
}

/// The settings of a worker's consumer (`shiren-log-kafka`, `settings.rs`), but for what is read
/// ahead: this client holds by itself as much as Shiren's queues do.
fn consumer(bootstrap: &str, shipped: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    let ahead_kib = shipped.queue_max_bytes / 1024;
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bare.hop")
        .set("allow.auto.create.topics", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "range")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "3000")
        .set("max.partition.fetch.bytes", (1 << 20).to_string())
        .set("queued.max.messages.kbytes", ahead_kib.to_string())
        .set("fetch.queue.backoff.ms", "10");
    config
}

/// The settings of a worker's producer, with the partitioner that gives Shiren's partitions.
fn producer(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("acks", "all")
        .set("batch.size", "64000")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("message.max.bytes", "67174400")
        .set("message.timeout.ms", "8000")
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.kbytes", "131072")
        .set("transaction.timeout.ms", "10000")
        .set("transactional.id", "bare.hop-0");
    config
}
