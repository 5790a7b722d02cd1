//! The chain of the shipped topology, fed with records as a log would hand them over.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use shiren::site::Site;
use shiren::{requests, stages};
use shiren_contract::stage::Arrival;
use shiren_log::Record;
use shiren_runtime::{Emitter, Segment, now_us};
use shiren_schemas::records::{
    DeadLetter, Decision, DetectedFace, Evidence, Lane, Request, RequestKind, Results, Verdict,
};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Wire, keys};

/// Said where something of the cache folder is missing.
pub const SETUP: &str = "run scripts/setup --tests";
/// Tenant of the shipped topology.
pub const TENANT: &str = "default";
/// Chains ready for the next test: building one loads every model.
static READY: Mutex<Vec<Chain>> = Mutex::new(Vec::new());

/// Everything that one record led to.
pub struct Written {
    pub verdicts: Vec<Verdict>,
    pub results: Vec<Results>,
    pub evidence: Vec<Evidence>,
    pub dead_letters: Vec<DeadLetter>,
}

/// One case's end.
pub struct Answer {
    pub verdict: Verdict,
    pub results: Option<Results>,
    pub evidence: Evidence,
}

pub struct Chain {
    segment: Segment,
    emitter: Emitter,
    partitions: i32,
}

/// The chain, for one test at a time.
pub struct Borrowed(Option<Chain>);

/// A chain that no other test uses now.
pub fn chain() -> Borrowed {
    let waiting = ready().pop();
    Borrowed(Some(waiting.unwrap_or_else(Chain::build)))
}

fn ready() -> MutexGuard<'static, Vec<Chain>> {
    READY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        ready().extend(self.0.take());
    }
}

impl Deref for Borrowed {
    type Target = Chain;
    fn deref(&self) -> &Chain {
        self.0.as_ref().unwrap()
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Chain {
        self.0.as_mut().unwrap()
    }
}

/// The repository's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cache folder: SHIREN_HOME, or `.shiren` in the repository.
pub fn home() -> PathBuf {
    std::env::var_os("SHIREN_HOME").map_or_else(|| root().join(".shiren"), PathBuf::from)
}

/// The shipped topology.
pub fn site() -> Arc<Site> {
    let file = root().join("topology.toml");
    Arc::new(Site::open(&file, &home(), &stages::descriptors()).unwrap())
}

impl Chain {
    fn build() -> Self {
        let site = site();
        site.judge_by_seed();
        let chain = &site.topology.chain;
        let segment = Segment::build(&stages::registry(&site), chain, chain)
            .unwrap_or_else(|error| panic!("{error}: {SETUP}"));
        let options = site.runtime_options(&[], 0).unwrap();
        Self {
            segment,
            // Nothing is written: evidence is to be looked at.
            emitter: Emitter {
                vault: None,
                ..options.emitter(Lane::Interactive, "faces")
            },
            partitions: site.topology.topics.partitions,
        }
    }

    /// The record of a request, where a well-behaved producer puts it.
    pub fn record(&self, request: &Request) -> Record {
        let (new, _) = requests::record(TENANT, Lane::Interactive, request).unwrap();
        Record {
            partition: keys::partition(&new.key, self.partitions),
            topic: new.topic,
            offset: 0,
            append_time_us: now_us(),
            key: Some(new.key),
            value: new.value,
            headers: Vec::new(),
        }
    }

