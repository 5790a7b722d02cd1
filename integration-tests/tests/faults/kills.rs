//! Processes die of SIGKILL at each step of a bundle, in a stage of each kind: the case ends once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use shiren::requests;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::libraries::{self, Client};
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{events, run, site};
use shiren_library::stand_in::StandIn;
use shiren_log::{Log, STEPS};
use shiren_schemas::Id;
use shiren_schemas::records::Request;

use crate::row::{self, ABORT_EVERY, Row, SESSION, SHORT_SESSION, SHORT_TRANSACTION, TRANSACTION};

/// Longest time until the same slot, started again, works on.
const RESUMED_MAX: Duration = Duration::from_secs(15);

/// Cases of all kinds of stages: [`events`], searches of one library, enrolments into another.
struct Mix {
    events: Vec<Request>,
    asking: Vec<Request>,
}

/// Searches, and as many enrolments: each process of `enrol` needs one or two bundles of them.
const ASKING: usize = 28;
/// Cases that make and fill the libraries before.
const BEFORE: usize = 3;

impl Mix {
    /// Makes the libraries, undisturbed.
    fn prepare(log: &Arc<dyn Log>) -> Self {
        let mut client = Client::new(log, "before");
        let (searched, filled) = (client.create("searched"), client.create("filled"));
        client.enrol(searched, "obama", "obama.jpg");
        Self {
            events: events::requests(&site::home(), row::events()),
            asking: (0..ASKING)
                .flat_map(|n| asking(n, searched, filled))
                .collect(),
        }
    }

    /// Publishes this part of `parts`.
    fn publish(&self, log: &Arc<dyn Log>, part: usize, parts: usize) {
        let client = Client::new(log, "mix");
        let count = self.events.len();
        let (from, to) = (part * count / parts, (part + 1) * count / parts);
        for chunk in self.events[from..to].chunks(20) {
            client.publish(chunk.to_vec());
        }
        let all = self.asking.len();
        client.publish(self.asking[part * all / parts..(part + 1) * all / parts].to_vec());
    }

    /// What it comes to without faults, on the embedded log, all in one process.
    fn undisturbed() -> &'static BTreeMap<String, String> {
        static CANONICAL: OnceLock<BTreeMap<String, String>> = OnceLock::new();
        CANONICAL.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let library = StandIn::start();
            let (from, to) = site::library_at(&library.url());
            let site = site::embedded(folder.path(), &[site::LARGE_FACES, (from, to.as_str())]);
            let log = site.open_log().unwrap();
            site.set_up(log.as_ref()).unwrap();
            let (verdicts, _) = run::beside(&site, &log, || {
                Self::prepare(&log).publish(&log, 0, 1);
                run::verdicts(log.as_ref(), Self::count())
            });
            run::canonical(&verdicts)
        })
    }

    fn count() -> usize {
        BEFORE + row::events() + 2 * ASKING
    }
}

/// A search and an enrolment.
fn asking(number: usize, searched: Id, filled: Id) -> [Request; 2] {
    let probe = events::picture(&site::home(), ["obama2.jpg", "clooney.jpg"][number % 2]);
    let face = events::picture(&site::home(), ["rihanna.jpg", "clooney.jpg"][number % 2]);
    let id = format!("search-{number}");
    let search = requests::search(&id, vec![searched], 5, probe);
    let (id, person) = (format!("enrol-{number}"), format!("person-{number}"));
    let enrolment = Request {
        probe: Some(requests::inline(face, None)),
        ..requests::enrolment(&id, filled, &person, &libraries::consent())
    };
    [search, enrolment]
}

/// The deaths of one stage.
struct Deaths {
    points: Vec<String>,
    /// From a death to the moment when the next process had its partitions.
    longest: Duration,
    /// The one that lives.
    last: Worker,
}

/// One process of `stage` after the other dies, each at another step, now in its first bundle, now in its second; the
/// last one lives.
fn die_at_each_step(cluster: &Cluster, stage: &str, steps: &[&str]) -> Deaths {
    let mut deaths = Vec::new();
    let (mut death, mut longest) = (Instant::now(), Duration::ZERO);
    for (index, step) in steps.iter().enumerate() {
        let point = format!("{step}@{}", 1 + index % 2);
        let mut command = cluster.command(stage, 0);
        command
            .env("SHIREN_KILL_POINT", &point)
            .env("RUST_LOG", processes::ASSIGNMENTS);
        let worker = Worker::launch(command, &format!("{stage}, {point}"));
        worker.await_message("partitions assigned");
        longest = longest.max(death.elapsed());
        // Says that it was signal 9.
        worker.await_kill();
        death = Instant::now();
        deaths.push(point);
    }
    let mut command = cluster.command(stage, 0);
    command.env("RUST_LOG", processes::ASSIGNMENTS);
    let last = Worker::launch(command, stage);
    last.await_message("partitions assigned");
    Deaths {
        points: deaths,
        longest: longest.max(death.elapsed()),
        last: last.ready(),
    }
}

