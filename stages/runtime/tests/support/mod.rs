//! A segment on a log of its own, run until so many verdicts are there.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "test code: a panic is how it speaks, and no test uses all of it"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shiren_contract::policies::Policies;
use shiren_contract::policy::{Scene, Scenes};
use shiren_log::{Log, NewRecord, Start, TopicSpec};
use shiren_log_embedded::{EmbeddedLog, EmbeddedOptions};
use shiren_runtime::{
    Drain, GlobalTable, Health, Instruments, Options, PolicySource, Registry, Runtime,
    RuntimeError, SegmentOptions, StateBounds, Summary, WatchBounds, WorkerBounds,
};
use shiren_schemas::records::{Envelope, Lane, Request, RequestKind, Verdict};
use shiren_schemas::{Id, Wire};
use tempfile::TempDir;

pub const REQUESTS: &str = "shiren.default.requests.interactive";
pub const VERDICTS: &str = "shiren.default.verdicts";

/// Between two looks for timers.
pub const TICK: Duration = Duration::from_millis(10);

/// Waits until it is so.
pub fn await_that(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn changelog_of(stage: &str) -> String {
    format!("shiren.state.{stage}.interactive")
}

/// Of a case whose bytes say nothing else.
pub fn envelope(case_id: Id, received_time: i64) -> Envelope {
    Envelope::new(
        case_id,
        &Request::new("r", RequestKind::Detect),
        received_time,
    )
}

/// A log with the topics of one segment, whose last stage remembers.
pub struct Site {
    _folder: TempDir,
    stages: &'static [&'static str],
    pub log: Arc<dyn Log>,
    pub bounds: StateBounds,
    pub clock_max_off: Duration,
}

impl Site {
    pub fn new(stages: &'static [&'static str]) -> Self {
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
        topics.extend(stages.iter().map(|stage| spec(&changelog_of(stage), true)));
        topics.push(spec(&format!("shiren.attempts.{}", stages[0]), true));
        log.apply_topics(&topics).unwrap();
        Self {
            _folder: folder,
            stages,
            log: Arc::new(log),
            bounds: StateBounds {
                partition_max_keys: 1_000,
                partition_max_bytes: 1 << 20,
            },
            clock_max_off: Duration::from_secs(60),
        }
    }

    pub fn publish(&self, partition: i32, words: &[&str]) {
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
        let stages = || {
            self.stages
                .iter()
                .map(|stage| (*stage).to_owned())
                .collect::<Vec<_>>()
        };
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
            chain: stages(),
            segments: vec![SegmentOptions {
                name: self.stages[0].to_owned(),
                stages: stages(),
                workers: 1,
                first_slot: 0,
            }],
            lanes: vec![Lane::Interactive],
            commands_lane: None,
            nice: 0,
            bulk_nice: 19,
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
                clock_max_skew: Duration::from_secs(30),
                clock_max_off: self.clock_max_off,
                max_resident_mib: 1 << 20,
                tick: TICK,
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
            capture_max_skew_ms: 300_000,
            dead_letters_head_max_bytes: 0,
            max_record_bytes: 100_000,
            host: "host".to_owned(),
            tenants,
        }
    }

    /// Runs until `count` verdicts are there in all, then drains.
    pub fn run_until(&self, registry: Registry, count: usize) -> Result<Summary, RuntimeError> {
        let ended = self.run_beside(registry, |_, running| {
            await_that("the verdicts are there", || {
                self.reasons().len() >= count || !running()
            });
        });
        ended.map(|((), summary)| summary)
    }

    /// Runs while `work` is done, which is given the health of the process and whether it still runs; then drains.
    pub fn run_beside<T>(
        &self,
        registry: Registry,
        work: impl FnOnce(&Health, &dyn Fn() -> bool) -> T,
    ) -> Result<(T, Summary), RuntimeError> {
        let options = self.options();
        let health = options.health.clone();
        let runtime = Runtime::build(options, registry, self.log.clone())?;
        let drain = Drain::new();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| runtime.run(&drain, || {}));
            // Drained even when `work` panics, so that the test ends.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                work(&health, &|| !running.is_finished())
            }));
            drain.request();
            let ended = running.join().unwrap();
            let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ended.map(|summary| (done, summary))
        })
    }

    /// The verdicts' reasons in the order of their partitions.
    pub fn reasons(&self) -> Vec<String> {
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

    /// The newest value of each key in the last stage's changelog.
    pub fn changelog(&self, partition: i32) -> BTreeMap<String, Bytes> {
        let mut newest = BTreeMap::new();
        let each = &mut |record: shiren_log::Record| {
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            match record.value {
                Some(value) => newest.insert(key, value),
                None => newest.remove(&key),
            };
        };
        self.log
            .read_partitions(
                &changelog_of(self.stages[self.stages.len() - 1]),
                &[partition],
                each,
            )
            .unwrap();
        newest
    }
}
