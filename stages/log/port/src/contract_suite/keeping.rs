//! What a log removes.

use std::time::{Duration, Instant};

use super::{PATIENCE, Subject, drain, sorted, values};
use crate::{LogError, Start};

/// Retention passes the group's offset: the worker says so and never jumps.
pub fn records_deleted_before_they_were_processed_are_reported(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    subject.publish(publisher.as_mut(), "in", &[("k", "0"), ("k", "1")]);
    let mut worker = log.worker(subject.worker()).unwrap();
    drain(worker.as_mut(), 2);
    drop(worker);
    subject.publish(publisher.as_mut(), "in", &[("k", "2"), ("k", "3")]);
    let mut short = subject.spec("in", 1);
    short.retention_ms = 1;
    log.apply_topics(&[short]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !subject.all(log.as_ref(), "in").is_empty() {
        assert!(Instant::now() < deadline, "retention never came");
    }
    log.apply_topics(&[subject.spec("in", 1)]).unwrap();
    subject.publish(publisher.as_mut(), "in", &[("k", "4")]);
    let deadline = Instant::now() + PATIENCE;
    for _ in 0..2 {
        // The second worker meets the same error: nothing moved.
        let mut worker = log.worker(subject.worker()).unwrap();
        let error = loop {
            match worker.next_bundle() {
                Ok(None) => assert!(Instant::now() < deadline, "the loss was not reported"),
                Ok(Some(bundle)) => panic!("jumped to {:?}", values(&bundle.records)),
                Err(error) => break error,
            }
        };
        match error {
            LogError::OffsetOutOfRange {
                topic,
                partition: 0,
                committed: 2,
                first: 4,
                end: 5,
                ..
            } => assert_eq!(topic, subject.name("in")),
            other => panic!("{other:?}"),
        }
    }
}

/// Of each key the newest record stays, at its offset, and a reader from the beginning reaches
/// the end across the gaps.
pub fn compaction_keeps_the_newest_of_each_key(subject: &Subject) {
    let log = subject.open();
    let mut spec = subject.spec("compacted", 1);
    spec.compacted = true;
    log.apply_topics(&[spec]).unwrap();
    let mut publisher = log.publisher().unwrap();
    let all = [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("a", "5")];
    subject.publish(publisher.as_mut(), "compacted", &all);
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Records of another key let an engine close the segment that holds the others.
        subject.publish(publisher.as_mut(), "compacted", &[("tick", "tick")]);
        let mut kept = subject.all(log.as_ref(), "compacted");
        kept.retain(|record| record.key.as_deref() != Some(b"tick"));
        if kept.len() == 3 {
            assert_eq!(sorted(values(&kept)), ["2", "4", "5"]);
            let offsets: Vec<i64> = kept.iter().map(|record| record.offset).collect();
            assert_eq!(offsets, [1, 3, 4]);
            break;
        }
        assert!(Instant::now() < deadline, "{:?} are kept", values(&kept));
        // Waits for nothing, without a spin.
        let mut end = log.reader(&subject.name("compacted"), Start::End).unwrap();
        end.read(1, Duration::from_millis(200)).unwrap();
    }
}
