//! A log in memory that keeps the port's promises: its tests run the contract suite on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use shiren_log::{
    Applied, Log, LogError, NewRecord, Partitions, Publisher, Reader, Record, Start, TopicSpec,
    TopicState, Worker, WorkerOptions, partition,
};

use crate::memory_worker::MemoryWorker;
use crate::transactions::Pending;

type Now = dyn Fn() -> i64 + Send + Sync;

/// The log. Clones share it.
#[derive(Clone)]
pub struct MemoryLog(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    now_us: Box<Now>,
}

/// Where a group stands in a partition.
pub(crate) type Place = (String, Arc<str>, i32);

#[derive(Default)]
pub(crate) struct State {
    topics: BTreeMap<String, Topic>,
    pub(crate) offsets: HashMap<Place, i64>,
    /// Newest worker of a group and name: older ones are fenced.
    pub(crate) generations: HashMap<(String, String), u64>,
    /// How often a group's partitions were dealt anew.
    pub(crate) assignments: HashMap<String, u32>,
    /// Transactions without an end.
    pub(crate) pending: Vec<Pending>,
    /// Records that a transaction has answered which ended late; whoever watches takes them.
    pub(crate) landed: Vec<(Place, i64)>,
}

struct Topic {
    spec: TopicSpec,
    name: Arc<str>,
    partitions: Vec<Partition>,
}

#[derive(Default)]
pub(crate) struct Partition {
    records: BTreeMap<i64, Record>,
    /// Offsets of records whose transaction has not ended.
    open: BTreeSet<i64>,
    start: i64,
    pub(crate) end: i64,
}

impl MemoryLog {
    /// An empty log whose append times are those of `now_us`, microseconds since the Unix epoch.
    pub fn new(now_us: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            now_us: Box::new(now_us),
        }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sweep((self.0.now_us)());
        state
    }

    /// Waits until something changes, at most until `until`; false when it has passed.
    pub(crate) fn wait(&self, state: MutexGuard<'_, State>, until: Instant) -> bool {
        let left = until.saturating_duration_since(now());
        if left.is_zero() {
            return false;
        }
        drop(
            self.0
                .changed
                .wait_timeout(state, left.min(Duration::from_millis(20))),
        );
        true
    }

    /// Appends all, or nothing.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub fn append(&self, records: Vec<NewRecord>) -> Result<(), LogError> {
        let mut state = self.state();
        state.append(records, (self.0.now_us)())?;
        drop(state);
        self.0.changed.notify_all();
        Ok(())
    }

    pub(crate) fn reserve(
        &self,
        state: &mut State,
        records: Vec<NewRecord>,
    ) -> Result<Vec<Record>, LogError> {
        state.reserve(records, (self.0.now_us)())
    }

    pub(crate) fn now_us(&self) -> i64 {
        (self.0.now_us)()
    }

    /// Wakes who waits.
    pub(crate) fn changed(&self) {
        self.0.changed.notify_all();
    }

    /// Deals the partitions of a group anew: each goes to the next slot, and what was read under the old
    /// assignment can no longer be committed.
    pub fn rebalance(&self, group: &str) {
        *self
            .state()
            .assignments
            .entry(group.to_owned())
            .or_default() += 1;
    }

    /// All records of a topic, by partition and offset.
    #[must_use]
    pub fn records(&self, topic: &str) -> Vec<Record> {
        let state = self.state();
        let partitions = state
            .topics
            .get(topic)
            .into_iter()
            .flat_map(|topic| &topic.partitions);
        partitions
            .flat_map(|partition| partition.records.values().cloned())
            .collect()
    }
}

/// The machine's clock: only tests of the log wait on it.
pub(crate) fn now() -> Instant {
    Instant::now()
}

impl State {
    fn topic(&self, name: &str) -> Result<&Topic, LogError> {
        self.topics.get(name).ok_or_else(|| unknown(name))
    }

    pub(crate) fn partitions(&self, name: &str) -> Result<(&Arc<str>, &[Partition]), LogError> {
        self.topic(name)
            .map(|topic| (&topic.name, topic.partitions.as_slice()))
    }

