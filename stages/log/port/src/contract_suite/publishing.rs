//! Topics, publishers and readers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::{Subject, read_to_end, sorted, values};
use crate::{Applied, LogError, Record, Start, partition};

fn now_us() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "compared with the time that the log stamps"
    )]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// Offsets count from 0 without a gap, keys give partitions, a key's records stay in order,
/// append times are the log's and never go back within a partition.
pub fn records_keep_their_order_keys_and_partitions(subject: &Subject) {
    let log = subject.with_topics(3);
    let mut publisher = log.publisher().unwrap();
    let before_us = now_us() - 1_000_000;
    for batch in 0..4 {
        let records = (0..50).map(|i| {
            let n = batch * 50 + i;
            subject.record("in", &format!("tenant/key-{}", n % 7), &format!("{n:04}"))
        });
        publisher.publish(records.collect()).unwrap();
    }
    let all = subject.all(log.as_ref(), "in");
    assert_eq!(all.len(), 200);
    let mut by_partition: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    let mut by_key: BTreeMap<Bytes, Vec<Record>> = BTreeMap::new();
    for record in all {
        let key = record.key.clone().unwrap();
        assert_eq!(record.partition, partition(&key, 3));
        assert!((before_us..=now_us() + 1_000_000).contains(&record.append_time_us));
        by_key.entry(key).or_default().push(record.clone());
        by_partition
            .entry(record.partition)
            .or_default()
            .push(record);
    }
    assert!(by_partition.len() > 1, "the keys must spread for this test");
    for records in by_partition.values() {
        for (offset, record) in (0..).zip(records) {
            assert_eq!(record.offset, offset);
        }
        assert!(records.is_sorted_by_key(|record| record.append_time_us));
    }
    for records in by_key.values() {
        assert!(values(records).is_sorted());
    }
}

/// [`crate::NewRecord::partition`] wins over the key; one that does not exist is refused.
pub fn an_explicit_partition_is_obeyed(subject: &Subject) {
    let log = subject.with_topics(4);
    let mut publisher = log.publisher().unwrap();
    let wrong = (partition(b"key", 4) + 1) % 4;
    let mut record = subject.record("in", "key", "value");
    record.partition = Some(wrong);
    publisher.publish(vec![record.clone()]).unwrap();
    record.partition = Some(4);
    let refused = publisher.publish(vec![record]).unwrap_err();
    assert!(matches!(refused, LogError::Config { .. }), "{refused:?}");
    let all = subject.all(log.as_ref(), "in");
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].partition, wrong);
}

/// Whatever a foreign producer can write is read as it is, by readers and workers.
pub fn headers_tombstones_and_missing_keys_are_kept(subject: &Subject) {
    let log = subject.with_topics(2);
    let some = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let copy = |key, value, headers: Vec<(&str, Option<Bytes>)>| Record {
        topic: subject.name("in").into(),
        partition: 1,
        offset: 77,
        append_time_us: 0,
        key,
        value,
        headers: headers.into_iter().map(|(n, v)| (n.into(), v)).collect(),
    };
    let headers = vec![
        ("b", some("1")),
        ("a", None),
        ("b", some("")),
        ("", some("2")),
    ];
    let copies = vec![
        copy(some("key"), some("value"), headers),
        copy(some("key"), None, vec![]),
        copy(None, some("no key"), vec![]),
        copy(some(""), some(""), vec![]),
    ];
    let mut publisher = log.publisher().unwrap();
    publisher.publish_copies(copies.clone()).unwrap();
    let mut worker = log.worker(subject.worker()).unwrap();
    for seen in [
        subject.all(log.as_ref(), "in"),
        super::drain(worker.as_mut(), copies.len()),
    ] {
        assert_eq!(seen.len(), copies.len());
        for ((offset, seen), copy) in (0..).zip(&seen).zip(&copies) {
            assert_eq!((seen.partition, seen.offset), (1, offset));
            assert_eq!(seen.key, copy.key);
            assert_eq!(seen.value, copy.value);
            assert_eq!(seen.headers, copy.headers);
        }
    }
}

/// What was applied is what is found, and changes show; what is not there is not described.
pub fn a_topic_is_described_as_it_was_applied(subject: &Subject) {
    let log = subject.open();
    let mut spec = subject.spec("described", 3);
    assert_eq!(log.describe(&spec.name).unwrap(), None);
    log.apply_topics(std::slice::from_ref(&spec)).unwrap();
    for (retention_ms, max_record_bytes, compacted) in [
        (3_600_000, 100_000, false),
        (7_200_000, 2_000_000, false),
        (60_000, 2_000_000, true),
    ] {
        spec.retention_ms = retention_ms;
        spec.max_record_bytes = max_record_bytes;
        spec.compacted = compacted;
        log.apply_topics(std::slice::from_ref(&spec)).unwrap();
        let found = log.describe(&spec.name).unwrap().unwrap();
        assert_eq!(found.spec, spec);
        assert!(found.has_append_time);
    }
}

