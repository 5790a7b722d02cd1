//! Attempts on one identity number, whatever partitions its requests lie in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{run, site};
use shiren_log::{Record, Start};
use shiren_schemas::keys;
use shiren_schemas::records::Decision;

use crate::verify::{Place, numbers, request};

/// In the chain, and at the head of a segment with the stage behind it.
const CHAIN: (&str, &str) = (
    "\"enrol\", \"authority-verify\"]\n\n[log]",
    "\"enrol\", \"identity-limit\", \"authority-verify\"]\n\n[log]",
);
const SEGMENT: (&str, &str) = (
    "\"enrol\", \"authority-verify\"]\nworkers = 1 ",
    "\"enrol\"]\n[segment.verify]\nstages = [\"identity-limit\", \"authority-verify\"]\nworkers = 1 ",
);
const MAX_ATTEMPTS: usize = 3;
const ATTEMPTS: usize = 8;

fn all_of(place: &Place, topic: &str) -> Vec<Record> {
    let mut reader = place.log.reader(topic, Start::Beginning).unwrap();
    let mut all = Vec::new();
    while !reader.at_end().unwrap() {
        all.extend(reader.read(100, Duration::from_millis(50)).unwrap());
    }
    all
}

#[test]
fn attempts_on_one_number_are_limited_across_partitions_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("limit.key");
    let settings =
        format!("[identity_limit]\nmax_attempts = {MAX_ATTEMPTS}\nkey_file = {key:?}\n[register] ");
    let place = Place::with_register(&[
        site::LARGE_FACES,
        CHAIN,
        SEGMENT,
        ("[register] ", settings.as_str()),
    ]);
    let start = || {
        let mut command = processes::on_embedded(&place.path("topology.toml"));
        command.arg("run");
        Worker::launch(command, "verify")
    };
    // Without its key nothing begins, and the message says how to make one.
    let refused = start().await_failure();
    assert!(refused.contains("shiren vault make-key"), "{refused}");
    place.shiren(&["vault", "make-key", key.to_str().unwrap()], "");

    let [one, two, ..] = numbers();
    let publish = |ids: std::ops::Range<usize>| {
        let mut requests: Vec<_> = ids
            .clone()
            .map(|n| request(&format!("attempt-{n}"), "样本一", &one, "obama2.jpg"))
            .collect();
        let other = format!("other-{}", ids.start);
        requests.push(request(&other, "样本二", &two, "obama2.jpg"));
        run::publish(place.log.as_ref(), &requests);
    };
    // Half of them before the worker is another process.
    publish(0..ATTEMPTS / 2);
    let worker = start().ready();
    let _ = run::verdicts(place.log.as_ref(), ATTEMPTS / 2 + 1);
    worker.drain();
    publish(ATTEMPTS / 2..ATTEMPTS);
    let worker = start().ready();
    let verdicts = run::verdicts(place.log.as_ref(), ATTEMPTS + 2);
    worker.drain();

    let mut ends: BTreeMap<&str, Vec<Decision>> = BTreeMap::new();
    for verdict in &verdicts {
        let (id, end) = (verdict.observed.request_id.as_str(), &verdict.canonical);
        let whose = id.split('-').next().unwrap();
        ends.entry(whose).or_default().push(end.decision);
        if end.decision == Decision::Error && whose == "attempt" {
            assert_eq!(end.reason_codes[0], "identity_limit_exceeded", "{end:?}");
        }
    }
    let count = |whose: &str, decision| ends[whose].iter().filter(|d| **d == decision).count();
    assert_eq!(count("attempt", Decision::Accept), MAX_ATTEMPTS, "{ends:?}");
    let over = ATTEMPTS - MAX_ATTEMPTS;
    assert_eq!(count("attempt", Decision::Error), over, "{ends:?}");
    // The other number has no portrait: each of its attempts reached the authority, which said so.
    assert_eq!(count("other", Decision::Error), 2, "{ends:?}");
    let others = verdicts
        .iter()
        .filter(|v| v.observed.request_id.starts_with("other"));
    for other in others {
        let reasons = &other.canonical.reason_codes;
        assert!(reasons.contains(&"portrait_missing_at_authority".to_owned()));
    }

    // They came from several partitions into one a number, and the key says nothing of the number.
    let ingress = all_of(&place, "shiren.default.requests.interactive");
    let partitions: BTreeSet<i32> = ingress.iter().map(|r| r.partition).collect();
    assert!(partitions.len() > 2, "{partitions:?}");
    let rekeyed = all_of(&place, "shiren.identity-limit.interactive");
    assert_eq!(rekeyed.len(), ATTEMPTS + 2);
    let places: BTreeSet<_> = rekeyed
        .iter()
        .map(|r| (r.key.clone().unwrap(), r.partition))
        .collect();
    assert_eq!(places.len(), 2, "a key and a partition for each number");
    for (key, _) in &places {
        let key = std::str::from_utf8(key).unwrap();
        let hash = key.strip_prefix("default/").unwrap();
        assert_eq!(hash.len(), 32);
        assert!(hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    // Behind it a case has its own key again.
    for verdict in all_of(&place, "shiren.default.verdicts") {
        let key = verdict.key.unwrap();
        let is_known = verdicts.iter().any(|known| {
            keys::request("default", &known.observed.request_id).as_bytes() == key.as_ref()
        });
        assert!(is_known, "{key:?}");
    }
}

#[test]
fn it_must_begin_a_segment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("topology.toml");
    let inside = (
        "\"enrol\", \"authority-verify\"]",
        "\"enrol\", \"identity-limit\", \"authority-verify\"]",
    );
    let text = site::topology(&[inside]);
    std::fs::write(&file, text).unwrap();
    let output = processes::on_embedded(&file)
        .arg("validate")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        said.contains("rekeyed_not_first")
            && said.contains("begin a segment with \"identity-limit\""),
        "{said}"
    );
}
