//! The all-in-one process dies, on the embedded log: nothing is lost, nothing is there twice.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shiren::case_reader::VerdictReader;
use shiren_integration_tests::dice::Dice;
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::run::EVENTS;
use shiren_integration_tests::{events, run, site};
use shiren_log::{Log, STEPS, Start};
use shiren_schemas::records::{Mode, Request, Verdict};
use tempfile::TempDir;

/// These kills say nothing of the record at hand, and three in a row may meet the same one: it would be ended as one that
/// kills the process (`record_kills_process`; tests/faults/poison.rs).
const MANY_ATTEMPTS: (&str, &str) = (
    "drain_max_ms = 8000 ",
    "crash_max_attempts = 100\ndrain_max_ms = 8000 ",
);

/// An embedded log with requests in it, whose chain runs in another process.
struct Disturbed {
    log: Arc<dyn Log>,
    reader: VerdictReader,
    seen: Vec<Verdict>,
    folder: TempDir,
}

impl Disturbed {
    fn with(requests: &[Request]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let changes = [site::LARGE_FACES, site::SMALL_BUNDLES, MANY_ATTEMPTS];
        let site = site::embedded(folder.path(), &changes);
        let log = site.open_log().unwrap();
        site.set_up(log.as_ref()).unwrap();
        run::publish(log.as_ref(), requests);
        let live = Mode::Live;
        let reader = VerdictReader::open(log.as_ref(), "default", live, Start::Beginning).unwrap();
        Self {
            log,
            reader,
            seen: Vec::new(),
            folder,
        }
    }

    fn topology(&self) -> std::path::PathBuf {
        self.folder.path().join("topology.toml")
    }

    /// Reads until there are `count` verdicts or more.
    fn await_verdicts(&mut self, count: usize) {
        let deadline = Instant::now() + run::MAX_WAIT;
        while self.seen.len() < count {
            assert!(Instant::now() < deadline, "{} of {count}", self.seen.len());
            let wait = Duration::from_millis(100);
            self.seen.extend(self.reader.next(wait).unwrap());
        }
    }

    /// Reads all verdicts that there are; how many.
    fn count(&mut self) -> usize {
        while !self.reader.at_end().unwrap() {
            self.seen.extend(self.reader.next(Duration::ZERO).unwrap());
        }
        self.seen.len()
    }

    /// Lets a worker do the rest.
    fn finish(&mut self, events: usize) {
        let last = launch(&self.topology());
        self.await_verdicts(events);
        last.drain();
        self.assert_as_undisturbed(events);
    }

    fn assert_as_undisturbed(&self, events: usize) {
        let verdicts = run::verdicts(self.log.as_ref(), events);
        assert_eq!(run::canonical(&verdicts), run::undisturbed(events));
    }
}

fn launch(topology: &Path) -> Worker {
    Worker::launch(armed(topology, None), "front")
}

/// `shiren run`, to be killed at a step.
fn armed(topology: &Path, kill_point: Option<&str>) -> std::process::Command {
    let mut command = processes::on_embedded(topology);
    command.arg("run");
    if let Some(point) = kill_point {
        command.env("SHIREN_KILL_POINT", point);
    }
    command
}

#[test]
fn killed_at_ten_random_moments_every_case_ends_once() {
    /// A case takes about this long.
    const CASE_US: u64 = 20_000;
    let mut dice = Dice::seeded();
    let requests = events::requests(&site::home(), EVENTS);
    let mut run = Disturbed::with(&requests);
    let mut kills = Vec::new();
    for _ in 0..10 {
        let worker = launch(&run.topology());
        let more = usize::try_from(dice.between(1, 12)).unwrap();
        run.await_verdicts(run.seen.len() + more);
        // Not a wait for anything: the moment within a bundle of four is random, too.
        std::thread::sleep(Duration::from_micros(dice.between(0, 4 * CASE_US)));
        worker.kill();
        kills.push(run.count());
    }
    println!("verdicts at each kill: {kills:?}");
    assert!(kills.iter().all(|seen| (1..EVENTS).contains(seen)));
    run.finish(EVENTS);
}

#[test]
fn killed_at_each_step_of_a_bundle_every_case_ends_once() {
    const EVENTS: usize = 60;
    let requests = events::requests(&site::home(), EVENTS);
    let mut run = Disturbed::with(&requests);
    let mut committed = 0;
    for (index, step) in STEPS.iter().enumerate() {
        // Now in the first bundle of a process, now in the second.
        let time = 1 + index % 2;
        let point = format!("{step}@{time}");
        Worker::launch(armed(&run.topology(), Some(&point)), step).await_kill();
        // What was killed is in the log when its transaction was through, and else is not.
        let bundles = time - 1 + usize::from(*step == "committed");
        let before = std::mem::replace(&mut committed, run.count());
        let through = committed - before;
        assert_eq!(through > 0, bundles > 0, "{point}: {through} verdicts");
        assert!(through <= 4 * bundles, "{point}: {through} verdicts");
    }
    assert!(committed < EVENTS);
    run.finish(EVENTS);
}

/// SIGTERM in the middle of a run: the bundle at hand is committed, and nothing is done twice.
#[test]
fn a_drain_in_the_middle_does_nothing_twice() {
    const EVENTS: usize = 60;
    let requests = events::requests(&site::home(), EVENTS);
    let mut run = Disturbed::with(&requests);
    let first = launch(&run.topology()).ready();
    run.await_verdicts(5);
    let first = first.drain();
    let answered = run.count();
    assert!((5..EVENTS).contains(&answered), "{answered}");
    assert_eq!(first.records, answered as u64);
    let second = launch(&run.topology()).ready();
    run.await_verdicts(EVENTS);
    let second = second.drain();
    assert_eq!(first.records + second.records, EVENTS as u64);
    assert_eq!((first.rebuilds, second.rebuilds), (0, 0));
    run.assert_as_undisturbed(EVENTS);
}
