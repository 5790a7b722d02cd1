//! What the runtime measures. Each metric stands here once: `docs/metrics.md`, the instruments and the tests follow it.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use shiren_contract::codes;
use shiren_contract::invariants::{self, Invariant, Violation};
use shiren_log::Lag;
use shiren_schemas::records::Lane;

use crate::asker::AskTally;
use crate::health::{Health, Phase};
use crate::resident::resident_bytes;

/// What a metric is, in Prometheus' terms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound, with sum and count.
    Histogram(&'static [f64]),
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name; unit and `_total` are in it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels. None holds a case, a person or a key: the values are bounded by topology and code.
    pub labels: &'static [&'static str],
    /// What it says.
    pub meaning: &'static str,
}

const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];
const RECORDS_OF_A_BUNDLE: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];

macro_rules! metrics {
    ($($constant:ident $name:literal $kind:expr, [$($label:literal)*] $meaning:literal;)*) => {
        $(const $constant: Metric = Metric { name: $name, kind: $kind, labels: &[$($label),*], meaning: $meaning };)*
        /// All metrics, in the order of `docs/metrics.md`.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    RECORDS "shiren_records_total" Kind::Counter, ["segment" "lane"] "Records processed and committed.";
    VERDICTS "shiren_verdicts_total" Kind::Counter, ["segment" "lane" "kind" "decision"] "Verdicts committed.";
    DUPLICATES "shiren_duplicate_verdicts_total" Kind::Counter, ["segment" "lane"] "Verdicts committed again under the id of one of the newest `telemetry.recent_verdicts_max` of the same worker: a request that was published twice, or a commit that landed late.";
    DEAD_LETTERS "shiren_dead_letters_total" Kind::Counter, ["segment" "lane"] "Dead letters committed.";
    REASONS "shiren_reason_codes_total" Kind::Counter, ["segment" "lane" "code"] "Codes of the verdicts and dead letters committed (docs/errors.md); `other`: one that a stage of your own uses.";
    BAD_TRACES "shiren_bad_trace_headers_total" Kind::Counter, ["segment" "lane"] "Records whose `traceparent` could not be read; a new trace began.";
    CASE_DURATION "shiren_case_duration_seconds" Kind::Histogram(SECONDS), ["segment" "lane" "kind"] "From the arrival of a request in the log to its verdict.";
    STAGE_RECORDS "shiren_stage_records_total" Kind::Counter, ["segment" "lane" "stage" "outcome"] "What a stage made of its records: `next`, `terminal`, `dead_letter`, `absorbed` (a request that came again); reruns count again.";
    STAGE_DURATION "shiren_stage_duration_seconds" Kind::Histogram(SECONDS), ["segment" "lane" "stage"] "Time that a stage took for a record, its ask included.";
    ASKS "shiren_asks_total" Kind::Counter, ["stage" "outcome"] "Asks of a stage: `replied`; `refused`, which asking again does not mend; `unavailable`, given up after retries; `deadline`; `interrupted` by a drain.";
    ASK_CALLS "shiren_ask_calls_total" Kind::Counter, ["stage" "outcome"] "Calls of the port that answers a stage's asks, retries included: `done`, `failed`.";
    BREAKER "shiren_ask_breaker_open" Kind::Gauge, ["stage"] "1 while the port is left alone after too many failed calls, else 0.";
    BUNDLE "shiren_bundle_records" Kind::Histogram(RECORDS_OF_A_BUNDLE), ["segment" "lane"] "Records of a bundle, which is what is committed at once.";
    COMMIT_DURATION "shiren_commit_duration_seconds" Kind::Histogram(SECONDS), ["segment" "lane"] "Time of a commit, repetitions included.";
    COMMITS "shiren_commits_total" Kind::Counter, ["segment" "lane" "outcome"] "Commits: `done`; `retry`, aborted and made again; `revoked`, the partitions are another worker's now; `rebuild`, outcome unknown; `failed`.";
    REBUILDS "shiren_worker_rebuilds_total" Kind::Counter, ["segment" "lane"] "Times a worker was built anew.";
    LAG "shiren_consumer_lag_records" Kind::Gauge, ["segment" "lane" "topic" "partition"] "Offsets between the last commit and the end of a partition that a worker has. On Kafka a little high: transaction markers count.";
    WORKER_PHASE "shiren_worker_phase" Kind::Gauge, ["segment" "lane" "slot" "phase"] "1 for the phase that a worker is in: `starting`, `restoring`, `ready`, `draining`.";
    MEMORY "shiren_resident_memory_bytes" Kind::Gauge, [] "Resident memory of the process.";
    MEMORY_MAX "shiren_resident_memory_max_bytes" Kind::Gauge, [] "Its bound, runtime.max_resident_mib.";
    SPANS "shiren_spans_total" Kind::Counter, ["outcome"] "Spans for the collector: `exported`; `failed`, it did not take them; `dropped`, the queue was full. 0 where none is configured.";
    VIOLATIONS "shiren_invariant_violations_total" Kind::Counter, ["invariant"] "Times an invariant did not hold; below, by name. More than 0 is a fault.";
}

/// Codes that are labels as they are; any other is `other`.
fn code_label(code: &str) -> &'static str {
    codes::ALL
        .iter()
        .find(|known| known.id == code)
        .map_or("other", |known| known.id)
}

