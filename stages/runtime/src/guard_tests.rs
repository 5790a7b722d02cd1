use std::collections::BTreeMap;

use shiren_contract::codes::Code;
use shiren_contract::policies::Policies;
use shiren_contract::policy::{self, Scene, check};
use shiren_schemas::ids;
use shiren_schemas::records::{CheckState, Envelope, Lane, Request, RequestKind};

use super::*;
use crate::emission::Rekeys;
use crate::metrics::Instruments;

/// When the case came, microseconds.
const RECEIVED_US: i64 = 1_000_000;
const DEADLINE_MS: i32 = 5;

fn emitter() -> Emitter {
    let scene = Scene {
        requires: vec![policy::COMPARISON.to_owned(), policy::LIVENESS.to_owned()],
        target_fmr: 0.001,
        target_fpir: None,
        min_margin: 0.0,
        allow_extrapolated: None,
        allow_advisory: None,
        expires_after_ms: 60_000,
        request_ttl_ms: 1_000,
        deadline_ms: None,
        min_face_px: 40,
    };
    let scenes = BTreeMap::from([("default".to_owned(), scene)]);
    Emitter {
        lane: Lane::Interactive,
        tenants: vec!["default".to_owned()],
        policies: Policies::seeded(&["default".to_owned()], &scenes),
        vault: None,
        default_expires_after_ms: 0,
        capture_max_skew_ms: 300_000,
        host: String::new(),
        layout: "front".to_owned(),
        rekeys: Rekeys::default(),
        dead_letters_head_max_bytes: 0,
        max_record_bytes: 1 << 20,
        instruments: Instruments::default(),
    }
}

fn accepted(states: &[(&str, CheckState)]) -> Terminal {
    let case = ids::case("shiren.default.requests.interactive", "request");
    let envelope = Envelope {
        deadline_ms: Some(DEADLINE_MS),
        ..Envelope::new(
            case,
            &Request::new("request", RequestKind::Compare),
            RECEIVED_US,
        )
    };
    let mut terminal = Terminal::new(envelope, Decision::Accept);
    let checks = states.iter().map(|(name, state)| check(name, *state, None));
    terminal.checks = checks.collect();
    terminal
}

const BOTH: [(&str, CheckState); 2] = [
    (policy::COMPARISON, CheckState::Passed),
    (policy::LIVENESS, CheckState::Passed),
];

/// Decision and code that the terminal is written with, one microsecond after its arrival.
fn written(terminal: Terminal) -> (Decision, Vec<String>) {
    let end = emitter().guarded(terminal, RECEIVED_US + 1);
    (end.decision, end.reason_codes)
}

fn error(code: Code) -> (Decision, Vec<String>) {
    (Decision::Error, vec![code.id.to_owned()])
}

#[test]
fn an_accept_with_all_it_needs_stands() {
    assert_eq!(written(accepted(&BOTH)), (Decision::Accept, Vec::new()));
}

#[test]
fn an_accept_that_must_not_be_is_written_as_an_error() {
    let violated = error(codes::INVARIANT_VIOLATED);
    assert_eq!(written(accepted(&BOTH[..1])), violated, "not checked");
    let failed = [BOTH[0], (policy::LIVENESS, CheckState::Failed)];
    assert_eq!(written(accepted(&failed)), violated, "failed");
    let mut unknown = accepted(&BOTH);
    unknown.envelope.policy_version = 2;
    assert_eq!(written(unknown), violated, "policy not known");
    let mut other = accepted(&BOTH);
    other.envelope.kind = RequestKind::Detect;
    assert_eq!(written(other), violated, "it asks nothing");
    let mut faulty = accepted(&BOTH);
    let fault = Rejection::new(codes::STAGE_FAILED, "");
    faulty.faults = Terminal::error(faulty.envelope.clone(), "match", fault, None).faults;
    let end = emitter().guarded(faulty, RECEIVED_US + 1);
    assert_eq!((end.decision, end.dead_letter), (Decision::Error, true));
}

#[test]
fn nothing_is_accepted_after_its_deadline() {
    let deadline_us = RECEIVED_US + i64::from(DEADLINE_MS) * 1000;
    let at = |now_us| {
        let end = emitter().guarded(accepted(&BOTH), now_us);
        (end.decision, end.reason_codes)
    };
    assert_eq!(at(deadline_us).0, Decision::Accept);
    assert_eq!(at(deadline_us + 1), error(codes::DEADLINE_EXCEEDED));
    let mut late = accepted(&BOTH);
    late.decision = Decision::Reject;
    let end = emitter().guarded(late, deadline_us + 1);
    assert_eq!(end.decision, Decision::Reject, "a no may come late");
}
