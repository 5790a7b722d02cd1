//! Compacted topics: of each key the newest record is kept, and a tombstone for its retention.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use shiren_log::LogError;

use crate::append::now_us;
use crate::retention::CHUNK_MAX_RECORDS;
use crate::store::Store;
use crate::topics::{self, Topic};

/// What the last sweep of each partition left, so that an unchanged one is not scanned again.
#[derive(Default)]
pub(crate) struct Swept(BTreeMap<i64, Left>);

#[derive(PartialEq, Eq)]
struct Left {
    next: i64,
    tombstones: bool,
}

/// A record that a newer one of its key, or its age, has made superfluous.
struct Superfluous {
    id: i64,
    /// It is the newest of its key: a tombstone that has served its time.
    newest: bool,
}

/// Deletes superfluous records of one partition. True when something was deleted.
pub(crate) fn sweep(
    store: &Store,
    reading: &Connection,
    topic: &Topic,
    tp: i64,
    swept: &mut Swept,
    go_on: &dyn Fn() -> bool,
) -> Result<bool, LogError> {
    let sql = |error| store.meaning(error);
    let next: i64 = reading
        .prepare_cached("SELECT next FROM heads WHERE tp = ?1")
        .and_then(|mut query| query.query_row([tp], |row| row.get(0)))
        .map_err(sql)?;
    let idle = Left {
        next,
        tombstones: false,
    };
    if swept.0.get(&tp) == Some(&idle) {
        return Ok(false);
    }
    let cutoff_us = now_us().saturating_sub(topic.retention_ms.saturating_mul(1_000));
    let (mut deleted, mut from) = (false, topics::id(tp, 0));
    while go_on() {
        let chunk = superfluous(reading, tp, from, cutoff_us).map_err(sql)?;
        let Some(last) = chunk.last() else {
            let tombstones = has_tombstones(reading, tp).map_err(sql)?;
            swept.0.insert(tp, Left { next, tombstones });
            break;
        };
        from = last.id;
        store.write(|tx| delete(tx, tp, &chunk).map_err(sql))?;
        deleted = true;
    }
    Ok(deleted)
}

fn superfluous(
    reading: &Connection,
    tp: i64,
    from: i64,
    cutoff_us: i64,
) -> rusqlite::Result<Vec<Superfluous>> {
    reading
        .prepare_cached(
            "SELECT r.id, l.id = r.id FROM records r JOIN latest l ON l.tp = ?1 AND l.key = r.key
             WHERE r.id >= ?2 AND r.id < ?3
               AND (l.id <> r.id OR (r.value IS NULL AND r.append_time < ?4))
             ORDER BY r.id LIMIT ?5",
        )?
        .query_map(
            params![
                tp,
                from,
                topics::id(tp + 1, 0),
                cutoff_us,
                CHUNK_MAX_RECORDS
            ],
            |row| {
                Ok(Superfluous {
                    id: row.get(0)?,
                    newest: row.get(1)?,
                })
            },
        )?
        .collect()
}

fn has_tombstones(reading: &Connection, tp: i64) -> rusqlite::Result<bool> {
    reading
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM records WHERE id >= ?1 AND id < ?2 AND value IS NULL)",
        )?
        .query_row([topics::id(tp, 0), topics::id(tp + 1, 0)], |row| row.get(0))
}

fn delete(tx: &rusqlite::Transaction<'_>, tp: i64, chunk: &[Superfluous]) -> rusqlite::Result<()> {
    for record in chunk {
        if record.newest {
            // Unless the key was written again since it was looked at.
            tx.prepare_cached("DELETE FROM latest WHERE tp = ?1 AND id = ?2")?
                .execute([tp, record.id])?;
        }
        tx.prepare_cached("DELETE FROM records WHERE id = ?1")?
            .execute([record.id])?;
    }
    Ok(())
}