/// How spans left, counted where they do.
#[derive(Debug, Default)]
pub struct SpanTally {
    /// Taken by the collector.
    pub exported: std::sync::atomic::AtomicU64,
    /// Not taken.
    pub failed: std::sync::atomic::AtomicU64,
    /// Not sent: the queue was full.
    pub dropped: std::sync::atomic::AtomicU64,
}

/// Labels of a worker, and how far it is behind.
type WorkerLag = (Arc<[KeyValue; 2]>, Vec<Lag>);

/// What is read when somebody looks, not when it happens.
#[derive(Default)]
struct Sources {
    asks: Mutex<Vec<(&'static str, Arc<AskTally>)>>,
    lags: Mutex<Vec<WorkerLag>>,
}

/// The instruments of a process.
#[derive(Clone)]
pub struct Instruments(Arc<Inner>);

struct Inner {
    records: Counter<u64>,
    verdicts: Counter<u64>,
    duplicates: Counter<u64>,
    dead_letters: Counter<u64>,
    reasons: Counter<u64>,
    bad_traces: Counter<u64>,
    case_duration: Histogram<f64>,
    stage_records: Counter<u64>,
    stage_duration: Histogram<f64>,
    bundle: Histogram<f64>,
    commit_duration: Histogram<f64>,
    commits: Counter<u64>,
    rebuilds: Counter<u64>,
    violations: Counter<u64>,
    sources: Arc<Sources>,
}

impl Default for Instruments {
    /// Those that measure nothing.
    fn default() -> Self {
        let meter = opentelemetry::metrics::noop::NoopMeterProvider::new().meter("shiren");
        Self::new(&meter, &Health::new(), 0, Arc::default())
    }
}

impl Instruments {
    /// Instruments of `meter`. `max_resident_bytes`: what the process may hold.
    #[must_use]
    pub fn new(
        meter: &Meter,
        health: &Health,
        max_resident_bytes: u64,
        spans: Arc<SpanTally>,
    ) -> Self {
        let sources = Arc::<Sources>::default();
        observe_asks(meter, &sources);
        observe_lag(meter, &sources);
        observe_phases(meter, health.clone());
        observe_spans(meter, spans);
        let memory = |_: ()| resident_bytes().unwrap_or(0);
        gauge(meter, MEMORY, move |seen| seen(memory(()), &[]));
        gauge(meter, MEMORY_MAX, move |seen| seen(max_resident_bytes, &[]));
        let violations = counter(meter, VIOLATIONS);
        for invariant in invariants::ALL {
            violations.add(0, &[of_invariant(*invariant)]);
        }
        Self(Arc::new(Inner {
            records: counter(meter, RECORDS),
            verdicts: counter(meter, VERDICTS),
            duplicates: counter(meter, DUPLICATES),
            dead_letters: counter(meter, DEAD_LETTERS),
            reasons: counter(meter, REASONS),
            bad_traces: counter(meter, BAD_TRACES),
            case_duration: histogram(meter, CASE_DURATION),
            stage_records: counter(meter, STAGE_RECORDS),
            stage_duration: histogram(meter, STAGE_DURATION),
            bundle: histogram(meter, BUNDLE),
            commit_duration: histogram(meter, COMMIT_DURATION),
            commits: counter(meter, COMMITS),
            rebuilds: counter(meter, REBUILDS),
            violations,
            sources,
        }))
    }

    /// Counts and logs that an invariant does not hold.
    pub fn violated(&self, violation: &Violation) {
        tracing::error!(
            invariant = violation.invariant.name,
            what = violation.what,
            "an invariant does not hold"
        );
        let of = [of_invariant(violation.invariant)];
        self.0.violations.add(1, &of);
    }

    /// Counts the asks of a stage from now on.
    pub(crate) fn watch_asks(&self, stage: &'static str, tally: Arc<AskTally>) {
        let mut asks = lock(&self.0.sources.asks);
        if !asks.iter().any(|(known, _)| *known == stage) {
            asks.push((stage, tally));
        }
    }

