//! Publishing requests and following their cases to the end, as a client does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use shiren_log::{Log, Reader, Start};
use shiren_schemas::records::{CanonicalVerdict, Decision, Lane, Mode, Request, Results, Verdict};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Id, Wire};

use crate::case_reader::VerdictReader;
use crate::requests;

/// Longest wait between two looks at the verdicts.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest wait for the results of a verdict that was read, before it is asked whether there are any.
const RESULTS_WAIT: Duration = Duration::from_secs(1);
/// Results taken from the log at once.
const READ_MAX_RECORDS: usize = 256;

/// A tenant's cases from now on.
pub struct Cases {
    log: Arc<dyn Log>,
    tenant: String,
    verdicts: VerdictReader,
    results: Box<dyn Reader>,
    wait_max: Duration,
}

/// How a case ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its verdict.
    pub verdict: Verdict,
    /// The data asked for, by kind.
    pub results: Option<Results>,
}

impl Cases {
    /// Of a tenant; an end is awaited for `wait_max` at most.
    ///
    /// # Errors
    /// The topics do not exist, or the log does not answer.
    pub fn open(log: Arc<dyn Log>, tenant: &str, wait_max: Duration) -> anyhow::Result<Self> {
        let verdicts = VerdictReader::open(log.as_ref(), tenant, Mode::Live, Start::End)?;
        let results = Topic::Results {
            tenant: tenant.to_owned(),
        };
        let results = log.reader(&results.to_string(), Start::End)?;
        Ok(Self {
            log,
            tenant: tenant.to_owned(),
            verdicts,
            results,
            wait_max,
        })
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &dyn Log {
        self.log.as_ref()
    }

    /// Whose cases.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Publishes requests in their order, library commands to their topic, others to `lane`; their request ids.
    /// Ends are told apart by these: a request that `admit` refuses becomes a case by its place.
    ///
    /// # Errors
    /// The log refuses them.
    pub fn publish(&self, lane: Lane, requests: Vec<Request>) -> anyhow::Result<Vec<String>> {
        let ids = requests.iter().map(|r| r.request_id.clone()).collect();
        let made = requests.into_iter().map(|request| {
            if request.command.is_some() {
                requests::command(&self.tenant, request)
            } else {
                requests::record(&self.tenant, lane, &request)
            }
        });
        let records = made
            .map(|made| made.map(|(record, _)| record))
            .collect::<Result<Vec<_>, _>>()?;
        if !records.is_empty() {
            self.log.publisher()?.publish(records)?;
        }
        Ok(ids)
    }

    /// Publishes one request and waits for its end.
    ///
    /// # Errors
    /// The log refuses it, or there is no end in time.
    pub fn ask(&mut self, lane: Lane, request: Request) -> anyhow::Result<Ended> {
        let id = self.publish(lane, vec![request])?;
        let mut end = None;
        self.each_end(1, |verdict| {
            let is_meant = id.contains(&verdict.observed.request_id);
            if is_meant {
                end = Some(verdict.clone());
            }
            is_meant
        })?;
        match end {
            Some(verdict) => Ok(Ended {
                results: match verdict.canonical.decision {
                    // An error has none.
                    Decision::Error => None,
                    _ => self.results_of(verdict.canonical.case_id)?,
                },
                verdict,
            }),
            None => bail!("a case without a verdict"),
        }
    }

    /// Hands verdicts over until `count` of them were taken.
    ///
    /// # Errors
    /// None was taken for as long as an end is awaited.
    pub fn each_end(
        &mut self,
        count: usize,
        mut take: impl FnMut(&Verdict) -> bool,
    ) -> anyhow::Result<()> {
        let mut until = Instant::now() + self.wait_max;
        let mut taken = 0;
        while taken < count {
            for verdict in self.verdicts.next(LOOK_EVERY)? {
                if take(&verdict) {
                    taken += 1;
                    until = Instant::now() + self.wait_max;
                }
            }
            if taken < count && Instant::now() > until {
                bail!(
                    "{taken} of {count} verdicts, and none for {} s; is the chain running (`shiren run`)? \
                     What was published stays in the log",
                    self.wait_max.as_secs()
                );
            }
        }
        Ok(())
    }

    /// Results are written with the verdict: what is not there once all is read never comes. Whether all is read is asked
    /// last, since on Kafka it takes a request a partition.
    fn results_of(&mut self, case: Id) -> anyhow::Result<Option<Results>> {
        loop {
            let mut found = None;
            for record in self.results.read(READ_MAX_RECORDS, RESULTS_WAIT)? {
                let results = Results::decode(&record.value.unwrap_or_default())?;
                if results.case_id == case {
                    found = Some(results);
                }
            }
            if found.is_some() || self.results.at_end()? {
                return Ok(found);
            }
        }
    }
}

/// The canonical part of an end.
impl std::ops::Deref for Ended {
    type Target = CanonicalVerdict;

    fn deref(&self) -> &CanonicalVerdict {
        &self.verdict.canonical
    }
}
