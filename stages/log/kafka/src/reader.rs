//! Following a topic outside any group.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use shiren_log::{LogError, Reader, Record, Start};

use crate::KafkaLog;
use crate::errors::{meaning, unavailable};
use crate::records;
use crate::watermarks::watermarks;

/// Most records that [`Reader::at_end`] reads ahead.
const AHEAD_MAX_RECORDS: usize = 1_000;
/// Most records taken at once.
const READ_MAX_RECORDS: usize = 1_000;
/// Longest wait for a record before the positions are looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longest wait of one client for the end of a partition.
const ASK_MAX_WAIT: Duration = Duration::from_secs(2);
/// Longest wait of [`read_at`] before it looks whether its place was passed.
const AT_LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads all partitions of one topic, committed records only.
pub(crate) struct KafkaReader {
    consumer: BaseConsumer,
    topic: Arc<str>,
    /// Where each partition began.
    begins: BTreeMap<i32, i64>,
    /// Read and not returned yet.
    ahead: VecDeque<Record>,
    max_wait: Duration,
}

impl KafkaReader {
    pub(crate) fn open(log: &KafkaLog, topic: &str, start: Start) -> Result<Self, LogError> {
        let partitions = log.topics().partitions(topic)?;
        let partitions = partitions.ok_or_else(|| LogError::UnknownTopic {
            topic: topic.into(),
        })?;
        let all: Vec<i32> = (0..partitions).collect();
        Self::open_partitions(log, topic, &all, start)
    }

    fn open_partitions(
        log: &KafkaLog,
        topic: &str,
        partitions: &[i32],
        start: Start,
    ) -> Result<Self, LogError> {
        let opening = |error: KafkaError| meaning("opening a reader", &error);
        let mut reader = Self {
            consumer: log.settings().reader().create().map_err(opening)?,
            topic: topic.into(),
            begins: BTreeMap::new(),
            ahead: VecDeque::new(),
            max_wait: log.request_max_wait(),
        };
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            let (first, end) = reader.range(partition)?;
            let begin = match start {
                Start::Beginning => first,
                Start::End => end,
            };
            list.add_partition_offset(topic, partition, Offset::Offset(begin))
                .map_err(opening)?;
            reader.begins.insert(partition, begin);
        }
        reader.consumer.assign(&list).map_err(opening)?;
        Ok(reader)
    }

    /// First offset kept, and the end of what is committed.
    fn range(&self, partition: i32) -> Result<(i64, i64), LogError> {
        watermarks(&self.consumer, &self.topic, partition, self.max_wait)
            .map_err(|error| meaning(&format!("offsets of {}/{partition}", self.topic), &error))
    }

    /// Reads one more record ahead; false when `wait` passed without one.
    fn pull(&mut self, wait: Duration) -> Result<bool, LogError> {
        match self.consumer.poll(wait) {
            None => Ok(false),
            Some(Ok(message)) => {
                let record = records::copy(&message, &self.topic)?;
                self.ahead.push_back(record);
                Ok(true)
            }
            Some(Err(error)) => match meaning(&format!("reading {}", self.topic), &error) {
                // The client reconnects by itself.
                LogError::Unavailable { what, .. } => {
                    tracing::warn!(what, "a reader of Kafka waits");
                    Ok(false)
                }
                // The group is a name only; that it may not be used does not matter.
                LogError::Config { .. } if is_group_error(&error) => Ok(false),
                error => Err(error),
            },
        }
    }

    /// Next offset to be returned per partition, past control records.
    fn positions(&self) -> Result<BTreeMap<i32, i64>, LogError> {
        let list = (self.consumer.position()).map_err(|error| meaning("positions", &error))?;
        let mut positions = self.begins.clone();
        for element in list.elements() {
            let position = positions.get_mut(&element.partition());
            match (position, element.offset()) {
                (Some(position), Offset::Offset(offset)) => *position = offset.max(*position),
                (Some(_), _) => {}
                (None, _) => return Err(unavailable("a partition that was not assigned".into())),
            }
        }
        Ok(positions)
    }
}