    /// The instruments of one worker.
    pub(crate) fn of_worker(&self, segment: &str, lane: Lane) -> WorkerInstruments {
        let of = [
            KeyValue::new("segment", segment.to_owned()),
            KeyValue::new("lane", lane.to_string()),
        ];
        let all = &self.0;
        for counter in [
            &all.records,
            &all.duplicates,
            &all.dead_letters,
            &all.bad_traces,
            &all.rebuilds,
        ] {
            counter.add(0, &of);
        }
        for outcome in ["done", "retry", "revoked", "rebuild", "failed"] {
            let [segment, lane] = of.clone();
            all.commits
                .add(0, &[segment, lane, KeyValue::new("outcome", outcome)]);
        }
        WorkerInstruments {
            all: self.clone(),
            of: Arc::new(of),
        }
    }
}

impl std::fmt::Debug for Instruments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Instruments")
    }
}

/// The instruments of one worker, with its labels.
#[derive(Clone)]
pub(crate) struct WorkerInstruments {
    pub(crate) all: Instruments,
    of: Arc<[KeyValue; 2]>,
}

impl WorkerInstruments {
    fn with<const N: usize>(&self, more: [KeyValue; N]) -> Vec<KeyValue> {
        self.of.iter().cloned().chain(more).collect()
    }

    pub(crate) fn records(&self, count: u64, bad_traces: u64) {
        self.all.0.records.add(count, &*self.of);
        self.all.0.bad_traces.add(bad_traces, &*self.of);
    }

    pub(crate) fn bundle(&self, records: usize) {
        self.all.0.bundle.record(records as f64, &*self.of);
    }

    pub(crate) fn verdict(&self, kind: &str, decision: &str, seconds: f64) {
        let kind = KeyValue::new("kind", kind.to_owned());
        let decision = KeyValue::new("decision", decision.to_owned());
        let all = &self.all.0;
        all.verdicts.add(1, &self.with([kind.clone(), decision]));
        all.case_duration.record(seconds, &self.with([kind]));
    }

    pub(crate) fn dead_letter(&self) {
        self.all.0.dead_letters.add(1, &*self.of);
    }

    pub(crate) fn duplicate(&self) {
        self.all.0.duplicates.add(1, &*self.of);
    }

    pub(crate) fn reason(&self, code: &str) {
        let code = KeyValue::new("code", code_label(code));
        self.all.0.reasons.add(1, &self.with([code]));
    }

    pub(crate) fn commit(&self, outcome: &'static str) {
        let outcome = KeyValue::new("outcome", outcome);
        self.all.0.commits.add(1, &self.with([outcome]));
    }

    pub(crate) fn commit_took(&self, seconds: f64) {
        self.all.0.commit_duration.record(seconds, &*self.of);
    }

    pub(crate) fn rebuild(&self) {
        self.all.0.rebuilds.add(1, &*self.of);
    }

    /// Replaces what is known of this worker's lag.
    pub(crate) fn lag(&self, lag: Vec<Lag>) {
        let mut lags = lock(&self.all.0.sources.lags);
        lags.retain(|(of, _)| !Arc::ptr_eq(of, &self.of));
        if !lag.is_empty() {
            lags.push((Arc::clone(&self.of), lag));
        }
    }

    /// The instruments of one stage of the worker.
    pub(crate) fn of_stage(&self, stage: &'static str) -> StageInstruments {
        let stage = KeyValue::new("stage", stage);
        let outcome = |name| self.with([stage.clone(), KeyValue::new("outcome", name)]);
        let all = &self.all.0;
        StageInstruments {
            records: all.stage_records.clone(),
            duration: all.stage_duration.clone(),
            next: outcome("next"),
            terminal: outcome("terminal"),
            dead_letter: outcome("dead_letter"),
            absorbed: outcome("absorbed"),
            of: self.with([stage]),
        }
    }
}

/// The instruments of one stage of one worker; its labels are made once.
pub(crate) struct StageInstruments {
    records: Counter<u64>,
    duration: Histogram<f64>,
    next: Vec<KeyValue>,
    terminal: Vec<KeyValue>,
    dead_letter: Vec<KeyValue>,
    absorbed: Vec<KeyValue>,
    of: Vec<KeyValue>,
}

impl StageInstruments {
    pub(crate) fn decided(
        &self,
        outcome: &shiren_contract::stage::Outcome,
        spent: std::time::Duration,
    ) {
        use shiren_contract::stage::Outcome;
        let of = match outcome {
            Outcome::Next(_) => &self.next,
            Outcome::Terminal(_) => &self.terminal,
            Outcome::DeadLetter(_) => &self.dead_letter,
            Outcome::Absorbed(_) => &self.absorbed,
        };
        self.records.add(1, of);
        self.duration.record(spent.as_secs_f64(), &self.of);
    }
}

