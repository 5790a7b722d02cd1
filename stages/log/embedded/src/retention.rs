//! Removing what retention no longer keeps, in small write transactions.

use rusqlite::{Connection, params};
use shiren_log::LogError;

use crate::append::now_us;
use crate::store::Store;
use crate::topics::{self, Topic};

/// Most records deleted in one transaction: with overwriting, 64 of 100 KB take about 8 ms.
pub(crate) const CHUNK_MAX_RECORDS: i64 = 64;
/// Most bytes deleted in one transaction, beyond its first record.
const CHUNK_MAX_BYTES: i64 = 8 << 20;

/// Deletes expired records of one partition until none is left or `go_on` says stop.
/// True when something was deleted.
pub(crate) fn sweep(
    store: &Store,
    reading: &Connection,
    topic: &Topic,
    tp: i64,
    go_on: &dyn Fn() -> bool,
) -> Result<bool, LogError> {
    let cutoff_us = now_us().saturating_sub(topic.retention_ms.saturating_mul(1_000));
    let mut deleted = false;
    while go_on() {
        let last = expired(reading, tp, cutoff_us).map_err(|error| store.meaning(error))?;
        let Some(last) = last else { break };
        store.write(|tx| {
            let delete = || -> rusqlite::Result<()> {
                tx.prepare_cached("DELETE FROM records WHERE id >= ?1 AND id <= ?2")?
                    .execute([topics::id(tp, 0), last])?;
                tx.prepare_cached("UPDATE heads SET first = max(first, ?2) WHERE tp = ?1")?
                    .execute([tp, topics::offset(last) + 1])?;
                Ok(())
            };
            delete().map_err(|error| store.meaning(error))
        })?;
        deleted = true;
    }
    Ok(deleted)
}

/// Last id of a chunk of the partition's oldest records that were appended before `cutoff_us`.
fn expired(reading: &Connection, tp: i64, cutoff_us: i64) -> rusqlite::Result<Option<i64>> {
    // `length` of a blob reads its header only.
    let mut query = reading.prepare_cached(
        "SELECT id, append_time, coalesce(length(value), 0) FROM records
         WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows = query.query(params![
        topics::id(tp, 0),
        topics::id(tp + 1, 0),
        CHUNK_MAX_RECORDS
    ])?;
    let (mut last, mut bytes) = (None, 0_i64);
    while let Some(row) = rows.next()? {
        bytes = bytes.saturating_add(row.get(2)?);
        if row.get::<_, i64>(1)? >= cutoff_us || (last.is_some() && bytes > CHUNK_MAX_BYTES) {
            break;
        }
        last = Some(row.get(0)?);
    }
    Ok(last)
}
