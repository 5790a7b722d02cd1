//! The program of the version before, as the log sees it: what it writes has the schemas before the current ones, and of
//! the current ones it knows nothing. Its stages are today's.

use std::sync::Arc;

use shiren_log::{
    Applied, Assignment, Bundle, Commit, Lag, Log, LogError, NewRecord, Partitions, Position,
    Publisher, Reader, Record, Start, TopicSpec, TopicState, Worker, WorkerOptions,
};
use shiren_schemas::Wire;
use shiren_schemas::codec::as_before;
use shiren_schemas::records::{
    AdmittedCase, DeadLetter, Evidence, FaceCase, Request, Results, StillCase, TemplateCase,
};

/// Marker and fingerprint.
const FRAMING_BYTES: usize = 10;

/// A record's bytes in the schema before, where they are in the current one of their type.
type Rewrite = fn(&[u8]) -> Option<Vec<u8>>;

/// Of every record that has had more than one version.
const REWRITES: [Rewrite; 8] = [
    before::<Request>,
    before::<AdmittedCase>,
    before::<StillCase>,
    before::<FaceCase>,
    before::<TemplateCase>,
    before::<Evidence>,
    before::<Results>,
    before::<DeadLetter>,
];

fn before<T: Wire>(bytes: &[u8]) -> Option<Vec<u8>> {
    as_before::<T>(bytes).expect("a whole record")
}

/// The record as the version before writes it; as it is where both write it alike.
#[must_use]
pub fn written(mut record: NewRecord) -> NewRecord {
    if let Some(value) = &record.value {
        let older = REWRITES.iter().find_map(|rewrite| rewrite(value));
        record.value = older.map_or(record.value, |older| Some(older.into()));
    }
    record
}

/// The record as the version before sees it: of a schema that it does not know.
fn seen(mut record: Record) -> Record {
    let newer = |value: &&bytes::Bytes| REWRITES.iter().any(|rewrite| rewrite(value).is_some());
    if let Some(value) = record.value.as_ref().filter(newer) {
        let mut unknown = value.to_vec();
        unknown[2..FRAMING_BYTES].fill(0xff);
        record.value = Some(unknown.into());
    }
    record
}

/// A log with such a program before it.
pub struct OlderLog(pub Arc<dyn Log>);

impl Log for OlderLog {
    fn engine(&self) -> &'static str {
        self.0.engine()
    }

    fn apply_topics(&self, topics: &[TopicSpec]) -> Result<Vec<Applied>, LogError> {
        self.0.apply_topics(topics)
    }

    fn partitions(&self, topic: &str) -> Result<Partitions, LogError> {
        self.0.partitions(topic)
    }

    fn describe(&self, topic: &str) -> Result<Option<TopicState>, LogError> {
        self.0.describe(topic)
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError> {
        self.0.publisher()
    }

    fn reader(&self, topic: &str, start: Start) -> Result<Box<dyn Reader>, LogError> {
        self.0.reader(topic, start)
    }

    fn read_partitions(
        &self,
        topic: &str,
        partitions: &[i32],
        each: &mut dyn FnMut(Record),
    ) -> Result<(), LogError> {
        self.0.read_partitions(topic, partitions, each)
    }

    fn read_at(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Record>, LogError> {
        self.0.read_at(topic, partition, offset)
    }

    fn worker(&self, options: WorkerOptions) -> Result<Box<dyn Worker>, LogError> {
        Ok(Box::new(OlderWorker(self.0.worker(options)?)))
    }
}

struct OlderWorker(Box<dyn Worker>);

impl Worker for OlderWorker {
    fn next_bundle(&mut self) -> Result<Option<Bundle>, LogError> {
        let bundle = self.0.next_bundle()?;
        Ok(bundle.map(|bundle| Bundle {
            records: bundle.records.into_iter().map(seen).collect(),
            generation: bundle.generation,
        }))
    }

    fn commit(&mut self, bundle: &Bundle, outputs: Vec<NewRecord>) -> Result<Commit, LogError> {
        self.0
            .commit(bundle, outputs.into_iter().map(written).collect())
    }

    fn assignment(&mut self) -> Result<Assignment, LogError> {
        self.0.assignment()
    }

    fn at_end(&mut self, topic: &str, partition: i32) -> Result<bool, LogError> {
        self.0.at_end(topic, partition)
    }

    fn commit_between(
        &mut self,
        generation: u64,
        positions: &[Position],
        outputs: Vec<NewRecord>,
    ) -> Result<Commit, LogError> {
        let outputs = outputs.into_iter().map(written).collect();
        self.0.commit_between(generation, positions, outputs)
    }

    fn lag(&mut self) -> Result<Vec<Lag>, LogError> {
        self.0.lag()
    }
}

/// How many records of a topic have the current schema of `T`, and how many one before.
///
/// # Panics
/// When the topic cannot be read.
#[must_use]
pub fn versions<T: Wire>(log: &dyn Log, topic: &str) -> (usize, usize) {
    let current = T::schemas().fingerprint();
    let partitions = log.partitions(topic).expect("an answer");
    let partitions: Vec<i32> = (0..partitions.expect("the topic")).collect();
    let (mut newer, mut older) = (0, 0);
    let mut count = |record: Record| match record.value {
        Some(value) if value[2..FRAMING_BYTES] == current => newer += 1,
        Some(_) => older += 1,
        None => {}
    };
    log.read_partitions(topic, &partitions, &mut count)
        .expect("the topic's records");
    (newer, older)
}
