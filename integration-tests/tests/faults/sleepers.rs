//! Processes are stopped past their session and go on: they write nothing that counts.

use std::time::Instant;

use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::libraries::Client;
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{events, run, site};
use shiren_schemas::records::{Decision, Verdict};

use crate::row::{self, Row, SHORT_SESSION, SHORT_TRANSACTION};

/// A worker that hangs with its transaction open is given up, another does its work, and when it
/// wakes it commits nothing.
#[test]
fn a_worker_that_wakes_after_its_partitions_were_revoked_commits_nothing() {
    let count = row::events();
    let expected = run::undisturbed(count);
    let mut row = Row::begin("SIGSTOP past the session, then SIGCONT: a worker");
    let mut changes = vec![
        site::LARGE_FACES,
        site::SMALL_BUNDLES,
        site::ONE_STAGE_A_SEGMENT,
        SHORT_TRANSACTION,
    ];
    changes.extend(SHORT_SESSION);
    let cluster = Cluster::without_workers(&changes);
    let log = cluster.log.as_ref();
    let requests = events::requests(&site::home(), count);
    let others = ["admit", "decode", "quality", "liveness", "embed", "match"]
        .map(|stage| cluster.start_worker(stage, 0));
    let mut sleeper = cluster.command("detect", 0);
    sleeper
        .env("SHIREN_HALT_POINT", "offsets_sent@3")
        .env("RUST_LOG", processes::ASSIGNMENTS);
    let sleeper = Worker::launch(sleeper, "detect 0").ready();
    run::publish(log, &requests);
    run::await_some(log, 1);
    sleeper.await_halt();
    let halted = Instant::now();
    row.injected(
        1,
        "SIGSTOP of detect with its transaction open (/proc: state T)",
    );
    let answered = run::count_now(log);
    let successor = cluster.start_worker("detect", 1);
    run::await_some(log, answered + 1);
    row.recovered("the halt: another verdict is there", halted.elapsed());
    row.compare(log, &expected);
    processes::signal(sleeper.pid(), "CONT");
    // Back in the group, after its bundle was dropped.
    sleeper.await_messages("partitions assigned", 2);
    let (sleeper, successor) = (sleeper.drain(), successor.drain());
    assert!(sleeper.records > 0 && successor.records > 0);
    let (committed, reached) = (
        sleeper.records + successor.records,
        reached_detect(&row.compare(log, &expected)),
    );
    row.note(format!(
        "{reached} records reached detect; the sleeper committed {}, its successor {}",
        sleeper.records, successor.records
    ));
    // A record that both had committed would be counted twice.
    assert!(committed <= reached);
    // A bundle whose commit got through, but of which the broker said so too late, is counted by nobody.
    let rebuilds = sleeper.rebuilds + successor.rebuilds;
    assert!(reached - committed <= u64::from(site::SMALL_BUNDLE_MAX_RECORDS) * rebuilds);
    for worker in others {
        worker.drain();
    }
    row.end();
}

/// Records that came as far as `detect`.
fn reached_detect(verdicts: &[Verdict]) -> u64 {
    let ended = |v: &&Verdict| v.observed.layout == "decode";
    (verdicts.len() - verdicts.iter().filter(ended).count()) as u64
}

/// The writer is stopped while the engine has its enrolment and has not carried it out; its successor enrols and then
/// unenrols the person; then the engine carries out what lies there, and the writer wakes: the person stays unenrolled.
#[test]
fn a_writer_that_wakes_does_not_bring_back_who_was_unenrolled() {
    let mut row = Row::begin("SIGSTOP past the session, then SIGCONT: a writer");
    let changes = [site::LARGE_FACES, SHORT_SESSION[0], SHORT_SESSION[1]];
    let cluster = Cluster::without_workers(&changes);
    let mut client = Client::new(&cluster.log, "sleeper");
    let sleeper = cluster.start_worker("front", 1);
    let staff = client.create("staff");
    let late = cluster.library.hold_next_update();
    let enrolment = client.enrolment(staff, "obama", "obama.jpg");
    let case = client.publish(vec![enrolment]);
    late.wait();
    processes::signal(sleeper.pid(), "STOP");
    sleeper.await_halt();
    let halted = Instant::now();
    row.injected(
        1,
        "SIGSTOP of the writer with an enrolment on its way to the engine (/proc: state T)",
    );
    let successor = cluster.start_worker("front", 2);
    assert_eq!(client.ends(&case)[0].canonical.decision, Decision::Done);
    row.recovered(
        "the halt: the enrolment is done by another",
        halted.elapsed(),
    );
    assert_eq!(client.who(&[staff], "obama2.jpg").as_deref(), Some("obama"));
    let erased = client.unenrol(staff, "obama");
    assert_eq!(erased.decision, Decision::Done);
    assert_eq!(client.who(&[staff], "obama2.jpg"), None);
    late.release();
    row.injected(
        1,
        "the engine is given the write of the stopped writer after the person was unenrolled",
    );
    processes::signal(sleeper.pid(), "CONT");
    // That it is drained says that all it had begun has ended.
    sleeper.drain();
    assert_eq!(client.who(&[staff], "obama2.jpg"), None);
    successor.drain();
    // Created, enrolled, found, unenrolled, and twice not found.
    row.await_verdicts(cluster.log.as_ref(), 6);
    row.end();
}
