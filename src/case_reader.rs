//! Reading verdicts as downstream should: committed records only, first by id counts.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use shiren_contract::invariants::{Seen, Terminals};
use shiren_log::{Log, Reader, Start};
use shiren_schemas::records::{DeadLetter, Evidence, Mode, Results, Verdict};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Id, Wire};

/// Most records taken from the log at once.
const READ_MAX_RECORDS: usize = 256;

/// Follows a tenant's verdicts.
pub struct VerdictReader {
    reader: Box<dyn Reader>,
    seen: Terminals,
    /// Records whose verdict id was known already.
    pub duplicates: u64,
    /// Duplicates whose canonical hash is not that of the first: a broken promise.
    pub contradictions: u64,
}

impl VerdictReader {
    /// Opens the topic.
    ///
    /// # Errors
    /// It does not exist, or the log does not answer.
    pub fn open(log: &dyn Log, tenant: &str, mode: Mode, start: Start) -> anyhow::Result<Self> {
        let topic = Topic::Verdicts {
            tenant: tenant.to_owned(),
            mode,
        };
        let reader = log.reader(&topic.to_string(), start)?;
        Ok(Self {
            reader,
            seen: Terminals::all(),
            duplicates: 0,
            contradictions: 0,
        })
    }

    /// The next verdicts, each id once; empty when `wait` passed without one.
    ///
    /// # Errors
    /// The log does not answer, or a record is none of ours.
    pub fn next(&mut self, wait: Duration) -> anyhow::Result<Vec<Verdict>> {
        let mut fresh = Vec::new();
        for record in self.reader.read(READ_MAX_RECORDS, wait)? {
            let verdict = Verdict::decode(&record.value.unwrap_or_default())?;
            let id = verdict.canonical.verdict_id;
            match self.seen.add(id, verdict.canonical_sha256) {
                Ok(Seen::First) => fresh.push(verdict),
                Ok(Seen::Again) => self.duplicates += 1,
                Err(_) => {
                    self.duplicates += 1;
                    self.contradictions += 1;
                }
            }
        }
        Ok(fresh)
    }

    /// Whether everything committed so far has been read.
    ///
    /// # Errors
    /// The log does not answer.
    pub fn at_end(&mut self) -> anyhow::Result<bool> {
        Ok(self.reader.at_end()?)
    }

    /// Reads until `wanted` verdicts are there and nothing more is committed.
    ///
    /// # Errors
    /// Fewer than `wanted` within `timeout`.
    pub fn await_count(
        &mut self,
        wanted: usize,
        timeout: Duration,
    ) -> anyhow::Result<Vec<Verdict>> {
        let until = Instant::now() + timeout;
        let mut verdicts = Vec::new();
        while verdicts.len() < wanted || !self.at_end()? {
            verdicts.extend(self.next(Duration::from_millis(100))?);
            if Instant::now() > until {
                bail!("{} of {wanted} verdicts within {timeout:?}", verdicts.len());
            }
        }
        Ok(verdicts)
    }
}

/// Everything in a topic now, decoded.
///
/// # Errors
/// The topic does not exist, the log does not answer, or a record is none of ours.
pub fn read_all<T: Wire>(log: &dyn Log, topic: &Topic) -> anyhow::Result<Vec<T>> {
    let mut reader = log.reader(&topic.to_string(), Start::Beginning)?;
    let mut records = Vec::new();
    while !reader.at_end()? {
        for record in reader.read(READ_MAX_RECORDS, Duration::from_millis(100))? {
            records.push(T::decode(&record.value.unwrap_or_default())?);
        }
    }
    Ok(records)
}

/// A tenant's evidence by case.
///
/// # Errors
/// As [`read_all`].
pub fn evidence(log: &dyn Log, tenant: &str) -> anyhow::Result<HashMap<Id, Evidence>> {
    let topic = Topic::Evidence {
        tenant: tenant.to_owned(),
    };
    Ok(read_all::<Evidence>(log, &topic)?
        .into_iter()
        .map(|e| (e.case_id, e))
        .collect())
}

/// A tenant's results by case.
///
/// # Errors
/// As [`read_all`].
pub fn results(log: &dyn Log, tenant: &str) -> anyhow::Result<HashMap<Id, Results>> {
    let topic = Topic::Results {
        tenant: tenant.to_owned(),
    };
    Ok(read_all::<Results>(log, &topic)?
        .into_iter()
        .map(|r| (r.case_id, r))
        .collect())
}

/// A tenant's dead letters.
///
/// # Errors
/// As [`read_all`].
pub fn dead_letters(log: &dyn Log, tenant: &str) -> anyhow::Result<Vec<DeadLetter>> {
    read_all(
        log,
        &Topic::DeadLetters {
            tenant: tenant.to_owned(),
        },
    )
}
