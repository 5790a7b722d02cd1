//! Promises every engine keeps, run against each by its own tests.
//!
//! An engine's test calls [`contract_tests!`](crate::contract_tests) with a function that opens
//! its log; each promise becomes a test of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test code: a panic is how it speaks"
)]

mod keeping;
mod publishing;
mod restoring;
mod sharing;
mod working;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{
    Bundle, Commit, Log, NewRecord, Publisher, Reader, Record, Start, TopicSpec, Worker,
    WorkerOptions,
};

pub use keeping::*;
pub use publishing::*;
pub use restoring::*;
pub use sharing::*;
pub use working::*;

/// Longest wait for anything that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The log under test.
pub struct Subject {
    open: Box<dyn Fn() -> Arc<dyn Log> + Send + Sync>,
    prefix: String,
}

impl Subject {
    /// `open` opens the same log each time it is called; `prefix` makes the names of topics and
    /// groups unique.
    pub fn new(
        prefix: impl Into<String>,
        open: impl Fn() -> Arc<dyn Log> + Send + Sync + 'static,
    ) -> Self {
        Self {
            open: Box::new(open),
            prefix: prefix.into(),
        }
    }

    fn open(&self) -> Arc<dyn Log> {
        (self.open)()
    }

    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn spec(&self, name: &str, partitions: i32) -> TopicSpec {
        TopicSpec {
            name: self.name(name),
            partitions,
            retention_ms: 3_600_000,
            max_record_bytes: 100_000,
            compacted: false,
        }
    }

    /// Opens the log and makes topics `in` and `out`.
    fn with_topics(&self, partitions: i32) -> Arc<dyn Log> {
        let log = self.open();
        log.apply_topics(&[self.spec("in", partitions), self.spec("out", partitions)])
            .unwrap();
        log
    }

    fn record(&self, topic: &str, key: &str, value: &str) -> NewRecord {
        NewRecord {
            topic: self.name(topic).into(),
            partition: None,
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: vec![],
        }
    }

    /// Publishes `value` under each key.
    fn publish(&self, publisher: &mut dyn Publisher, topic: &str, keys_values: &[(&str, &str)]) {
        let records = keys_values.iter().map(|(k, v)| self.record(topic, k, v));
        publisher.publish(records.collect()).unwrap();
    }

    /// Options of the only worker of group `group` on topic `in`.
    fn worker(&self) -> WorkerOptions {
        WorkerOptions {
            group: self.name("group"),
            transactional_id: self.name("worker-0"),
            topics: vec![self.name("in")],
            slot: 0,
            slots: 1,
            bundle_max_records: 1_000,
            bundle_max_bytes: 10_000_000,
            poll_max_wait: Duration::from_millis(500),
            queue_max_bytes: 10_000_000,
        }
    }

    /// All committed records of a topic.
    fn all(&self, log: &dyn Log, topic: &str) -> Vec<Record> {
        let mut reader = log.reader(&self.name(topic), Start::Beginning).unwrap();
        read_to_end(reader.as_mut())
    }

    /// Waits until a reader sees `count` records or more, and returns all there are: what was
    /// committed may be seen a moment later.
    fn wait_for(&self, log: &dyn Log, topic: &str, count: usize) -> Vec<Record> {
        let mut reader = log.reader(&self.name(topic), Start::Beginning).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut all = vec![];
        while all.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} came", all.len());
            all.extend(reader.read(1_000, Duration::from_millis(500)).unwrap());
        }
        all.extend(read_to_end(reader.as_mut()));
        all
    }
}

/// Reads what was committed before the call.
fn read_to_end(reader: &mut dyn Reader) -> Vec<Record> {
    let deadline = Instant::now() + PATIENCE;
    let mut all = vec![];
    while !reader.at_end().unwrap() {
        assert!(Instant::now() < deadline, "the end was never reached");
        all.extend(reader.read(1_000, Duration::from_millis(100)).unwrap());
    }
    all
}

/// The next bundle, which must come.
fn next(worker: &mut dyn Worker) -> Bundle {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(bundle) = worker.next_bundle().unwrap() {
            return bundle;
        }
        assert!(Instant::now() < deadline, "no bundle came");
    }
}

/// Bundles until they hold `count` records, each committed without outputs.
fn drain(worker: &mut dyn Worker, count: usize) -> Vec<Record> {
    let mut records = vec![];
    while records.len() < count {
        let bundle = next(worker);
        commit(worker, &bundle, vec![]);
        records.extend(bundle.records);
    }
    records
}

/// A commit that must succeed.
fn commit(worker: &mut dyn Worker, bundle: &Bundle, outputs: Vec<NewRecord>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match worker.commit(bundle, outputs.clone()).unwrap() {
            Commit::Done => return,
            Commit::Retry => assert!(Instant::now() < deadline, "the commit never succeeded"),
            other => panic!("{other:?}"),
        }
    }
}

fn values(records: &[Record]) -> Vec<String> {
    let value = |record: &Record| record.value.as_deref().unwrap_or_default().to_vec();
    (records.iter())
        .map(|record| String::from_utf8(value(record)).unwrap())
        .collect()
}

fn sorted(mut values: Vec<String>) -> Vec<String> {
    values.sort();
    values
}

/// Makes a test of every promise. `$subject` is a function from the promise's name to the
/// [`Subject`] to hold to it.
#[macro_export]
macro_rules! contract_tests {
    ($subject:expr) => {
        $crate::contract_tests!(@each $subject;
            records_keep_their_order_keys_and_partitions
            an_explicit_partition_is_obeyed
            headers_tombstones_and_missing_keys_are_kept
            topics_are_applied_idempotently
            a_topic_is_described_as_it_was_applied
            an_unknown_topic_is_named
            a_record_over_the_limit_is_refused
            a_reader_begins_where_it_is_told
            one_record_is_read_at_its_place
            a_commit_under_way_is_not_seen_and_then_seen_whole
            bundles_keep_their_bounds
            an_empty_queue_closes_a_bundle_at_once
            outputs_and_offsets_are_committed_together
            a_refused_commit_writes_nothing
            a_dropped_bundle_is_read_again
            a_bundle_is_committed_once
            offsets_survive_reopening
            a_worker_knows_how_far_it_is_behind
            two_workers_share_the_partitions
            a_worker_that_was_replaced_cannot_commit
            records_deleted_before_they_were_processed_are_reported
            compaction_keeps_the_newest_of_each_key
            partitions_are_read_to_their_end
            the_assignment_says_how_far_the_group_is
            a_commit_between_bundles_moves_no_offset
        );
    };
    (@each $subject:expr; $($promise:ident)*) => {
        $(#[test]
        fn $promise() {
            let subject = $subject;
            $crate::contract_suite::$promise(&subject(stringify!($promise)));
        })*
    };
}
