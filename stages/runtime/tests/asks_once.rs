//! What must not be asked twice, on a real log: the intent is committed before the ask, and whoever finds it does not ask.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shiren_contract::asking::{AskFailure, AskingStage, Port};
use shiren_contract::codes;
use shiren_contract::stage::{Arrival, Input, Outcome, Rejection, Stage, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_log::{Log, WorkerOptions};
use shiren_runtime::{AskBounds, IntentBounds, Registry, RuntimeError, Summary};
use shiren_schemas::records::{AskIntent, Decision, RequestKind, StillCase};
use shiren_schemas::{Wire, ids};
use support::{REQUESTS, Site, envelope};

const KINDS: &[RequestKind] = &[RequestKind::Detect];
const GROUP: &str = "shiren.head.interactive";

/// Makes a case of each record; the same bytes are the same case.
struct Head;

impl Stage for Head {
    type Input = Arrival;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "head",
        kinds: KINDS,
        input: <Arrival as Input>::SCHEMA,
        outputs: &[StillCase::NAME],
        checks: &[],
        state: None,
        is_rekeyed: false,
    };

    fn process(&mut self, arrival: Arrival) -> Outcome {
        let word = String::from_utf8(arrival.value.unwrap().to_vec()).unwrap();
        let mut envelope = envelope(ids::case("default", &word), arrival.append_time_us);
        envelope.request_id = word;
        Outcome::next(StillCase {
            envelope,
            pictures: Vec::new(),
            search: None,
            command: None,
            claim: None,
        })
    }
}

/// Asks for each case and ends it with the reply.
struct Toll;

impl AskingStage for Toll {
    type Input = StillCase;
    type Ask = String;
    type Reply = String;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "toll",
        kinds: KINDS,
        input: StillCase::NAME,
        outputs: &[],
        checks: &[],
        state: Some(AskIntent::NAME),
        is_rekeyed: false,
    };

    fn ask(&mut self, case: &StillCase) -> Option<String> {
        Some(case.envelope.request_id.clone())
    }

    fn decide(&mut self, case: StillCase, reply: Option<Result<String, AskFailure>>) -> Outcome {
        Outcome::terminal(match reply.unwrap() {
            Ok(reply) => {
                let mut terminal = Terminal::new(case.envelope, Decision::Done);
                terminal.reason_codes.push(reply);
                terminal
            }
            Err(failure) => {
                let rejection = Rejection::new(failure.code, failure.detail);
                Terminal::error(case.envelope, "toll", rejection, None)
            }
        })
    }
}

/// Takes note of each ask.
struct Gate {
    log: Arc<dyn Log>,
    asked: Mutex<Vec<String>>,
    /// What lies in the changelog when it is asked.
    kept: Mutex<Vec<usize>>,
    honours: bool,
}

