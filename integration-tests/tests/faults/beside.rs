//! Interactive cases beside work that can wait, and beside a tenant that floods its topic.

use std::fmt;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use shiren::case_reader::VerdictReader;
use shiren::cases::Cases;
use shiren::requests;
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::processes::{self, Worker, await_that};
use shiren_integration_tests::{events, libraries, run, site};
use shiren_log::{Log, Publisher, Start};
use shiren_schemas::ids;
use shiren_schemas::records::{Decision, Lane, Mode, Request, RequestKind, Verdict};

use crate::row::{self, Row, form};

/// As deploy/topology.toml: library commands go by bulk.
const LANES: (&str, &str) = (
    "lanes = [\"interactive\"] ",
    "lanes = [\"interactive\", \"bulk\"] ",
);
const TENANTS: (&str, &str) = (
    "tenants = [\"default\"] ",
    "tenants = [\"default\", \"other\"] ",
);
/// Between two cases that are measured.
const EVERY: Duration = Duration::from_millis(100);
/// One case in so many, one a second, has work to do; the others have none.
const WORK_EVERY: usize = 10;
/// By how much the queueing time at p95 may grow.
const GROWTH_MAX: f64 = 0.2;

/// Before anything is measured: a broker that has just been started answers slowly, which would flatter what comes later.
fn warm() -> Duration {
    form(Duration::from_secs(5), Duration::from_secs(10))
}

fn measured() -> Duration {
    form(Duration::from_secs(10), Duration::from_secs(120))
}

/// How long cases waited before their work began.
struct Queueing {
    p50_ms: f64,
    p95_ms: f64,
    cases: usize,
}

impl fmt::Display for Queueing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            p50_ms,
            p95_ms,
            cases,
        } = self;
        write!(f, "p50 {p50_ms:.1} ms, p95 {p95_ms:.1} ms of {cases} cases")
    }
}

/// Interactive cases of the tenant `default` at a steady rate. Nine of ten hold no picture: they end as soon as their
/// work begins, so that what lies between their arrival in the log and their verdict is the wait. Each tenth compares two
/// portraits.
struct Steady<'a> {
    log: &'a dyn Log,
    publisher: Box<dyn Publisher>,
    reader: VerdictReader,
    work: Vec<Request>,
    published: usize,
}

impl<'a> Steady<'a> {
    fn new(log: &'a dyn Log) -> Self {
        let live = Mode::Live;
        Self {
            log,
            publisher: log.publisher().unwrap(),
            reader: VerdictReader::open(log, "default", live, Start::Beginning).unwrap(),
            work: events::requests(&site::home(), 1),
            published: 0,
        }
    }

    /// The request with this number, and whether it has work to do.
    fn request(&self, name: &str, number: usize) -> Request {
        let id = format!("{name}-{number}");
        if number.is_multiple_of(WORK_EVERY) {
            return Request {
                request_id: id,
                ..self.work[0].clone()
            };
        }
        let mut request = Request::new(&id, RequestKind::Detect);
        request.probe = Some(requests::inline(b"no picture".to_vec(), None));
        request
    }

    /// Publishes for `time`, and waits for all verdicts.
    fn queueing(&mut self, name: &str, time: Duration) -> Queueing {
        let begun = Instant::now();
        let mut count = 0;
        while begun.elapsed() < time {
            let tick = Instant::now();
            let request = self.request(name, count);
            let (record, _) = requests::record("default", Lane::Interactive, &request).unwrap();
            self.publisher.publish(vec![record]).unwrap();
            count += 1;
            // The rate is the load: what comes late is not made up for.
            sleep(EVERY.saturating_sub(tick.elapsed()));
        }
        self.published += count;
        let verdicts = self.reader.await_count(count, run::MAX_WAIT).unwrap();
        assert_eq!(verdicts.len(), count, "{}", self.log.engine());
        queueing_of(&verdicts)
    }
}

