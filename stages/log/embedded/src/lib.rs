//! The embedded log: topics, offsets and exactly-once commits in one SQLite file.
//!
//! Its scope is small on purpose. All workers of a folder run in one process; other processes
//! publish and follow. There are no groups that rebalance: a worker's slot gives its partitions.
//! The folder must lie on a local file system. A commit is one ACID write of outputs and offsets;
//! who needs several worker processes uses Kafka.

mod append;
mod bell;
mod compaction;
mod headers;
mod lock;
mod publisher;
mod reader;
mod records;
mod retention;
mod store;
mod topics;
mod upkeep;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use shiren_log::{
    Applied, Log, LogError, Partitions, Publisher, Reader, Record, Start, TopicSpec, TopicState,
    Worker, WorkerOptions,
};

use crate::store::Store;
use crate::upkeep::Upkeep;

/// Name of the engine in errors and telemetry.
const ENGINE: &str = "embedded";

/// How the embedded log is opened. Processes that share a folder should give the same values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// Folder of the log, made when missing. Local file systems only.
    pub dir: PathBuf,
    /// Cap of the database file, MiB, 2 or more. Publishing stops at 15/16 of it, so that workers
    /// can still commit. The write-ahead log (normally under 64 MiB) comes on top.
    pub max_mib: u64,
    /// Pause between two retention sweeps, milliseconds, 1 or more.
    pub retention_sweep_ms: u64,
    /// Longest wait for the write lock, milliseconds; then [`LogError::Unavailable`].
    pub write_lock_max_wait_ms: u64,
    /// Pause between two looks for records of other processes while somebody waits,
    /// milliseconds, 1 or more. Records of this process wake waiters at once.
    pub follow_poll_ms: u64,
}

impl EmbeddedOptions {
    /// Defaults: 4096 MiB, a sweep every 5 s, 10 s for the write lock, a look every 2 ms.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_mib: 4096,
            retention_sweep_ms: 5_000,
            write_lock_max_wait_ms: 10_000,
            follow_poll_ms: 2,
        }
    }

    fn check(&self) -> Result<(), LogError> {
        let wrong = |what: &str| {
            Err(LogError::Config {
                what: format!("log.embedded: {what}"),
            })
        };
        if !(2..=1 << 24).contains(&self.max_mib) {
            return wrong("max_mib must be 2 to 16777216");
        }
        if self.retention_sweep_ms == 0 || self.follow_poll_ms == 0 {
            return wrong("retention_sweep_ms and follow_poll_ms must be 1 or more");
        }
        Ok(())
    }
}

/// An open embedded log. Clones share it; it closes with the last clone, worker and reader.
#[derive(Clone)]
pub struct EmbeddedLog(Arc<Shared>);

/// What one process shares of one folder.
struct Shared {
    options: EmbeddedOptions,
    store: Arc<Store>,
    /// Stops its threads when dropped.
    _upkeep: Upkeep,
}

/// Open logs of this process by folder. One folder is opened once: file locks would otherwise
/// make the process its own stranger.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Shared>>> = Mutex::new(BTreeMap::new());

impl EmbeddedLog {
    /// Opens the log of a folder, making it when missing. A folder that this process has open
    /// already is shared.
    ///
    /// # Errors
    /// [`LogError::Config`] for options out of range, or unlike those of the open log;
    /// [`LogError::Unavailable`] when the write lock is held elsewhere for too long;
    /// [`LogError::Fatal`] when the file is damaged, of a newer version, or cannot be made.
    pub fn open(options: EmbeddedOptions) -> Result<Self, LogError> {
        options.check()?;
        let dir = make_dir(&options.dir)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, log| log.strong_count() > 0);
        if let Some(shared) = open.get(&dir).and_then(Weak::upgrade) {
            let same = EmbeddedOptions {
                dir: options.dir.clone(),
                ..shared.options.clone()
            };
            if same != options {
                return Err(LogError::Config {
                    what: format!(
                        "log.embedded: {} is open in this process with other options",
                        dir.display()
                    ),
                });
            }
            return Ok(Self(shared));
        }
        let store = Arc::new(Store::open(&dir, &options)?);
        let shared = Arc::new(Shared {
            _upkeep: Upkeep::start(&store, &options)?,
            store,
            options,
        });
        open.insert(dir, Arc::downgrade(&shared));
        Ok(Self(shared))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }
}

fn make_dir(dir: &Path) -> Result<PathBuf, LogError> {
    std::fs::create_dir_all(dir)
        .and_then(|()| dir.canonicalize())
        .map_err(|error| LogError::Config {
            what: format!(
                "log.embedded.dir: cannot make or open {}: {error}",
                dir.display()
            ),
        })
}

impl Log for EmbeddedLog {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn apply_topics(&self, specs: &[TopicSpec]) -> Result<Vec<Applied>, LogError> {
        topics::apply(self.store(), specs)
    }

    fn partitions(&self, topic: &str) -> Result<Partitions, LogError> {
        let connection = self.store().connect()?;
        let topic = topics::find(self.store(), &connection, topic)?;
        Ok(topic.map(|topic| topic.partitions))
    }

    fn describe(&self, topic: &str) -> Result<Option<TopicState>, LogError> {
        let connection = self.store().connect()?;
        let found = topics::find(self.store(), &connection, topic)?;
        Ok(found.map(|found| TopicState {
            spec: found.spec(topic),
            has_append_time: true,
        }))
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError> {
        Ok(Box::new(publisher::EmbeddedPublisher::new(self.clone())))
    }

    fn reader(&self, topic: &str, start: Start) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(reader::EmbeddedReader::open(
            self.clone(),
            topic,
            start,
        )?))
    }

    fn read_partitions(
        &self,
        topic: &str,
        partitions: &[i32],
        each: &mut dyn FnMut(Record),
    ) -> Result<(), LogError> {
        reader::read_partitions(self, topic, partitions, each)
    }

    fn read_at(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Record>, LogError> {
        reader::read_at(self, topic, partition, offset)
    }

    fn worker(&self, options: WorkerOptions) -> Result<Box<dyn Worker>, LogError> {
        Ok(Box::new(worker::EmbeddedWorker::open(
            self.clone(),
            options,
        )?))
    }
}
