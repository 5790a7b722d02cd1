//! The database file: opening, settings, write transactions, and what its errors mean.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use shiren_log::LogError;

use crate::bell::Bell;
use crate::lock::{WorkersLock, WriteLock};
use crate::{ENGINE, EmbeddedOptions};

/// Older ones can corrupt the file when the write-ahead log is reset.
const SQLITE_AT_LEAST: i32 = 3_051_003;
/// Marks the file as ours: `shrn`.
const APPLICATION_ID: i32 = 0x7368_726e;
const SCHEMA_VERSION: i32 = 1;
const PAGE_BYTES: u64 = 16_384;
const PAGES_PER_MIB: u64 = (1 << 20) / PAGE_BYTES;

/// `records.id` is the topic-partition shifted by 40, plus the offset. Large columns last: a scan
/// of ids and keys then reads no overflow page. `heads` outlives retention.
const SCHEMA: &str = "
CREATE TABLE topics (
    name TEXT PRIMARY KEY, base INTEGER NOT NULL, partitions INTEGER NOT NULL,
    retention_ms INTEGER NOT NULL, max_record_bytes INTEGER NOT NULL, compacted INTEGER NOT NULL);
CREATE TABLE heads (
    tp INTEGER PRIMARY KEY, first INTEGER NOT NULL, next INTEGER NOT NULL, last_time INTEGER NOT NULL);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, append_time INTEGER NOT NULL, headers BLOB, key BLOB, value BLOB);
CREATE TABLE latest (
    tp INTEGER NOT NULL, key BLOB NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (tp, key)) WITHOUT ROWID;
CREATE TABLE offsets (
    grp TEXT NOT NULL, tp INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (grp, tp)) WITHOUT ROWID;
";

/// One folder's database.
pub(crate) struct Store {
    path: PathBuf,
    max_mib: u64,
    write_lock_max_wait: Duration,
    /// The only connection that writes; absent while a thread has it.
    writer: Mutex<Option<Writer>>,
    writer_back: Condvar,
    pub(crate) bell: Bell,
    pub(crate) workers: WorkersLock,
    /// Latest generation of each worker by group and transactional id.
    pub(crate) generations: Mutex<std::collections::BTreeMap<(String, String), u64>>,
}

struct Writer {
    connection: Connection,
    lock: WriteLock,
}

impl Store {
    /// Opens or makes the file, under the write lock: simultaneous first opens can fail.
    pub(crate) fn open(dir: &Path, options: &EmbeddedOptions) -> Result<Self, LogError> {
        if rusqlite::version_number() < SQLITE_AT_LEAST {
            return Err(fatal(format!(
                "SQLite {} can corrupt its file; 3.51.3 or newer is needed",
                rusqlite::version()
            )));
        }
        let path = dir.join("log.sqlite");
        let lock = WriteLock::open(dir)?;
        let write_lock_max_wait = Duration::from_millis(options.write_lock_max_wait_ms);
        let held = lock.take(Instant::now() + write_lock_max_wait)?;
        let connection = connect(&path, options.max_mib)?;
        prepare(&connection).map_err(|error| meaning(error, options.max_mib))??;
        drop(held);
        Ok(Self {
            path,
            max_mib: options.max_mib,
            write_lock_max_wait,
            writer: Mutex::new(Some(Writer { connection, lock })),
            writer_back: Condvar::new(),
            bell: Bell::default(),
            workers: WorkersLock::new(dir),
            generations: Mutex::default(),
        })
    }

    /// A connection of one's own, for reading.
    pub(crate) fn connect(&self) -> Result<Connection, LogError> {
        connect(&self.path, self.max_mib)
    }

    /// What an error of the database means to a caller.
    pub(crate) fn meaning(&self, error: rusqlite::Error) -> LogError {
        meaning(error, self.max_mib)
    }

    /// The file has reached its cap.
    pub(crate) fn full(&self) -> LogError {
        LogError::Full {
            max_mib: self.max_mib,
        }
    }

    /// Pages in use from which publishers are refused; workers may fill the rest.
    pub(crate) fn publish_max_pages(&self) -> u64 {
        self.max_mib * PAGES_PER_MIB / 16 * 15
    }

