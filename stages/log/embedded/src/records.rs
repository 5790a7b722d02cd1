//! Reading records, within limits.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;
use shiren_log::{LogError, Record};

use crate::headers;
use crate::store::{Store, fatal};
use crate::topics::{self, Topic};

/// One partition that is being read.
pub(crate) struct Part {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) tp: i64,
    /// Next offset to be read.
    pub(crate) next: i64,
}

/// First offset kept and next offset to be written of a partition.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) first: i64,
    pub(crate) end: i64,
}

/// What may still be taken.
pub(crate) struct Room {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

/// The partitions of a topic that `wanted` names, at offset 0.
pub(crate) fn parts(name: &str, topic: &Topic, wanted: impl Fn(i32) -> bool) -> Vec<Part> {
    let name: Arc<str> = name.into();
    (0..topic.partitions)
        .filter(|partition| wanted(*partition))
        .map(|partition| Part {
            topic: Arc::clone(&name),
            partition,
            tp: topic.tp(partition),
            next: 0,
        })
        .collect()
}

/// Bounds of a partition.
pub(crate) fn bounds(
    store: &Store,
    connection: &Connection,
    part: &Part,
) -> Result<Bounds, LogError> {
    let query = || {
        connection
            .prepare_cached("SELECT first, next FROM heads WHERE tp = ?1")?
            .query_row([part.tp], |row| {
                Ok(Bounds {
                    first: row.get(0)?,
                    end: row.get(1)?,
                })
            })
    };
    query().map_err(|error| store.meaning(error))
}

/// Takes records of one partition from `part.next` while there is room; the first of all is
/// taken however large. Moves `part.next` and `room`. False when it stopped for want of room.
pub(crate) fn take(
    store: &Store,
    connection: &Connection,
    part: &mut Part,
    end: i64,
    room: &mut Room,
    into: &mut Vec<Record>,
) -> Result<bool, LogError> {
    let sql = |error| store.meaning(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT id, append_time, headers, key, value FROM records
             WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
        )
        .map_err(sql)?;
    let limit = i64::try_from(room.records).unwrap_or(i64::MAX);
    let ids = [topics::id(part.tp, part.next), topics::id(part.tp, end)];
    let mut rows = statement.query([ids[0], ids[1], limit]).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        let record = record(part, row).map_err(sql)??;
        let bytes = [&record.key, &record.value]
            .iter()
            .map(|part| part.as_ref().map_or(0, Bytes::len))
            .sum();
        if bytes > room.bytes && !into.is_empty() {
            return Ok(false);
        }
        room.records -= 1;
        room.bytes = room.bytes.saturating_sub(bytes);
        part.next = record.offset + 1;
        into.push(record);
    }
    if room.records == 0 {
        return Ok(false);
    }
    // All there is was taken; what compaction removed at the end is passed over.
    part.next = part.next.max(end);
    Ok(true)
}

fn record(part: &Part, row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Record, LogError>> {
    let bytes = |column| -> rusqlite::Result<Option<Bytes>> {
        let blob = row.get_ref(column)?.as_blob_or_null()?;
        Ok(blob.map(Bytes::copy_from_slice))
    };
    let offset = topics::offset(row.get(0)?);
    let Some(headers) = headers::decode(row.get_ref(2)?.as_blob_or_null()?) else {
        return Ok(Err(fatal(format!(
            "log.sqlite is damaged: headers of {}/{} at offset {offset} cannot be read",
            part.topic, part.partition
        ))));
    };
    Ok(Ok(Record {
        topic: Arc::clone(&part.topic),
        partition: part.partition,
        offset,
        append_time_us: row.get(1)?,
        key: bytes(3)?,
        value: bytes(4)?,
        headers,
    }))
}