fn queueing_of(verdicts: &[Verdict]) -> Queueing {
    let is_without_work = |v: &&Verdict| v.canonical.kind == RequestKind::Detect;
    let wait_us = |v: &Verdict| v.observed.decided_time - v.observed.received_time;
    let mut waits: Vec<i64> = verdicts
        .iter()
        .filter(is_without_work)
        .map(wait_us)
        .collect();
    waits.sort_unstable();
    let at = |share: usize| waits[waits.len() * share / 100] as f64 / 1_000.0;
    Queueing {
        p50_ms: at(50),
        p95_ms: at(95),
        cases: waits.len(),
    }
}

/// Both measurements, and whether the bound holds: judged in the long form, where nothing else runs on the machine. Beside
/// builds the same cases wait a hundred times as long one minute as the next.
fn judge(row: &mut Row, alone: &Queueing, beside: &Queueing) {
    let growth = beside.p95_ms / alone.p95_ms - 1.0;
    row.note(format!(
        "queueing time of interactive cases: alone {alone}; beside it {beside}; p95 grew by {:.0} %, {:.0} % allowed",
        growth * 100.0,
        GROWTH_MAX * 100.0
    ));
    assert!(
        !row::is_long() || growth <= GROWTH_MAX,
        "grew by {growth:.2}"
    );
}

/// The worker loop of this name, and what it has started, have this niceness.
fn assert_niceness(worker: &Worker, thread: &str, nice: i32) {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", worker.pid())).unwrap();
    let stats = tasks.filter_map(|t| std::fs::read_to_string(t.unwrap().path().join("stat")).ok());
    let of = |stat: String| -> Option<i32> {
        // `tid (name) state ...`; the 17th value after the name is the niceness.
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let is_meant = name.starts_with(thread);
        is_meant.then(|| rest.split_whitespace().nth(16)?.parse().ok())?
    };
    let found: Vec<i32> = stats.filter_map(of).collect();
    assert!(!found.is_empty(), "no thread {thread}");
    assert!(found.iter().all(|n| *n == nice), "{thread}: {found:?}");
}

/// Ends of a tenant's cases so far; more may come while they are read.
fn ended(reader: &mut VerdictReader, into: &mut Vec<Verdict>) -> usize {
    const LOOK: Duration = Duration::from_millis(10);
    loop {
        let more = reader.next(LOOK).unwrap();
        if more.is_empty() {
            return into.len();
        }
        into.extend(more);
    }
}

fn reader_of_other(log: &dyn Log) -> VerdictReader {
    VerdictReader::open(log, "other", Mode::Live, Start::Beginning).unwrap()
}

#[test]
fn bulk_enrolments_leave_interactive_cases_alone() {
    let count: usize = form(2_000, 100_000);
    let mut row = Row::begin_alone("bulk enrolments running at nice 19");
    let cluster = Cluster::without_workers(&[site::LARGE_FACES, LANES, TENANTS]);
    let worker = cluster.start_worker("front", 0);
    assert_niceness(&worker, "front.bulk", 19);
    assert_niceness(&worker, "front.interact", 0);
    let log: Arc<dyn Log> = cluster.log.clone();
    let mut steady = Steady::new(log.as_ref());
    steady.queueing("warm", warm());
    let alone = steady.queueing("alone", measured());

    let mut cases = Cases::open(log.clone(), "other", run::MAX_WAIT).unwrap();
    let made = cases
        .ask(Lane::Bulk, requests::creation("creation", "staff"))
        .unwrap();
    assert_eq!(made.decision, Decision::Done);
    let library = ids::library("other", made.case_id);
    let picture = events::picture(&site::home(), "rihanna.jpg");
    let enrolment = |n: usize| Request {
        probe: Some(requests::inline(picture.clone(), None)),
        ..requests::enrolment(
            &format!("enrol-{n}"),
            library,
            &format!("person-{n}"),
            &libraries::consent(),
        )
    };
    for from in (0..count).step_by(100) {
        let part = (from..count.min(from + 100)).map(enrolment).collect();
        cases.publish(Lane::Bulk, part).unwrap();
    }
    let (mut reader, mut ends) = (reader_of_other(log.as_ref()), Vec::new());
    await_that("enrolments run", || ended(&mut reader, &mut ends) > 16);
    let before = ends.len();
    let beside = steady.queueing("beside", measured());
    let during = ended(&mut reader, &mut ends) - before;
    assert!(during > 0 && ends.len() <= count, "{during}");
    row.injected(
        count,
        "bulk enrolment published, at nice 19, in the same process",
    );
    worker.drain();
    ends.extend(reader.await_count(0, run::MAX_WAIT).unwrap());
    let done = ends
        .iter()
        .filter(|v| v.canonical.decision == Decision::Done)
        .count();
    assert_eq!(done, ends.len(), "creation and enrolments");
    row.note(format!(
        "{during} enrolments ended while cases were measured, {} in all; the other {} still waited at the end",
        ends.len() - 1,
        count + 1 - ends.len()
    ));
    row.await_verdicts(log.as_ref(), steady.published);
    judge(&mut row, &alone, &beside);
    row.end();
}

