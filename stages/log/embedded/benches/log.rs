//! The embedded log on a disk: what publishing a bundle costs, and what reading and committing one does.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench: a panic is how it speaks, and its functions are Criterion's"
)]

use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use shiren_log::{Commit, Log, NewRecord, Record, TopicSpec, WorkerOptions};
use shiren_log_embedded::{EmbeddedLog, EmbeddedOptions};

const BUNDLE_RECORDS: usize = 16;

fn spec(name: &str) -> TopicSpec {
    TopicSpec {
        name: name.into(),
        // One, so that a bundle is what was published last.
        partitions: 1,
        // Short, so that the file stays small however long Criterion measures.
        retention_ms: 1_000,
        max_record_bytes: 2_000_000,
        compacted: false,
    }
}

fn record(topic: &str, key: usize, value: &[u8]) -> NewRecord {
    NewRecord {
        topic: topic.into(),
        partition: Some(0),
        key: format!("default/{key}").into(),
        value: Some(value.to_vec().into()),
        headers: vec![],
    }
}

fn bundle(topic: &str, value: &[u8]) -> Vec<NewRecord> {
    (0..BUNDLE_RECORDS)
        .map(|key| record(topic, key, value))
        .collect()
}

/// What a stage that changes nothing would put out; values are shared, not copied.
fn outputs(records: &[Record]) -> Vec<NewRecord> {
    let output = |record: &Record| NewRecord {
        topic: "out".into(),
        partition: Some(0),
        key: record.key.clone().unwrap(),
        value: record.value.clone(),
        headers: vec![],
    };
    records.iter().map(output).collect()
}

fn worker_options() -> WorkerOptions {
    WorkerOptions {
        group: "bench".into(),
        transactional_id: "bench".into(),
        topics: vec!["in".into()],
        slot: 0,
        slots: 1,
        bundle_max_records: BUNDLE_RECORDS,
        bundle_max_bytes: 16_000_000,
        poll_max_wait: Duration::from_secs(1),
        queue_max_bytes: 16_000_000,
    }
}

fn hop(criterion: &mut Criterion, name: &str, record_bytes: usize) {
    // In the target folder: the system's folder for temporary files may be in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = EmbeddedLog::open(EmbeddedOptions {
        retention_sweep_ms: 250,
        ..EmbeddedOptions::new(dir.path())
    })
    .unwrap();
    log.apply_topics(&[spec("in"), spec("out"), spec("published")])
        .unwrap();
    let value = vec![0xA5; record_bytes];
    let mut publisher = log.publisher().unwrap();
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(BUNDLE_RECORDS as u64));
    group.bench_function(format!("publish {name}"), |bencher| {
        bencher.iter_batched(
            || bundle("published", &value),
            |records| publisher.publish(records).unwrap(),
            BatchSize::PerIteration,
        );
    });
    let mut worker = log.worker(worker_options()).unwrap();
    group.bench_function(format!("poll and commit {name}"), |bencher| {
        bencher.iter_batched(
            || publisher.publish(bundle("in", &value)).unwrap(),
            |()| {
                let bundle = worker.next_bundle().unwrap().unwrap();
                assert_eq!(bundle.records.len(), BUNDLE_RECORDS);
                let done = worker.commit(&bundle, outputs(&bundle.records)).unwrap();
                assert_eq!(done, Commit::Done);
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn bundles(criterion: &mut Criterion) {
    hop(criterion, "16 records of 1 KB", 1_000);
    hop(criterion, "16 records of 100 KB", 100_000);
}

criterion_group! {
    name = log;
    config = Criterion::default().without_plots();
    targets = bundles
}
criterion_main!(log);
