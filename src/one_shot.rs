//! One case through the same stages, without a log: `shiren compare` and `shiren detect`.

use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use shiren_contract::stage::Arrival;
use shiren_log::{NewRecord, Record};
use shiren_runtime::{Emitter, Segment, now_us};
use shiren_schemas::records::{DeadLetter, Evidence, Lane, Request, Results, Verdict};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Wire, keys};

use crate::site::Site;
use crate::{requests, stages};

/// What a case came to.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its verdict.
    pub verdict: Verdict,
    /// The data asked for, by kind.
    pub results: Option<Results>,
    /// Its grounds.
    pub evidence: Evidence,
}

/// The whole chain in this thread.
pub struct OneShot {
    segment: Segment,
    emitter: Emitter,
    tenant: String,
    partitions: i32,
}

impl OneShot {
    /// Builds every stage of the site.
    ///
    /// # Errors
    /// A stage cannot be built: a weight is missing, for example.
    pub fn open(site: &Arc<Site>) -> anyhow::Result<Self> {
        let topology = &site.topology;
        site.judge_by_seed();
        // Nothing of it is written: nothing is to be sealed.
        let options = site.options(&[], 0, None)?;
        let segment = Segment::build(&stages::registry(site), &topology.chain, &topology.chain)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        let tenant = site.tenant(None)?;
        let emitter = options.emitter(Lane::Interactive, "one-shot");
        Ok(Self {
            segment,
            emitter,
            tenant,
            partitions: topology.topics.partitions,
        })
    }

    /// The record of a request, as a log would hand it over.
    ///
    /// # Errors
    /// The record is larger than a topic would take it.
    pub fn record(&self, request: &Request) -> anyhow::Result<Record> {
        let (new, _) = requests::record(&self.tenant, Lane::Interactive, request)?;
        let bytes = new.value.as_ref().map_or(0, Bytes::len);
        if bytes > self.emitter.max_record_bytes {
            let max = self.emitter.max_record_bytes;
            bail!("the request has {bytes} bytes, a record at most {max}");
        }
        Ok(Record {
            partition: keys::partition(&new.key, self.partitions),
            topic: new.topic,
            offset: 0,
            append_time_us: now_us(),
            key: Some(new.key),
            value: new.value,
            headers: Vec::new(),
        })
    }

    /// Takes one record through the chain: the records that a log would be given.
    ///
    /// # Errors
    /// A stage panicked and could not be built anew, or a fault of this program.
    pub fn process(&mut self, record: &Record) -> anyhow::Result<Vec<NewRecord>> {
        let arrival = Arrival {
            topic: record.topic.clone(),
            partition: record.partition,
            partitions: self.partitions,
            offset: record.offset,
            append_time_us: record.append_time_us,
            key: record.key.clone(),
            value: record.value.clone(),
        };
        let emissions = self
            .segment
            .process(arrival, opentelemetry::Context::new(), now_us())
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(self.emitter.records(record, emissions, now_us())?)
    }

    /// Takes one request through the chain.
    ///
    /// # Errors
    /// The record is larger than a topic would take it, or ended without a verdict.
    pub fn ask(&mut self, request: &Request) -> anyhow::Result<Answer> {
        let record = self.record(request)?;
        let (mut verdict, mut results, mut evidence) = (None, None, None);
        for out in self.process(&record)? {
            let value = out.value.unwrap_or_default();
            match Topic::parse(&out.topic) {
                Some(Topic::Verdicts { .. }) => verdict = Some(Verdict::decode(&value)?),
                Some(Topic::Results { .. }) => results = Some(Results::decode(&value)?),
                Some(Topic::Evidence { .. }) => evidence = Some(Evidence::decode(&value)?),
                Some(Topic::DeadLetters { .. }) if verdict.is_none() => {
                    let letter = DeadLetter::decode(&value)?;
                    if letter.case_id.is_none() {
                        bail!("[{}] {}", letter.code, letter.detail);
                    }
                }
                _ => {}
            }
        }
        let (verdict, evidence) = verdict
            .zip(evidence)
            .context("the case ended without a verdict")?;
        Ok(Answer {
            verdict,
            results,
            evidence,
        })
    }
}
