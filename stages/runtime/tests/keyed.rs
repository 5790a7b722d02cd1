//! A stage that remembers, on a real log: what it knows is what its partition has seen, whatever ends in between.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

mod support;

use std::time::{Duration, Instant};

use shiren_contract::keyed::{KeyedStage, Memory};
use shiren_contract::stage::{Absorption, Arrival, Input, Outcome, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_log::{Commit, Position, WorkerOptions};
use shiren_runtime::{Phase, Registry, RuntimeError, Summary};
use shiren_schemas::records::{Decision, LedgerEntry, RequestKind, StatePosition};
use shiren_schemas::{Id, Sha256, Wire, ids};
use support::{REQUESTS, Site, TICK, envelope};

const GROUP: &str = "shiren.tally.interactive";

/// A record is `KEY MS`: it counts the records of its key, for so many milliseconds of event time. `KEY panic` panics
/// with a change in its hands, `KEY again` is absorbed.
struct Tally;

fn counted(state: Option<&LedgerEntry>) -> u8 {
    state.map_or(0, |state| state.payload_sha256.0[0])
}

impl KeyedStage for Tally {
    type Input = Arrival;
    type State = LedgerEntry;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "tally",
        kinds: &[RequestKind::Detect],
        input: <Arrival as Input>::SCHEMA,
        outputs: &[],
        checks: &[],
        state: Some(LedgerEntry::NAME),
        is_rekeyed: false,
    };

    fn process(&mut self, arrival: Arrival, memory: &mut Memory<'_, LedgerEntry>) -> Outcome {
        let text = String::from_utf8(arrival.value.unwrap().to_vec()).unwrap();
        let (key, word) = text.split_once(' ').unwrap();
        let case = ids::refused_case(&arrival.topic, arrival.partition, arrival.offset);
        let count = counted(memory.get(key)) + 1;
        let ms = word.parse().unwrap_or(60_000);
        memory.put(key, tally(case, count, arrival.append_time_us + ms * 1_000));
        match word {
            "panic" => panic!("on purpose"),
            "again" => Outcome::Absorbed(Absorption::Duplicate { case }),
            _ => closed(case, arrival.append_time_us, format!("{key} {count}")),
        }
    }

    fn fire(
        &mut self,
        key: &str,
        state: LedgerEntry,
        _: &mut Memory<'_, LedgerEntry>,
    ) -> Option<Outcome> {
        let word = format!("{key} fired at {}", counted(Some(&state)));
        Some(closed(ids::case(key, &word), state.forgotten_at, word))
    }
}

fn tally(case_id: Id, count: u8, forgotten_at: i64) -> LedgerEntry {
    let mut payload_sha256 = Sha256::of(b"");
    payload_sha256.0[0] = count;
    LedgerEntry {
        case_id,
        payload_sha256,
        forgotten_at,
    }
}

fn closed(case_id: Id, received_time: i64, reason: String) -> Outcome {
    let mut terminal = Terminal::new(envelope(case_id, received_time), Decision::Done);
    terminal.reason_codes.push(reason);
    Outcome::terminal(terminal)
}

fn registry(site: &Site) -> Registry {
    Registry::new().with_keyed(site.bounds, || Ok(Tally))
}

fn run_until(site: &Site, count: usize) -> Result<Summary, RuntimeError> {
    site.run_until(registry(site), count)
}

fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words
}

#[test]
fn each_record_finds_what_those_before_it_left_also_after_a_restart() {
    let site = Site::new(&["tally"]);
    site.publish(0, &["a 60000", "b 60000", "a 60000"]);
    site.publish(1, &["a 60000"]);
    run_until(&site, 4).unwrap();
    assert_eq!(sorted(site.reasons()), ["a 1", "a 1", "a 2", "b 1"]);
    // Each run is a worker that remembers nothing of the one before.
    site.publish(0, &["a 60000"]);
    run_until(&site, 5).unwrap();
    site.publish(1, &["a 60000"]);
    run_until(&site, 6).unwrap();
    let expected = ["a 1", "a 1", "a 2", "a 2", "a 3", "b 1"];
    assert_eq!(sorted(site.reasons()), expected);
    let changelog = site.changelog(0);
    let position = StatePosition::decode(&changelog[REQUESTS]).unwrap();
    assert_eq!(position.next_offset, 4);
    let keys: Vec<&str> = changelog.keys().map(String::as_str).collect();
    let key = |key: &str| format!("{REQUESTS}/{key}");
    assert_eq!(keys, [REQUESTS, &key("a"), &key("b")]);
}