fn of_invariant(invariant: Invariant) -> KeyValue {
    KeyValue::new("invariant", invariant.name)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn counter(meter: &Meter, metric: Metric) -> Counter<u64> {
    let builder = meter.u64_counter(metric.name);
    builder.with_description(metric.meaning).build()
}

fn histogram(meter: &Meter, metric: Metric) -> Histogram<f64> {
    let boundaries = match metric.kind {
        Kind::Histogram(bounds) => bounds.to_vec(),
        _ => Vec::new(),
    };
    let builder = meter.f64_histogram(metric.name);
    let builder = builder.with_description(metric.meaning);
    builder.with_boundaries(boundaries).build()
}

type Seen<'a> = &'a dyn Fn(u64, &[KeyValue]);

fn gauge(meter: &Meter, metric: Metric, look: impl Fn(Seen<'_>) + Send + Sync + 'static) {
    let builder = meter.u64_observable_gauge(metric.name);
    let builder = builder.with_description(metric.meaning);
    builder
        .with_callback(move |observer| look(&|value, of| observer.observe(value, of)))
        .build();
}

fn observed(meter: &Meter, metric: Metric, look: impl Fn(Seen<'_>) + Send + Sync + 'static) {
    let builder = meter.u64_observable_counter(metric.name);
    let builder = builder.with_description(metric.meaning);
    builder
        .with_callback(move |observer| look(&|value, of| observer.observe(value, of)))
        .build();
}

fn observe_asks(meter: &Meter, sources: &Arc<Sources>) {
    let each = |sources: &Arc<Sources>, look: fn(&AskTally) -> Vec<(&'static str, u64)>| {
        let sources = Arc::clone(sources);
        move |seen: Seen<'_>| {
            for (stage, tally) in lock(&sources.asks).iter() {
                for (outcome, count) in look(tally) {
                    let stage = KeyValue::new("stage", *stage);
                    seen(count, &[stage, KeyValue::new("outcome", outcome)]);
                }
            }
        }
    };
    observed(meter, ASKS, each(sources, AskTally::asks));
    observed(meter, ASK_CALLS, each(sources, AskTally::calls));
    let sources = Arc::clone(sources);
    gauge(meter, BREAKER, move |seen| {
        for (stage, tally) in lock(&sources.asks).iter() {
            seen(
                u64::from(tally.is_open()),
                &[KeyValue::new("stage", *stage)],
            );
        }
    });
}

fn observe_lag(meter: &Meter, sources: &Arc<Sources>) {
    let sources = Arc::clone(sources);
    gauge(meter, LAG, move |seen| {
        for (of, lags) in lock(&sources.lags).iter() {
            for lag in lags {
                let [segment, lane] = (**of).clone();
                let topic = KeyValue::new("topic", lag.topic.to_string());
                let partition = KeyValue::new("partition", i64::from(lag.partition));
                seen(lag.records, &[segment, lane, topic, partition]);
            }
        }
    });
}

fn observe_phases(meter: &Meter, health: Health) {
    gauge(meter, WORKER_PHASE, move |seen| {
        for worker in health.workers() {
            for phase in Phase::ALL {
                let of = [
                    KeyValue::new("segment", worker.segment.clone()),
                    KeyValue::new("lane", worker.lane.to_string()),
                    KeyValue::new("slot", i64::from(worker.slot)),
                    KeyValue::new("phase", phase.name()),
                ];
                seen(u64::from(worker.phase == *phase), &of);
            }
        }
    });
}

fn observe_spans(meter: &Meter, spans: Arc<SpanTally>) {
    observed(meter, SPANS, move |seen| {
        let load =
            |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
        for (outcome, count) in [
            ("exported", load(&spans.exported)),
            ("failed", load(&spans.failed)),
            ("dropped", load(&spans.dropped)),
        ] {
            seen(count, &[KeyValue::new("outcome", outcome)]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for metric in METRICS {
            let name = metric.name;
            assert!(name.starts_with("shiren_"), "{name}");
            let is_counter = metric.kind == Kind::Counter;
            assert_eq!(name.ends_with("_total"), is_counter, "{name}");
            let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(
                is_name(name) && metric.labels.iter().all(|l| is_name(l)),
                "{name}"
            );
            assert!(metric.meaning.ends_with('.'), "{name}");
        }
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }

    #[test]
    fn a_code_of_another_program_is_no_label_of_its_own() {
        assert_eq!(code_label("stage_failed"), "stage_failed");
        assert_eq!(code_label("person-4711"), "other");
    }
}
