//! What keyed stages remember, in memory: by partition of their input, with timers in event time.

use std::any::Any;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use shiren_contract::keyed::{Kept, State};
use shiren_schemas::{CodecError, Wire};

/// Topic and partition that records come from, and that their state belongs to.
pub(crate) type Source = (Arc<str>, i32);

/// Bounds of what is remembered of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBounds {
    /// Most keys; beyond it the earliest timers fire before their time.
    pub partition_max_keys: usize,
    /// Most bytes of keys and encoded states; beyond it the same.
    pub partition_max_bytes: usize,
}

/// A change to be written to the changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateChange {
    pub(crate) source: Source,
    pub(crate) key: Arc<str>,
    /// `None`: forgotten.
    pub(crate) value: Option<Bytes>,
}

/// The states of one stage, whatever their type.
pub(crate) trait AnyStates: Send {
    /// For the stage that knows the type.
    fn as_any(&mut self) -> &mut dyn Any;
    /// Takes a record of the changelog.
    fn restore(
        &mut self,
        source: &Source,
        key: &str,
        value: Option<&[u8]>,
    ) -> Result<(), CodecError>;
    /// Whether it belongs to an offset of its input; otherwise it holds for all input partitions of one number.
    fn is_of_offset(&self) -> bool;
    /// Whether anything is remembered of the partition.
    fn is_empty(&self, source: &Source) -> bool;
    /// When the partition's next timer fires; at once where it holds too much.
    fn next_due_us(&self, source: &Source) -> Option<i64>;
    /// The changes since the last call, the last of each key.
    fn take_changes(&mut self) -> Vec<StateChange>;
    /// Forgets all, changes too.
    fn clear(&mut self);
}

/// The states of one stage.
pub(crate) struct States<S> {
    bounds: StateBounds,
    of_offset: bool,
    parts: HashMap<Source, Part<S>>,
    changes: BTreeMap<(Source, Arc<str>), Option<Bytes>>,
}

/// Those of one partition.
pub(crate) struct Part<S> {
    entries: BTreeMap<Arc<str>, Entry<S>>,
    timers: BTreeSet<(i64, Arc<str>)>,
    bytes: usize,
}

struct Entry<S> {
    state: S,
    due_us: i64,
    bytes: usize,
}

impl<S> Default for Part<S> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            timers: BTreeSet::new(),
            bytes: 0,
        }
    }
}

impl<S> Kept<S> for Part<S> {
    fn get(&self, key: &str) -> Option<&S> {
        self.entries.get(key).map(|entry| &entry.state)
    }
}

impl<S: State> Part<S> {
    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn is_crowded(&self, bounds: StateBounds) -> bool {
        self.entries.len() > bounds.partition_max_keys || self.bytes > bounds.partition_max_bytes
    }

    fn put(&mut self, key: Arc<str>, state: S, bytes: usize) {
        self.remove(&key);
        let due_us = state.due_us();
        let bytes = bytes + key.len();
        self.timers.insert((due_us, Arc::clone(&key)));
        self.bytes += bytes;
        let entry = Entry {
            state,
            due_us,
            bytes,
        };
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &Arc<str>) -> Option<S> {
        let entry = self.entries.remove(key)?;
        self.timers.remove(&(entry.due_us, Arc::clone(key)));
        self.bytes -= entry.bytes;
        Some(entry.state)
    }
}

impl<S: State> States<S> {
    /// State of a partition up to an offset.
    pub(crate) fn new(bounds: StateBounds) -> Self {
        Self {
            bounds,
            of_offset: true,
            parts: HashMap::new(),
            changes: BTreeMap::new(),
        }
    }

    /// State that holds for all input partitions of one number, whatever their offsets: it stays where it is when the
    /// stage is moved to another segment. The same key lies in partitions of the same number.
    pub(crate) fn of_all_inputs(bounds: StateBounds) -> Self {
        Self {
            of_offset: false,
            ..Self::new(bounds)
        }
    }

    fn place<'a>(&self, source: &'a Source) -> Cow<'a, Source> {
        if self.of_offset {
            Cow::Borrowed(source)
        } else {
            Cow::Owned((Arc::from(""), source.1))
        }
    }

    /// What is remembered of the partition.
    pub(crate) fn part(&mut self, source: &Source) -> &Part<S> {
        let source = self.place(source).into_owned();
        self.parts.entry(source).or_default()
    }

    /// The state under `key`.
    pub(crate) fn get(&self, source: &Source, key: &str) -> Option<&S> {
        self.parts.get(&*self.place(source))?.get(key)
    }

    /// Takes what a stage changed, all or nothing.
    ///
    /// # Errors
    /// A state that cannot be encoded: a fault of this program.
    pub(crate) fn apply(
        &mut self,
        source: &Source,
        changes: BTreeMap<Arc<str>, Option<S>>,
    ) -> Result<(), CodecError> {
        let mut encoded = Vec::with_capacity(changes.len());
        for (key, state) in changes {
            let value = state.as_ref().map(Wire::encode).transpose()?;
            encoded.push((key, state, value.map(Bytes::from)));
        }
        let source = self.place(source).into_owned();
        let part = self.parts.entry(source.clone()).or_default();
        for (key, state, value) in encoded {
            match (state, &value) {
                (Some(state), Some(bytes)) => part.put(Arc::clone(&key), state, bytes.len()),
                // What was never there needs no tombstone.
                _ if part.remove(&key).is_none() => continue,
                _ => {}
            }
            self.changes.insert((source.clone(), key), value);
        }
        Ok(())
    }

    /// Takes the earliest timer that has to fire: it is due, or the partition holds too much.
    pub(crate) fn pop_due(&mut self, source: &Source, event_time_us: i64) -> Option<Due<S>> {
        let source = self.place(source).into_owned();
        let part = self.parts.get_mut(&source)?;
        let (due_us, key) = part.timers.first()?.clone();
        if due_us > event_time_us && !part.is_crowded(self.bounds) {
            return None;
        }
        let state = part.remove(&key)?;
        self.changes.insert((source, Arc::clone(&key)), None);
        Some(Due { due_us, key, state })
    }
}

/// A timer that fires.
pub(crate) struct Due<S> {
    pub(crate) due_us: i64,
    pub(crate) key: Arc<str>,
    pub(crate) state: S,
}

impl<S: State> AnyStates for States<S> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn restore(
        &mut self,
        source: &Source,
        key: &str,
        value: Option<&[u8]>,
    ) -> Result<(), CodecError> {
        let source = self.place(source).into_owned();
        let part = self.parts.entry(source).or_default();
        match value {
            Some(bytes) => part.put(key.into(), S::decode(bytes)?, bytes.len()),
            None => drop(part.remove(&key.into())),
        }
        Ok(())
    }

    fn is_of_offset(&self) -> bool {
        self.of_offset
    }

    fn is_empty(&self, source: &Source) -> bool {
        self.parts
            .get(&*self.place(source))
            .is_none_or(|part| part.entries.is_empty())
    }

    fn next_due_us(&self, source: &Source) -> Option<i64> {
        let part = self.parts.get(&*self.place(source))?;
        let (due_us, _) = part.timers.first()?;
        Some(if part.is_crowded(self.bounds) {
            i64::MIN
        } else {
            *due_us
        })
    }

    fn take_changes(&mut self) -> Vec<StateChange> {
        std::mem::take(&mut self.changes)
            .into_iter()
            .map(|((source, key), value)| StateChange { source, key, value })
            .collect()
    }

    fn clear(&mut self) {
        self.parts.clear();
        self.changes.clear();
    }
}
