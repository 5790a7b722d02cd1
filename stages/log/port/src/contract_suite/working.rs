//! One worker: bundles and commits.

use std::time::{Duration, Instant};

use super::{Subject, commit, drain, next, read_to_end, sorted, values};
use crate::{Commit, Lag, LogError, NewRecord, Start, Worker};

/// Outputs are visible all at once, or not at all.
pub fn a_commit_under_way_is_not_seen_and_then_seen_whole(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    subject.publish(publisher.as_mut(), "in", &[("k", "1")]);
    let mut worker = log.worker(subject.worker()).unwrap();
    let bundle = next(worker.as_mut());
    let mut reader = log.reader(&subject.name("out"), Start::Beginning).unwrap();
    let outputs: Vec<NewRecord> = (0..300)
        .map(|n| subject.record("out", "k", &format!("{n:03}")))
        .collect();
    let watcher = std::thread::spawn(move || {
        let deadline = Instant::now() + super::PATIENCE;
        loop {
            // What is committed is a whole commit: a look at the end finds all or nothing.
            let seen = read_to_end(reader.as_mut());
            if !seen.is_empty() || Instant::now() > deadline {
                return seen;
            }
        }
    });
    commit(worker.as_mut(), &bundle, outputs);
    let seen = watcher.join().unwrap();
    assert_eq!(seen.len(), 300);
    assert!(values(&seen).is_sorted());
}

/// Count and bytes bound a bundle; a single larger record is one of its own; nothing is lost
/// between bundles.
pub fn bundles_keep_their_bounds(subject: &Subject) {
    let log = subject.with_topics(2);
    let mut publisher = log.publisher().unwrap();
    let small = "s".repeat(10);
    let large = "l".repeat(5_000);
    let mut records: Vec<NewRecord> = (0..40)
        .map(|n| subject.record("in", &format!("{n:02}"), &small))
        .collect();
    records.push(subject.record("in", "xx", &large));
    records.extend((0..40).map(|n| subject.record("in", &format!("{n:02}"), &small)));
    publisher.publish(records).unwrap();
    let mut options = subject.worker();
    options.bundle_max_records = 10;
    options.bundle_max_bytes = 60;
    // A queue smaller than the large record holds it all the same.
    options.queue_max_bytes = 2_000;
    let mut worker = log.worker(options).unwrap();
    let mut seen = vec![];
    while seen.len() < 81 {
        let bundle = next(worker.as_mut());
        let bytes = |key: &Option<bytes::Bytes>| key.as_ref().map_or(0, bytes::Bytes::len);
        let total: usize = (bundle.records.iter())
            .map(|record| bytes(&record.key) + bytes(&record.value))
            .sum();
        assert!(bundle.records.len() <= 10);
        assert!(total <= 60 || bundle.records.len() == 1, "{total}");
        commit(worker.as_mut(), &bundle, vec![]);
        seen.extend(bundle.records);
    }
    assert_eq!(seen.len(), 81);
    for partition in 0..2 {
        let mine = seen.iter().filter(|record| record.partition == partition);
        assert!(
            (0..)
                .zip(mine)
                .all(|(offset, record)| record.offset == offset)
        );
    }
    // Without a bound on bytes, the count closes them.
    let mut options = subject.worker();
    options.group = subject.name("other-group");
    options.transactional_id = subject.name("other-worker");
    options.bundle_max_records = 10;
    let mut worker = log.worker(options).unwrap();
    assert!(next(worker.as_mut()).records.len() <= 10);
}

/// A record does not wait for [`crate::WorkerOptions::poll_max_wait`] to fill a bundle, and that
/// wait ends without a record.
pub fn an_empty_queue_closes_a_bundle_at_once(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    subject.publish(publisher.as_mut(), "in", &[("k", "first")]);
    let mut options = subject.worker();
    options.poll_max_wait = Duration::from_secs(20);
    let mut worker = log.worker(options).unwrap();
    // The first one may wait for the assignment.
    drain(worker.as_mut(), 1);
    subject.publish(publisher.as_mut(), "in", &[("k", "second")]);
    let from = Instant::now();
    let bundle = next(worker.as_mut());
    assert!(
        from.elapsed() < Duration::from_secs(5),
        "{:?}",
        from.elapsed()
    );
    assert_eq!(values(&bundle.records), ["second"]);
    commit(worker.as_mut(), &bundle, vec![]);
    drop(worker);
    let mut worker = log.worker(subject.worker()).unwrap();
    let from = Instant::now();
    assert!(worker.next_bundle().unwrap().is_none());
    assert!(
        from.elapsed() >= Duration::from_millis(450),
        "{:?}",
        from.elapsed()
    );
}

/// A chain over many bundles gives every output once, in order, and moves the offsets.
pub fn outputs_and_offsets_are_committed_together(subject: &Subject) {
    let log = subject.with_topics(3);
    let mut publisher = log.publisher().unwrap();
    let inputs: Vec<NewRecord> = (0..200)
        .map(|n| subject.record("in", &format!("{}", n % 5), &format!("{n:03}")))
        .collect();
    publisher.publish(inputs).unwrap();
    let mut options = subject.worker();
    options.bundle_max_records = 30;
    let mut worker = log.worker(options).unwrap();
    let mut done = 0;
    while done < 200 {
        let bundle = next(worker.as_mut());
        let outputs = bundle.records.iter().map(|input| NewRecord {
            topic: subject.name("out").into(),
            partition: None,
            key: input.key.clone().unwrap(),
            value: input.value.clone(),
            headers: vec![],
        });
        commit(worker.as_mut(), &bundle, outputs.collect());
        done += bundle.records.len();
    }
    drop(worker);
    let out = subject.wait_for(log.as_ref(), "out", 200);
    let expected: Vec<String> = (0..200).map(|n| format!("{n:03}")).collect();
    assert_eq!(sorted(values(&out)), expected);
    for key in 0..5 {
        let key = key.to_string();
        let mine = out
            .iter()
            .filter(|r| r.key.as_deref() == Some(key.as_bytes()));
        assert!(values(&mine.cloned().collect::<Vec<_>>()).is_sorted());
    }
    // Nothing is left: the next worker's first record is the one published now.
    subject.publish(publisher.as_mut(), "in", &[("k", "last")]);
    let mut worker = log.worker(subject.worker()).unwrap();
    assert_eq!(values(&next(worker.as_mut()).records), ["last"]);
}

