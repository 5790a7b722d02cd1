//! The log port: what the runtime needs of a log, whatever lies beneath.
//!
//! Two engines implement it, `shiren-log-kafka` and `shiren-log-embedded`;
//! one contract suite (module `contract_suite`, feature `contract-suite`) holds both to the same promises.
//! Every call here blocks: callers use a thread of their own, never an async one.

#[cfg(feature = "contract-suite")]
pub mod contract_suite;
mod kill_point;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
pub use kill_point::{STEPS, kill_point};
pub use shiren_schemas::keys::partition;

/// A record as it was read. `value` is `None` for a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Topic the record lies in.
    pub topic: Arc<str>,
    /// Partition, from 0.
    pub partition: i32,
    /// Offset in the partition, from 0.
    pub offset: i64,
    /// The log's own append time, microseconds since the Unix epoch. Never the producer's clock.
    pub append_time_us: i64,
    /// Key, if there is one.
    pub key: Option<Bytes>,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order. Hints only: a name may repeat, a value may be missing.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// A record to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRecord {
    /// Topic to append to; it must exist.
    pub topic: Arc<str>,
    /// `None`: the partition that the key gives, `(murmur2(key) & 0x7fffffff) % n`.
    /// `Some`: this one, right or wrong (operators' tools and tests).
    pub partition: Option<i32>,
    /// Key.
    pub key: Bytes,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<(String, Bytes)>,
}

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSpec {
    /// Name.
    pub name: String,
    /// Partition count; a change on an existing topic is refused.
    pub partitions: i32,
    /// How long records are kept, milliseconds; for a compacted topic, how long tombstones are.
    pub retention_ms: i64,
    /// Largest record accepted, bytes ([`NewRecord::size_bytes`]).
    pub max_record_bytes: usize,
    /// Keep the newest record of each key only.
    pub compacted: bool,
}

/// A topic as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicState {
    /// Its settings, in the terms of a specification: [`Log::apply_topics`] with it changes nothing.
    pub spec: TopicSpec,
    /// Whether records get the log's own append time, without which deadlines mean nothing.
    pub has_append_time: bool,
}

/// What [`Log::apply_topics`] did with one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It did not exist and was made.
    Created,
    /// It existed; its settings (retention, sizes) were brought to the specification.
    Updated,
    /// It existed as specified.
    Unchanged,
}

/// Where a [`Reader`] starts in every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record kept.
    Beginning,
    /// Behind the newest record.
    End,
}

/// How a [`Worker`] is opened.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Consumer group: whose offsets these are.
    pub group: String,
    /// Name that fences a predecessor (Kafka: `transactional.id`), unique per slot of a group.
    pub transactional_id: String,
    /// Topics read.
    pub topics: Vec<String>,
    /// This worker's slot, from 0. The embedded log gives slot `s` of `n` the partitions `p % n == s`.
    pub slot: u32,
    /// Number of slots of the group in this process.
    pub slots: u32,
    /// Most records in one bundle.
    pub bundle_max_records: usize,
    /// Most bytes (keys and values) in one bundle; a single larger record is a bundle of its own.
    pub bundle_max_bytes: usize,
    /// Longest wait for the first record of a bundle. Once one is there, an empty queue closes the bundle at once.
    pub poll_max_wait: Duration,
    /// Most bytes held in queues ahead of the worker before it takes no more, shared evenly by its
    /// partitions. Kafka's client holds as much again, at least 64 KiB a partition; the embedded
    /// log holds nothing ahead.
    pub queue_max_bytes: usize,
}

/// A run of records that are processed and committed together, in order within each partition.
#[derive(Debug)]
pub struct Bundle {
    /// The records.
    pub records: Vec<Record>,
    /// Assignment generation it was read under; a commit under another one is refused.
    pub generation: u64,
}

/// A partition that a worker has, and how far its group has come in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// The group's committed offset; `None` before its first commit.
    pub committed: Option<i64>,
}

/// How far a group is in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset of the record that is next.
    pub next: i64,
}

/// The partitions of a worker, and the generation of that assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// As in [`Bundle::generation`].
    pub generation: u64,
    /// The partitions; none before the first assignment.
    pub partitions: Vec<Assigned>,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Outputs and offsets are durable, together. Readers see them at once (embedded) or a moment
    /// later (Kafka writes its commit markers after it has answered).
    Done,
    /// Nothing was written; the same bundle may be committed again.
    Retry,
    /// Nothing was written and the bundle is no longer this worker's: drop it and poll on.
    Revoked,
    /// Unknown or fatal: drop the bundle and all memory of it, drop this worker, open a new one
    /// (which waits for the outcome and starts at the committed offset).
    Rebuild,
}

impl Record {
    /// Size as limits count it, bytes: key, value, header names and header values.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(n, v)| n.len() + len(v)).sum();
        len(&self.key) + len(&self.value) + headers
    }
}

