//! A rolling upgrade by docs/operate.md, under load, on real Kafka: the version before hands over to this one.

use std::process::Command;
use std::time::Instant;

use shiren::{case_reader, requests};
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::older::{versions, written};
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{events, run, site};
use shiren_log::Log;
use shiren_schemas::records::{AdmittedCase, FaceCase, Lane, Request, StillCase, TemplateCase};

use crate::row::{self, Row, form};

/// A topic between segments for each record that has had more than one version.
const APART: (&str, &str) = (
    "[segment.front]\nstages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\", \"embed\", \"match\", \"enrol\", \"authority-verify\"]\nworkers = 1 ",
    "[segment.admit]\nstages = [\"admit\"]\n[segment.decode]\nstages = [\"decode\"]\n\
     [segment.detect]\nstages = [\"detect\", \"quality\", \"liveness\"]\n[segment.embed]\nstages = [\"embed\"]\n\
     [segment.match]\nstages = [\"match\"]\n[segment.enrol]\nstages = [\"enrol\"]\n\
     [segment.authority-verify]\nstages = [\"authority-verify\"]\nworkers = 1 ",
);
/// In the order of an upgrade: readers before those who write for them. Two processes have one segment in common. The
/// events come to no other segment.
const ORDER: [(&str, u32); 6] = [
    ("match", 0),
    ("embed", 0),
    ("detect", 0),
    ("decode", 0),
    ("decode", 1),
    ("admit", 0),
];

/// A process of the version before.
fn older(cluster: &Cluster, segment: &str, slot: u32) -> Worker {
    let plain = processes::on_kafka(cluster.topology(), &cluster.bootstrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_older-worker"));
    command.args([segment, &slot.to_string()]);
    command.current_dir(site::root());
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Worker::launch(command, segment)
}

/// Publishes for producers of the version before, or of this one.
fn publish(log: &dyn Log, requests: &[Request], is_older: bool) {
    let mut publisher = log.publisher().unwrap();
    for request in requests {
        let record = requests::record("default", Lane::Interactive, request);
        let record = record.unwrap().0;
        let record = if is_older { written(record) } else { record };
        publisher.publish(vec![record]).unwrap();
    }
}

/// The processes of `old` are replaced, the last stage's first, while cases come in such parts.
fn upgrade<'a>(
    row: &mut Row,
    cluster: &Cluster,
    old: [Worker; ORDER.len()],
    mut part: impl FnMut() -> &'a [Request],
) -> Vec<Worker> {
    let log = cluster.log.as_ref();
    let begun = Instant::now();
    let replace = |((segment, slot), old): ((&str, u32), Worker)| {
        // There is work on the way when the old one is told to end, and more before the new one is there.
        publish(log, part(), true);
        let drained = old.drain();
        assert!(drained.records > 0, "{segment} {slot}: {drained:?}");
        publish(log, part(), true);
        cluster.start_worker(segment, slot)
    };
    let new = ORDER.into_iter().zip(old).map(replace).collect();
    row.injected(
        ORDER.len(),
        "process of the version before drained and replaced, cases on their way, last stage first",
    );
    row.recovered(
        "the first drain: the last process is replaced",
        begun.elapsed(),
    );
    new
}

/// Back to the version before, the first stage first. `ended`: cases that have come, all of which have ended.
fn go_back(
    row: &mut Row,
    cluster: &Cluster,
    new: Vec<Worker>,
    requests: &[Request],
    mut ended: usize,
) -> Vec<Worker> {
    let log = cluster.log.as_ref();
    let mut parts = requests.chunks(requests.len().div_ceil(ORDER.len()));
    let replace = |((segment, slot), new): ((&str, u32), Worker)| {
        new.drain();
        let old = older(cluster, segment, slot).ready();
        let part = parts.next().unwrap_or_default();
        publish(log, part, true);
        // No record of the newer version waits at any topic then.
        ended += part.len();
        run::await_some(log, ended);
        old
    };
    let old = ORDER.into_iter().zip(new).rev().map(replace).collect();
    row.injected(
        ORDER.len(),
        "process of this version drained and replaced by one of the version before, first stage first",
    );
    old
}

/// Each topic had records of both versions.
fn hold_mixed(row: &mut Row, log: &dyn Log) {
    let topic = |stage: &str| format!("shiren.{stage}.interactive");
    let mixed = [
        ("decode", versions::<AdmittedCase>(log, &topic("decode"))),
        ("detect", versions::<StillCase>(log, &topic("detect"))),
        ("embed", versions::<FaceCase>(log, &topic("embed"))),
        ("match", versions::<TemplateCase>(log, &topic("match"))),
        (
            "default.requests",
            versions::<Request>(log, &topic("default.requests")),
        ),
    ];
    for (stage, (newer, older)) in mixed {
        let counts = format!("{newer} of this one");
        assert!(newer > 0 && older > 0, "{stage}: {older} older, {counts}");
        let on = topic(stage);
        row.injected(
            older,
            format!("record of the version before on {on}, beside {counts}"),
        );
    }
}

#[test]
fn each_process_is_replaced_under_load_readers_first() {
    let count = row::events();
    let up = form(count, count * 3 / 4);
    let expected = run::undisturbed(count);
    let mut row = Row::begin("rolling upgrade with mixed schema versions");
    let cluster = Cluster::without_workers(&[site::LARGE_FACES, site::SMALL_BUNDLES, APART]);
    let log = cluster.log.as_ref();
    let requests = events::requests(&site::home(), count);
    let mut parts = requests[..up].chunks(up / (2 * ORDER.len() + 4));

    let start = |(segment, slot)| older(&cluster, segment, slot);
    let old = ORDER.map(start).map(Worker::ready);
    let first = parts.next().unwrap();
    publish(log, first, true);
    run::await_some(log, first.len());
    let mut workers = upgrade(&mut row, &cluster, old, || parts.next().unwrap());
    // Producers follow when they like.
    for (number, request) in parts.flatten().enumerate() {
        publish(log, std::slice::from_ref(request), number % 2 == 0);
    }
    run::await_some(log, up);
    if up < count {
        workers = go_back(&mut row, &cluster, workers, &requests[up..], up);
    }
    row.compare(log, &expected);
    hold_mixed(&mut row, log);
    let letters = case_reader::dead_letters(log, "default").unwrap();
    assert!(letters.is_empty(), "{letters:?}");
    row.note("no dead letter");
    for worker in workers {
        worker.drain();
    }
    row.end();
}