    /// Gives each record its place; none is visible yet.
    pub(crate) fn reserve(
        &mut self,
        records: Vec<NewRecord>,
        now_us: i64,
    ) -> Result<Vec<Record>, LogError> {
        let mut placed = Vec::with_capacity(records.len());
        for record in &records {
            let topic = self.topic(&record.topic)?;
            check(topic, record.size_bytes())?;
            let count = topic.spec.partitions;
            let chosen = record
                .partition
                .unwrap_or_else(|| partition(&record.key, count));
            if !(0..count).contains(&chosen) {
                let what = format!("{} has no partition {chosen}", record.topic);
                return Err(LogError::Config { what });
            }
            placed.push(chosen);
        }
        let place = |(record, partition): (NewRecord, i32)| {
            let headers = record.headers.into_iter();
            self.take_offset(Record {
                topic: record.topic,
                partition,
                offset: 0,
                append_time_us: now_us,
                key: Some(record.key),
                value: record.value,
                headers: headers.map(|(name, value)| (name, Some(value))).collect(),
            })
        };
        Ok(records.into_iter().zip(placed).map(place).collect())
    }

    fn take_offset(&mut self, mut record: Record) -> Record {
        if let Some(topic) = self.topics.get(&*record.topic) {
            record.topic = topic.name.clone();
        }
        if let Some(partition) = self.partition(&record) {
            record.offset = partition.end;
            partition.end += 1;
            partition.open.insert(record.offset);
        }
        record
    }

    fn partition(&mut self, record: &Record) -> Option<&mut Partition> {
        let topic = self.topics.get_mut(&*record.topic)?;
        let index = usize::try_from(record.partition).ok()?;
        topic.partitions.get_mut(index)
    }

    /// Its transaction is committed.
    pub(crate) fn show(&mut self, record: Record) {
        let compacted = self
            .topics
            .get(&*record.topic)
            .is_some_and(|topic| topic.spec.compacted);
        let Some(partition) = self.partition(&record) else {
            return;
        };
        partition.open.remove(&record.offset);
        partition.records.insert(record.offset, record);
        if compacted && partition.open.is_empty() {
            partition.compact();
        }
    }

    /// Its transaction is aborted.
    pub(crate) fn skip(&mut self, record: &Record) {
        if let Some(partition) = self.partition(record) {
            partition.open.remove(&record.offset);
        }
    }

    /// Forgets what is older than its topic keeps.
    fn sweep(&mut self, now_us: i64) {
        for topic in self
            .topics
            .values_mut()
            .filter(|topic| !topic.spec.compacted)
        {
            let oldest_us = now_us.saturating_sub(topic.spec.retention_ms.saturating_mul(1000));
            for partition in &mut topic.partitions {
                while let Some(first) = partition.records.first_entry()
                    && first.get().append_time_us < oldest_us
                {
                    partition.start = first.key() + 1;
                    first.remove();
                }
            }
        }
    }
}

impl Partition {
    pub(crate) fn first(&self) -> i64 {
        self.start
    }

    /// Where the first open transaction begins: no reader goes beyond.
    fn stable_end(&self) -> i64 {
        self.open.first().copied().unwrap_or(self.end)
    }

    pub(crate) fn from(&self, offset: i64) -> impl Iterator<Item = &Record> {
        let end = self.stable_end().max(offset);
        self.records.range(offset..end).map(|(_, record)| record)
    }

    /// How many records stand before this offset.
    pub(crate) fn rank(&self, offset: i64) -> i64 {
        self.records.range(..offset).fold(0, |rank, _| rank + 1)
    }

    /// Keeps the newest record of each key.
    fn compact(&mut self) {
        let newest: HashMap<_, _> = self
            .records
            .values()
            .map(|record| (record.key.clone(), record.offset))
            .collect();
        self.records
            .retain(|offset, record| newest.get(&record.key) == Some(offset));
    }
}

fn unknown(topic: &str) -> LogError {
    LogError::UnknownTopic {
        topic: topic.to_owned(),
    }
}

fn check(topic: &Topic, bytes: usize) -> Result<(), LogError> {
    let max = topic.spec.max_record_bytes;
    if bytes > max {
        return Err(LogError::RecordTooLarge {
            topic: topic.spec.name.clone(),
            bytes,
            max,
        });
    }
    Ok(())
}

