//! The two threads of an open log: one looks for other processes' records, one sweeps.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use shiren_log::LogError;

use crate::compaction::{self, Swept};
use crate::store::{Store, fatal};
use crate::{EmbeddedOptions, retention, topics};

/// Runs until dropped.
pub(crate) struct Upkeep {
    store: Arc<Store>,
    threads: Vec<JoinHandle<()>>,
}

impl Upkeep {
    pub(crate) fn start(store: &Arc<Store>, options: &EmbeddedOptions) -> Result<Self, LogError> {
        let mut upkeep = Self {
            store: Arc::clone(store),
            threads: Vec::new(),
        };
        let (poll, sweep) = (
            Duration::from_millis(options.follow_poll_ms),
            Duration::from_millis(options.retention_sweep_ms),
        );
        let connection = store.connect()?;
        upkeep.spawn("shiren-log-follow", move |store| {
            follow(store, &connection, poll);
        })?;
        let connection = store.connect()?;
        upkeep.spawn("shiren-log-sweep", move |store| {
            sweep_on(store, &connection, sweep);
        })?;
        Ok(upkeep)
    }

    fn spawn(
        &mut self,
        name: &str,
        body: impl FnOnce(&Store) + Send + 'static,
    ) -> Result<(), LogError> {
        let store = Arc::clone(&self.store);
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || body(&store))
            .map_err(|error| fatal(format!("cannot start thread {name}: {error}")))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.store.bell.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("an upkeep thread of the embedded log panicked");
            }
        }
    }
}

/// Rings when another connection has committed. It looks only while somebody waits.
fn follow(store: &Store, connection: &Connection, poll: Duration) {
    let version =
        || connection.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0));
    let mut seen = None;
    while store.bell.wanted() {
        match version() {
            Ok(now) if seen == Some(now) => {}
            Ok(now) => {
                seen = Some(now);
                store.bell.ring();
            }
            // The waiters' own reads meet the same error and report it.
            Err(_) => store.bell.ring(),
        }
        if !store.bell.pause(poll) {
            return;
        }
    }
}

fn sweep_on(store: &Store, connection: &Connection, pause: Duration) {
    let mut swept = Swept::default();
    while store.bell.pause(pause) {
        match sweep(store, connection, &mut swept) {
            Ok(true) => wipe(store, connection),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "retention sweep failed, it is tried again"),
        }
    }
}

fn sweep(store: &Store, reading: &Connection, swept: &mut Swept) -> Result<bool, LogError> {
    let go_on = || !store.bell.stopped();
    let mut deleted = false;
    for topic in topics::all(store, reading)? {
        for tp in (0..topic.partitions).map(|partition| topic.tp(partition)) {
            deleted |= if topic.compacted {
                compaction::sweep(store, reading, &topic, tp, swept, &go_on)?
            } else {
                retention::sweep(store, reading, &topic, tp, &go_on)?
            };
        }
    }
    Ok(deleted)
}

/// Empties the write-ahead log, which still holds what was deleted. A reader in a transaction
/// prevents it; then the next sweep that deletes something does it.
fn wipe(store: &Store, connection: &Connection) {
    let wiped = store.with_writer(|_| {
        let checkpoint = || {
            connection.busy_timeout(Duration::from_millis(50))?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, bool>(0)
            })
        };
        checkpoint().map_err(|error| store.meaning(error))
    });
    match wiped {
        Ok(false) => {}
        Ok(true) => tracing::debug!("the write-ahead log was in use and is emptied later"),
        Err(error) => tracing::warn!(%error, "the write-ahead log could not be emptied"),
    }
}