#[test]
fn a_worker_is_ready_once_its_state_is_here_and_not_before() {
    let site = Site::new(&["tally"]);
    let words: Vec<String> = (0..200).map(|key| format!("{key} 60000")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    site.publish(0, &words);
    run_until(&site, 200).unwrap();
    let mut phases = Vec::new();
    let (_, summary) = site
        .run_beside(registry(&site), |health, running| {
            // Beyond the first tick, which looks for timers.
            let mut ready_since = None;
            let waits =
                |since: Option<Instant>| since.is_none_or(|since| since.elapsed() < 10 * TICK);
            while waits(ready_since) && running() {
                let phase = health.phase();
                if phases.last() != Some(&phase) {
                    phases.push(phase);
                }
                if phase == Phase::Ready {
                    ready_since.get_or_insert_with(Instant::now);
                }
            }
        })
        .unwrap();
    assert_eq!(summary.rebuilds, 0);
    // What lasted shorter than a look was not seen.
    phases.retain(|phase| *phase != Phase::Restoring);
    assert_eq!(phases, [Phase::Starting, Phase::Ready]);
}

#[test]
fn what_a_panicking_stage_changed_is_dropped_and_its_neighbours_are_unharmed() {
    let site = Site::new(&["tally"]);
    site.publish(0, &["a 60000", "a panic", "a again", "a 60000"]);
    let summary = run_until(&site, 2).unwrap();
    // The panicking record is no case yet: a dead letter alone.
    assert_eq!(site.reasons(), ["a 1", "a 3"]);
    assert_eq!((summary.dead_letters, summary.absorbed), (1, 1));
    assert_eq!((summary.records, summary.rebuilds), (4, 0));
}

#[test]
fn a_timer_fires_on_an_idle_partition_and_its_state_is_gone() {
    let site = Site::new(&["tally"]);
    site.publish(0, &["a 50", "b 60000"]);
    run_until(&site, 3).unwrap();
    assert_eq!(site.reasons(), ["a 1", "b 1", "a fired at 1"]);
    let changelog = site.changelog(0);
    assert!(!changelog.contains_key(&format!("{REQUESTS}/a")));
    assert!(changelog.contains_key(&format!("{REQUESTS}/b")));
    // The time it fired at is recorded, so that a rerun sees the same.
    let position = StatePosition::decode(&changelog[REQUESTS]).unwrap();
    assert_eq!(position.next_offset, 2);
    site.publish(0, &["a 60000"]);
    run_until(&site, 4).unwrap();
    assert_eq!(site.reasons().last().unwrap(), "a 1");
    let later = StatePosition::decode(&site.changelog(0)[REQUESTS]).unwrap();
    assert!(later.event_time >= position.event_time);
}

#[test]
fn a_partition_that_remembers_too_much_fires_its_earliest_timers() {
    let mut site = Site::new(&["tally"]);
    site.bounds.partition_max_keys = 2;
    site.publish(0, &["c 30000", "a 20000", "b 90000", "d 90001"]);
    run_until(&site, 6).unwrap();
    let fired: Vec<String> = (site.reasons().into_iter())
        .filter(|word| word.contains("fired"))
        .collect();
    // What is over goes when the next record comes, or at the next tick.
    assert_eq!(fired, ["a fired at 1", "c fired at 1"]);
}

#[test]
fn state_that_is_not_of_the_committed_offset_stops_the_worker() {
    let site = Site::new(&["tally"]);
    site.publish(0, &["a 60000", "a 60000"]);
    run_until(&site, 2).unwrap();
    site.publish(0, &["a 60000"]);
    // Somebody moves the group's offset without its state.
    let mut worker = site
        .log
        .worker(WorkerOptions {
            group: GROUP.to_owned(),
            transactional_id: "by hand".to_owned(),
            topics: vec![REQUESTS.to_owned()],
            slot: 0,
            slots: 1,
            bundle_max_records: 1,
            bundle_max_bytes: 1 << 20,
            poll_max_wait: Duration::from_millis(5),
            queue_max_bytes: 1 << 20,
        })
        .unwrap();
    let generation = worker.assignment().unwrap().generation;
    let skipped = Position {
        topic: REQUESTS.into(),
        partition: 0,
        next: 3,
    };
    let moved = worker.commit_between(generation, &[skipped], Vec::new());
    assert_eq!(moved.unwrap(), Commit::Done);
    drop(worker);
    let stopped = run_until(&site, 3);
    let Err(RuntimeError::StateElsewhere {
        state, committed, ..
    }) = stopped
    else {
        panic!("{stopped:?}");
    };
    assert_eq!((state, committed), (Some(2), Some(3)));
    assert_eq!(site.reasons(), ["a 1", "a 2"]);
}