    /// Runs `body` in one write transaction: all of it is durable, or on an error none of it.
    pub(crate) fn write<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let written = self.write_or_undo(|tx| body(tx).map(Some))?;
        written.ok_or_else(|| fatal("a write was undone".into()))
    }

    /// As [`Store::write`], and undoes all when `body` gives `None`.
    pub(crate) fn write_or_undo<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<Option<T>, LogError>,
    ) -> Result<Option<T>, LogError> {
        let written = self.with_writer(|connection| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(|error| self.meaning(error))?;
            let Some(out) = body(&transaction)? else {
                return Ok(None);
            };
            transaction.commit().map_err(|error| self.meaning(error))?;
            Ok(Some(out))
        })?;
        if written.is_some() {
            self.bell.ring();
        }
        Ok(written)
    }

    /// Runs `body` with the writing connection and the write lock.
    pub(crate) fn with_writer<T>(
        &self,
        body: impl FnOnce(&mut Connection) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let deadline = Instant::now() + self.write_lock_max_wait;
        let mut lent = self.lend(deadline)?;
        let Some(writer) = lent.writer.as_mut() else {
            return Err(fatal("the writing connection is lost".into()));
        };
        let _held = writer.lock.take(deadline)?;
        body(&mut writer.connection)
    }

    fn lend(&self, deadline: Instant) -> Result<Lent<'_>, LogError> {
        let wait = deadline.saturating_duration_since(Instant::now());
        let (mut writer, _) = self
            .writer_back
            .wait_timeout_while(
                self.writer.lock().unwrap_or_else(PoisonError::into_inner),
                wait,
                |writer| writer.is_none(),
            )
            .unwrap_or_else(PoisonError::into_inner);
        match writer.take() {
            Some(writer) => Ok(Lent {
                store: self,
                writer: Some(writer),
            }),
            None => Err(LogError::Unavailable {
                engine: ENGINE,
                what: "other writers of this process were not done in time".into(),
            }),
        }
    }
}

/// The writing connection while one thread has it; goes back when dropped.
struct Lent<'a> {
    store: &'a Store,
    writer: Option<Writer>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut place = self
            .store
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = self.writer.take();
        self.store.writer_back.notify_one();
    }
}

/// Opens a connection with the settings that hold for each.
fn connect(path: &Path, max_mib: u64) -> Result<Connection, LogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute_batch(&format!(
            "PRAGMA page_size = {PAGE_BYTES};
             PRAGMA synchronous = FULL;
             PRAGMA secure_delete = ON;
             PRAGMA mmap_size = 0;
             PRAGMA wal_autocheckpoint = 1000;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA max_page_count = {};",
            max_mib * PAGES_PER_MIB
        ))?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|error| meaning(error, max_mib))
}

/// Makes the tables of a new file; refuses one that is not ours or newer than we are.
fn prepare(connection: &Connection) -> rusqlite::Result<Result<(), LogError>> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    match (pragma("application_id")?, pragma("user_version")?) {
        (0, 0) if pragma("schema_version")? == 0 => {}
        (APPLICATION_ID, SCHEMA_VERSION) => return Ok(Ok(())),
        (APPLICATION_ID, version) => {
            return Ok(Err(fatal(format!(
                "log.sqlite has version {version}, this program knows {SCHEMA_VERSION}: use the newer program"
            ))));
        }
        _ => {
            return Ok(Err(fatal(
                "log.sqlite is not a log of Shiren: choose another log.embedded.dir".into(),
            )));
        }
    }
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         BEGIN IMMEDIATE; {SCHEMA}
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};
         COMMIT;"
    ))?;
    Ok(Ok(()))
}

fn meaning(error: rusqlite::Error, max_mib: u64) -> LogError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LogError::Full { max_mib },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LogError::Unavailable {
            engine: ENGINE,
            what: format!("the database is busy: {error}"),
        },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => fatal(format!(
            "log.sqlite is damaged ({error}): stop all processes, keep the folder, restore it from a copy or start with an empty one"
        )),
        _ => fatal(error.to_string()),
    }
}

/// The log cannot go on.
pub(crate) fn fatal(what: String) -> LogError {
    LogError::Fatal {
        engine: ENGINE,
        what,
    }
}
