//! `Options -> build -> run(drain)`.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use shiren_contract::policies::Policies;
use shiren_contract::seal::Vault;
use shiren_log::{Log, LogError, WorkerOptions};
use shiren_schemas::records::Lane;
use shiren_schemas::topics::Topic;

use crate::clock_check::ClockCheck;
use crate::crash_attempts::{Alone, CrashAttempts};
use crate::dead_letter_limits::DeadLetterLimits;
use crate::drain::Drain;
use crate::emission::{Emitter, Rekeys};
use crate::global_table::GlobalTable;
use crate::health::{Health, Pulse};
use crate::keeper::Keeper;
use crate::metrics::Instruments;
use crate::niceness;
use crate::registry::Registry;
use crate::resident::resident_bytes;
use crate::runtime_error::RuntimeError;
use crate::segment::Segment;
use crate::watch::{Watch, WatchBounds};
use crate::watchdog::Watchdog;
use crate::worker::{WorkerBounds, WorkerLoop};

/// One segment of this process.
#[derive(Clone, Debug)]
pub struct SegmentOptions {
    /// Name, for logs and the observed part of verdicts.
    pub name: String,
    /// Adjacent stages of the chain.
    pub stages: Vec<String>,
    /// Worker loops in this process.
    pub workers: u32,
    /// Slot of the first one: processes that run the same segment use slots of their own.
    pub first_slot: u32,
}

/// All that the runtime needs to know.
#[derive(Clone)]
pub struct Options {
    /// Stages in their total order.
    pub chain: Vec<String>,
    /// Segments that this process runs.
    pub segments: Vec<SegmentOptions>,
    /// Tenants.
    pub tenants: Vec<String>,
    /// Lanes; each has worker loops of its own.
    pub lanes: Vec<Lane>,
    /// The lane whose workers read library commands too; `None`: the chain has no use for them.
    pub commands_lane: Option<Lane>,
    /// Niceness of the loops, 0 to 19.
    pub nice: i32,
    /// Niceness of the loops of [`Lane::Bulk`], 0 to 19.
    pub bulk_nice: i32,
    /// Most records of a bundle.
    pub bundle_max_records: usize,
    /// Most bytes of a bundle.
    pub bundle_max_bytes: usize,
    /// Longest wait for a record before a worker looks whether it shall drain.
    pub poll_max_wait: Duration,
    /// Most bytes queued ahead of a worker.
    pub queue_max_bytes: usize,
    /// Bounds of the loop.
    pub bounds: WorkerBounds,
    /// What cases are judged by.
    pub policy: PolicySource,
    /// What seals pictures before they are written; `None`: they are written as they are.
    pub vault: Option<Arc<dyn Vault>>,
    /// Expiry where the scene is unknown, milliseconds.
    pub default_expires_after_ms: i64,
    /// Largest distance of a live case's capture time from its append time, milliseconds.
    pub capture_max_skew_ms: i64,
    /// Largest record, bytes.
    pub max_record_bytes: usize,
    /// Most bytes of a record that its dead letter keeps, sealed.
    pub dead_letters_head_max_bytes: usize,
    /// Host name, for the observed part of verdicts.
    pub host: String,
    /// What measures this process.
    pub instruments: Instruments,
    /// Where its workers are.
    pub health: Health,
    /// Bounds of watching.
    pub watch: WatchBounds,
}

/// The policy, and the table that keeps it up to date.
#[derive(Clone, Debug)]
pub struct PolicySource {
    /// What the table has made known; stages share it.
    pub policies: Policies,
    /// Topic and how its records change `policies`.
    pub table: GlobalTable,
    /// Longest wait for a version that a case names and that is not known yet. Another process
    /// may have read of it first.
    pub version_max_wait: Duration,
}

impl Options {
    fn nice_of(&self, lane: Lane) -> i32 {
        match lane {
            Lane::Bulk => self.bulk_nice.max(self.nice),
            _ => self.nice,
        }
    }

    /// The emitter of a worker of `lane`; `layout` names its segment.
    #[must_use]
    pub fn emitter(&self, lane: Lane, layout: &str) -> Emitter {
        Emitter {
            lane,
            tenants: self.tenants.clone(),
            policies: self.policy.policies.clone(),
            vault: self.vault.clone(),
            default_expires_after_ms: self.default_expires_after_ms,
            capture_max_skew_ms: self.capture_max_skew_ms,
            host: self.host.clone(),
            layout: layout.to_owned(),
            max_record_bytes: self.max_record_bytes,
            instruments: self.instruments.clone(),
            dead_letters_head_max_bytes: self.dead_letters_head_max_bytes,
            rekeys: Rekeys::default(),
        }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records processed and committed.
    pub records: u64,
    /// Commits.
    pub bundles: u64,
    /// Verdicts committed.
    pub verdicts: u64,
    /// Dead letters committed.
    pub dead_letters: u64,
    /// Records of cases that other records ended: requests that came again.
    pub absorbed: u64,
    /// `traceparent` headers that could not be read.
    pub bad_trace_headers: u64,
    /// Times a worker was built anew.
    pub rebuilds: u64,
}

impl Summary {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bundles += other.bundles;
        self.verdicts += other.verdicts;
        self.dead_letters += other.dead_letters;
        self.absorbed += other.absorbed;
        self.bad_trace_headers += other.bad_trace_headers;
        self.rebuilds += other.rebuilds;
    }
}

