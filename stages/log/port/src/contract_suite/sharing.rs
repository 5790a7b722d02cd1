//! Several workers of one group.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{PATIENCE, Subject, commit, next, sorted, values};
use crate::{Bundle, Commit, Log, NewRecord, WorkerOptions};

fn echo(subject: &Subject, bundle: &Bundle) -> Vec<NewRecord> {
    let output = |input: &crate::Record| NewRecord {
        topic: subject.name("out").into(),
        partition: None,
        key: input.key.clone().unwrap(),
        value: input.value.clone(),
        headers: vec![],
    };
    bundle.records.iter().map(output).collect()
}

/// Echoes `in` to `out` until told to stop; counts what it committed.
fn work(
    subject: &Subject,
    log: &dyn Log,
    options: &WorkerOptions,
    done: &AtomicUsize,
    stop: &AtomicBool,
) {
    let mut worker = log.worker(options.clone()).unwrap();
    while !stop.load(Ordering::Relaxed) {
        let Some(bundle) = worker.next_bundle().unwrap() else {
            continue;
        };
        loop {
            match worker.commit(&bundle, echo(subject, &bundle)).unwrap() {
                Commit::Done => {
                    done.fetch_add(bundle.records.len(), Ordering::Relaxed);
                }
                Commit::Retry => continue,
                Commit::Revoked => {}
                Commit::Rebuild => {
                    drop(worker);
                    worker = log.worker(options.clone()).unwrap();
                }
            }
            break;
        }
    }
}

/// Two slots process every record once, and each has its share.
pub fn two_workers_share_the_partitions(subject: &Subject) {
    let log = subject.with_topics(6);
    let stop = AtomicBool::new(false);
    let done = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let published = std::thread::scope(|scope| {
        for (slot, done) in (0..).zip(&done) {
            let mut options = subject.worker();
            options.transactional_id = subject.name(&format!("worker-{slot}"));
            options.slot = slot;
            options.slots = 2;
            options.bundle_max_records = 7;
            options.poll_max_wait = Duration::from_millis(100);
            let (log, stop) = (log.as_ref(), &stop);
            scope.spawn(move || work(subject, log, &options, done, stop));
        }
        let mut publisher = log.publisher().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut published = 0;
        let count = |slot: usize| done[slot].load(Ordering::Relaxed);
        while published < 300 || count(0) == 0 || count(1) == 0 {
            assert!(Instant::now() < deadline, "a worker has no share");
            let records = (published..published + 20)
                .map(|n| subject.record("in", &format!("{}", n % 30), &format!("{n:06}")));
            publisher.publish(records.collect()).unwrap();
            published += 20;
            // Goes on when these are through, or a worker dawdles.
            let lag = Instant::now() + Duration::from_millis(200);
            while count(0) + count(1) < published && Instant::now() < lag {
                std::thread::yield_now();
            }
        }
        let deadline = Instant::now() + PATIENCE;
        while count(0) + count(1) < published {
            assert!(Instant::now() < deadline, "records are missing");
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        published
    });
    let out = subject.wait_for(log.as_ref(), "out", published);
    let expected: Vec<String> = (0..published).map(|n| format!("{n:06}")).collect();
    assert_eq!(sorted(values(&out)), expected);
    for key in out.iter().map(|r| r.key.clone()).collect::<BTreeSet<_>>() {
        let mine: Vec<_> = out.iter().filter(|r| r.key == key).cloned().collect();
        assert!(values(&mine).is_sorted(), "order of a key");
    }
}

/// A second worker of the same name takes over: the first one's bundle is lost to it, and no
/// record is processed twice.
pub fn a_worker_that_was_replaced_cannot_commit(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    subject.publish(publisher.as_mut(), "in", &[("k", "1")]);
    let mut first = log.worker(subject.worker()).unwrap();
    let stale = next(first.as_mut());
    let mut second = log.worker(subject.worker()).unwrap();
    let refused = first.commit(&stale, echo(subject, &stale)).unwrap();
    assert!(
        matches!(refused, Commit::Revoked | Commit::Rebuild),
        "{refused:?}"
    );
    drop(first);
    let bundle = next(second.as_mut());
    commit(second.as_mut(), &bundle, echo(subject, &bundle));
    assert_eq!(values(&subject.wait_for(log.as_ref(), "out", 1)), ["1"]);
}
