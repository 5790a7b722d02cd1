//! Finding the record that kills the process, without a cost where none does.
//!
//! A worker notes each partition that it takes over, with the first offset that it reads: once an assignment. Whoever
//! takes a partition over at the very offset of the note of another worker knows that this one committed nothing: it may
//! have died of what lies there. Then, and only then, as many records as a bundle holds run one by one, and each is
//! noted, and the note acknowledged, before it is touched. Decision 0018.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use shiren_log::{Bundle, Log, LogError, Publisher, Reader, Record, Start};
use shiren_schemas::Wire;
use shiren_schemas::records::CrashAttempt;

use crate::runtime_error::RuntimeError;

/// Records taken at once.
const READ_MAX_RECORDS: usize = 256;
/// Longest wait of one read.
const READ_MAX_WAIT: Duration = Duration::from_millis(100);

/// Topic and partition.
type Place = (Arc<str>, i32);

/// What is to be done with a record that is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is not suspected, or has not killed often enough.
    Process,
    /// It killed so many processes as it may: end its case without its stages.
    End {
        /// Deaths.
        attempts: i32,
    },
    /// Ending its case killed one, too: nothing of it is read.
    Bury {
        /// Deaths.
        attempts: i32,
    },
}

/// What a worker knows of the partitions that it holds.
pub(crate) struct CrashAttempts {
    /// `shiren.attempts.<stage>`.
    topic: Arc<str>,
    /// One name a life of a worker.
    owner: String,
    max_attempts: i32,
    /// Records of a partition that run one by one after a death.
    reach_records: usize,
    generation: Option<u64>,
    /// Partitions held, each with the records that are still to run one by one.
    places: HashMap<Place, usize>,
    /// Of records noted and neither done nor committed.
    begun: BTreeMap<(Place, i64), i32>,
    /// Opened at the first note, and kept: every assignment writes one.
    publisher: Option<Box<dyn Publisher>>,
    notes: Notes,
    alone: Alone,
}

/// Held while a suspect is processed: the workers of a process die together, and the death counts for one record.
pub(crate) type Alone = Arc<Mutex<()>>;

impl CrashAttempts {
    pub(crate) fn new(
        topic: String,
        owner: String,
        max_attempts: i32,
        reach_records: usize,
        alone: Alone,
    ) -> Self {
        Self {
            topic: Arc::from(topic),
            owner,
            max_attempts,
            reach_records,
            generation: None,
            places: HashMap::new(),
            begun: BTreeMap::new(),
            publisher: None,
            notes: Notes::default(),
            alone,
        }
    }

    /// The lock that all workers of the process share.
    pub(crate) fn alone(&self) -> Alone {
        self.alone.clone()
    }

    /// A new end of the log: what was held is not any more.
    pub(crate) fn forget(&mut self) {
        self.generation = None;
    }

    /// Reads what was noted of the partitions of this generation, once: only who held them before has noted anything. A
    /// question for the end of a topic that is being followed waits for its fetch, half a second at a quiet one, so a worker
    /// with nothing else to do is to ask it.
    ///
    /// # Errors
    /// The log does not answer.
    pub(crate) fn assigned(&mut self, log: &dyn Log, generation: u64) -> Result<(), RuntimeError> {
        if self.generation == Some(generation) {
            return Ok(());
        }
        self.places.clear();
        self.begun.clear();
        self.notes.read_on(log, &self.topic)?;
        self.generation = Some(generation);
        Ok(())
    }

    /// Notes the partitions of the bundle that are new to this worker. True: it is to run one by one.
    ///
    /// # Errors
    /// The log does not answer.
    pub(crate) fn look_at(&mut self, log: &dyn Log, bundle: &Bundle) -> Result<bool, RuntimeError> {
        self.assigned(log, bundle.generation)?;
        let mut taken: Vec<(Place, i64)> = Vec::new();
        let mut one_by_one = false;
        for record in &bundle.records {
            let place = (record.topic.clone(), record.partition);
            match self.places.get(&place) {
                Some(left) => one_by_one |= *left > 0,
                None if taken.iter().any(|(known, _)| *known == place) => {}
                None => taken.push((place, record.offset)),
            }
        }
        if taken.is_empty() {
            return Ok(one_by_one);
        }
        Ok(self.take_over(log, taken)? || one_by_one)
    }

    /// True: one of them is suspected.
    fn take_over(&mut self, log: &dyn Log, taken: Vec<(Place, i64)>) -> Result<bool, RuntimeError> {
        let mut writes = Vec::new();
        let mut is_any = false;
        for (place, first) in taken {
            let of_place = self.notes.newest.values();
            let of_place = of_place.filter(|note| is_of(note, &place));
            let mut suspected = false;
            for note in of_place {
                if note.attempts == 0 {
                    suspected |= note.offset == first && note.owner != self.owner;
                } else if note.offset < first {
                    // It was committed after all.
                    writes.push(self.tombstone(&place, note.offset));
                } else {
                    suspected = true;
                    self.begun
                        .insert((place.clone(), note.offset), note.attempts);
                }
            }
            if suspected {
                let (topic, partition) = (&place.0, place.1);
                tracing::warn!(
                    %topic,
                    partition,
                    offset = first,
                    "whoever held the partition before committed nothing of it: records run one by one"
                );
            }
            is_any |= suspected;
            writes.push(self.note(&place, first, 0)?);
            let left = if suspected { self.reach_records } else { 0 };
            self.places.insert(place, left);
        }
        match self.write(log, writes) {
            // Records are answered without this protection rather than not at all.
            Err(RuntimeError::Log(error @ LogError::Full { .. })) => {
                tracing::warn!(%error, "a record that kills the process would not be found now");
            }
            other => other?,
        }
        Ok(is_any)
    }

