//! Attempts by data: tests/cases/attempts.toml.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use shiren_contract::keyed::{KeyedStage, Memory, State};
use shiren_contract::stage::Outcome;
use shiren_identity_limit::{Config, IdentityLimit, key};
use shiren_schemas::Id;
use shiren_schemas::records::{
    Decision, Envelope, IdentityAttempts, IdentityClaim, PersonalText, Request, RequestKind,
    TemplateCase,
};

const NUMBER: &str = "110199199003071239";
const WINDOW_S: i64 = 60;
/// 2026-11-29.
const START_S: i64 = 1_795_910_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    attempts: Vec<Attempt>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attempt {
    at_s: i64,
    case: Option<u8>,
    number: Option<String>,
    tenant: Option<String>,
    passes: bool,
}

fn config() -> Config {
    Config {
        max_attempts: 2,
        window_us: WINDOW_S * 1_000_000,
        // Not a hash: the test is to see what is hashed.
        hash: Arc::new(|number: &str| format!("<{number}>")),
    }
}

fn case(id: u8, attempt: &Attempt) -> TemplateCase {
    let number = attempt.number.as_deref().unwrap_or(NUMBER);
    TemplateCase {
        envelope: Envelope {
            record_id: Id([2; 16]),
            tenant: attempt
                .tenant
                .clone()
                .unwrap_or_else(|| "default".to_owned()),
            ..Envelope::new(
                Id([id; 16]),
                &Request::new("r", RequestKind::Verify),
                (START_S + attempt.at_s) * 1_000_000,
            )
        },
        pictures: Vec::new(),
        checks: Vec::new(),
        reason_codes: vec!["quality_not_checked".to_owned()],
        models: Vec::new(),
        search: None,
        command: None,
        claim: Some(IdentityClaim {
            name: PersonalText::new("样本一"),
            number: PersonalText::new(number),
            valid_from: None,
            valid_to: None,
        }),
    }
}

/// What the stage makes of a case; what it remembers is kept as the runtime keeps it.
fn step(
    stage: &mut IdentityLimit,
    kept: &mut BTreeMap<String, IdentityAttempts>,
    case: TemplateCase,
) -> Outcome {
    let mut memory = Memory::new(kept);
    let outcome = stage.process(case, &mut memory);
    for (key, state) in memory.into_changes() {
        kept.insert(key.to_string(), state.unwrap());
    }
    outcome
}

#[test]
fn attempts_are_counted_by_tenant_and_number() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/attempts.toml");
    let rows: Rows = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(rows.row.len() >= 6);
    for row in &rows.row {
        let mut stage = IdentityLimit::new(config());
        let mut kept = BTreeMap::new();
        for (at, attempt) in row.attempts.iter().enumerate() {
            let id = attempt
                .case
                .unwrap_or_else(|| u8::try_from(100 + at).unwrap());
            let given = case(id, attempt);
            let what = format!("{}, attempt {}", row.name, at + 1);
            match step(&mut stage, &mut kept, given.clone()) {
                Outcome::Next(outs) => {
                    assert!(attempt.passes, "{what}");
                    let out = outs.first().message.as_any().downcast_ref();
                    assert_eq!(out, Some(&given), "{what}: it goes on unchanged");
                }
                Outcome::Terminal(terminal) => {
                    assert!(!attempt.passes, "{what}");
                    assert_eq!(terminal.decision, Decision::Error, "{what}");
                    let reasons = ["identity_limit_exceeded", "quality_not_checked"];
                    assert_eq!(terminal.reason_codes, reasons, "{what}");
                    assert!(!format!("{terminal:?}").contains(NUMBER), "{what}");
                }
                _ => panic!("{what}: neither goes on nor ends"),
            }
            // Bounded, and forgotten only when the last attempt has left the window.
            for state in kept.values() {
                assert!(state.attempts.len() <= 2, "{what}");
                let last = state.attempts.iter().map(|a| a.time).max().unwrap();
                assert_eq!(state.due_us(), last + WINDOW_S * 1_000_000, "{what}");
            }
        }
    }
}

#[test]
fn a_key_is_of_tenant_and_canonical_number() {
    let attempt = Attempt {
        at_s: 0,
        case: None,
        number: Some("11019919900307101x".to_owned()),
        tenant: None,
        passes: true,
    };
    let mut case = case(1, &attempt);
    let hash = config().hash;
    let of = |case: &TemplateCase| key(case, hash.as_ref());
    assert_eq!(of(&case).as_deref(), Some("default/<11019919900307101X>"));
    case.claim = None;
    assert_eq!(of(&case), None);
}

#[test]
fn a_case_without_a_number_is_a_fault_and_no_pass() {
    let attempt = Attempt {
        at_s: 0,
        case: None,
        number: Some("1".to_owned()),
        tenant: None,
        passes: false,
    };
    let mut stage = IdentityLimit::new(config());
    let outcome = step(&mut stage, &mut BTreeMap::new(), case(1, &attempt));
    let Outcome::Terminal(terminal) = outcome else {
        panic!("it must not go on");
    };
    assert_eq!(terminal.faults[0].code, "stage_failed");
}