/// A process's share of the chain.
pub struct Runtime {
    options: Options,
    registry: Registry,
    log: Arc<dyn Log>,
}

impl Runtime {
    /// Checks that every topic the segments read exists.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`], or the log does not answer.
    pub fn build(
        options: Options,
        registry: Registry,
        log: Arc<dyn Log>,
    ) -> Result<Self, RuntimeError> {
        let runtime = Self {
            options,
            registry,
            log,
        };
        for segment in &runtime.options.segments {
            for lane in &runtime.options.lanes {
                for topic in runtime.inputs(segment, *lane) {
                    if runtime.log.partitions(&topic)?.is_none() {
                        return Err(LogError::UnknownTopic { topic }.into());
                    }
                }
            }
            let topic = attempts_topic(segment);
            if runtime.log.partitions(&topic)?.is_none() {
                return Err(LogError::UnknownTopic { topic }.into());
            }
        }
        Ok(runtime)
    }

    /// Runs all segments until `drain` is asked for or one of them fails; then the others drain too.
    /// `ready` is called once, when every worker has its stages built and its log open.
    ///
    /// # Errors
    /// The first failure; what was committed stays committed.
    pub fn run(&self, drain: &Drain, ready: impl FnOnce()) -> Result<Summary, RuntimeError> {
        if resident_bytes().is_none() {
            tracing::warn!(
                "this system does not tell a process's memory: runtime.max_resident_mib is not watched"
            );
        }
        let loops = self
            .options
            .segments
            .iter()
            .map(|s| s.workers as usize)
            .sum::<usize>();
        self.options
            .health
            .expect(loops * self.options.lanes.len(), drain);
        let table = &self.options.policy.table;
        let reader = table.read_to_end(self.log.as_ref())?;
        let (events, inbox) = mpsc::channel();
        let mut waiting_for = 0_usize;
        let watchdog = Watchdog::new(self.options.bounds.record_max);
        let alone = Alone::default();
        let together = Together {
            watchdog: &watchdog,
            alone: &alone,
            drain,
        };
        std::thread::scope(|scope| {
            for segment in &self.options.segments {
                for lane in &self.options.lanes {
                    for index in 0..segment.workers {
                        let events = events.clone();
                        let name =
                            format!("{}.{lane}.{}", segment.name, segment.first_slot + index);
                        let thread = std::thread::Builder::new().name(name.clone());
                        let slot = segment.first_slot + index;
                        let pulse = self.options.health.worker(&segment.name, *lane, slot);
                        let spawned = thread.spawn_scoped(scope, {
                            let events = events.clone();
                            move || {
                                niceness::yield_to_others(self.options.nice_of(*lane));
                                // Sent when the thread ends, however it ends.
                                let mut end = EndOfWorker {
                                    events,
                                    name,
                                    result: None,
                                };
                                let started = end.events.clone();
                                let ready = move || drop(started.send(Event::Ready));
                                end.result = Some(
                                    self.worker(segment, *lane, index, pulse, together, ready),
                                );
                            }
                        });
                        waiting_for += 1;
                        if let Err(error) = spawned {
                            let lost = Err(RuntimeError::WorkerLost(error.to_string()));
                            let _ = events.send(Event::Ended(lost));
                        }
                    }
                }
            }
            drop(events);
            let watching = std::thread::Builder::new()
                .name("watchdog".to_owned())
                .spawn_scoped(scope, || watchdog.run(drain));
            let following = std::thread::Builder::new()
                .name("policy".to_owned())
                .spawn_scoped(scope, || table.follow(self.log.as_ref(), reader, drain));
            if let Err(error) = watching.and(following) {
                drain.request();
                let _ = collect(&inbox, waiting_for, drain, || {});
                return Err(RuntimeError::WorkerLost(error.to_string()));
            }
            let done = collect(&inbox, waiting_for, drain, ready);
            // All workers have ended: nobody needs the table.
            drain.request();
            done
        })
    }

    fn worker(
        &self,
        segment: &SegmentOptions,
        lane: Lane,
        index: u32,
        pulse: Arc<Pulse>,
        together: Together<'_>,
        ready: impl FnOnce(),
    ) -> Result<Summary, RuntimeError> {
        self.build_loop(segment, lane, index, pulse, together)?
            .run(ready)
    }

    /// The loop of one worker, for who drives it turn by turn.
    ///
    /// # Errors
    /// A stage could not be built.
    pub fn worker_loop(
        &self,
        segment: &SegmentOptions,
        lane: Lane,
        index: u32,
        drain: &Drain,
    ) -> Result<WorkerLoop, RuntimeError> {
        let slot = segment.first_slot + index;
        let pulse = self.options.health.worker(&segment.name, lane, slot);
        let together = Together {
            watchdog: &Watchdog::new(self.options.bounds.record_max),
            alone: &Alone::default(),
            drain,
        };
        self.build_loop(segment, lane, index, pulse, together)
    }

