//! What was read ahead, per partition.
//!
//! A record stays in its queue until its bundle is committed, so a bundle that is dropped is
//! simply read again. A partition whose queue holds its share of the bytes is not taken from:
//! the rest stays in librdkafka, which stops fetching. Pausing it instead costs up to a second
//! at every resumption, until the client's broker thread wakes.

use std::collections::{BTreeMap, VecDeque, vec_deque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use shiren_log::{Assigned, Assignment, Bundle, Lag, LogError, Position, Record, WorkerOptions};

/// A topic and a partition of it.
pub(crate) type Place = (Arc<str>, i32);

/// Queues of a worker, filled by its polling thread.
pub(crate) struct Queues {
    max_bytes: usize,
    state: Mutex<State>,
    came: Condvar,
    /// Wakes the polling thread.
    pub(crate) wake: Arc<Wake>,
}

/// Tells the polling thread that there is something to take, or room for it.
#[derive(Default)]
pub(crate) struct Wake {
    told: Mutex<bool>,
    changed: Condvar,
}

impl Wake {
    pub(crate) fn tell(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until told since the last call, or until `wait` has passed.
    pub(crate) fn wait(&self, wait: Duration) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut told, _) = self
            .changed
            .wait_timeout_while(told, wait, |told| !*told)
            .unwrap_or_else(PoisonError::into_inner);
        *told = false;
    }
}

#[derive(Default)]
struct State {
    /// Counts every change of the assignment.
    generation: u64,
    parts: BTreeMap<Place, Part>,
    /// Partition with which the next bundle begins.
    turn: usize,
    stopped: Option<Stop>,
}

/// Why nothing more will come.
pub(crate) type Stop = Arc<dyn Fn() -> LogError + Send + Sync>;

struct Part {
    /// Generation in which the partition was assigned.
    since: u64,
    /// Offset that is read next when the queue is empty; `None` at the log's beginning.
    position: Option<i64>,
    /// The group's offset; `None` before its first commit.
    committed: Option<i64>,
    queue: VecDeque<Record>,
    bytes: usize,
    /// Behind the last record that may be read, as the client knew it last.
    end: Option<i64>,
}

/// A partition's part of a bundle: what a commit moves.
pub(crate) struct Claim {
    pub(crate) place: Place,
    /// Offset behind the last record.
    pub(crate) to: i64,
    since: u64,
    count: usize,
}

impl Queues {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            state: Mutex::default(),
            came: Condvar::new(),
            wake: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// New partitions, each with the offset it begins at.
    pub(crate) fn assigned(&self, begins: Vec<(Place, Option<i64>)>) {
        let mut state = self.state();
        state.generation += 1;
        let since = state.generation;
        for (place, position) in begins {
            let part = Part {
                since,
                position,
                committed: position,
                queue: VecDeque::new(),
                bytes: 0,
                end: None,
            };
            state.parts.insert(place, part);
        }
    }

    /// Partitions that were taken away, and all that was read of them.
    pub(crate) fn revoked(&self, places: &[Place]) {
        let mut state = self.state();
        state.generation += 1;
        for place in places {
            state.parts.remove(place);
        }
    }

    /// Ends the queues with an error that every later call repeats.
    pub(crate) fn stop(&self, why: Stop) {
        self.state().stopped.get_or_insert(why);
        self.came.notify_all();
    }

    /// Where each partition is read next, unless it is read from the log's beginning.
    pub(crate) fn positions(&self) -> Vec<(Place, i64)> {
        let state = self.state();
        let known = |(place, part): (&Place, &Part)| Some((place.clone(), part.position?));
        state.parts.iter().filter_map(known).collect()
    }

    /// The partitions, each with the generation in which it was assigned.
    pub(crate) fn places(&self) -> BTreeMap<Place, u64> {
        let state = self.state();
        let since = |(place, part): (&Place, &Part)| (place.clone(), part.since);
        state.parts.iter().map(since).collect()
    }

    /// What the client knows of a partition's end.
    pub(crate) fn ends_at(&self, topic: &str, partition: i32, end: i64) {
        let mut state = self.state();
        if let Some(part) = state.parts.get_mut(&(Arc::from(topic), partition)) {
            part.end = Some(end);
        }
    }

    /// How far behind what was committed here is.
    pub(crate) fn lag(&self) -> Vec<Lag> {
        let state = self.state();
        let behind = |((topic, partition), part): (&Place, &Part)| {
            let held = part.queue.front().map(|record| record.offset);
            let next = held.or(part.position)?;
            Some(Lag {
                topic: Arc::clone(topic),
                partition: *partition,
                // The client may have known the end before it read the last records.
                records: u64::try_from(part.end?.max(part.position?) - next).unwrap_or(0),
            })
        };
        state.parts.iter().filter_map(behind).collect()
    }