    /// To be called before a record is touched, and obeyed.
    ///
    /// # Errors
    /// The log does not answer.
    pub(crate) fn begin(&mut self, log: &dyn Log, record: &Record) -> Result<Turn, RuntimeError> {
        let place = (record.topic.clone(), record.partition);
        let Some(left) = self.places.get_mut(&place).filter(|left| **left > 0) else {
            return Ok(Turn::Process);
        };
        *left -= 1;
        let id = (place, record.offset);
        let died = self.begun.get(&id).copied().unwrap_or(0);
        if died <= self.max_attempts {
            let note = self.note(&id.0, record.offset, died + 1)?;
            self.write(log, vec![note])?;
            self.begun.insert(id, died + 1);
        }
        Ok(if died < self.max_attempts {
            Turn::Process
        } else if died == self.max_attempts {
            Turn::End { attempts: died }
        } else {
            Turn::Bury { attempts: died }
        })
    }

    /// The process lived through the record.
    ///
    /// # Errors
    /// The log does not answer.
    pub(crate) fn survived(&mut self, log: &dyn Log, record: &Record) -> Result<(), RuntimeError> {
        let id = ((record.topic.clone(), record.partition), record.offset);
        if self.begun.remove(&id).is_none() {
            return Ok(());
        }
        let done = self.tombstone(&id.0, id.1);
        self.write(log, vec![done])
    }

    /// Records that were ended are committed: nobody meets them again.
    ///
    /// # Errors
    /// The log does not answer.
    pub(crate) fn committed(&mut self, log: &dyn Log, bundle: &Bundle) -> Result<(), RuntimeError> {
        if self.begun.is_empty() {
            return Ok(());
        }
        let mut done = Vec::new();
        for record in &bundle.records {
            let id = ((record.topic.clone(), record.partition), record.offset);
            if self.begun.remove(&id).is_some() {
                done.push(self.tombstone(&id.0, id.1));
            }
        }
        self.write(log, done)
    }

    fn note(&self, place: &Place, offset: i64, attempts: i32) -> Result<Record, RuntimeError> {
        let note = CrashAttempt {
            topic: place.0.to_string(),
            partition: place.1,
            offset,
            attempts,
            owner: self.owner.clone(),
        };
        let of = (attempts > 0).then_some(offset);
        Ok(self.record(key(place, of), Some(note.encode()?.into())))
    }

    fn tombstone(&self, place: &Place, offset: i64) -> Record {
        self.record(key(place, Some(offset)), None)
    }

    fn record(&self, key: String, value: Option<Bytes>) -> Record {
        Record {
            topic: self.topic.clone(),
            partition: 0,
            offset: 0,
            append_time_us: 0,
            key: Some(Bytes::from(key)),
            value,
            headers: Vec::new(),
        }
    }

    /// Returns when the log has acknowledged all of them.
    fn write(&mut self, log: &dyn Log, records: Vec<Record>) -> Result<(), RuntimeError> {
        if records.is_empty() {
            return Ok(());
        }
        let publisher = match &mut self.publisher {
            Some(publisher) => publisher,
            none => none.insert(log.publisher()?),
        };
        Ok(publisher.publish_copies(records)?)
    }
}

fn is_of(note: &CrashAttempt, place: &Place) -> bool {
    note.topic == *place.0 && note.partition == place.1
}

fn key((topic, partition): &Place, offset: Option<i64>) -> String {
    match offset {
        Some(offset) => format!("{topic}/{partition}/{offset}"),
        None => format!("{topic}/{partition}"),
    }
}

/// The newest note of each key, read on from where the last look ended.
#[derive(Default)]
struct Notes {
    reader: Option<Box<dyn Reader>>,
    newest: HashMap<Bytes, CrashAttempt>,
}

impl Notes {
    /// Reads up to the end that the topic has now.
    fn read_on(&mut self, log: &dyn Log, topic: &str) -> Result<(), RuntimeError> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                self.newest.clear();
                log.reader(topic, Start::Beginning)?
            }
        };
        while !reader.at_end()? {
            for record in reader.read(READ_MAX_RECORDS, READ_MAX_WAIT)? {
                let key = record.key.unwrap_or_default();
                match record.value {
                    Some(value) => self.newest.insert(key, CrashAttempt::decode(&value)?),
                    None => self.newest.remove(&key),
                };
            }
        }
        // One that failed is opened anew.
        self.reader = Some(reader);
        Ok(())
    }
}

#[cfg(test)]
#[path = "crash_attempts_tests.rs"]
mod tests;
