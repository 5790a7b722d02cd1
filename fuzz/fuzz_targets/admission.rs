//! An arbitrary record before admit: one outcome, the same each time, and what is refused is never an `accept`.
//!
//! Byte 0 picks the topic, byte 1 how much of the record is put right (frame, key, partition): with none of it almost
//! everything ends at the first check.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use shiren_admit::{Admit, Config, QuestionBounds};
use shiren_contract::keyed::{KeyedStage, Memory};
use shiren_contract::policies::Policies;
use shiren_contract::policy::Scene;
use shiren_contract::stage::{Arrival, Outcome};
use shiren_fuzz::{request, seed};
use shiren_schemas::records::{Decision, LedgerEntry, Request, RequestKind};
use shiren_schemas::{Wire, keys};

const TOPICS: [&str; 5] = [
    "shiren.default.requests.interactive",
    "shiren.default.requests.bulk",
    "shiren.default.library-commands",
    "shiren.other.requests.interactive",
    "shiren.default.verdicts",
];
const PARTITIONS: i32 = 12;

static POLICIES: LazyLock<Policies> = LazyLock::new(|| {
    let scene = Scene {
        requires: vec!["comparison".to_owned()],
        target_fmr: 0.001,
        target_fpir: Some(0.01),
        min_margin: 0.0,
        allow_extrapolated: None,
        allow_advisory: None,
        expires_after_ms: 60_000,
        request_ttl_ms: 3_600_000,
        deadline_ms: None,
        min_face_px: 40,
    };
    let scenes = BTreeMap::from([("default".to_owned(), scene)]);
    Policies::seeded(&["default".to_owned()], &scenes)
});

fn admit() -> Admit {
    Admit::new(Config {
        kinds: RequestKind::ALL.iter().copied().collect(),
        policies: POLICIES.clone(),
        questions: QuestionBounds {
            libraries_max: 16,
            persons_max: 20,
        },
        deadline_max_ms: 600_000,
    })
}

fn arrival(topic: u8, right: u8, rest: &[u8]) -> Arrival {
    let value = if right & 1 == 0 {
        rest.to_vec()
    } else {
        [&[0xC3, 0x01][..], &Request::schemas().fingerprint(), rest].concat()
    };
    let key = Request::decode(&value)
        .ok()
        .filter(|_| right & 2 != 0)
        .map(|r| match &r.command {
            Some(command) => keys::library("default", command.library),
            None => keys::request("default", &r.request_id),
        });
    let key = key.map(|key| Bytes::from(key.into_bytes()));
    let partition = match &key {
        Some(key) if right & 4 != 0 => keys::partition(key, PARTITIONS),
        _ => 3,
    };
    Arrival {
        topic: TOPICS[usize::from(topic) % TOPICS.len()].into(),
        partition,
        partitions: PARTITIONS,
        offset: 7,
        append_time_us: 1_795_860_000_000_000,
        key,
        value: (right & 8 == 0).then(|| value.into()),
    }
}

/// What admit makes of it; what it remembers is kept.
fn processed(arrival: Arrival, ledger: &mut BTreeMap<String, LedgerEntry>) -> Outcome {
    let mut memory = Memory::new(ledger);
    let outcome = admit().process(arrival, &mut memory);
    for (key, entry) in memory.into_changes() {
        match entry {
            Some(entry) => drop(ledger.insert(key.to_string(), entry)),
            None => drop(ledger.remove(&*key)),
        }
    }
    outcome
}

/// What came of it, as text and bytes that can be compared. One that was entered is absorbed when it comes again.
fn outcome(arrival: Arrival) -> (String, Vec<u8>) {
    let tenant = arrival
        .topic
        .split('.')
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let mut ledger = BTreeMap::new();
    let first = processed(arrival.clone(), &mut ledger);
    if !ledger.is_empty() {
        let again = processed(arrival, &mut ledger);
        assert!(matches!(again, Outcome::Absorbed(_)), "answered twice");
    }
    match first {
        Outcome::Absorbed(_) => panic!("nothing came before it"),
        Outcome::DeadLetter(rejection) => (format!("dead letter {rejection:?}"), Vec::new()),
        Outcome::Terminal(terminal) => {
            assert_eq!(terminal.decision, Decision::Error, "admit judges nobody");
            assert!(
                !terminal.reason_codes.is_empty(),
                "refused without a reason"
            );
            (format!("terminal {terminal:?}"), Vec::new())
        }
        Outcome::Next(outs) => {
            assert_eq!(outs.len(), 1);
            let out = outs.head.message;
            let envelope = out.envelope();
            assert_eq!(envelope.tenant, tenant);
            assert!((1..=128).contains(&envelope.request_id.len()));
            assert!(envelope.policy_version > 0, "no policy would judge it");
            ("next".to_owned(), out.encode().expect("a record"))
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let kinds = RequestKind::ALL.iter();
    kinds
        .map(|kind| {
            let commands = matches!(kind, RequestKind::Enrol | RequestKind::Unenrol);
            let topic = if commands { 2 } else { 0 };
            let body = request(*kind).encode_body().expect("a record");
            [&[topic, 7][..], &body].concat()
        })
        .chain((0..TOPICS.len()).map(|topic| vec![topic as u8, 8]))
        .collect()
}

fuzz_target!(init: seed(seeds()), |data: &[u8]| {
    if let [topic, right, rest @ ..] = data {
        let arrival = arrival(*topic, *right, rest);
        assert_eq!(outcome(arrival.clone()), outcome(arrival));
    }
});