/// Applying twice changes nothing; settings are brought to the specification; another partition
/// count is refused.
pub fn topics_are_applied_idempotently(subject: &Subject) {
    let log = subject.open();
    let (a, b) = (subject.spec("a", 3), subject.spec("b", 1));
    assert_eq!(log.partitions(&a.name).unwrap(), None);
    let both = [a.clone(), b.clone()];
    let made = log.apply_topics(&both).unwrap();
    assert_eq!(made, [Applied::Created, Applied::Created]);
    let again = log.apply_topics(&both).unwrap();
    assert_eq!(again, [Applied::Unchanged, Applied::Unchanged]);
    let mut longer = a.clone();
    longer.retention_ms *= 2;
    let updated = log.apply_topics(&[longer.clone(), b]).unwrap();
    assert_eq!(updated, [Applied::Updated, Applied::Unchanged]);
    assert_eq!(log.apply_topics(&[longer]).unwrap(), [Applied::Unchanged]);
    assert_eq!(log.partitions(&a.name).unwrap(), Some(3));
    let mut wider = a.clone();
    wider.partitions = 4;
    match log.apply_topics(&[wider]).unwrap_err() {
        LogError::PartitionsDiffer {
            topic,
            found: 3,
            wanted: 4,
        } => assert_eq!(topic, a.name),
        other => panic!("{other:?}"),
    }
    assert_eq!(log.partitions(&a.name).unwrap(), Some(3));
}

/// [`LogError::UnknownTopic`] from publisher, reader and worker.
pub fn an_unknown_topic_is_named(subject: &Subject) {
    let log = subject.with_topics(1);
    let is_named = |error: LogError| match error {
        LogError::UnknownTopic { topic } => assert_eq!(topic, subject.name("absent")),
        other => panic!("{other:?}"),
    };
    let record = subject.record("absent", "k", "v");
    let mut publisher = log.publisher().unwrap();
    is_named(publisher.publish(vec![record]).unwrap_err());
    let reader = log.reader(&subject.name("absent"), Start::Beginning);
    is_named(reader.err().unwrap());
    let mut options = subject.worker();
    options.topics.push(subject.name("absent"));
    is_named(log.worker(options).err().unwrap());
}

/// [`LogError::RecordTooLarge`] above the topic's limit, and not at it.
pub fn a_record_over_the_limit_is_refused(subject: &Subject) {
    let log = subject.with_topics(1);
    let mut publisher = log.publisher().unwrap();
    let mut record = subject.record("in", "key", "");
    record.headers = vec![("name".into(), Bytes::from_static(b"value"))];
    // Random bytes, so that no compression makes it smaller.
    let mut state = 1_u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    record.value = Some((0..100_000 - 12).map(|_| noise()).collect());
    assert_eq!(record.size_bytes(), 100_000);
    publisher.publish(vec![record.clone()]).unwrap();
    record.value = record
        .value
        .map(|value| [value.as_ref(), &[0][..]].concat().into());
    match publisher.publish(vec![record]).unwrap_err() {
        LogError::RecordTooLarge {
            topic,
            bytes: 100_001,
            max: 100_000,
        } => assert_eq!(topic, subject.name("in")),
        other => panic!("{other:?}"),
    }
    assert_eq!(subject.all(log.as_ref(), "in").len(), 1);
}

/// [`Start`] is obeyed and [`crate::Reader::at_end`] is true only behind the last record.
pub fn a_reader_begins_where_it_is_told(subject: &Subject) {
    let log = subject.with_topics(2);
    let mut empty = log.reader(&subject.name("in"), Start::Beginning).unwrap();
    assert!(empty.at_end().unwrap());
    let nothing = empty.read(10, Duration::from_millis(50)).unwrap();
    assert!(nothing.is_empty());
    let mut publisher = log.publisher().unwrap();
    let old = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
    subject.publish(publisher.as_mut(), "in", &old);
    let mut end = log.reader(&subject.name("in"), Start::End).unwrap();
    assert!(end.at_end().unwrap());
    let mut beginning = log.reader(&subject.name("in"), Start::Beginning).unwrap();
    assert!(!beginning.at_end().unwrap());
    subject.publish(publisher.as_mut(), "in", &[("e", "5"), ("f", "6")]);
    assert!(!end.at_end().unwrap());
    assert_eq!(sorted(values(&read_to_end(end.as_mut()))), ["5", "6"]);
    let all = read_to_end(beginning.as_mut());
    assert_eq!(sorted(values(&all)), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(read_to_end(empty.as_mut()).len(), 6);
}

/// The record of an offset, and of no other; nothing where none is committed.
pub fn one_record_is_read_at_its_place(subject: &Subject) {
    let log = subject.with_topics(2);
    let mut publisher = log.publisher().unwrap();
    let all = [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("a", "5")];
    subject.publish(publisher.as_mut(), "in", &all);
    let topic = subject.name("in");
    let kept = subject.all(log.as_ref(), "in");
    assert_eq!(kept.len(), all.len());
    for record in &kept {
        let found = log.read_at(&topic, record.partition, record.offset);
        assert_eq!(found.unwrap().as_ref(), Some(record));
    }
    for partition in 0..2 {
        let end = kept.iter().filter(|record| record.partition == partition);
        let end = i64::try_from(end.count()).unwrap();
        assert_eq!(log.read_at(&topic, partition, end).unwrap(), None);
        assert_eq!(log.read_at(&topic, partition, -1).unwrap(), None);
    }
    for (topic, partition) in [(topic.as_str(), 2), ("shiren.nowhere", 0)] {
        let error = log.read_at(topic, partition, 0).unwrap_err();
        assert!(matches!(error, LogError::UnknownTopic { .. }), "{error}");
    }
}