impl Log for MemoryLog {
    fn engine(&self) -> &'static str {
        "memory"
    }

    fn apply_topics(&self, specs: &[TopicSpec]) -> Result<Vec<Applied>, LogError> {
        let mut state = self.state();
        let mut applied = Vec::with_capacity(specs.len());
        for spec in specs {
            let Some(topic) = state.topics.get_mut(&spec.name) else {
                let topic = Topic {
                    spec: spec.clone(),
                    name: Arc::from(spec.name.as_str()),
                    partitions: (0..spec.partitions).map(|_| Partition::default()).collect(),
                };
                state.topics.insert(spec.name.clone(), topic);
                applied.push(Applied::Created);
                continue;
            };
            if topic.spec.partitions != spec.partitions {
                return Err(LogError::PartitionsDiffer {
                    topic: spec.name.clone(),
                    found: topic.spec.partitions,
                    wanted: spec.partitions,
                });
            }
            let same = topic.spec == *spec;
            topic.spec = spec.clone();
            applied.push(if same {
                Applied::Unchanged
            } else {
                Applied::Updated
            });
        }
        Ok(applied)
    }

    fn partitions(&self, topic: &str) -> Result<Partitions, LogError> {
        Ok(self
            .state()
            .topics
            .get(topic)
            .map(|topic| topic.spec.partitions))
    }

    fn describe(&self, topic: &str) -> Result<Option<TopicState>, LogError> {
        Ok(self.state().topics.get(topic).map(|topic| TopicState {
            spec: topic.spec.clone(),
            has_append_time: true,
        }))
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError> {
        Ok(Box::new(MemoryPublisher(self.clone())))
    }

    fn reader(&self, topic: &str, start: Start) -> Result<Box<dyn Reader>, LogError> {
        let state = self.state();
        let (name, partitions) = state.partitions(topic)?;
        let next = partitions.iter().map(|partition| match start {
            Start::Beginning => partition.first(),
            Start::End => partition.end,
        });
        Ok(Box::new(MemoryReader {
            log: self.clone(),
            topic: name.clone(),
            next: next.collect(),
        }))
    }

    fn read_at(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Record>, LogError> {
        let state = self.state();
        let (_, partitions) = state.partitions(topic)?;
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let found = partitions.get(index).ok_or_else(|| unknown(topic))?;
        Ok(found
            .from(offset)
            .next()
            .filter(|record| record.offset == offset)
            .cloned())
    }

    fn read_partitions(
        &self,
        topic: &str,
        partitions: &[i32],
        each: &mut dyn FnMut(Record),
    ) -> Result<(), LogError> {
        let mut state = self.state();
        // As one that waits until they have ended.
        state.resolve(|pending| pending.writes(topic, partitions));
        let (_, all) = state.partitions(topic)?;
        for (number, partition) in (0_i32..).zip(all) {
            if partitions.contains(&number) {
                let records = partition.from(partition.first());
                records.cloned().for_each(&mut *each);
            }
        }
        Ok(())
    }

    fn worker(&self, options: WorkerOptions) -> Result<Box<dyn Worker>, LogError> {
        Ok(Box::new(MemoryWorker::open(self.clone(), options)?))
    }
}

struct MemoryPublisher(MemoryLog);

impl Publisher for MemoryPublisher {
    fn publish(&mut self, records: Vec<NewRecord>) -> Result<(), LogError> {
        self.0.append(records)
    }

    fn publish_copies(&mut self, copies: Vec<Record>) -> Result<(), LogError> {
        let now_us = (self.0.0.now_us)();
        let mut state = self.0.state();
        for copy in copies {
            check(state.topic(&copy.topic)?, copy.size_bytes())?;
            let placed = state.take_offset(Record {
                append_time_us: now_us,
                ..copy
            });
            state.show(placed);
        }
        drop(state);
        self.0.0.changed.notify_all();
        Ok(())
    }
}

struct MemoryReader {
    log: MemoryLog,
    topic: Arc<str>,
    next: Vec<i64>,
}

impl Reader for MemoryReader {
    fn read(&mut self, max_records: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let until = now() + wait;
        loop {
            let state = self.log.state();
            let (_, partitions) = state.partitions(&self.topic)?;
            let mut read = Vec::new();
            for (next, partition) in self.next.iter_mut().zip(partitions) {
                let room = max_records - read.len();
                for record in partition.from(*next).take(room) {
                    *next = record.offset + 1;
                    read.push(record.clone());
                }
            }
            if !read.is_empty() || !self.log.wait(state, until) {
                return Ok(read);
            }
        }
    }

    fn at_end(&mut self) -> Result<bool, LogError> {
        let state = self.log.state();
        let (_, partitions) = state.partitions(&self.topic)?;
        let mut all = self.next.iter().zip(partitions);
        Ok(all.all(|(next, partition)| partition.from(*next).next().is_none()))
    }
}
