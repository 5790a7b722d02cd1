//! Running a chain in this process and reading what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shiren::case_reader::VerdictReader;
use shiren::site::Site;
use shiren::{requests, stages};
use shiren_log::{Log, Start};
use shiren_runtime::{Drain, Runtime, Summary};
use shiren_schemas::records::{Lane, Mode, Request, Verdict};

/// Longest wait for all verdicts of a test.
pub const MAX_WAIT: Duration = Duration::from_secs(120);

/// Publishes `requests` for the tenant `default`.
///
/// # Panics
/// When the log refuses them.
pub fn publish(log: &dyn Log, requests: &[Request]) {
    let mut publisher = log.publisher().expect("a publisher");
    for request in requests {
        let (record, _) = requests::record("default", Lane::Interactive, request).expect("encoded");
        publisher.publish(vec![record]).expect("published");
    }
}

/// Runs all segments of the site in this process while `work` is done.
///
/// # Panics
/// When the chain fails.
pub fn beside<T>(site: &Arc<Site>, log: &Arc<dyn Log>, work: impl FnOnce() -> T) -> (T, Summary) {
    log.apply_topics(&site.topics()).expect("topics");
    let options = site.runtime_options(&[], 0).expect("options");
    let runtime = Runtime::build(options, stages::registry(site), log.clone()).expect("a runtime");
    let drain = Drain::new();
    std::thread::scope(|scope| {
        let chain = scope.spawn(|| runtime.run(&drain, || {}));
        // Drained even when `work` panics, so that the test ends.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        drain.request();
        let summary = chain
            .join()
            .expect("the chain's thread")
            .expect("the chain");
        (
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            summary,
        )
    })
}

/// Exactly `count` verdicts, none twice.
///
/// # Panics
/// When there are more, fewer, or one twice.
#[must_use]
pub fn verdicts(log: &dyn Log, count: usize) -> Vec<Verdict> {
    let mut reader =
        VerdictReader::open(log, "default", Mode::Live, Start::Beginning).expect("a reader");
    let verdicts = reader.await_count(count, MAX_WAIT).expect("all verdicts");
    assert_eq!(verdicts.len(), count, "more verdicts than cases");
    assert_eq!(reader.duplicates, 0, "a verdict was written twice");
    verdicts
}

/// Canonical hash by request: what must be equal between runs.
#[must_use]
pub fn canonical(verdicts: &[Verdict]) -> BTreeMap<String, String> {
    verdicts
        .iter()
        .map(|v| {
            let decision = v.canonical.decision;
            (
                v.observed.request_id.clone(),
                format!("{decision} {}", v.canonical_sha256),
            )
        })
        .collect()
}