impl NewRecord {
    /// Size as limits count it, bytes: key, value, header names and header values.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len) + headers
    }
}

/// What [`Worker::commit_between`] refuses.
///
/// # Errors
/// [`LogError::Config`] without a position: nothing would fence the commit.
pub fn check_positions(positions: &[Position]) -> Result<(), LogError> {
    if positions.is_empty() {
        return Err(LogError::Config {
            what: "a commit between bundles needs a position".into(),
        });
    }
    Ok(())
}

/// How far a worker is behind in one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offsets between the last commit and the end of what may be read.
    pub records: u64,
}

/// Partitions of a topic; `None` when the topic does not exist.
pub type Partitions = Option<i32>;

/// A log. Cheap to share: implementations are `Arc` inside.
pub trait Log: Send + Sync {
    /// Name of the engine: `kafka` or `embedded`.
    fn engine(&self) -> &'static str;

    /// Creates or updates topics, all or an error that names the first that failed. Idempotent.
    ///
    /// # Errors
    /// [`LogError::PartitionsDiffer`] when an existing topic has another partition count.
    fn apply_topics(&self, topics: &[TopicSpec]) -> Result<Vec<Applied>, LogError>;

    /// Partition count of a topic.
    fn partitions(&self, topic: &str) -> Result<Partitions, LogError>;

    /// The topic as it is now; `None` when it does not exist.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] when the log does not answer, or does not let this client ask.
    fn describe(&self, topic: &str) -> Result<Option<TopicState>, LogError>;

    /// A plain (idempotent, not transactional) publisher, for ingress and tools.
    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError>;

    /// A reader of all partitions of one topic outside any group; sees committed records only.
    fn reader(&self, topic: &str, start: Start) -> Result<Box<dyn Reader>, LogError>;

    /// Hands every record of these partitions to `each`, in order within a partition, up to the end that they have at the
    /// call: records of transactions that are under way then too, for whose outcome it waits. What was aborted is left
    /// out. For state that must be whole before a worker goes on with it.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`]; [`LogError::Unavailable`] when the log does not answer, or a transaction does not end in time.
    fn read_partitions(
        &self,
        topic: &str,
        partitions: &[i32],
        each: &mut dyn FnMut(Record),
    ) -> Result<(), LogError>;

    /// The committed record at this place; `None` when there is none: retention or compaction deleted it, its
    /// transaction was aborted, or nothing has been written there yet.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`] when the topic or the partition does not exist.
    fn read_at(&self, topic: &str, partition: i32, offset: i64)
    -> Result<Option<Record>, LogError>;

    /// A consume-transform-produce worker.
    fn worker(&self, options: WorkerOptions) -> Result<Box<dyn Worker>, LogError>;
}

/// Appends records; each call returns when the log has acknowledged all of them.
pub trait Publisher: Send {
    /// Appends in order. On an error, those before it may have been written.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`], [`LogError::RecordTooLarge`], [`LogError::Full`] (embedded: nothing is lost, publish again later).
    fn publish(&mut self, records: Vec<NewRecord>) -> Result<(), LogError>;

    /// Appends copies of records read elsewhere to the topic and partition they name; the log
    /// gives each a new offset and append time. Unlike [`Publisher::publish`] it can write what a
    /// foreign producer could: no key, a tombstone, a header without a value. For operators'
    /// tools (mirroring, replay) and tests.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    fn publish_copies(&mut self, copies: Vec<Record>) -> Result<(), LogError>;
}

/// Follows one topic.
pub trait Reader: Send {
    /// Next records, in order within each partition; empty when `wait` passed without one.
    fn read(&mut self, max_records: usize, wait: Duration) -> Result<Vec<Record>, LogError>;

    /// True when every record that was committed at the time of the call has been returned by [`Reader::read`].
    fn at_end(&mut self) -> Result<bool, LogError>;
}

/// One consume-transform-produce loop's end of the log.
pub trait Worker: Send {
    /// The next bundle, or `None` when [`WorkerOptions::poll_max_wait`] passed without a record.
    ///
    /// One bundle is outstanding at a time: until it is committed (or revoked), the next call
    /// reads its records again, so dropping a bundle loses nothing.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] when the committed offset is no longer inside the log's
    /// range: an operator decides, the worker never jumps. After any error the worker repeats it:
    /// drop it, and on [`LogError::Unavailable`] open a new one.
    fn next_bundle(&mut self) -> Result<Option<Bundle>, LogError>;

