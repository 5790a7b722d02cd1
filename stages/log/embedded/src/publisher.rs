//! Publishing: one write transaction a call.

use shiren_log::{LogError, NewRecord, Publisher, Record};

use crate::EmbeddedLog;
use crate::append::{self, Entry};

/// Appends records of this process.
pub(crate) struct EmbeddedPublisher {
    log: EmbeddedLog,
}

impl EmbeddedPublisher {
    pub(crate) fn new(log: EmbeddedLog) -> Self {
        Self { log }
    }

    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        if entries.is_empty() {
            return Ok(());
        }
        let store = self.log.store();
        store.write(|tx| {
            append::append(store, tx, entries)?;
            append::refuse_when_full(store, tx)
        })
    }
}

impl Publisher for EmbeddedPublisher {
    fn publish(&mut self, records: Vec<NewRecord>) -> Result<(), LogError> {
        self.append(&records.into_iter().map(Entry::from).collect::<Vec<_>>())
    }

    fn publish_copies(&mut self, copies: Vec<Record>) -> Result<(), LogError> {
        self.append(&copies.into_iter().map(Entry::from).collect::<Vec<_>>())
    }
}