    /// True while a partition's queue holds less than its share.
    pub(crate) fn has_room(&self, place: &Place) -> bool {
        let state = self.state();
        let share = self.share(state.parts.len());
        let part = state.parts.get(place);
        part.is_some_and(|part| part.bytes < share)
    }

    /// Queues a record; false when it is out of order, which no later record can mend.
    pub(crate) fn push(&self, record: Record) -> bool {
        let mut state = self.state();
        let place = (Arc::clone(&record.topic), record.partition);
        let Some(part) = state.parts.get_mut(&place) else {
            return true;
        };
        if part.position.is_some_and(|next| record.offset < next) {
            return false;
        }
        part.position = Some(record.offset + 1);
        part.bytes += record.size_bytes();
        part.queue.push_back(record);
        drop(state);
        self.came.notify_all();
        true
    }

    fn share(&self, parts: usize) -> usize {
        (self.max_bytes / parts.max(1)).max(1)
    }

    /// The next bundle, or `None` when `deadline` passed without a record.
    pub(crate) fn next(
        &self,
        options: &WorkerOptions,
        deadline: Instant,
    ) -> Result<Option<Bundle>, LogError> {
        let wait = deadline.saturating_duration_since(Instant::now());
        let empty = |state: &mut State| {
            state.stopped.is_none() && state.parts.values().all(|part| part.queue.is_empty())
        };
        let (mut state, _) = self
            .came
            .wait_timeout_while(self.state(), wait, empty)
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &state.stopped {
            return Err(why());
        }
        let records = state.bundle(options.bundle_max_records, options.bundle_max_bytes);
        Ok((!records.is_empty()).then_some(Bundle {
            records,
            generation: state.generation,
        }))
    }

    /// What committing `bundle` moves; `None` when it is no longer this worker's, or not the
    /// outstanding one.
    pub(crate) fn claim(&self, bundle: &Bundle) -> Option<Vec<Claim>> {
        let state = self.state();
        if bundle.generation != state.generation {
            return None;
        }
        let mut claims: BTreeMap<Place, Claim> = BTreeMap::new();
        for record in &bundle.records {
            let place = (Arc::clone(&record.topic), record.partition);
            let part = state.parts.get(&place)?;
            let claim = claims.entry(place.clone()).or_insert(Claim {
                place,
                to: 0,
                since: part.since,
                count: 0,
            });
            if part.queue.get(claim.count)?.offset != record.offset {
                return None;
            }
            claim.count += 1;
            claim.to = record.offset + 1;
        }
        Some(claims.into_values().collect())
    }

    /// The partitions, and how far the group is in each.
    pub(crate) fn assignment(&self) -> Result<Assignment, LogError> {
        let state = self.state();
        if let Some(why) = &state.stopped {
            return Err(why());
        }
        let assigned = |((topic, partition), part): (&Place, &Part)| Assigned {
            topic: Arc::clone(topic),
            partition: *partition,
            committed: part.committed,
        };
        Ok(Assignment {
            generation: state.generation,
            partitions: state.parts.iter().map(assigned).collect(),
        })
    }

    /// The group's offset in a partition of this worker; `None` before its first commit.
    pub(crate) fn committed_at(&self, topic: &str, partition: i32) -> Option<i64> {
        let place = (Arc::from(topic), partition);
        self.state().parts.get(&place)?.committed
    }

    /// Whether nothing of the partition waits.
    pub(crate) fn is_empty_at(&self, topic: &str, partition: i32) -> bool {
        let place = (Arc::from(topic), partition);
        let state = self.state();
        state
            .parts
            .get(&place)
            .is_none_or(|part| part.queue.is_empty())
    }

    /// What committing these positions moves; `None` when one is no longer this worker's.
    pub(crate) fn claim_positions(
        &self,
        generation: u64,
        positions: &[Position],
    ) -> Option<Vec<Claim>> {
        let state = self.state();
        if generation != state.generation {
            return None;
        }
        let claim = |at: &Position| {
            let place = (Arc::clone(&at.topic), at.partition);
            let since = state.parts.get(&place)?.since;
            Some(Claim {
                place,
                to: at.next,
                since,
                count: 0,
            })
        };
        positions.iter().map(claim).collect()
    }

