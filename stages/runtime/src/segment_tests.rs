//! Bundles through a segment with a stage that asks.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use shiren_contract::asking::{AskFailure, AskingStage, Port};
use shiren_contract::codes;
use shiren_contract::stage::{Arrival, Input, Outcome, Rejection, Stage, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_schemas::records::{Decision, Envelope, Lane, Request, RequestKind, StillCase};
use shiren_schemas::{Wire, ids};

use super::*;
use crate::asker::AskBounds;
use crate::segment::Alone;

const KINDS: &[RequestKind] = &[RequestKind::Detect, RequestKind::Search];

/// Makes a case of each record; its request id is the record's value.
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
        let id = String::from_utf8(arrival.value.unwrap_or_default().to_vec()).unwrap();
        Outcome::next(StillCase {
            envelope: envelope(&id, arrival.append_time_us),
            pictures: Vec::new(),
            search: None,
            command: None,
            claim: None,
        })
    }
}

/// Asks for all but those whose id begins with `plain`.
struct Asker;

impl AskingStage for Asker {
    type Input = StillCase;
    type Ask = String;
    type Reply = String;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "asker",
        kinds: KINDS,
        input: StillCase::NAME,
        outputs: &[],
        checks: &[],
        state: None,
        is_rekeyed: false,
    };

    fn ask(&mut self, case: &StillCase) -> Option<String> {
        let id = &case.envelope.request_id;
        (!id.starts_with("plain")).then(|| id.clone())
    }

    fn decide(&mut self, case: StillCase, reply: Option<Result<String, AskFailure>>) -> Outcome {
        assert!(case.envelope.request_id != "torn", "it panics on purpose");
        let mut terminal = Terminal::new(case.envelope, Decision::Done);
        match reply {
            None => terminal.reason_codes.push("not asked".to_owned()),
            Some(Ok(reply)) => terminal.reason_codes.push(reply),
            Some(Err(failure)) => {
                let rejection = Rejection::new(failure.code, failure.detail);
                terminal = Terminal::error(terminal.envelope, "asker", rejection, None);
            }
        }
        Outcome::terminal(terminal)
    }
}

/// Answers in capitals, and keeps what it was asked; fails while `failures` are left.
#[derive(Default)]
struct Capitals {
    rounds: Mutex<Vec<Vec<String>>>,
    failures: Mutex<u32>,
}

impl Port<String, String> for Capitals {
    fn ask(&self, asks: &[&String], _deadline: Instant) -> Vec<Result<String, AskFailure>> {
        let asks: Vec<String> = asks.iter().map(|ask| (*ask).clone()).collect();
        self.rounds.lock().unwrap().push(asks.clone());
        let mut failures = self.failures.lock().unwrap();
        let down = *failures > 0;
        *failures = failures.saturating_sub(1);
        let answer = |ask: String| match down {
            true => Err(AskFailure::transient(codes::MODEL_FAILED, "down")),
            false => Ok(ask.to_uppercase()),
        };
        asks.into_iter().map(answer).collect()
    }
}

fn envelope(request_id: &str, received_time: i64) -> Envelope {
    let case = ids::case("shiren.default.requests.interactive", request_id);
    Envelope {
        lane: if request_id.starts_with("bulk") {
            Lane::Bulk
        } else {
            Lane::Interactive
        },
        ..Envelope::new(
            case,
            &Request::new(request_id, RequestKind::Detect),
            received_time,
        )
    }
}

fn segment(port: &Arc<Capitals>) -> Segment {
    let bounds = AskBounds {
        max_wait: Duration::from_secs(20),
        call_max_wait: Duration::from_secs(5),
        max_attempts: 3,
        backoff: Duration::from_millis(1),
        breaker_max_failures: 100,
        breaker_pause: Duration::from_secs(1),
        max_calls: 1,
    };
    let port: Arc<dyn Port<String, String>> = port.clone();
    let registry = Registry::new()
        .with(|| Ok(Head))
        .with_asking(port, bounds, || Ok(Asker));
    let chain = ["head".to_owned(), "asker".to_owned()];
    Segment::build(&registry, &chain, &chain).unwrap()
}

