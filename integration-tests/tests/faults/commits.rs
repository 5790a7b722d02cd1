//! Commits whose outcome a worker does not learn, on real Kafka.

use std::time::{Duration, Instant};

use shiren_integration_tests::broker::Broker;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::proxy::{Done, END_TXN, Exchange, Harm, INIT_PRODUCER_ID, Proxy};
use shiren_integration_tests::{events, run, site};

use crate::row::{self, Row, SHORT_SESSION, SHORT_TRANSACTION};

/// The broker does not answer a commit in time: whether it is through is unknown. The worker
/// drops its producer and all it knows, and goes on from what is committed.
#[test]
fn a_worker_is_built_anew_after_a_commit_of_unknown_outcome() {
    let count = row::events();
    let expected = run::undisturbed(count);
    let mut row = Row::begin("commit whose outcome is unknown: the broker does not answer");
    let cluster = Cluster::without_workers(&changes());
    let log = cluster.log.as_ref();
    let requests = events::requests(&site::home(), count);
    let mut worker = cluster.command("front", 0);
    worker.env("SHIREN_HALT_POINT", "offsets_sent@3");
    let worker = Worker::launch(worker, "front").ready();
    run::publish(log, &requests);
    worker.await_halt();
    let answered = run::count_now(log);
    assert!((1..count).contains(&answered), "{answered}");
    processes::signal(cluster.brokers[0].pid(), "STOP");
    processes::signal(worker.pid(), "CONT");
    worker.await_message(UNKNOWN);
    row.injected(1, "SIGSTOP of the broker between offsets and commit");
    processes::signal(cluster.brokers[0].pid(), "CONT");
    let back = Instant::now();
    run::await_some(log, answered + 1);
    row.recovered(
        "the broker's return: another verdict is there",
        back.elapsed(),
    );
    row.compare(log, &expected);
    rebuilt(&mut row, worker);
    row.end();
}

/// Some requests that end a transaction never arrive, some answers do not, and some requests arrive long after the worker
/// has given the transaction up.
#[test]
fn commits_that_are_cut_or_late_double_nothing() {
    /// Longer than a worker waits for a commit.
    const LATE: Duration = Duration::from_secs(5);
    /// Longer than it then takes to begin the next producer.
    const LATER: Duration = Duration::from_secs(15);
    let count = row::events();
    let expected = run::undisturbed(count);
    let mut row = Row::begin("commit request cut or delayed by a proxy");
    let proxy = Proxy::of_kafka();
    let (broker, port) = Broker::behind(proxy.port());
    proxy.lead_to(port);
    let cluster = Cluster::on(vec![broker], &changes());
    let log = cluster.log.as_ref();
    let harms = [
        (2, Harm::CutRequest),
        (4, Harm::CutAnswer),
        (6, Harm::Hold(LATE)),
        (7, Harm::CutAnswer),
        (8, Harm::CutRequest),
        (10, Harm::Hold(LATER)),
    ];
    proxy.harm(END_TXN, &harms);
    let mut command = cluster.command("front", 0);
    let behind = format!("127.0.0.1:{}", proxy.port());
    command.env("SHIREN_KAFKA_BOOTSTRAP_SERVERS", behind);
    let worker = Worker::launch(command, "front, behind the proxy").ready();
    run::publish(log, &events::requests(&site::home(), count));
    let all = Done {
        cut_requests: 2,
        cut_answers: 2,
        held: 2,
    };
    processes::await_that("all harms are done", || proxy.done() == all);
    let harmed = Instant::now();
    let answered = run::count_now(log);
    row.injected(all.cut_requests, "EndTxn cut off before the broker");
    row.injected(
        all.cut_answers,
        "EndTxn done by the broker, its answer cut off",
    );
    row.injected(
        all.held,
        format!("EndTxn held for {LATE:?} or {LATER:?}, beyond the worker's wait, then sent on"),
    );
    let late = || proxy.exchanges().into_iter().filter(|e| e.is_held);
    processes::await_that("the broker has answered what was held", || {
        late().count() == all.held
    });
    for held in late() {
        row.note(arrival(&held, &proxy.exchanges()));
    }
    if answered < count {
        run::await_some(log, answered + 1);
    }
    row.recovered("the last harm: another verdict is there", harmed.elapsed());
    row.compare(log, &expected);
    worker.await_message(UNKNOWN);
    rebuilt(&mut row, worker);
    // What landed late has landed by now.
    row.compare(log, &expected);
    row.end();
}

/// On which side of the next producer's `InitProducerId` a held `EndTxn` arrived, and what the broker made of it. Behind it,
/// it must not have been carried out.
fn arrival(held: &Exchange, all: &[Exchange]) -> String {
    let begins = |e: &&Exchange| e.api_key == INIT_PRODUCER_ID && e.error_code == 0;
    let next = all.iter().filter(begins).find(|e| e.sent > held.taken);
    let side = match next {
        Some(next) if next.answered < held.sent => {
            assert_ne!(held.error_code, 0, "a fenced producer's commit was done");
            "after"
        }
        Some(next) if next.sent < held.answered => "during",
        _ => "before",
    };
    let late = held.sent - held.taken;
    let outcome = match held.error_code {
        0 => "carried out".to_owned(),
        code => format!("refused with Kafka's error code {code}"),
    };
    format!(
        "an EndTxn that came {late:.0?} late arrived {side} the next producer's InitProducerId and was {outcome}"
    )
}

/// What a worker says when it drops its producer.
const UNKNOWN: &str = "the outcome of a transaction is unknown";

fn changes() -> Vec<(&'static str, &'static str)> {
    let mut changes = vec![site::LARGE_FACES, site::SMALL_BUNDLES, SHORT_TRANSACTION];
    changes.extend(SHORT_SESSION);
    changes
}

/// The worker was built anew, and says how often.
fn rebuilt(row: &mut Row, worker: Worker) {
    let drained = worker.drain();
    assert!(drained.rebuilds > 0, "{drained:?}");
    row.note(format!("producer built anew {} times", drained.rebuilds));
}