/// Good outputs beside a refused one are not written, the offset does not move, and the bundle
/// can be committed with other outputs.
pub fn a_refused_commit_writes_nothing(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    subject.publish(publisher.as_mut(), "in", &[("k", "input")]);
    let mut worker = log.worker(subject.worker()).unwrap();
    let bundle = next(worker.as_mut());
    let good = subject.record("out", "k", "good");
    let absent = subject.record("absent", "k", "v");
    let refused = worker.commit(&bundle, vec![good.clone(), absent]);
    assert!(
        matches!(refused, Err(LogError::UnknownTopic { .. })),
        "{refused:?}"
    );
    let large = subject.record("out", "k", &"x".repeat(100_001));
    let refused = worker.commit(&bundle, vec![good.clone(), large]);
    assert!(
        matches!(refused, Err(LogError::RecordTooLarge { .. })),
        "{refused:?}"
    );
    assert!(subject.all(log.as_ref(), "out").is_empty());
    commit(worker.as_mut(), &bundle, vec![good]);
    assert_eq!(values(&subject.wait_for(log.as_ref(), "out", 1)), ["good"]);
}

/// By the same worker when it asks on, and by the next one when it is dropped.
pub fn a_dropped_bundle_is_read_again(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    let inputs: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    for input in &inputs {
        subject.publish(publisher.as_mut(), "in", &[("k", input)]);
    }
    let mut options = subject.worker();
    options.bundle_max_records = 4;
    let mut worker = log.worker(options.clone()).unwrap();
    let first = next(worker.as_mut());
    let again = next(worker.as_mut());
    let shorter = first.records.len().min(again.records.len());
    assert_eq!(first.records[..shorter], again.records[..shorter]);
    commit(worker.as_mut(), &again, vec![]);
    let dropped = next(worker.as_mut());
    assert_eq!(
        dropped.records[0].offset,
        again.records.last().unwrap().offset + 1
    );
    drop(worker);
    let mut worker = log.worker(options).unwrap();
    let rest = drain(worker.as_mut(), 20 - again.records.len());
    assert_eq!(rest[0], dropped.records[0]);
    assert_eq!(values(&rest), inputs[again.records.len()..]);
}

/// The second commit of a bundle writes nothing.
pub fn a_bundle_is_committed_once(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    subject.publish(publisher.as_mut(), "in", &[("k", "1")]);
    let mut worker = log.worker(subject.worker()).unwrap();
    let bundle = next(worker.as_mut());
    let output = vec![subject.record("out", "k", "once")];
    commit(worker.as_mut(), &bundle, output.clone());
    let second = worker.commit(&bundle, output).unwrap();
    assert_eq!(second, Commit::Revoked);
    assert_eq!(values(&subject.wait_for(log.as_ref(), "out", 1)), ["once"]);
}

/// Topics, records and offsets are there when the log is opened again.
pub fn offsets_survive_reopening(subject: &Subject) {
    let log = subject.with_topics(2);
    let mut publisher = log.publisher().unwrap();
    subject.publish(publisher.as_mut(), "in", &[("a", "1"), ("b", "2")]);
    let mut worker = log.worker(subject.worker()).unwrap();
    drain(worker.as_mut(), 2);
    subject.publish(publisher.as_mut(), "in", &[("a", "3"), ("b", "4")]);
    drop((worker, publisher, log));
    let log = subject.open();
    assert_eq!(subject.all(log.as_ref(), "in").len(), 4);
    let mut worker = log.worker(subject.worker()).unwrap();
    let rest = drain(worker.as_mut(), 2);
    assert_eq!(sorted(values(&rest)), ["3", "4"]);
}

/// Records behind the last commit are its lag, those that it holds and has not committed among them.
pub fn a_worker_knows_how_far_it_is_behind(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    let records = [("k", "1"), ("k", "2"), ("k", "3")];
    subject.publish(publisher.as_mut(), "in", &records);
    let mut options = subject.worker();
    options.bundle_max_records = 1;
    let mut worker = log.worker(options).unwrap();
    let bundle = next(worker.as_mut());
    commit(worker.as_mut(), &bundle, vec![]);
    next(worker.as_mut());
    await_lag(subject, worker.as_mut(), 2);
    drain(worker.as_mut(), 2);
    await_lag(subject, worker.as_mut(), 0);
}

/// Known within seconds, as brokers are not asked for it.
fn await_lag(subject: &Subject, worker: &mut dyn Worker, records: u64) {
    let expected = Lag {
        topic: subject.name("in").into(),
        partition: 0,
        records,
    };
    let deadline = Instant::now() + super::PATIENCE;
    loop {
        let lag = worker.lag().unwrap();
        if lag == [expected.clone()] {
            return;
        }
        assert!(Instant::now() < deadline, "{lag:?}, expected {records}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
