//! Members of a group join and leave all the time, gracefully.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use shiren::case_reader::VerdictReader;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::run::EVENTS;
use shiren_integration_tests::{events, run, site};
use shiren_log::Start;
use shiren_schemas::Id;
use shiren_schemas::records::{CanonicalVerdict, Mode, Request, Verdict};

use crate::row::{Row, SHORT_SESSION, form};

/// Between two changes of the membership.
const EVERY: Duration = Duration::from_secs(5);
/// The undisturbed part, whose throughput is compared with.
const STEADY: Duration = Duration::from_secs(15);
const HEARTBEAT: (&str, &str) = (
    "[log.kafka.properties]\n",
    "[log.kafka.properties]\n\"heartbeat.interval.ms\" = \"1000\"\n",
);
/// Cases that wait at any time, so that workers are never idle.
const BACKLOG: usize = 150;

/// The events over and over, each time under new ids.
struct Endless {
    events: Vec<Request>,
    published: usize,
    seen: usize,
    reader: VerdictReader,
}

impl Endless {
    /// Keeps workers busy until then.
    fn until(&mut self, cluster: &Cluster, end: Instant) {
        while Instant::now() < end {
            while self.published < self.seen + BACKLOG {
                let part = (self.published..self.published + 25).map(|n| {
                    let mut request = self.events[n % EVENTS].clone();
                    request.request_id = format!("event-{n}");
                    request
                });
                run::publish(cluster.log.as_ref(), &part.collect::<Vec<_>>());
                self.published += 25;
            }
            self.seen += self.reader.next(run::LOOK_EVERY).unwrap().len();
        }
    }
}

/// What two cases of the same event have in common.
fn without_ids(verdict: &Verdict) -> CanonicalVerdict {
    CanonicalVerdict {
        verdict_id: Id([0; 16]),
        case_id: Id([0; 16]),
        ..verdict.canonical.clone()
    }
}

/// Verdicts a second among those decided in this time.
fn rate(verdicts: &[Verdict], from_us: i64, to_us: i64) -> f64 {
    let times = verdicts.iter().map(|v| v.observed.decided_time);
    let count = times.filter(|t| (from_us..to_us).contains(t)).count();
    count as f64 * 1e6 / (to_us - from_us) as f64
}

#[test]
fn members_that_come_and_go_lose_nothing_and_cost_at_most_half_the_throughput() {
    let expected: BTreeMap<usize, CanonicalVerdict> = run::undisturbed_verdicts()
        .iter()
        .map(|v| (number(v), without_ids(v)))
        .collect();
    let mut row = Row::begin_alone("members join and leave every 5 s");
    let mut changes = vec![site::LARGE_FACES, HEARTBEAT];
    changes.extend(SHORT_SESSION);
    let cluster = Cluster::without_workers(&changes);
    let live = Mode::Live;
    let mut load = Endless {
        events: events::requests(&site::home(), EVENTS),
        published: 0,
        seen: 0,
        reader: VerdictReader::open(cluster.log.as_ref(), "default", live, Start::Beginning)
            .unwrap(),
    };
    let members = [0, 1].map(|slot| cluster.start_worker("front", slot));
    load.until(&cluster, Instant::now() + EVERY);
    let steady_us = shiren_runtime::now_us();
    load.until(&cluster, Instant::now() + STEADY);
    let churn_us = shiren_runtime::now_us();
    let (mut joined, mut left) = (0, 0);
    let mut third: Option<Worker> = None;
    let end = Instant::now() + form(Duration::from_secs(45), Duration::from_secs(180));
    while Instant::now() < end {
        let next = Instant::now() + EVERY;
        match third.take() {
            Some(worker) => {
                // That it got partitions says that the group was rebalanced for it.
                worker.await_message("partitions assigned");
                worker.drain();
                left += 1;
            }
            None => {
                let mut command = cluster.command("front", 2);
                command.env("RUST_LOG", processes::ASSIGNMENTS);
                third = Some(Worker::launch(command, "front 2"));
                joined += 1;
            }
        }
        load.until(&cluster, next);
    }
    let end_us = shiren_runtime::now_us();
    row.injected(joined, "a third member joined (it was assigned partitions)");
    row.injected(left, "the third member drained and left");
    let verdicts = row.await_verdicts(cluster.log.as_ref(), load.published);
    for verdict in &verdicts {
        assert_eq!(
            Some(&without_ids(verdict)),
            expected.get(&(number(verdict) % EVENTS))
        );
    }
    let (steady, churn) = (
        rate(&verdicts, steady_us, churn_us),
        rate(&verdicts, churn_us, end_us),
    );
    row.note(format!(
        "verdicts a second: {steady:.1} with two members, {churn:.1} while a third came and went ({:.0} %)",
        100.0 * churn / steady
    ));
    assert!(churn >= steady / 2.0, "{churn:.1} of {steady:.1}");
    for worker in members.into_iter().chain(third) {
        worker.drain();
    }
    row.end();
}

/// Of `event-7`, 7.
fn number(verdict: &Verdict) -> usize {
    let id = verdict.observed.request_id.strip_prefix("event-");
    id.unwrap().parse().unwrap()
}
