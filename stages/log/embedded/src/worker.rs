//! The consume-transform-produce end: bundles out, one ACID commit back.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use shiren_log::{
    Assigned, Assignment, Bundle, Commit, Lag, LogError, NewRecord, Position, Record, Worker,
    WorkerOptions, kill_point,
};

use crate::EmbeddedLog;
use crate::append::{self, Entry};
use crate::records::{self, Part, Room};
use crate::store::Store;
use crate::topics;

/// A worker on the partitions of its slot.
pub(crate) struct EmbeddedWorker {
    connection: Connection,
    options: WorkerOptions,
    generation: u64,
    parts: Vec<Held>,
    /// The bundle that was handed out and not committed, as the offsets it moves.
    outstanding: Option<Moves>,
    /// Last, so that the log outlives the rest.
    log: EmbeddedLog,
}

/// A partition of this worker.
struct Held {
    /// `next` is where the next bundle begins: behind the last commit of this worker.
    part: Part,
    /// The group's offset as this worker knows it; `None` before the first commit.
    committed: Option<i64>,
}

/// For each topic and partition: first offset of the bundle, and the offset behind its last.
type Moves = BTreeMap<(std::sync::Arc<str>, i32), (i64, i64)>;

/// One offset to move, if it is still what this worker knows.
struct Move {
    index: usize,
    tp: i64,
    known: Option<i64>,
    to: i64,
}

impl EmbeddedWorker {
    pub(crate) fn open(log: EmbeddedLog, options: WorkerOptions) -> Result<Self, LogError> {
        check(&options)?;
        let store = log.store();
        let connection = store.connect()?;
        let parts = assign(store, &connection, &options)?;
        store.workers.enter()?;
        let generation = next_generation(store, &options);
        Ok(Self {
            connection,
            options,
            generation,
            parts,
            outstanding: None,
            log,
        })
    }

    /// True when a later worker of the same name has taken over.
    fn fenced(&self) -> bool {
        let generations = self.log.store().generations.lock();
        let generations = generations.unwrap_or_else(PoisonError::into_inner);
        generations.get(&name(&self.options)) != Some(&self.generation)
    }

    fn read_now(&mut self) -> Result<Vec<Record>, LogError> {
        let store = self.log.store();
        let read = self.connection.transaction();
        let read = read.map_err(|error| store.meaning(error))?;
        let mut room = Room {
            records: self.options.bundle_max_records,
            bytes: self.options.bundle_max_bytes,
        };
        let mut out = Vec::new();
        for assigned in &self.parts {
            let part = &assigned.part;
            let bounds = records::bounds(store, &read, part)?;
            if !(bounds.first..=bounds.end).contains(&part.next) {
                return Err(LogError::OffsetOutOfRange {
                    group: self.options.group.clone(),
                    topic: part.topic.to_string(),
                    partition: part.partition,
                    committed: part.next,
                    first: bounds.first,
                    end: bounds.end,
                });
            }
            let mut ahead = Part {
                topic: part.topic.clone(),
                ..*part
            };
            if part.next < bounds.end
                && !records::take(store, &read, &mut ahead, bounds.end, &mut room, &mut out)?
            {
                break;
            }
        }
        // The next bundle begins with another partition, so that none is starved.
        drop(read);
        if !self.parts.is_empty() {
            self.parts.rotate_left(1);
        }
        Ok(out)
    }

    /// Moves the offsets and appends the outputs, both or neither.
    fn write(&mut self, moves: &[Move], outputs: Vec<NewRecord>) -> Result<Commit, LogError> {
        let outputs: Vec<Entry> = outputs.into_iter().map(Entry::from).collect();
        let store = self.log.store();
        let written = store.write_or_undo(|tx| {
            kill_point("begun");
            if !move_offsets(store, tx, &self.options.group, moves)? {
                return Ok(None);
            }
            kill_point("offsets_sent");
            append::append(store, tx, &outputs)?;
            kill_point("produced");
            Ok(Some(()))
        })?;
        if written.is_none() {
            return Ok(Commit::Rebuild);
        }
        kill_point("committed");
        for moved in moves {
            self.parts[moved.index].committed = Some(moved.to);
        }
        Ok(Commit::Done)
    }

    /// The offsets that a commit moves, each with what it must be before.
    fn moves(&self, moves: &Moves) -> Vec<Move> {
        let all = self.parts.iter().enumerate();
        all.filter_map(|(index, Held { part, committed })| {
            let (_, to) = moves.get(&(part.topic.clone(), part.partition))?;
            Some(Move {
                index,
                tp: part.tp,
                known: *committed,
                to: *to,
            })
        })
        .collect()
    }
}

impl Worker for EmbeddedWorker {
    fn next_bundle(&mut self) -> Result<Option<Bundle>, LogError> {
        let deadline = Instant::now() + self.options.poll_max_wait;
        loop {
            let rings = self.log.store().bell.rings();
            let records = self.read_now()?;
            if !records.is_empty() {
                self.outstanding = Some(moves_of(&records));
                return Ok(Some(Bundle {
                    records,
                    generation: self.generation,
                }));
            }
            if !self.log.store().bell.wait_beyond(rings, deadline) {
                return Ok(None);
            }
        }
    }

