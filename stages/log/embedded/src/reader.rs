//! Following a topic.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use shiren_log::{LogError, Reader, Record, Start};

use crate::EmbeddedLog;
use crate::records::{self, Part, Room};
use crate::topics;

/// Most bytes one read returns beyond its first record.
const READ_MAX_BYTES: usize = 16 << 20;
/// Most records of one read of a partition.
const READ_MAX_RECORDS: usize = 10_000;

/// Reads all partitions of one topic.
pub(crate) struct EmbeddedReader {
    log: EmbeddedLog,
    connection: Connection,
    parts: Vec<Part>,
}

impl EmbeddedReader {
    pub(crate) fn open(log: EmbeddedLog, topic: &str, start: Start) -> Result<Self, LogError> {
        let store = log.store();
        let connection = store.connect()?;
        let found = topics::find(store, &connection, topic)?;
        let found = found.ok_or_else(|| LogError::UnknownTopic {
            topic: topic.into(),
        })?;
        let mut parts = records::parts(topic, &found, |_| true);
        for part in &mut parts {
            let bounds = records::bounds(store, &connection, part)?;
            part.next = match start {
                Start::Beginning => bounds.first,
                Start::End => bounds.end,
            };
        }
        Ok(Self {
            log,
            connection,
            parts,
        })
    }

    fn read_now(&mut self, max_records: usize) -> Result<Vec<Record>, LogError> {
        let store = self.log.store();
        let transaction = (self.connection.transaction()).map_err(|error| store.meaning(error))?;
        let mut room = Room {
            records: max_records,
            bytes: READ_MAX_BYTES,
        };
        let mut out = Vec::new();
        for part in &mut self.parts {
            let bounds = records::bounds(store, &transaction, part)?;
            part.next = part.next.max(bounds.first);
            if part.next < bounds.end
                && !records::take(store, &transaction, part, bounds.end, &mut room, &mut out)?
            {
                break;
            }
        }
        // The next read begins with another partition, so that none is starved.
        self.parts.rotate_left(1);
        Ok(out)
    }
}

impl Reader for EmbeddedReader {
    fn read(&mut self, max_records: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now() + wait;
        loop {
            let rings = self.log.store().bell.rings();
            let records = self.read_now(max_records)?;
            if !records.is_empty()
                || max_records == 0
                || !self.log.store().bell.wait_beyond(rings, deadline)
            {
                return Ok(records);
            }
        }
    }

    fn at_end(&mut self) -> Result<bool, LogError> {
        let store = self.log.store();
        let read = self.connection.transaction();
        let read = read.map_err(|error| store.meaning(error))?;
        for part in &self.parts {
            let bounds = records::bounds(store, &read, part)?;
            let left: bool = read
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM records WHERE id >= ?1 AND id < ?2)")
                .and_then(|mut query| {
                    query.query_row(
                        [
                            topics::id(part.tp, part.next),
                            topics::id(part.tp, bounds.end),
                        ],
                        |row| row.get(0),
                    )
                })
                .map_err(|error| store.meaning(error))?;
            if left {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Reads partitions from their beginning to the end that they have now.
pub(crate) fn read_partitions(
    log: &EmbeddedLog,
    topic: &str,
    partitions: &[i32],
    each: &mut dyn FnMut(Record),
) -> Result<(), LogError> {
    let store = log.store();
    let connection = store.connect()?;
    let found = topics::find(store, &connection, topic)?;
    let found = found.ok_or_else(|| LogError::UnknownTopic {
        topic: topic.into(),
    })?;
    for mut part in records::parts(topic, &found, |one| partitions.contains(&one)) {
        let end = records::bounds(store, &connection, &part)?.end;
        // Short reads, so that the write-ahead log is not pinned.
        while part.next < end {
            let mut room = Room {
                records: READ_MAX_RECORDS,
                bytes: READ_MAX_BYTES,
            };
            let mut records = Vec::new();
            records::take(store, &connection, &mut part, end, &mut room, &mut records)?;
            records.into_iter().for_each(&mut *each);
        }
    }
    Ok(())
}

/// The record at a place, if there is one.
pub(crate) fn read_at(
    log: &EmbeddedLog,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<Record>, LogError> {
    let store = log.store();
    let mut connection = store.connect()?;
    let read = connection.transaction();
    let read = read.map_err(|error| store.meaning(error))?;
    let found = topics::find(store, &read, topic)?;
    let parts = found.map(|found| records::parts(topic, &found, |p| p == partition));
    let Some(mut part) = parts.and_then(|mut parts| parts.pop()) else {
        return Err(LogError::UnknownTopic {
            topic: topic.into(),
        });
    };
    let bounds = records::bounds(store, &read, &part)?;
    if !(bounds.first..bounds.end).contains(&offset) {
        return Ok(None);
    }
    part.next = offset;
    let mut room = Room {
        records: 1,
        bytes: READ_MAX_BYTES,
    };
    let mut out = Vec::new();
    records::take(store, &read, &mut part, offset + 1, &mut room, &mut out)?;
    Ok(out.pop())
}