/// Keyed, pure, asking and writing stages, all at once.
#[test]
fn killed_at_each_step_in_a_stage_of_each_kind_every_case_ends_once() {
    let expected = Mix::undisturbed();
    let mut row = Row::begin_alone("kill -9 at each step, same slot restarted");
    let mut changes = vec![
        site::LARGE_FACES,
        site::SMALL_BUNDLES,
        site::ONE_STAGE_A_SEGMENT,
    ];
    changes.extend(SHORT_SESSION);
    let cluster = Cluster::without_workers(&changes);
    let asked: Vec<&str> = STEPS.iter().copied().chain(["asked"]).collect();
    let victims: [(&str, &[&str]); 4] = [
        ("admit", STEPS),
        ("detect", STEPS),
        ("match", &asked),
        ("enrol", &asked),
    ];
    let is_victim = |stage: &&&str| victims.iter().any(|(victim, _)| victim == *stage);
    let others = site::STAGES.iter().filter(|stage| !is_victim(stage));
    let others: Vec<_> = others.map(|stage| cluster.start_worker(stage, 0)).collect();
    let first: Vec<_> = victims
        .map(|(stage, _)| cluster.start_worker(stage, 0))
        .into();
    let mix = Mix::prepare(&cluster.log);
    mix.publish(&cluster.log, 0, 6);
    first.into_iter().for_each(Worker::kill);
    (1..6).for_each(|part| mix.publish(&cluster.log, part, 6));
    let cluster = &cluster;
    let ends = std::thread::scope(|scope| {
        let threads = victims.map(|(stage, steps)| {
            let deaths = scope.spawn(move || die_at_each_step(cluster, stage, steps));
            (stage, deaths)
        });
        threads.map(|(stage, deaths)| (stage, deaths.join().unwrap()))
    });
    for (stage, deaths) in &ends {
        let Deaths {
            points, longest, ..
        } = deaths;
        let what = format!("signal 9 in {stage}: {}", points.join(", "));
        row.injected(1 + points.len(), what);
        row.recovered(
            format!("a death in {stage}: partitions assigned again"),
            *longest,
        );
        assert!(*longest <= RESUMED_MAX, "{stage}: {longest:?}");
    }
    row.compare(cluster.log.as_ref(), expected);
    for worker in others
        .into_iter()
        .chain(ends.map(|(_, deaths)| deaths.last))
    {
        worker.drain();
    }
    row.end();
}

/// Of two workers one dies with its transaction open and does not come back. Cases trickle in all the time: the longest
/// wait of one is what the death has cost.
#[test]
fn of_two_workers_one_is_killed_and_the_other_takes_over() {
    const EVENTS: usize = 60;
    const APART: Duration = Duration::from_millis(400);
    let expected = run::undisturbed(EVENTS);
    let mut row = Row::begin_alone("kill -9, not restarted: another takes over");
    let mut changes = vec![
        site::LARGE_FACES,
        site::SMALL_BUNDLES,
        site::ONE_STAGE_A_SEGMENT,
        SHORT_TRANSACTION,
    ];
    changes.extend(SHORT_SESSION);
    let cluster = Cluster::without_workers(&changes);
    let log = cluster.log.as_ref();
    let requests = events::requests(&site::home(), EVENTS);
    let others = site::STAGES.map(|stage| cluster.start_worker(stage, 0));
    run::publish(log, &requests[..10]);
    let calm = row::longest_wait(&run::verdicts(log, 10));
    let calm_us = shiren_runtime::now_us();
    let mut second = cluster.command("detect", 1);
    second
        .env("SHIREN_KILL_POINT", "produced@2")
        .env("RUST_LOG", processes::ASSIGNMENTS);
    let second = Worker::launch(second, "detect 1");
    second.await_message("partitions assigned");
    for request in &requests[10..] {
        run::publish(log, std::slice::from_ref(request));
        // Not a wait for anything: cases trickle.
        std::thread::sleep(APART);
    }
    second.await_kill();
    row.injected(
        1,
        "signal 9 in one of two detect workers, outputs produced, transaction open",
    );
    let mut trickled = row.compare(log, &expected);
    trickled.retain(|verdict| verdict.observed.received_time > calm_us);
    let longest = row::longest_wait(&trickled);
    let bound = SESSION + TRANSACTION + ABORT_EVERY;
    row.recovered("the death: the longest wait of a case", longest);
    row.note(format!(
        "bound {:.1} s: session {SESSION:?}, transaction {TRANSACTION:?}, the broker's look every {ABORT_EVERY:?}; \
         longest wait before the death {calm:.1?}",
        bound.as_secs_f64()
    ));
    assert!(longest <= bound + calm, "{longest:?}");
    for worker in others {
        worker.drain();
    }
    row.end();
}
