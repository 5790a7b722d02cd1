//! A process dies between the question to the authority and its answer.

use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{run, site};
use shiren_schemas::records::Decision;

use crate::verify::{Place, numbers, request};

/// A case whose process dies once it was asked, and one behind it: how each ended, and why.
fn asked_and_killed(changes: &[(&str, &str)]) -> Vec<(String, Decision, Vec<String>)> {
    let mut all = vec![site::LARGE_FACES];
    all.extend(changes);
    let place = Place::with_register(&all);
    let [one, ..] = numbers();
    let publish = |id: &str| {
        let asked = request(id, "样本一", &one, "obama2.jpg");
        run::publish(place.log.as_ref(), &[asked]);
    };
    let start = |kill_point: Option<&str>| {
        let mut command = processes::on_embedded(&place.path("topology.toml"));
        command.arg("run");
        if let Some(point) = kill_point {
            command.env("SHIREN_KILL_POINT", point);
        }
        Worker::launch(command, "verify")
    };
    publish("first");
    start(Some("asked@1")).await_kill();
    publish("second");
    let worker = start(None).ready();
    let verdicts = run::verdicts(place.log.as_ref(), 2);
    worker.drain();
    let mut ends: Vec<_> = verdicts
        .into_iter()
        .map(|verdict| {
            let end = verdict.canonical;
            (verdict.observed.request_id, end.decision, end.reason_codes)
        })
        .collect();
    ends.sort();
    ends
}

#[test]
fn an_authority_that_may_be_asked_again_is() {
    let ends = asked_and_killed(&[]);
    assert!(ends.iter().all(|end| end.1 == Decision::Accept), "{ends:?}");
}

#[test]
fn one_that_may_not_is_not_and_the_case_says_so() {
    let once = ("[register] ", "[authority]\nask_once = true\n[register] ");
    let ends = asked_and_killed(&[once]);
    let first = &ends[0];
    assert_eq!((first.0.as_str(), first.1), ("first", Decision::Error));
    assert_eq!(first.2, ["outcome_unknown"]);
    assert_eq!(
        (ends[1].0.as_str(), ends[1].1),
        ("second", Decision::Accept)
    );
}