    /// Partitions of every topic.
    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    /// What the chain writes on a record, whatever the record is.
    pub fn process(&mut self, record: &Record) -> Written {
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
            .unwrap();
        let mut written = Written {
            verdicts: vec![],
            results: vec![],
            evidence: vec![],
            dead_letters: vec![],
        };
        for out in self.emitter.records(record, emissions, now_us()).unwrap() {
            let value: &Bytes = out.value.as_ref().unwrap();
            match Topic::parse(&out.topic) {
                Some(Topic::Verdicts { .. }) => {
                    written.verdicts.push(Verdict::decode(value).unwrap())
                }
                Some(Topic::Results { .. }) => {
                    written.results.push(Results::decode(value).unwrap())
                }
                Some(Topic::Evidence { .. }) => {
                    written.evidence.push(Evidence::decode(value).unwrap())
                }
                Some(Topic::DeadLetters { .. }) => {
                    written
                        .dead_letters
                        .push(DeadLetter::decode(value).unwrap());
                }
                _ => panic!("a record to {}", out.topic),
            }
        }
        written
    }

    /// Takes a request through the chain, which must answer with one verdict and its evidence.
    pub fn ask(&mut self, request: &Request) -> Answer {
        let record = self.record(request);
        let mut written = self.process(&record);
        assert_eq!(
            written.verdicts.len(),
            1,
            "{}: one verdict a case",
            request.request_id
        );
        assert_eq!(
            written.evidence.len(),
            1,
            "{}: one evidence a case",
            request.request_id
        );
        let answer = Answer {
            verdict: written.verdicts.remove(0),
            results: written.results.pop(),
            evidence: written.evidence.remove(0),
        };
        assert_eq!(
            answer.verdict.canonical.verdict_id,
            answer.evidence.verdict_id
        );
        assert_eq!(answer.verdict.observed.request_id, request.request_id);
        answer
    }

    /// Whether `probe` shows the person of `reference`.
    pub fn compare(&mut self, probe: &[u8], reference: &[u8]) -> Answer {
        self.ask(&compare(probe, reference))
    }

    /// The faces of a picture.
    pub fn detect(&mut self, picture: &[u8]) -> Answer {
        self.ask(&detect(picture))
    }

    /// The score of a comparison that must come to one.
    pub fn score(&mut self, what: &str, probe: &[u8], reference: &[u8]) -> f64 {
        let answer = self.compare(probe, reference);
        let comparison = answer.evidence.comparison.as_ref();
        comparison
            .unwrap_or_else(|| panic!("{what}: no score, {}", answer.summary()))
            .score
    }
}

/// A request to compare.
pub fn compare(probe: &[u8], reference: &[u8]) -> Request {
    let mut request = Request::new("a-case", RequestKind::Compare);
    request.probe = Some(requests::inline(probe.to_vec(), None));
    request.reference = Some(requests::inline(reference.to_vec(), None));
    request
}

/// A request to detect.
pub fn detect(picture: &[u8]) -> Request {
    let mut request = Request::new("a-case", RequestKind::Detect);
    request.probe = Some(requests::inline(picture.to_vec(), None));
    request
}

impl Answer {
    pub fn decision(&self) -> Decision {
        self.verdict.canonical.decision
    }

    pub fn reasons(&self) -> &[String] {
        &self.verdict.canonical.reason_codes
    }

    pub fn has_reason(&self, code: &str) -> bool {
        self.reasons().iter().any(|reason| reason == code)
    }

    /// Faces of the picture of a `detect` request.
    pub fn faces(&self) -> &[DetectedFace] {
        self.results
            .as_ref()
            .map_or(&[], |results| &results.detections[0].faces)
    }

    /// The one face of a picture.
    pub fn only_face(&self, what: &str) -> &DetectedFace {
        match self.faces() {
            [face] => face,
            faces => panic!("{what}: {} faces where there is one", faces.len()),
        }
    }

    /// Decision, reasons, score and faults, for messages.
    pub fn summary(&self) -> String {
        let score = self
            .evidence
            .comparison
            .as_ref()
            .map(|comparison| comparison.score);
        let details = self
            .evidence
            .faults
            .iter()
            .map(|fault| fault.detail.as_str());
        format!(
            "{} {:?}, score {score:?}, {:?}",
            self.decision(),
            self.reasons(),
            details.collect::<Vec<_>>()
        )
    }
}
