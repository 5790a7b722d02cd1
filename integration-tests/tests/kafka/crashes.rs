//! Processes die, hang, or lose the broker in the middle of a bundle, on real Kafka: a reader of
//! committed records finds every case ended, none twice.

use std::time::Instant;

use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::run::EVENTS;
use shiren_integration_tests::{events, run, site};
use shiren_log::STEPS;
use shiren_schemas::records::{Request, Verdict};

use crate::Cluster;

/// The shortest session that brokers allow as they come, and a drain that fits in it.
const SHORT_SESSION: [(&str, &str); 2] = [
    ("session_timeout_ms = 10000 ", "session_timeout_ms = 6000 "),
    ("drain_max_ms = 8000 ", "drain_max_ms = 5000 "),
];
/// A transaction that is soon given up.
const SHORT_TRANSACTION: (&str, &str) = (
    "transaction_timeout_ms = 10000 ",
    "delivery_max_wait_ms = 3000\ntransaction_timeout_ms = 5000 ",
);

fn prepare(more: &[(&str, &str)]) -> (Cluster, Vec<Request>) {
    let mut changes = vec![site::LARGE_FACES, site::SMALL_BUNDLES];
    changes.extend(SHORT_SESSION);
    changes.extend(more);
    let requests = events::requests(&site::home(), EVENTS);
    (Cluster::without_workers(&changes), requests)
}

/// All verdicts, none twice, as an undisturbed run gives them.
fn all_verdicts(cluster: &Cluster) -> Vec<Verdict> {
    let verdicts = run::verdicts(cluster.log.as_ref(), EVENTS);
    assert_eq!(run::canonical(&verdicts), run::undisturbed(EVENTS));
    verdicts
}

/// Verdicts that there are now, of which there must be some, and not yet all.
fn some_verdicts(cluster: &Cluster) -> usize {
    let count = run::count_now(cluster.log.as_ref());
    assert!(
        (1..EVENTS).contains(&count),
        "{count} verdicts at the fault"
    );
    count
}

/// Records that came as far as `detect`.
fn reached_detect(verdicts: &[Verdict]) -> u64 {
    let ended = |v: &&Verdict| v.observed.layout == "decode";
    (verdicts.len() - verdicts.iter().filter(ended).count()) as u64
}

/// One process of `stage` after the other is killed, each at another step, now in its first
/// bundle, now in its second; the last one lives.
fn die_at_each_step(cluster: &Cluster, stage: &str) -> Worker {
    let mut seconds = Vec::new();
    let mut verdicts = Vec::new();
    let mut last_kill = Instant::now();
    for (index, step) in STEPS.iter().enumerate() {
        let point = format!("{step}@{}", 1 + index % 2);
        let mut command = cluster.command(stage, 0);
        command.env("SHIREN_KILL_POINT", &point);
        Worker::launch(command, &format!("{stage}, {point}")).await_kill();
        let kill = Instant::now();
        let since = kill.duration_since(std::mem::replace(&mut last_kill, kill));
        seconds.push((point, since.as_secs_f32()));
        verdicts.push(some_verdicts(cluster));
    }
    // From one kill to the next: mostly the predecessor's session.
    println!("{stage}: seconds to each kill {seconds:.1?}, verdicts then {verdicts:?}");
    cluster.start_worker(stage, 0)
}

#[test]
fn killed_at_each_step_in_the_first_a_middle_and_the_last_stage_every_case_ends_once() {
    let (cluster, requests) = prepare(&[site::ONE_STAGE_A_SEGMENT]);
    let victims = ["admit", "detect", "match"];
    let others =
        ["decode", "quality", "liveness", "embed"].map(|stage| cluster.start_worker(stage, 0));
    let first = victims.map(|stage| cluster.start_worker(stage, 0));
    run::publish(cluster.log.as_ref(), &requests[..20]);
    run::await_some(cluster.log.as_ref(), 1);
    run::publish(cluster.log.as_ref(), &requests[20..40]);
    first.into_iter().for_each(Worker::kill);
    run::publish(cluster.log.as_ref(), &requests[40..]);
    let cluster = &cluster;
    let last = std::thread::scope(|scope| {
        victims
            .map(|stage| scope.spawn(move || die_at_each_step(cluster, stage)))
            .map(|deaths| deaths.join().unwrap())
    });
    all_verdicts(cluster);
    for worker in others.into_iter().chain(last) {
        worker.drain();
    }
}