    /// Removes what was committed, which makes room.
    pub(crate) fn committed(&self, claims: Vec<Claim>) {
        let mut state = self.state();
        for claim in claims {
            // One that was taken away and given back begins at the committed offset already.
            let part = state.parts.get_mut(&claim.place);
            let Some(part) = part.filter(|part| part.since == claim.since) else {
                continue;
            };
            for record in part.queue.drain(..claim.count.min(part.queue.len())) {
                part.bytes = part.bytes.saturating_sub(record.size_bytes());
            }
            part.committed = Some(claim.to);
        }
        drop(state);
        self.wake.tell();
    }
}

impl State {
    /// Copies records from the heads of the queues, within the bounds. Copies share the bytes. One record of each topic in
    /// turn, of a partition as long as it has any (a bundle of many partitions costs the brokers as many batches): a tenant
    /// that floods its topic has its share of a bundle, and no more while others have records.
    fn bundle(&mut self, max_records: usize, max_bytes: usize) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        self.turn = self.turn.wrapping_add(1);
        let mut topics = self.heads();
        while let Some(mut heads) = topics.pop_front() {
            let Some(mut queue) = heads.pop_front() else {
                continue;
            };
            let Some(record) = queue.next() else {
                topics.push_front(heads);
                continue;
            };
            let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
            bytes += len(&record.key) + len(&record.value);
            if records.len() >= max_records || (bytes > max_bytes && !records.is_empty()) {
                break;
            }
            records.push(record.clone());
            heads.push_front(queue);
            topics.push_back(heads);
        }
        records
    }

    /// Queues with records by topic, each time beginning with another topic and another partition.
    fn heads(&self) -> VecDeque<VecDeque<vec_deque::Iter<'_, Record>>> {
        let mut topics: VecDeque<VecDeque<_>> = VecDeque::new();
        let mut newest = None;
        let filled = self.parts.iter().filter(|(_, part)| !part.queue.is_empty());
        for ((topic, _), part) in filled {
            if newest != Some(topic) {
                newest = Some(topic);
                topics.push_back(VecDeque::new());
            }
            if let Some(heads) = topics.back_mut() {
                heads.push_back(part.queue.iter());
            }
        }
        for heads in &mut topics {
            heads.rotate_left(self.turn % heads.len().max(1));
        }
        topics.rotate_left(self.turn % topics.len().max(1));
        topics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(topic: &str, partition: i32, offset: i64) -> Record {
        Record {
            topic: Arc::from(topic),
            partition,
            offset,
            append_time_us: 0,
            key: None,
            value: Some(bytes::Bytes::from_static(b"record")),
            headers: Vec::new(),
        }
    }

    /// Topic and partition of the records of the next bundle, which is committed.
    fn next(queues: &Queues, max_records: usize) -> Vec<(String, i32, i64)> {
        let records = queues.state().bundle(max_records, usize::MAX);
        let generation = queues.generation();
        let places = records.iter();
        let places = places
            .map(|r| (r.topic.to_string(), r.partition, r.offset))
            .collect();
        let claims = queues.claim(&Bundle {
            records,
            generation,
        });
        queues.committed(claims.expect("the outstanding bundle"));
        places
    }

    #[test]
    fn a_topic_that_is_flooded_leaves_each_other_topic_its_share() {
        let queues = Queues::new(1 << 20);
        let place = |topic: &str, partition| ((Arc::from(topic), partition), Some(0));
        queues.assigned(
            (0..12)
                .flat_map(|p| [place("calm", p), place("flooded", p)])
                .collect(),
        );
        for offset in 0..20 {
            for partition in 0..12 {
                assert!(queues.push(record("flooded", partition, offset)));
            }
        }
        next(&queues, 16);
        for offset in 0..2 {
            assert!(queues.push(record("calm", 7, offset)));
        }
        let bundle = next(&queues, 16);
        let of = |name: &str| bundle.iter().filter(|(topic, ..)| topic == name).count();
        assert_eq!((of("calm"), of("flooded")), (2, 14));
        let at = |offset: i64| {
            bundle
                .iter()
                .position(|r| *r == ("calm".to_owned(), 7, offset))
        };
        assert!(
            at(0) < Some(2) && at(1) < Some(4) && at(0) < at(1),
            "{bundle:?}"
        );
        // Every partition has its turn, and each in its order.
        let mut due = [0; 12];
        for _ in 0..15 {
            for (_, partition, offset) in next(&queues, 16) {
                let due = &mut due[usize::try_from(partition).unwrap()];
                assert!(*due == 0 || *due == offset, "{partition} {offset}");
                *due = offset + 1;
            }
        }
        assert_eq!(due, [20; 12]);
    }
}