    fn build_loop(
        &self,
        segment: &SegmentOptions,
        lane: Lane,
        index: u32,
        pulse: Arc<Pulse>,
        together: Together<'_>,
    ) -> Result<WorkerLoop, RuntimeError> {
        let options = &self.options;
        let clock = &self.registry.clock;
        let first_stage = segment.stages.first().map_or("", String::as_str);
        let slot = segment.first_slot + index;
        let transactional_id = format!("shiren.{first_stage}.{lane}-{slot}");
        let mut built = Segment::build(&self.registry, &options.chain, &segment.stages)
            .map_err(RuntimeError::Build)?
            .on_log(options.policy.clone(), options.vault.clone());
        let instruments = options.instruments.of_worker(&segment.name, lane);
        // Kafka's transaction markers take offsets; in the embedded log every offset is a record.
        let is_dense = self.log.engine() == "embedded";
        built.progress = together.watchdog.watch(transactional_id.clone());
        let attempts = CrashAttempts::new(
            attempts_topic(segment),
            format!("{transactional_id}@{}", clock.now_us()),
            options.bounds.crash_max_attempts,
            options.bundle_max_records,
            together.alone.clone(),
        );
        Ok(WorkerLoop {
            log: self.log.clone(),
            options: WorkerOptions {
                // Named by the stage, not the segment: a stage keeps its place when the layout changes.
                group: format!("shiren.{first_stage}.{lane}"),
                transactional_id,
                topics: self.inputs(segment, lane),
                slot: index,
                slots: segment.workers,
                bundle_max_records: options.bundle_max_records,
                bundle_max_bytes: options.bundle_max_bytes,
                poll_max_wait: options.poll_max_wait,
                queue_max_bytes: options.queue_max_bytes,
            },
            segment: built.measured(&instruments),
            emitter: Emitter {
                rekeys: Rekeys::of(&self.registry, first_stage),
                ..options.emitter(lane, &segment.name)
            },
            bounds: options.bounds,
            drain: together.drain.clone(),
            clock: clock.clone(),
            partitions: HashMap::new(),
            keeper: Keeper::new(lane, clock.clone()),
            ticked: clock.instant(),
            summary: Summary::default(),
            limits: DeadLetterLimits::default(),
            attempts,
            watch: Watch::new(instruments, pulse, is_dense, options.watch),
            clock_check: ClockCheck::default(),
        })
    }

    /// The topics that a segment reads: ingress of every tenant, or its first stage's own.
    fn inputs(&self, segment: &SegmentOptions, lane: Lane) -> Vec<String> {
        let first = segment.stages.first().map_or("", String::as_str);
        if self.options.chain.first().is_some_and(|head| head == first) {
            let requests = |tenant: &String| Topic::Requests {
                tenant: tenant.clone(),
                lane,
            };
            let commands = |tenant: &String| Topic::LibraryCommands {
                tenant: tenant.clone(),
            };
            let tenants = &self.options.tenants;
            let mut topics: Vec<Topic> = tenants.iter().map(requests).collect();
            if self.options.commands_lane == Some(lane) {
                topics.extend(tenants.iter().map(commands));
            }
            topics.iter().map(Topic::to_string).collect()
        } else {
            vec![
                Topic::Stage {
                    stage: first.to_owned(),
                    lane,
                }
                .to_string(),
            ]
        }
    }
}

/// What the workers of a process have together.
#[derive(Clone, Copy)]
struct Together<'a> {
    watchdog: &'a Watchdog,
    alone: &'a Alone,
    drain: &'a Drain,
}

/// Of the group's stage: it stays when the layout behind it changes.
fn attempts_topic(segment: &SegmentOptions) -> String {
    let stage = segment.stages.first().cloned().unwrap_or_default();
    Topic::Attempts { stage }.to_string()
}

enum Event {
    Ready,
    Ended(Result<Summary, RuntimeError>),
}

struct EndOfWorker {
    events: mpsc::Sender<Event>,
    name: String,
    result: Option<Result<Summary, RuntimeError>>,
}

impl Drop for EndOfWorker {
    fn drop(&mut self) {
        let lost = || Err(RuntimeError::WorkerLost(self.name.clone()));
        let result = self.result.take().unwrap_or_else(lost);
        let _ = self.events.send(Event::Ended(result));
    }
}

fn collect(
    inbox: &mpsc::Receiver<Event>,
    workers: usize,
    drain: &Drain,
    ready: impl FnOnce(),
) -> Result<Summary, RuntimeError> {
    let mut ready = Some(ready);
    let mut opened = 0;
    let mut summary = Summary::default();
    let mut first_error = None;
    for event in inbox {
        match event {
            Event::Ready => {
                opened += 1;
                if opened == workers
                    && let Some(ready) = ready.take()
                {
                    ready();
                }
            }
            Event::Ended(Ok(done)) => summary.add(done),
            Event::Ended(Err(error)) => {
                tracing::error!(%error, "a worker failed; the process drains");
                drain.request();
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(summary), Err)
}
