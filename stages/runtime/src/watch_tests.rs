use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::Registry;
use shiren_log::Record;
use shiren_schemas::records::{CanonicalVerdict, Decision, Lane, Mode, RequestKind};
use shiren_schemas::{Sha256, ids};

use super::*;
use crate::health::Health;
use crate::metrics::Instruments;

/// A watch whose counters can be read.
struct Watched {
    registry: Registry,
    _provider: SdkMeterProvider,
    health: Health,
    watch: Watch,
}

impl Watched {
    fn new() -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_counter_suffixes()
            .without_units()
            .build()
            .unwrap();
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let health = Health::new();
        let meter = provider.meter("test");
        let instruments = Instruments::new(&meter, &health, 0, Arc::default());
        let pulse = health.worker("front", Lane::Interactive, 0);
        let of = instruments.of_worker("front", Lane::Interactive);
        Self {
            registry,
            _provider: provider,
            health,
            watch: Watch::new(of, pulse, true, WatchBounds::default()),
        }
    }

    /// The sum over the series of a counter that have this label.
    fn count(&self, name: &str, label: (&str, &str)) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.unwrap().get_metric().iter();
        let fits = metrics.filter(|metric| {
            let mut labels = metric.get_label().iter();
            labels.any(|l| (l.name(), l.value()) == label)
        });
        fits.map(|metric| metric.get_counter().get_value()).sum()
    }

    fn violations(&self, invariant: &str) -> f64 {
        self.count(
            "shiren_invariant_violations_total",
            ("invariant", invariant),
        )
    }
}

fn bundle(offsets: &[i64]) -> Bundle {
    let record = |offset: &i64| Record {
        topic: "in".into(),
        partition: 3,
        offset: *offset,
        append_time_us: 0,
        key: None,
        value: None,
        headers: Vec::new(),
    };
    Bundle {
        records: offsets.iter().map(record).collect(),
        generation: 1,
    }
}

fn verdict(request: &str, sha256: Sha256) -> End {
    let case = ids::case("shiren.default.requests.interactive", request);
    let canonical = CanonicalVerdict {
        verdict_id: ids::verdict(case),
        case_id: case,
        tenant: "default".to_owned(),
        kind: RequestKind::Compare,
        scene: "default".to_owned(),
        mode: Mode::Live,
        decision: Decision::Error,
        reason_codes: vec!["no_face".to_owned()],
        checks: Vec::new(),
        matched_subject: None,
        reference_kind: None,
        authority_source: None,
        policy_version: 1,
        model_hashes: Vec::new(),
    };
    End::Verdict {
        canonical: Box::new(canonical),
        sha256,
        took_us: 1_000,
    }
}

const FRONT: (&str, &str) = ("segment", "front");

#[test]
fn what_is_committed_is_counted_and_what_is_committed_again_too() {
    let mut watched = Watched::new();
    let (one, other) = (Sha256([1; 32]), Sha256([2; 32]));
    let dead = End::DeadLetter {
        code: Some("avro_unreadable"),
    };
    let ends = [verdict("a", one), verdict("b", one), dead];
    assert!(watched.watch.read(&bundle(&[0, 1, 2])));
    watched
        .watch
        .committed(&bundle(&[0, 1, 2]).records, &ends, 1);
    let count = |watched: &Watched, name| watched.count(name, FRONT);
    assert_eq!(count(&watched, "shiren_records_total"), 3.0);
    assert_eq!(count(&watched, "shiren_verdicts_total"), 2.0);
    assert_eq!(count(&watched, "shiren_dead_letters_total"), 1.0);
    assert_eq!(count(&watched, "shiren_bad_trace_headers_total"), 1.0);
    assert_eq!(count(&watched, "shiren_duplicate_verdicts_total"), 0.0);
    let unreadable = ("code", "avro_unreadable");
    assert_eq!(watched.count("shiren_reason_codes_total", unreadable), 1.0);

    watched
        .watch
        .committed(&bundle(&[3]).records, &[verdict("a", one)], 0);
    assert_eq!(count(&watched, "shiren_duplicate_verdicts_total"), 1.0);
    assert_eq!(watched.violations("one_terminal_per_case"), 0.0);
    watched
        .watch
        .committed(&bundle(&[4]).records, &[verdict("b", other)], 0);
    assert_eq!(count(&watched, "shiren_duplicate_verdicts_total"), 2.0);
    assert_eq!(watched.violations("one_terminal_per_case"), 1.0);
}

#[test]
fn a_bundle_that_is_not_due_is_refused_and_counted() {
    let mut watched = Watched::new();
    assert!(watched.watch.read(&bundle(&[0, 1])));
    watched.watch.committed(&bundle(&[0, 1]).records, &[], 0);
    assert!(!watched.watch.read(&bundle(&[3])), "2 was left out");
    assert!(!watched.watch.read(&bundle(&[1])), "again");
    assert_eq!(watched.violations("offsets_never_skip"), 2.0);
    // Opened anew, it goes on at the committed offset, whatever that is.
    watched.watch.opened(Phase::Ready);
    assert!(watched.watch.read(&bundle(&[9])));
    let mut assigned = bundle(&[4]);
    assigned.generation = 2;
    assert!(watched.watch.read(&assigned), "another assignment");
    assert_eq!(watched.violations("offsets_never_skip"), 2.0);
}

#[test]
fn commits_are_counted_by_their_outcome_and_a_rebuild_is_told() {
    let mut watched = Watched::new();
    let outcomes = [Commit::Done, Commit::Retry, Commit::Done, Commit::Revoked];
    for outcome in outcomes {
        watched.watch.tried(&Ok(outcome));
    }
    let unknown = LogError::UnknownTopic {
        topic: "in".to_owned(),
    };
    watched.watch.tried(&Err(unknown));
    let count = |outcome| watched.count("shiren_commits_total", ("outcome", outcome));
    let outcomes = ["done", "retry", "revoked", "rebuild", "failed"];
    assert_eq!(outcomes.map(count), [2.0, 1.0, 1.0, 0.0, 1.0]);
    watched.watch.opened(Phase::Ready);
    assert_eq!(watched.health.workers()[0].phase, Phase::Ready);
    watched.watch.rebuilt("the log does not answer");
    let worker = &watched.health.workers()[0];
    assert_eq!(worker.phase, Phase::Starting);
    assert_eq!(worker.reason, "the log does not answer");
    assert_eq!(watched.count("shiren_worker_rebuilds_total", FRONT), 1.0);
}
