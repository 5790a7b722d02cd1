//! What a worker needs to keep state: its assignment, partitions read whole, commits between bundles.

use std::time::Instant;

use super::{Subject, commit, next, values};
use crate::{Assignment, Commit, LogError, NewRecord, Position, Record, Worker};

fn state(subject: &Subject, partition: i32, key: &str, value: Option<&str>) -> NewRecord {
    NewRecord {
        partition: Some(partition),
        value: value.map(|value| value.to_owned().into()),
        ..subject.record("out", key, "")
    }
}

fn read(log: &dyn crate::Log, subject: &Subject, partitions: &[i32]) -> Vec<Record> {
    let mut records = vec![];
    log.read_partitions(&subject.name("out"), partitions, &mut |record| {
        records.push(record);
    })
    .unwrap();
    records
}

/// The positions of an assignment that has a committed offset everywhere, or begins at 0.
fn positions(assignment: &Assignment) -> Vec<Position> {
    let position = |one: &crate::Assigned| Position {
        topic: one.topic.clone(),
        partition: one.partition,
        next: one.committed.unwrap_or(0),
    };
    assignment.partitions.iter().map(position).collect()
}

/// Once a commit has returned, reading the partitions gives all of it, tombstones too, and of no other partition.
pub fn partitions_are_read_to_their_end(subject: &Subject) {
    let log = subject.with_topics(3);
    let mut publisher = log.publisher().unwrap();
    assert!(read(log.as_ref(), subject, &[0, 1, 2]).is_empty());
    let mut worker = log.worker(subject.worker()).unwrap();
    for round in 0..20 {
        subject.publish(publisher.as_mut(), "in", &[("k", "input")]);
        let bundle = next(worker.as_mut());
        let outputs = (0..3).map(|partition| {
            let value = (round % 2 == 0).then(|| format!("{round}"));
            state(subject, partition, "key", value.as_deref())
        });
        commit(worker.as_mut(), &bundle, outputs.collect());
        let records = read(log.as_ref(), subject, &[0, 2]);
        assert_eq!(records.len(), 2 * (round + 1));
        for partition in [0, 2] {
            let mine: Vec<Record> = (records.iter())
                .filter(|record| record.partition == partition)
                .cloned()
                .collect();
            assert_eq!(mine.len(), round + 1);
            assert_eq!(mine[round].value.is_none(), round % 2 == 1);
            assert!(mine.is_sorted_by_key(|record| record.offset));
        }
    }
    let absent = log.read_partitions(&subject.name("absent"), &[0], &mut |_| {});
    assert!(matches!(absent, Err(LogError::UnknownTopic { .. })));
}

/// The assignment says how far the group is: before its first commit, after a commit, and to the next worker.
pub fn the_assignment_says_how_far_the_group_is(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    subject.publish(publisher.as_mut(), "in", &[("k", "1"), ("k", "2")]);
    let mut worker = log.worker(subject.worker()).unwrap();
    let bundle = next(worker.as_mut());
    let committed = |worker: &mut dyn Worker| {
        let assignment = worker.assignment().unwrap();
        assert_eq!(assignment.partitions.len(), 1);
        assignment.partitions[0].committed
    };
    assert_eq!(worker.assignment().unwrap().generation, bundle.generation);
    assert_eq!(committed(worker.as_mut()), None);
    let read = i64::try_from(bundle.records.len()).unwrap();
    commit(worker.as_mut(), &bundle, vec![]);
    assert_eq!(committed(worker.as_mut()), Some(read));
    drop(worker);
    subject.publish(publisher.as_mut(), "in", &[("k", "3")]);
    let mut worker = log.worker(subject.worker()).unwrap();
    next(worker.as_mut());
    assert_eq!(committed(worker.as_mut()), Some(read));
}

/// Outputs alone: the outstanding bundle stays so, and is read again by the next worker.
pub fn a_commit_between_bundles_moves_no_offset(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    subject.publish(publisher.as_mut(), "in", &[("k", "1")]);
    let mut worker = log.worker(subject.worker()).unwrap();
    let bundle = next(worker.as_mut());
    let here = positions(&worker.assignment().unwrap());
    let intent = |value: &str| vec![state(subject, 0, "k", Some(value))];
    let between = |worker: &mut dyn Worker, generation, positions: &[Position], value: &str| {
        worker.commit_between(generation, positions, intent(value))
    };
    let nothing = between(worker.as_mut(), bundle.generation, &[], "unfenced");
    assert!(
        matches!(nothing, Err(LogError::Config { .. })),
        "{nothing:?}"
    );
    let other = between(worker.as_mut(), bundle.generation + 1, &here, "other").unwrap();
    assert_eq!(other, Commit::Revoked);
    let done = between(worker.as_mut(), bundle.generation, &here, "dropped").unwrap();
    assert_eq!(done, Commit::Done);
    drop(worker);
    let mut worker = log.worker(subject.worker()).unwrap();
    let again = next(worker.as_mut());
    assert_eq!(again.records, bundle.records);
    let here = positions(&worker.assignment().unwrap());
    assert_eq!(here[0].next, 0);
    let done = between(worker.as_mut(), again.generation, &here, "kept").unwrap();
    assert_eq!(done, Commit::Done);
    assert!(!worker.at_end(&subject.name("in"), 0).unwrap());
    // The bundle is outstanding still.
    commit(worker.as_mut(), &again, intent("end"));
    assert_eq!(
        values(&read(log.as_ref(), subject, &[0])),
        ["dropped", "kept", "end"]
    );
    assert_eq!(
        worker.assignment().unwrap().partitions[0].committed,
        Some(1)
    );
    let deadline = Instant::now() + super::PATIENCE;
    while !worker.at_end(&subject.name("in"), 0).unwrap() {
        assert!(Instant::now() < deadline, "it is never at the end");
        assert!(worker.next_bundle().unwrap().is_none());
    }
}
