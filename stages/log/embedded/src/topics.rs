//! The table of topics.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use shiren_log::{Applied, LogError, TopicSpec};

use crate::store::Store;

/// Bits of a record's id that hold the offset.
const OFFSET_BITS: u32 = 40;
/// More would not fit the ids.
const MAX_TOPIC_PARTITIONS: i64 = 1 << 22;

/// `SQLite` holds at most 1 GB a row.
const MAX_RECORD_BYTES: u32 = 1 << 29;

/// One topic as stored.
#[derive(Clone, Copy)]
pub(crate) struct Topic {
    /// Number of its partition 0 among all topics' partitions.
    pub(crate) base: i64,
    pub(crate) partitions: i32,
    pub(crate) retention_ms: i64,
    /// At most [`MAX_RECORD_BYTES`].
    pub(crate) max_record_bytes: u32,
    pub(crate) compacted: bool,
}

impl Topic {
    /// Number of a partition among all topics' partitions.
    pub(crate) fn tp(&self, partition: i32) -> i64 {
        self.base + i64::from(partition)
    }

    /// The specification that gives this topic.
    pub(crate) fn spec(&self, name: &str) -> TopicSpec {
        TopicSpec {
            name: name.to_owned(),
            partitions: self.partitions,
            retention_ms: self.retention_ms,
            max_record_bytes: self.max_record_bytes as usize,
            compacted: self.compacted,
        }
    }
}

/// Id of the record at an offset.
pub(crate) fn id(tp: i64, offset: i64) -> i64 {
    tp << OFFSET_BITS | offset
}

/// Offset of the record with an id.
pub(crate) fn offset(id: i64) -> i64 {
    id & ((1 << OFFSET_BITS) - 1)
}

/// Looks a topic up.
pub(crate) fn find(
    store: &Store,
    connection: &Connection,
    name: &str,
) -> Result<Option<Topic>, LogError> {
    let query = || {
        connection
            .prepare_cached(
                "SELECT base, partitions, retention_ms, max_record_bytes, compacted
                 FROM topics WHERE name = ?1",
            )?
            .query_row([name], from_row)
            .optional()
    };
    query().map_err(|error| store.meaning(error))
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Topic> {
    Ok(Topic {
        base: row.get(0)?,
        partitions: row.get(1)?,
        retention_ms: row.get(2)?,
        max_record_bytes: row.get(3)?,
        compacted: row.get(4)?,
    })
}

/// All topics.
pub(crate) fn all(store: &Store, connection: &Connection) -> Result<Vec<Topic>, LogError> {
    let query = || {
        connection
            .prepare_cached(
                "SELECT base, partitions, retention_ms, max_record_bytes, compacted FROM topics",
            )?
            .query_map([], from_row)?
            .collect::<rusqlite::Result<_>>()
    };
    query().map_err(|error| store.meaning(error))
}

/// Creates or updates topics, all of them or none.
pub(crate) fn apply(store: &Store, specs: &[TopicSpec]) -> Result<Vec<Applied>, LogError> {
    let limits = specs.iter().map(check).collect::<Result<Vec<_>, _>>()?;
    store.write(|tx| {
        specs
            .iter()
            .zip(limits)
            .map(|(spec, max_bytes)| apply_one(store, tx, spec, max_bytes))
            .collect()
    })
}

/// Checks a specification and gives its record limit, bytes.
fn check(spec: &TopicSpec) -> Result<u32, LogError> {
    let max_bytes = u32::try_from(spec.max_record_bytes).unwrap_or(u32::MAX);
    let valid = !spec.name.is_empty()
        && spec.partitions >= 1
        && spec.retention_ms >= 1
        && (1..=MAX_RECORD_BYTES).contains(&max_bytes);
    if valid {
        return Ok(max_bytes);
    }
    Err(LogError::Config {
        what: format!(
            "topic {:?}: needs a name, 1 or more partitions, retention_ms of 1 or more and max_record_bytes of 1 to 536870912",
            spec.name
        ),
    })
}

fn apply_one(
    store: &Store,
    tx: &Transaction<'_>,
    spec: &TopicSpec,
    max_bytes: u32,
) -> Result<Applied, LogError> {
    let Some(found) = find(store, tx, &spec.name)? else {
        create(store, tx, spec, max_bytes)?;
        return Ok(Applied::Created);
    };
    if found.partitions != spec.partitions {
        return Err(LogError::PartitionsDiffer {
            topic: spec.name.clone(),
            found: found.partitions,
            wanted: spec.partitions,
        });
    }
    let same = found.retention_ms == spec.retention_ms
        && found.max_record_bytes == max_bytes
        && found.compacted == spec.compacted;
    if same {
        return Ok(Applied::Unchanged);
    }
    update(tx, &found, spec, max_bytes).map_err(|error| store.meaning(error))?;
    Ok(Applied::Updated)
}

fn create(
    store: &Store,
    tx: &Transaction<'_>,
    spec: &TopicSpec,
    max_bytes: u32,
) -> Result<(), LogError> {
    let base = tx
        .query_row(
            "SELECT coalesce(max(base + partitions), 0) FROM topics",
            [],
            |row| row.get::<_, i64>(0),
        )
        .map_err(|error| store.meaning(error))?;
    if base + i64::from(spec.partitions) > MAX_TOPIC_PARTITIONS {
        return Err(LogError::Config {
            what: format!(
                "topic {}: the embedded log holds {MAX_TOPIC_PARTITIONS} partitions of all topics together",
                spec.name
            ),
        });
    }
    let insert = || -> rusqlite::Result<()> {
        tx.execute(
            "INSERT INTO topics (name, base, partitions, retention_ms, max_record_bytes, compacted)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                spec.name,
                base,
                spec.partitions,
                spec.retention_ms,
                max_bytes,
                spec.compacted
            ],
        )?;
        let mut heads = tx.prepare_cached(
            "INSERT INTO heads (tp, first, next, last_time) VALUES (?1, 0, 0, 0)",
        )?;
        for partition in 0..spec.partitions {
            heads.execute([base + i64::from(partition)])?;
        }
        Ok(())
    };
    insert().map_err(|error| store.meaning(error))
}

fn update(
    tx: &Transaction<'_>,
    found: &Topic,
    spec: &TopicSpec,
    max_bytes: u32,
) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE topics SET retention_ms = ?2, max_record_bytes = ?3, compacted = ?4 WHERE name = ?1",
        params![
            spec.name,
            spec.retention_ms,
            max_bytes,
            spec.compacted
        ],
    )?;
    let (low, high) = (found.base, found.base + i64::from(found.partitions));
    if spec.compacted && !found.compacted {
        tx.execute(
            "INSERT INTO latest (tp, key, id) SELECT id >> 40, key, max(id) FROM records
             WHERE id >= ?1 AND id < ?2 AND key IS NOT NULL GROUP BY id >> 40, key",
            [id(low, 0), id(high, 0)],
        )?;
    } else if found.compacted && !spec.compacted {
        tx.execute("DELETE FROM latest WHERE tp >= ?1 AND tp < ?2", [low, high])?;
    }
    Ok(())
}
