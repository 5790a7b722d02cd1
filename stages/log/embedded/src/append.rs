//! Appending records inside a write transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rusqlite::{Transaction, params};
use shiren_log::{LogError, NewRecord, Record};

use crate::headers::{self, Headers};
use crate::store::{Store, fatal};
use crate::topics::{self, Topic};

/// A record to append.
pub(crate) struct Entry {
    topic: Arc<str>,
    partition: Option<i32>,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Headers,
    bytes: usize,
}

impl From<NewRecord> for Entry {
    fn from(record: NewRecord) -> Self {
        Self {
            bytes: record.size_bytes(),
            topic: record.topic,
            partition: record.partition,
            key: Some(record.key),
            value: record.value,
            headers: (record.headers.into_iter())
                .map(|(name, value)| (name, Some(value)))
                .collect(),
        }
    }
}

impl From<Record> for Entry {
    fn from(record: Record) -> Self {
        Self {
            bytes: record.size_bytes(),
            topic: record.topic,
            partition: Some(record.partition),
            key: record.key,
            value: record.value,
            headers: record.headers,
        }
    }
}

/// Where the next record of a partition goes.
struct Head {
    next: i64,
    last_time_us: i64,
}

/// Appends in order. The append time is this process's clock, and never before that of the
/// partition's last record.
pub(crate) fn append(
    store: &Store,
    tx: &Transaction<'_>,
    entries: &[Entry],
) -> Result<(), LogError> {
    let now_us = now_us();
    let mut known = BTreeMap::new();
    let mut heads = BTreeMap::new();
    for entry in entries {
        let topic = match known.get(&entry.topic) {
            Some(topic) => *topic,
            None => {
                let found = topics::find(store, tx, &entry.topic)?;
                let topic = found.ok_or_else(|| LogError::UnknownTopic {
                    topic: entry.topic.to_string(),
                })?;
                known.insert(Arc::clone(&entry.topic), topic);
                topic
            }
        };
        let tp = topic.tp(partition_for(&topic, entry)?);
        let head = match heads.entry(tp) {
            std::collections::btree_map::Entry::Occupied(head) => head.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(read_head(tx, tp).map_err(|error| store.meaning(error))?)
            }
        };
        head.last_time_us = head.last_time_us.max(now_us);
        let id = topics::id(tp, head.next);
        head.next += 1;
        insert(tx, &topic, tp, id, head.last_time_us, entry)
            .map_err(|error| store.meaning(error))?;
    }
    write_heads(tx, &heads).map_err(|error| store.meaning(error))
}

/// Checks an entry against its topic and gives its partition.
fn partition_for(topic: &Topic, entry: &Entry) -> Result<i32, LogError> {
    let max = usize::try_from(topic.max_record_bytes).unwrap_or(usize::MAX);
    if entry.bytes > max {
        return Err(LogError::RecordTooLarge {
            topic: entry.topic.to_string(),
            bytes: entry.bytes,
            max,
        });
    }
    let key = entry.key.as_deref();
    if topic.compacted && key.is_none() {
        return Err(LogError::Config {
            what: format!(
                "topic {} is compacted: a record without a key cannot be kept",
                entry.topic
            ),
        });
    }
    let partition = entry
        .partition
        .unwrap_or_else(|| shiren_log::partition(key.unwrap_or_default(), topic.partitions));
    if (0..topic.partitions).contains(&partition) {
        return Ok(partition);
    }
    Err(LogError::Config {
        what: format!(
            "topic {} has no partition {partition}: its partitions are 0 to {}",
            entry.topic,
            topic.partitions - 1
        ),
    })
}

fn read_head(tx: &Transaction<'_>, tp: i64) -> rusqlite::Result<Head> {
    tx.prepare_cached("SELECT next, last_time FROM heads WHERE tp = ?1")?
        .query_row([tp], |row| {
            Ok(Head {
                next: row.get(0)?,
                last_time_us: row.get(1)?,
            })
        })
}

fn insert(
    tx: &Transaction<'_>,
    topic: &Topic,
    tp: i64,
    id: i64,
    time_us: i64,
    entry: &Entry,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO records (id, append_time, headers, key, value) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        id,
        time_us,
        headers::encode(&entry.headers).as_deref(),
        entry.key.as_deref(),
        entry.value.as_deref()
    ])?;
    if topic.compacted {
        tx.prepare_cached(
            "INSERT INTO latest (tp, key, id) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET id = excluded.id",
        )?
        .execute(params![tp, entry.key.as_deref(), id])?;
    }
    Ok(())
}

fn write_heads(tx: &Transaction<'_>, heads: &BTreeMap<i64, Head>) -> rusqlite::Result<()> {
    let mut update =
        tx.prepare_cached("UPDATE heads SET next = ?2, last_time = ?3 WHERE tp = ?1")?;
    for (tp, head) in heads {
        update.execute([*tp, head.next, head.last_time_us])?;
    }
    Ok(())
}

/// Refuses when the pages in use exceed the publishers' share; undone with the transaction.
pub(crate) fn refuse_when_full(store: &Store, tx: &Transaction<'_>) -> Result<(), LogError> {
    let pragma = |name| {
        tx.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(|error| store.meaning(error))
    };
    let used = pragma("page_count")? - pragma("freelist_count")?;
    let used = u64::try_from(used).map_err(|_| fatal("a negative page count".into()))?;
    if used > store.publish_max_pages() {
        return Err(store.full());
    }
    Ok(())
}

/// Wall clock, microseconds since the Unix epoch.
pub(crate) fn now_us() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the embedded log stamps what it appends"
    )]
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