impl Gate {
    fn new(site: &Site) -> Self {
        Self {
            log: site.log.clone(),
            asked: Mutex::default(),
            kept: Mutex::default(),
            honours: false,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Somebody else opens the worker's end of the log: its next commit is fenced.
    fn fence(&self) {
        let options = WorkerOptions {
            group: GROUP.to_owned(),
            transactional_id: format!("{GROUP}-0"),
            topics: vec![REQUESTS.to_owned()],
            slot: 0,
            slots: 1,
            bundle_max_records: 1,
            bundle_max_bytes: 1 << 20,
            poll_max_wait: Duration::from_millis(5),
            queue_max_bytes: 1 << 20,
        };
        drop(self.log.worker(options).unwrap());
    }
}

impl Port<String, String> for Gate {
    fn ask(&self, asks: &[&String], _: Instant) -> Vec<Result<String, AskFailure>> {
        let mut kept = 0;
        let each = &mut |record: shiren_log::Record| {
            kept += usize::from(record.key.is_some_and(|key| key.contains(&b'/')));
        };
        let topic = "shiren.state.toll.interactive";
        self.log.read_partitions(topic, &[0, 1], each).unwrap();
        self.kept.lock().unwrap().push(kept);
        let mut asked = self.asked.lock().unwrap();
        asked.extend(asks.iter().map(|ask| (*ask).clone()));
        if *asked == ["fenced"] {
            self.fence();
        }
        let reply = |ask: &&String| match ask.as_str() {
            "down" => Err(AskFailure::transient(
                codes::AUTHORITY_UNAVAILABLE,
                "it is away",
            )),
            word => Ok(word.to_uppercase()),
        };
        asks.iter().map(reply).collect()
    }

    fn may_repeat(&self) -> bool {
        self.honours
    }
}

fn run_until(site: &Site, gate: &Arc<Gate>, count: usize) -> Result<Summary, RuntimeError> {
    let bounds = AskBounds {
        max_wait: Duration::from_secs(5),
        call_max_wait: Duration::from_secs(5),
        max_attempts: 3,
        backoff: Duration::from_millis(1),
        breaker_max_failures: 10,
        breaker_pause: Duration::from_millis(1),
        max_calls: 1,
    };
    let intents = IntentBounds {
        state: site.bounds,
        ttl: Duration::from_secs(60),
    };
    let registry =
        Registry::new()
            .with(|| Ok(Head))
            .with_asking_once(gate.clone(), bounds, intents, || Ok(Toll));
    site.run_until(registry, count)
}

#[test]
fn the_log_holds_each_ask_before_it_is_made() {
    let site = Site::new(&["head", "toll"]);
    let gate = Arc::new(Gate::new(&site));
    site.publish(0, &["a", "b"]);
    run_until(&site, &gate, 2).unwrap();
    assert_eq!(site.reasons(), ["A", "B"]);
    assert_eq!(gate.asked(), ["a", "b"]);
    // By what lay there at each call: the intents of all that it asked, in one or two bundles.
    assert_eq!(gate.kept.lock().unwrap().last(), Some(&2));
    // They belong to no offset: the stage may be moved to another segment.
    let changelog = site.changelog(0);
    let keys: Vec<&str> = changelog.keys().map(String::as_str).collect();
    let mut expected = ["a", "b"].map(|word| format!("/{}", ids::case("default", word)));
    expected.sort();
    assert_eq!(keys, expected);
}

#[test]
fn a_worker_that_is_lost_between_ask_and_commit_leaves_an_unknown_outcome_and_no_second_ask() {
    let site = Site::new(&["head", "toll"]);
    let gate = Arc::new(Gate::new(&site));
    site.publish(0, &["fenced"]);
    let summary = run_until(&site, &gate, 1).unwrap();
    assert_eq!(site.reasons(), ["outcome_unknown"]);
    assert_eq!(gate.asked(), ["fenced"]);
    assert_eq!(summary.rebuilds, 1);
    // Nothing of that is in the way of others.
    site.publish(0, &["next"]);
    run_until(&site, &gate, 2).unwrap();
    assert_eq!(site.reasons(), ["outcome_unknown", "NEXT"]);
}

#[test]
fn a_case_that_comes_twice_is_asked_once() {
    let site = Site::new(&["head", "toll"]);
    let gate = Arc::new(Gate::new(&site));
    site.publish(0, &["a", "a"]);
    run_until(&site, &gate, 2).unwrap();
    site.publish(0, &["a"]);
    run_until(&site, &gate, 3).unwrap();
    assert_eq!(gate.asked(), ["a"]);
    let mut reasons = site.reasons();
    reasons.sort();
    assert_eq!(reasons, ["A", "outcome_unknown", "outcome_unknown"]);
}

#[test]
fn a_failure_that_may_be_over_soon_is_not_tried_again() {
    let site = Site::new(&["head", "toll"]);
    let gate = Arc::new(Gate::new(&site));
    site.publish(1, &["down"]);
    run_until(&site, &gate, 1).unwrap();
    assert_eq!(site.reasons(), ["authority_unavailable"]);
    assert_eq!(gate.asked(), ["down"]);
}

#[test]
fn what_may_be_asked_again_is_not_kept() {
    let site = Site::new(&["head", "toll"]);
    let mut gate = Gate::new(&site);
    gate.honours = true;
    let gate = Arc::new(gate);
    site.publish(0, &["fenced"]);
    run_until(&site, &gate, 1).unwrap();
    assert_eq!(site.reasons(), ["FENCED"]);
    assert_eq!(gate.asked(), ["fenced", "fenced"]);
    assert!(site.changelog(0).is_empty());
}