/// A second worker joins in the middle of the run, which takes partitions from the first, and is
/// killed with a bundle in its hands, which gives them back.
#[test]
fn of_two_workers_one_is_killed_and_the_other_takes_over() {
    let (mut cluster, requests) = prepare(&[site::ONE_STAGE_A_SEGMENT]);
    for stage in site::STAGES {
        let worker = cluster.start_worker(stage, 0);
        cluster.workers.push(worker);
    }
    run::publish(cluster.log.as_ref(), &requests[..100]);
    run::await_some(cluster.log.as_ref(), 10);
    let mut second = cluster.command("detect", 1);
    second
        .env("SHIREN_KILL_POINT", "produced@3")
        .env("RUST_LOG", processes::ASSIGNMENTS);
    let second = Worker::launch(second, "detect 1");
    second.await_message("partitions assigned");
    run::publish(cluster.log.as_ref(), &requests[100..]);
    second.await_kill();
    println!("killed with {} verdicts", some_verdicts(&cluster));
    all_verdicts(&cluster);
    for worker in cluster.workers {
        worker.drain();
    }
}

/// A worker that hangs with its transaction open is given up, another does its work, and when it
/// wakes it commits nothing.
#[test]
fn a_worker_that_wakes_after_its_partitions_were_revoked_commits_nothing() {
    let (cluster, requests) = prepare(&[site::ONE_STAGE_A_SEGMENT, SHORT_TRANSACTION]);
    let others = ["admit", "decode", "quality", "liveness", "embed", "match"]
        .map(|stage| cluster.start_worker(stage, 0));
    let mut sleeper = cluster.command("detect", 0);
    sleeper
        .env("SHIREN_HALT_POINT", "offsets_sent@3")
        .env("RUST_LOG", processes::ASSIGNMENTS);
    let sleeper = Worker::launch(sleeper, "detect 0").ready();
    run::publish(cluster.log.as_ref(), &requests);
    run::await_some(cluster.log.as_ref(), 1);
    sleeper.await_halt();
    println!("halted with {} verdicts", some_verdicts(&cluster));
    let successor = cluster.start_worker("detect", 1);
    all_verdicts(&cluster);
    processes::signal(sleeper.pid(), "CONT");
    // Back in the group, after its bundle was dropped.
    sleeper.await_messages("partitions assigned", 2);
    let (sleeper, successor) = (sleeper.drain(), successor.drain());
    assert!(sleeper.records > 0 && successor.records > 0);
    let (committed, reached) = (
        sleeper.records + successor.records,
        reached_detect(&all_verdicts(&cluster)),
    );
    println!("{reached} records reached detect; committed by {sleeper:?} and {successor:?}");
    // A record that both had committed would be counted twice.
    assert!(committed <= reached);
    // A bundle whose commit got through, but of which the broker said so too late, is counted by nobody.
    let rebuilds = sleeper.rebuilds + successor.rebuilds;
    assert!(reached - committed <= u64::from(site::SMALL_BUNDLE_MAX_RECORDS) * rebuilds);
    for worker in others {
        worker.drain();
    }
}

/// The broker does not answer a commit in time: whether it is through is unknown. The worker
/// drops its producer and all it knows, and goes on from what is committed.
#[test]
fn a_worker_is_built_anew_after_a_commit_of_unknown_outcome() {
    let (cluster, requests) = prepare(&[SHORT_TRANSACTION]);
    let mut worker = cluster.command("front", 0);
    worker.env("SHIREN_HALT_POINT", "offsets_sent@3");
    let worker = Worker::launch(worker, "front").ready();
    run::publish(cluster.log.as_ref(), &requests);
    worker.await_halt();
    println!("halted with {} verdicts", some_verdicts(&cluster));
    processes::signal(cluster.broker.pid(), "STOP");
    processes::signal(worker.pid(), "CONT");
    worker.await_message("the outcome of a transaction is unknown");
    processes::signal(cluster.broker.pid(), "CONT");
    all_verdicts(&cluster);
    let drained = worker.drain();
    assert!(drained.rebuilds > 0, "{drained:?}");
    println!("{} rebuilds", drained.rebuilds);
}