/// The record at a place, if there is one: the next committed record from there, when it is that one.
pub(crate) fn read_at(
    log: &KafkaLog,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<Record>, LogError> {
    let partitions = log.topics().partitions(topic)?.unwrap_or(0);
    if !(0..partitions).contains(&partition) {
        return Err(LogError::UnknownTopic {
            topic: topic.into(),
        });
    }
    let opening = |error: KafkaError| meaning("opening a reader", &error);
    let mut reader = KafkaReader {
        consumer: log.settings().reader().create().map_err(opening)?,
        topic: topic.into(),
        begins: BTreeMap::from([(partition, offset)]),
        ahead: VecDeque::new(),
        max_wait: log.request_max_wait(),
    };
    let (first, end) = reader.range(partition)?;
    if !(first..end).contains(&offset) {
        return Ok(None);
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))
        .map_err(opening)?;
    reader.consumer.assign(&list).map_err(opening)?;
    let deadline = Instant::now() + reader.max_wait;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if reader.pull(left.min(AT_LOOK_EVERY))? {
            let found = reader.ahead.pop_front();
            return Ok(found.filter(|record| record.offset == offset));
        }
        // Past it without a record: what stood there was never committed.
        let position = reader.positions()?;
        if position.get(&partition).is_some_and(|at| *at > offset) {
            return Ok(None);
        }
        if left.is_zero() {
            return Err(unavailable(format!(
                "{topic}/{partition} at offset {offset}: no answer in time"
            )));
        }
    }
}

fn is_group_error(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::GroupAuthorizationFailed;
    error.rdkafka_error_code() == Some(GroupAuthorizationFailed)
}

impl Reader for KafkaReader {
    fn read(&mut self, max_records: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now() + wait;
        while self.ahead.is_empty() && max_records > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.pull(left)? && Instant::now() >= deadline {
                break;
            }
        }
        while self.ahead.len() < max_records && self.pull(Duration::ZERO)? {}
        let count = self.ahead.len().min(max_records);
        Ok(self.ahead.drain(..count).collect())
    }

    fn at_end(&mut self) -> Result<bool, LogError> {
        // Control records are passed by polling, too.
        while self.ahead.len() < AHEAD_MAX_RECORDS && self.pull(Duration::ZERO)? {}
        if !self.ahead.is_empty() {
            return Ok(false);
        }
        let positions = self.positions()?;
        for (partition, position) in positions {
            if position < self.range(partition)?.1 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Reads partitions up to the end that they have now, records of open transactions counted in: the last stable offset
/// would leave out what is about to be committed.
pub(crate) fn read_partitions(
    log: &KafkaLog,
    topic: &str,
    partitions: &[i32],
    each: &mut dyn FnMut(Record),
) -> Result<(), LogError> {
    if log.topics().partitions(topic)?.is_none() {
        return Err(LogError::UnknownTopic {
            topic: topic.into(),
        });
    }
    let mut ends = high_watermarks(log, topic, partitions)?;
    let mut reader = KafkaReader::open_partitions(log, topic, partitions, Start::Beginning)?;
    ends.retain(|partition, end| {
        reader
            .begins
            .get(partition)
            .is_some_and(|begin| begin < end)
    });
    let max_wait = log.settings().transaction_max_wait();
    let mut deadline = Instant::now() + max_wait;
    while !ends.is_empty() {
        let records = reader.read(READ_MAX_RECORDS, LOOK_EVERY)?;
        if !records.is_empty() {
            deadline = Instant::now() + max_wait;
        }
        for record in records {
            // What came later belongs to whoever writes now.
            if ends
                .get(&record.partition)
                .is_some_and(|end| record.offset < *end)
            {
                each(record);
            }
        }
        if reader.ahead.is_empty() {
            let positions = reader.positions()?;
            ends.retain(|partition, end| positions.get(partition).is_none_or(|at| at < end));
        }
        if Instant::now() >= deadline {
            return Err(unavailable(format!(
                "{topic}: a transaction has not ended within {max_wait:?}"
            )));
        }
    }
    Ok(())
}

/// The end of each partition, open transactions counted in.
fn high_watermarks(
    log: &KafkaLog,
    topic: &str,
    partitions: &[i32],
) -> Result<BTreeMap<i32, i64>, LogError> {
    let mut ends = BTreeMap::new();
    for &partition in partitions {
        let end = high_watermark(log, topic, partition);
        let what = || format!("offsets of {topic}/{partition}");
        ends.insert(partition, end.map_err(|error| meaning(&what(), &error))?);
    }
    Ok(ends)
}

/// Asked again by a new client where the kept one does not get it: that waits for a leader that has died.
fn high_watermark(log: &KafkaLog, topic: &str, partition: i32) -> Result<i64, KafkaError> {
    let deadline = Instant::now() + log.request_max_wait();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let asker = log.asker()?;
        match watermarks(asker.as_ref(), topic, partition, left.min(ASK_MAX_WAIT)) {
            Ok((_, end)) => return Ok(end),
            Err(error) if left.is_zero() => return Err(error),
            Err(_) => {
                log.forget_asker();
                // What failed at once would fail again at once.
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
}