    fn commit(&mut self, bundle: &Bundle, outputs: Vec<NewRecord>) -> Result<Commit, LogError> {
        if self.fenced() {
            return Ok(Commit::Rebuild);
        }
        let moves = moves_of(&bundle.records);
        if bundle.generation != self.generation || self.outstanding.as_ref() != Some(&moves) {
            return Ok(Commit::Revoked);
        }
        let moves = self.moves(&moves);
        let commit = self.write(&moves, outputs)?;
        if commit == Commit::Done {
            self.outstanding = None;
            for moved in moves {
                self.parts[moved.index].part.next = moved.to;
            }
        }
        Ok(commit)
    }

    fn assignment(&mut self) -> Result<Assignment, LogError> {
        let assigned = |Held { part, committed }: &Held| Assigned {
            topic: part.topic.clone(),
            partition: part.partition,
            committed: *committed,
        };
        Ok(Assignment {
            generation: self.generation,
            partitions: self.parts.iter().map(assigned).collect(),
        })
    }

    fn at_end(&mut self, topic: &str, partition: i32) -> Result<bool, LogError> {
        let here = |held: &&Held| &*held.part.topic == topic && held.part.partition == partition;
        let Some(held) = self.parts.iter().find(here) else {
            return Ok(false);
        };
        let store = self.log.store();
        let bounds = records::bounds(store, &self.connection, &held.part)?;
        Ok(held.part.next >= bounds.end)
    }

    fn commit_between(
        &mut self,
        generation: u64,
        positions: &[Position],
        outputs: Vec<NewRecord>,
    ) -> Result<Commit, LogError> {
        shiren_log::check_positions(positions)?;
        if self.fenced() {
            return Ok(Commit::Rebuild);
        }
        let moves = positions
            .iter()
            .map(|at| ((at.topic.clone(), at.partition), (at.next, at.next)));
        let moves = self.moves(&moves.collect());
        if generation != self.generation || moves.len() != positions.len() {
            return Ok(Commit::Revoked);
        }
        self.write(&moves, outputs)
    }

    fn lag(&mut self) -> Result<Vec<Lag>, LogError> {
        let store = self.log.store();
        let behind = |Held { part, .. }: &Held| {
            let end = records::bounds(store, &self.connection, part)?.end;
            Ok(Lag {
                topic: part.topic.clone(),
                partition: part.partition,
                records: u64::try_from(end - part.next).unwrap_or(0),
            })
        };
        self.parts.iter().map(behind).collect()
    }
}

impl Drop for EmbeddedWorker {
    fn drop(&mut self) {
        self.log.store().workers.leave();
    }
}

fn check(options: &WorkerOptions) -> Result<(), LogError> {
    if options.slot < options.slots && options.bundle_max_records > 0 && !options.topics.is_empty()
    {
        return Ok(());
    }
    Err(LogError::Config {
        what: format!(
            "worker {}: needs a slot below slots (they are {} and {}), a topic, and bundle_max_records of 1 or more",
            options.transactional_id, options.slot, options.slots
        ),
    })
}

fn name(options: &WorkerOptions) -> (String, String) {
    (options.group.clone(), options.transactional_id.clone())
}

fn next_generation(store: &Store, options: &WorkerOptions) -> u64 {
    let generations = store.generations.lock();
    let mut generations = generations.unwrap_or_else(PoisonError::into_inner);
    let generation = generations.entry(name(options)).or_default();
    *generation += 1;
    *generation
}

/// The slot's partitions of every topic, each at the group's offset or at its first record.
fn assign(
    store: &Store,
    connection: &Connection,
    options: &WorkerOptions,
) -> Result<Vec<Held>, LogError> {
    let mut assigned = Vec::new();
    for name in &options.topics {
        let topic =
            topics::find(store, connection, name)?.ok_or_else(|| LogError::UnknownTopic {
                topic: name.clone(),
            })?;
        let mine = |partition: i32| partition.cast_unsigned() % options.slots == options.slot;
        for mut part in records::parts(name, &topic, mine) {
            let committed = committed(connection, &options.group, part.tp)
                .map_err(|error| store.meaning(error))?;
            part.next = match committed {
                Some(next) => next,
                None => records::bounds(store, connection, &part)?.first,
            };
            assigned.push(Held { part, committed });
        }
    }
    Ok(assigned)
}

fn committed(connection: &Connection, group: &str, tp: i64) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT next FROM offsets WHERE grp = ?1 AND tp = ?2")?
        .query_row(params![group, tp], |row| row.get(0))
        .optional()
}

fn moves_of(records: &[Record]) -> Moves {
    let mut moves = Moves::new();
    for record in records {
        moves
            .entry((record.topic.clone(), record.partition))
            .or_insert((record.offset, 0))
            .1 = record.offset + 1;
    }
    moves
}

/// Compare-and-set of every offset; false when one is not what this worker knows.
fn move_offsets(
    store: &Store,
    tx: &Transaction<'_>,
    group: &str,
    moves: &[Move],
) -> Result<bool, LogError> {
    let set = |moved: &Move| match moved.known {
        Some(known) => tx
            .prepare_cached(
                "UPDATE offsets SET next = ?4 WHERE grp = ?1 AND tp = ?2 AND next = ?3",
            )?
            .execute(params![group, moved.tp, known, moved.to]),
        None => tx
            .prepare_cached(
                "INSERT INTO offsets (grp, tp, next) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![group, moved.tp, moved.to]),
    };
    for moved in moves {
        if set(moved).map_err(|error| store.meaning(error))? != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}