/// A process that works for one tenant alone, by a topology that names no other, with this niceness.
fn of_tenant(cluster: &Cluster, tenant: &str, slot: u32, nice: i32) -> Worker {
    let file = cluster.folder().join(format!("{tenant}.toml"));
    let text = std::fs::read_to_string(cluster.topology()).unwrap();
    assert!(text.contains(TENANTS.1));
    let text = text.replace(TENANTS.1, &format!("tenants = [{tenant:?}] "));
    assert!(text.contains("[runtime]\n"));
    let text = text.replace("[runtime]\n", &format!("[runtime]\nnice = {nice}\n"));
    std::fs::write(&file, text).unwrap();
    let mut command = processes::on_kafka(&file, &cluster.bootstrap());
    command.args(["run", "--segment", "front", "--slot", &slot.to_string()]);
    let worker = Worker::launch(command, tenant).ready();
    assert_niceness(&worker, "front.interact", nice);
    worker
}

/// `count` cases of the tenant `other`, as fast as the broker takes them.
fn flood(log: &dyn Log, count: usize) {
    let like = events::requests(&site::home(), 1);
    let record = |n: usize| {
        let request = Request {
            request_id: format!("flood-{n}"),
            ..like[0].clone()
        };
        requests::record("other", Lane::Interactive, &request)
            .unwrap()
            .0
    };
    let mut publisher = log.publisher().unwrap();
    for from in (0..count).step_by(50) {
        let part = (from..count.min(from + 50)).map(record).collect();
        publisher.publish(part).unwrap();
    }
}

/// A process of its own, at nice 19, keeps the flood apart. Where both tenants share one, the others' records come next in each bundle, but
/// they wait for the bundle at hand: that is measured, and not judged.
#[test]
fn a_tenant_that_floods_its_topic_leaves_others_alone() {
    let count: usize = form(4_000, 40_000);
    let mut row = Row::begin_alone("one tenant flooding");
    let cluster = Cluster::without_workers(&[site::LARGE_FACES, TENANTS]);
    let log = cluster.log.as_ref();
    let calm = of_tenant(&cluster, "default", 0, 0);
    let mut steady = Steady::new(log);
    steady.queueing("warm", warm());
    let alone = steady.queueing("alone", measured());

    flood(log, count);
    let flooded = of_tenant(&cluster, "other", 1, 19);
    let (mut reader, mut ends) = (reader_of_other(log), Vec::new());
    await_that("the flood is worked at", || {
        ended(&mut reader, &mut ends) > 0
    });
    let beside = steady.queueing("beside", measured());
    let apart = ended(&mut reader, &mut ends);
    calm.drain();
    flooded.drain();

    let shared = cluster.start_worker("front", 0);
    await_that("the flood is worked at", || {
        ended(&mut reader, &mut ends) > apart
    });
    let together = steady.queueing("together", measured());
    let during = ended(&mut reader, &mut ends);
    assert!(during < count, "the flood was over before the end");
    shared.drain();
    row.injected(
        count,
        "interactive case of one tenant, as fast as the broker took it, for a process of its own at nice 19",
    );
    row.note(format!(
        "{} cases of the flood still waited at the end",
        count - during
    ));
    row.note(format!("with a process for both tenants: {together}"));
    row.await_verdicts(log, steady.published);
    judge(&mut row, &alone, &beside);
    row.end();
}