    /// Writes `outputs` and moves the group's offsets behind `bundle`, both or neither.
    /// A bundle that is not the outstanding one is [`Commit::Revoked`].
    ///
    /// # Errors
    /// On every error but [`LogError::Fatal`] nothing was written and the bundle stays
    /// outstanding: [`LogError::UnknownTopic`], [`LogError::RecordTooLarge`] (commit other
    /// outputs), [`LogError::Full`], [`LogError::Unavailable`] (commit again later).
    fn commit(&mut self, bundle: &Bundle, outputs: Vec<NewRecord>) -> Result<Commit, LogError>;

    /// The partitions that this worker has now. Their committed offsets were read when they were assigned, after the
    /// outcome of every commit that was under way then, and have moved with this worker's commits since.
    ///
    /// # Errors
    /// As [`Worker::next_bundle`].
    fn assignment(&mut self) -> Result<Assignment, LogError>;

    /// Whether nothing that was committed at the time of the call waits in this partition.
    ///
    /// # Errors
    /// As [`Worker::next_bundle`].
    fn at_end(&mut self, topic: &str, partition: i32) -> Result<bool, LogError>;

    /// Writes `outputs` while no bundle is finished, both or neither with `positions`: the group's offsets as they are
    /// (or where the first bundle begins, before the first commit). They fence: under another assignment than that of
    /// `generation` it is [`Commit::Revoked`]. An outstanding bundle stays so.
    ///
    /// # Errors
    /// As [`Worker::commit`]; [`LogError::Config`] without a position.
    fn commit_between(
        &mut self,
        generation: u64,
        positions: &[Position],
        outputs: Vec<NewRecord>,
    ) -> Result<Commit, LogError>;

    /// How far it is behind in each of its partitions, as far as is known without asking a broker; empty: not known.
    ///
    /// # Errors
    /// The log cannot be read.
    fn lag(&mut self) -> Result<Vec<Lag>, LogError> {
        Ok(Vec::new())
    }
}

/// What can go wrong in a log; `code` names it on `docs/errors.md`.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The topic does not exist.
    #[error("topic {topic} does not exist: run `shiren topics apply`")]
    UnknownTopic {
        /// Its name.
        topic: String,
    },
    /// An existing topic has another partition count than specified.
    #[error(
        "topic {topic} has {found} partitions, the topology says {wanted}: keys would move between partitions, so the count of a keyed topic is never changed; set topics.partitions to {found} or use a new topic"
    )]
    PartitionsDiffer {
        /// Its name.
        topic: String,
        /// Count found.
        found: i32,
        /// Count specified.
        wanted: i32,
    },
    /// A record exceeds its topic's limit.
    #[error(
        "a record of {bytes} bytes for {topic} exceeds its limit of {max} bytes: send a smaller picture or raise topics.max_record_bytes"
    )]
    RecordTooLarge {
        /// Topic.
        topic: String,
        /// Size of the record.
        bytes: usize,
        /// Limit.
        max: usize,
    },
    /// The embedded log has reached its size cap.
    #[error(
        "the embedded log is full ({max_mib} MiB): wait until retention frees space, or raise log.embedded.max_mib"
    )]
    Full {
        /// Its cap.
        max_mib: u64,
    },
    /// Another process runs workers on this embedded log.
    #[error(
        "another process already runs workers on {path}: the embedded log allows one; use Kafka for several"
    )]
    WorkersElsewhere {
        /// The log's folder.
        path: String,
    },
    /// The committed offset lies outside the log.
    #[error(
        "group {group}: the committed offset {committed} of {topic}/{partition} is outside the log ({first}..{end}): records were deleted before they were processed; decide where to go on and set the offset by hand"
    )]
    OffsetOutOfRange {
        /// Group.
        group: String,
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Committed offset.
        committed: i64,
        /// First offset kept.
        first: i64,
        /// Next offset to be written.
        end: i64,
    },
    /// A setting of the log is wrong.
    #[error("{what}")]
    Config {
        /// What, where, what to do.
        what: String,
    },
    /// The engine did not answer in time or failed in a way that may pass.
    #[error("{engine}: {what}")]
    Unavailable {
        /// Engine.
        engine: &'static str,
        /// What it said.
        what: String,
    },
    /// The engine failed for good.
    #[error("{engine}: {what}")]
    Fatal {
        /// Engine.
        engine: &'static str,
        /// What it said.
        what: String,
    },
}

impl LogError {
    /// The code under which `docs/errors.md` explains the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownTopic { .. } => "topic_unknown",
            Self::PartitionsDiffer { .. } => "topic_partitions_differ",
            Self::RecordTooLarge { .. } => "record_too_large",
            Self::Full { .. } => "log_full",
            Self::WorkersElsewhere { .. } => "log_workers_elsewhere",
            Self::OffsetOutOfRange { .. } => "offset_out_of_range",
            Self::Config { .. } => "log_config",
            Self::Unavailable { .. } => "log_unavailable",
            Self::Fatal { .. } => "log_fatal",
        }
    }
}
