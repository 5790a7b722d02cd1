//! A stage that remembers, on a real log: what it knows is what its partition has seen, whatever ends in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shiren_contract::keyed::{KeyedStage, Memory};
use shiren_contract::policies::Policies;
use shiren_contract::policy::{Scene, Scenes};
use shiren_contract::stage::{Absorption, Arrival, Input, Outcome, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_log::{Commit, Log, NewRecord, Position, Start, TopicSpec, WorkerOptions};
use shiren_log_embedded::{EmbeddedLog, EmbeddedOptions};
use shiren_runtime::{
    Drain, GlobalTable, Health, Instruments, Options, PolicySource, Registry, Runtime,
    RuntimeError, SegmentOptions, StateBounds, Summary, WatchBounds, WorkerBounds,
};
use shiren_schemas::records::{
    Decision, Envelope, Lane, LedgerEntry, Mode, RequestKind, StatePosition, Verdict,
};
use shiren_schemas::{Id, Sha256, Wire, ids};
use tempfile::TempDir;

const REQUESTS: &str = "shiren.default.requests.interactive";
const VERDICTS: &str = "shiren.default.verdicts";
const CHANGELOG: &str = "shiren.state.tally.interactive";
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
    let envelope = Envelope {
        request_id: "r".to_owned(),
        kind: RequestKind::Detect,
        scene: "default".to_owned(),
        mode: Mode::Live,
        deadline_ms: None,
        capture_time: None,
        stream_id: None,
        session_id: None,
        sequence: None,
        stream_epoch: None,
        spectrum: None,
        purpose: None,
        consent_ref: None,
        device_risk: None,
        replay_of: None,
        case_id,
        record_id: case_id,
        tenant: "default".to_owned(),
        lane: Lane::Interactive,
        received_time,
        policy_version: 1,
        trail: Vec::new(),
    };
    let mut terminal = Terminal::new(envelope, Decision::Done);
    terminal.reason_codes.push(reason);
    Outcome::terminal(terminal)
}

struct Site {
    _folder: TempDir,
    log: Arc<dyn Log>,
    bounds: StateBounds,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(EmbeddedOptions::new(folder.path())).unwrap();
        let spec = |name: &str, compacted| TopicSpec {
            name: name.to_owned(),
            partitions: 2,
            retention_ms: 3_600_000,
            max_record_bytes: 100_000,
            compacted,
        };
        let plain = [
            REQUESTS,
            VERDICTS,
            "shiren.default.evidence",
            "shiren.default.dead-letters",
        ];
        let mut topics: Vec<TopicSpec> = plain.iter().map(|name| spec(name, false)).collect();
        topics.push(spec("shiren.policy", true));
        topics.push(spec(CHANGELOG, true));
        topics.push(spec("shiren.attempts.tally", true));
        log.apply_topics(&topics).unwrap();
        Self {
            _folder: folder,
            log: Arc::new(log),
            bounds: StateBounds {
                partition_max_keys: 1_000,
                partition_max_bytes: 1 << 20,
            },
        }
    }

    fn publish(&self, partition: i32, words: &[&str]) {
        let record = |word: &&str| NewRecord {
            topic: REQUESTS.into(),
            partition: Some(partition),
            key: Bytes::from_static(b"default/r"),
            value: Some(Bytes::copy_from_slice(word.as_bytes())),
            headers: Vec::new(),
        };
        let mut publisher = self.log.publisher().unwrap();
        publisher
            .publish(words.iter().map(record).collect())
            .unwrap();
    }

    fn options(&self) -> Options {
        let scene = Scene {
            requires: Vec::new(),
            target_fmr: 0.001,
            target_fpir: None,
            min_margin: 0.0,
            allow_extrapolated: None,
            allow_advisory: None,
            expires_after_ms: 1_000,
            request_ttl_ms: 1_000,
            deadline_ms: None,
            min_face_px: 40,
        };
        let scenes = Scenes::from([("default".to_owned(), scene)]);
        let tenants = vec!["default".to_owned()];
        Options {
            chain: vec!["tally".to_owned()],
            segments: vec![SegmentOptions {
                name: "tally".to_owned(),
                stages: vec!["tally".to_owned()],
                workers: 1,
                first_slot: 0,
            }],
            lanes: vec![Lane::Interactive],
            commands_lane: None,
            bundle_max_records: 16,
            bundle_max_bytes: 1 << 20,
            poll_max_wait: Duration::from_millis(5),
            queue_max_bytes: 1 << 20,
            bounds: WorkerBounds {
                commit_max_attempts: 3,
                rebuild_max_attempts: 3,
                dead_letters_max_consecutive: 10,
                dead_letters_max_ratio: 1.0,
                dead_letters_window_records: 1_000,
                crash_max_attempts: 3,
                record_max: Duration::from_secs(60),
                max_resident_mib: 1 << 20,
                tick: Duration::from_millis(10),
            },
            policy: PolicySource {
                policies: Policies::seeded(&tenants, &scenes),
                table: GlobalTable::new("shiren.policy".to_owned(), |_| Ok(())),
                version_max_wait: Duration::ZERO,
            },
            instruments: Instruments::default(),
            health: Health::new(),
            watch: WatchBounds::default(),
            vault: None,
            default_expires_after_ms: 1_000,
            dead_letters_head_max_bytes: 0,
            max_record_bytes: 100_000,
            host: "host".to_owned(),
            tenants,
        }
    }

    /// Runs until `count` verdicts are there in all, then drains.
    fn run_until(&self, count: usize) -> Result<Summary, RuntimeError> {
        let registry = Registry::new().with_keyed(self.bounds, || Ok(Tally));
        let runtime = Runtime::build(self.options(), registry, self.log.clone())?;
        let drain = Drain::new();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| runtime.run(&drain, || {}));
            let deadline = Instant::now() + Duration::from_secs(30);
            while self.reasons().len() < count && !running.is_finished() {
                assert!(Instant::now() < deadline, "{:?}", self.reasons());
                std::thread::sleep(Duration::from_millis(2));
            }
            drain.request();
            running.join().unwrap()
        })
    }

    /// The verdicts' reasons in the order of their partitions.
    fn reasons(&self) -> Vec<String> {
        let mut reader = self.log.reader(VERDICTS, Start::Beginning).unwrap();
        let mut records = Vec::new();
        while !reader.at_end().unwrap() {
            records.extend(reader.read(100, Duration::ZERO).unwrap());
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        let verdict = |value: &Bytes| Verdict::decode(value).unwrap();
        let values = records.iter().filter_map(|record| record.value.as_ref());
        values
            .flat_map(|value| verdict(value).canonical.reason_codes)
            .collect()
    }

    /// The changelog's newest value of each key.
    fn changelog(&self, partition: i32) -> BTreeMap<String, Bytes> {
        let mut newest = BTreeMap::new();
        let each = &mut |record: shiren_log::Record| {
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            match record.value {
                Some(value) => newest.insert(key, value),
                None => newest.remove(&key),
            };
        };
        self.log
            .read_partitions(CHANGELOG, &[partition], each)
            .unwrap();
        newest
    }
}

fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words
}

#[test]
fn each_record_finds_what_those_before_it_left_also_after_a_restart() {
    let site = Site::new();
    site.publish(0, &["a 60000", "b 60000", "a 60000"]);
    site.publish(1, &["a 60000"]);
    site.run_until(4).unwrap();
    assert_eq!(sorted(site.reasons()), ["a 1", "a 1", "a 2", "b 1"]);
    // Each run is a worker that remembers nothing of the one before.
    site.publish(0, &["a 60000"]);
    site.run_until(5).unwrap();
    site.publish(1, &["a 60000"]);
    site.run_until(6).unwrap();
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
fn what_a_panicking_stage_changed_is_dropped_and_its_neighbours_are_unharmed() {
    let site = Site::new();
    site.publish(0, &["a 60000", "a panic", "a again", "a 60000"]);
    let summary = site.run_until(2).unwrap();
    // The panicking record is no case yet: a dead letter alone.
    assert_eq!(site.reasons(), ["a 1", "a 3"]);
    assert_eq!((summary.dead_letters, summary.absorbed), (1, 1));
    assert_eq!((summary.records, summary.rebuilds), (4, 0));
}

#[test]
fn a_timer_fires_on_an_idle_partition_and_its_state_is_gone() {
    let site = Site::new();
    site.publish(0, &["a 50", "b 60000"]);
    site.run_until(3).unwrap();
    assert_eq!(site.reasons(), ["a 1", "b 1", "a fired at 1"]);
    let changelog = site.changelog(0);
    assert!(!changelog.contains_key(&format!("{REQUESTS}/a")));
    assert!(changelog.contains_key(&format!("{REQUESTS}/b")));
    // The time it fired at is recorded, so that a rerun sees the same.
    let position = StatePosition::decode(&changelog[REQUESTS]).unwrap();
    assert_eq!(position.next_offset, 2);
    site.publish(0, &["a 60000"]);
    site.run_until(4).unwrap();
    assert_eq!(site.reasons().last().unwrap(), "a 1");
    let later = StatePosition::decode(&site.changelog(0)[REQUESTS]).unwrap();
    assert!(later.event_time >= position.event_time);
}

#[test]
fn a_partition_that_remembers_too_much_fires_its_earliest_timers() {
    let mut site = Site::new();
    site.bounds.partition_max_keys = 2;
    site.publish(0, &["c 30000", "a 20000", "b 90000", "d 90001"]);
    site.run_until(6).unwrap();
    let fired: Vec<String> = (site.reasons().into_iter())
        .filter(|word| word.contains("fired"))
        .collect();
    // What is over goes when the next record comes, or at the next tick.
    assert_eq!(fired, ["a fired at 1", "c fired at 1"]);
}

#[test]
fn state_that_is_not_of_the_committed_offset_stops_the_worker() {
    let site = Site::new();
    site.publish(0, &["a 60000", "a 60000"]);
    site.run_until(2).unwrap();
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
    let stopped = site.run_until(3);
    let Err(RuntimeError::StateElsewhere {
        state, committed, ..
    }) = stopped
    else {
        panic!("{stopped:?}");
    };
    assert_eq!((state, committed), (Some(2), Some(3)));
    assert_eq!(site.reasons(), ["a 1", "a 2"]);
}
