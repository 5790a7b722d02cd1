//! Transactions of the log in memory that are neither committed nor aborted yet.
//!
//! Their records have their offsets already. Who reads committed records stops before the first of them, and goes on
//! once it is visible or gone.

use shiren_log::{LogError, NewRecord, Record};

use crate::memory_log::{Place, State};

/// A transaction whose end is not written.
pub(crate) struct Pending {
    pub(crate) transactional_id: String,
    pub(crate) group: String,
    pub(crate) records: Vec<Record>,
    /// Where the group stands once it is committed.
    pub(crate) offsets: Vec<(Place, i64)>,
    /// The records that it has answered.
    pub(crate) answered: Vec<(Place, i64)>,
    /// The coordinator took the request to commit: it will be done. Else it will be aborted.
    pub(crate) accepted: bool,
}

impl Pending {
    pub(crate) fn writes(&self, topic: &str, partitions: &[i32]) -> bool {
        self.records
            .iter()
            .any(|record| *record.topic == *topic && partitions.contains(&record.partition))
    }

    pub(crate) fn moves(&self, place: &Place) -> bool {
        self.offsets.iter().any(|(moved, _)| moved == place)
    }
}

impl State {
    pub(crate) fn append(&mut self, records: Vec<NewRecord>, now_us: i64) -> Result<(), LogError> {
        for record in self.reserve(records, now_us)? {
            self.show(record);
        }
        Ok(())
    }

    /// Ends every transaction that `which` names.
    pub(crate) fn resolve(&mut self, which: impl Fn(&Pending) -> bool) {
        let (ended, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<_>, _>(which);
        self.pending = pending;
        for transaction in ended {
            self.end(transaction);
        }
    }

    /// Ends the oldest.
    pub(crate) fn resolve_oldest(&mut self) {
        if !self.pending.is_empty() {
            let oldest = self.pending.remove(0);
            self.end(oldest);
        }
    }

    fn end(&mut self, transaction: Pending) {
        if !transaction.accepted {
            for record in transaction.records {
                self.skip(&record);
            }
            return;
        }
        for record in transaction.records {
            self.show(record);
        }
        self.offsets.extend(transaction.offsets);
        self.landed.extend(transaction.answered);
    }
}
