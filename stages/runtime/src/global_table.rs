//! A compacted topic that a process reads to its end before it is ready, and follows from then on.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shiren_log::{Log, LogError, Reader, Record, Start};

use crate::drain::Drain;

/// Records taken at once.
const READ_MAX_RECORDS: usize = 256;
/// Longest wait for a record before the table looks whether it shall end.
const READ_MAX_WAIT: Duration = Duration::from_millis(100);
/// Rest before a reader that failed is opened anew.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

type Apply = dyn Fn(&Record) -> Result<(), String> + Send + Sync;

/// The table's topic, what its records do, and who waits for them.
#[derive(Clone)]
pub struct GlobalTable {
    topic: String,
    apply: Arc<Apply>,
    /// Wakes who waits for a record.
    applied: Arc<(Mutex<()>, Condvar)>,
}

impl GlobalTable {
    /// `apply` is given every record, after a restart and after a broken connection the old ones
    /// again. What it refuses is logged and left out: whoever needs it does without, and fails closed.
    pub fn new(
        topic: String,
        apply: impl Fn(&Record) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            topic,
            apply: Arc::new(apply),
            applied: Arc::default(),
        }
    }

    /// Waits until `is_known`, which looks at what `apply` made; at most `max_wait`.
    pub(crate) fn wait_until(&self, max_wait: Duration, is_known: impl Fn() -> bool) -> bool {
        let until = Instant::now() + max_wait;
        let mut applied = self
            .applied
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while !is_known() {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return false;
            }
            let woken = self.applied.1.wait_timeout(applied, rest);
            applied = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Reads all that is committed now.
    pub(crate) fn read_to_end(&self, log: &dyn Log) -> Result<Box<dyn Reader>, LogError> {
        let mut reader = log.reader(&self.topic, Start::Beginning)?;
        loop {
            let records = reader.read(READ_MAX_RECORDS, READ_MAX_WAIT)?;
            let is_empty = records.is_empty();
            self.take(&records);
            if is_empty && reader.at_end()? {
                return Ok(reader);
            }
        }
    }

    /// Follows the topic until `drain` is asked for. A log that does not answer is asked again: what is
    /// known stays in force until then.
    pub(crate) fn follow(&self, log: &dyn Log, mut reader: Box<dyn Reader>, drain: &Drain) {
        while !drain.requested() {
            match reader.read(READ_MAX_RECORDS, READ_MAX_WAIT) {
                Ok(records) => self.take(&records),
                Err(error) => {
                    tracing::warn!(topic = self.topic, %error, "a table is not up to date; it is read anew");
                    drain.wait(REOPEN_AFTER);
                    if let Ok(again) = self.read_to_end(log) {
                        reader = again;
                    }
                }
            }
        }
    }

    fn take(&self, records: &[Record]) {
        if records.is_empty() {
            return;
        }
        for record in records {
            if let Err(what) = (self.apply)(record) {
                let (topic, offset) = (&self.topic, record.offset);
                tracing::error!(topic, offset, what, "a record of a table is left out");
            }
        }
        // Whoever looked before the records were applied waits by now.
        let looked = self.applied.0.lock();
        drop(looked.unwrap_or_else(PoisonError::into_inner));
        self.applied.1.notify_all();
    }
}

impl std::fmt::Debug for GlobalTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GlobalTable({})", self.topic)
    }
}