fn arrivals(ids: &[&str]) -> Vec<(Arrival, Context)> {
    let arrival = |(offset, id): (usize, &&str)| Arrival {
        topic: "shiren.default.requests.interactive".into(),
        partition: 0,
        partitions: 1,
        offset: offset as i64,
        append_time_us: 1_000_000,
        key: None,
        value: Some(Bytes::copy_from_slice(id.as_bytes())),
    };
    let all = ids.iter().enumerate().map(arrival);
    all.map(|arrival| (arrival, Context::new())).collect()
}

/// Decision and reasons of each record's one end.
fn ends(taken: Taken) -> Vec<(Decision, Vec<String>)> {
    let end = |mut emissions: Vec<Emission>| {
        assert_eq!(emissions.len(), 1);
        match emissions.remove(0) {
            Emission::Closed { terminal, .. } => (terminal.decision, terminal.reason_codes),
            _ => panic!("no end"),
        }
    };
    taken.records.into_iter().map(end).collect()
}

fn go_on(_pause: Duration) -> bool {
    false
}

#[test]
fn a_bundle_asks_once_and_each_record_gets_its_own_reply() {
    let port = Arc::new(Capitals::default());
    let records = arrivals(&["a", "plain", "b", "c"]);
    let bundle = segment(&port).process_bundle(records, 2_000_000, &mut Alone(go_on));
    let reasons: Vec<_> = ends(bundle.unwrap().unwrap())
        .into_iter()
        .map(|end| end.1.join(","))
        .collect();
    assert_eq!(reasons, ["A", "not asked", "B", "C"]);
    assert_eq!(*port.rounds.lock().unwrap(), [["a", "b", "c"]]);
}

#[test]
fn a_failure_of_the_port_ends_each_case_in_an_error() {
    let port = Arc::new(Capitals::default());
    *port.failures.lock().unwrap() = u32::MAX;
    let bundle =
        segment(&port).process_bundle(arrivals(&["a", "plain"]), 2_000_000, &mut Alone(go_on));
    let ends = ends(bundle.unwrap().unwrap());
    assert_eq!(ends[0], (Decision::Error, vec!["model_failed".to_owned()]));
    assert_eq!(ends[1].0, Decision::Done);
    assert_eq!(port.rounds.lock().unwrap().len(), 3);
}

#[test]
fn a_stage_that_panics_on_a_reply_harms_no_neighbour() {
    let port = Arc::new(Capitals::default());
    let bundle =
        segment(&port).process_bundle(arrivals(&["a", "torn", "b"]), 2_000_000, &mut Alone(go_on));
    let ends = ends(bundle.unwrap().unwrap());
    let decisions: Vec<_> = ends.iter().map(|end| end.0).collect();
    assert_eq!(decisions, [Decision::Done, Decision::Error, Decision::Done]);
    assert_eq!(ends[1].1, ["stage_failed"]);
}

#[test]
fn bulk_waits_for_its_dependency_and_a_drain_drops_the_bundle() {
    let port = Arc::new(Capitals::default());
    *port.failures.lock().unwrap() = 10;
    let bundle = segment(&port).process_bundle(arrivals(&["bulk"]), 2_000_000, &mut Alone(go_on));
    assert_eq!(ends(bundle.unwrap().unwrap())[0].1, ["BULK"]);
    assert_eq!(port.rounds.lock().unwrap().len(), 11);
    *port.failures.lock().unwrap() = u32::MAX;
    let drained =
        segment(&port).process_bundle(arrivals(&["bulk"]), 2_000_000, &mut Alone(|_| true));
    assert!(drained.unwrap().is_none());
}
