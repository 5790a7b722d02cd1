//! One run: workers of all segments take turns by the dice, on one thread.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use shiren_contract::invariants::{Violation, state_matches_offset};
use shiren_log::{Log, LogError, TopicSpec, Worker};
use shiren_runtime::{
    Clock, Drain, GlobalTable, Health, Instruments, Options, PolicySource, Runtime, RuntimeError,
    SegmentOptions, Turn, WatchBounds, WorkerBounds, WorkerLoop,
};
use shiren_schemas::records::{Decision, Lane, Mode, Verdict};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Id, Sha256, Wire};

use crate::faulty_log::FaultyLog;
use crate::memory_log::MemoryLog;
use crate::plan::{Crash, Injected, Mutation, Plan};
use crate::ports::World;
use crate::site::{CHAIN, Site, registry};
use crate::time::{Frozen, SimulatedTime};
use crate::workload::{Case, TENANT, cases};

/// Partitions of every topic.
const PARTITIONS: i32 = 3;
/// Workers of a segment.
const SLOTS: u32 = 2;
/// Below what the pictures of two cases take.
const BUNDLE_MAX_BYTES: usize = 150_000;
/// Turns with faults, and the most without until all is quiet.
const FAULTY_TURNS: usize = 150;
const QUIET_TURNS: usize = 3_000;

/// How a case ended first.
pub(crate) type Ends = BTreeMap<Id, (Decision, Sha256)>;

/// What a run came to.
pub struct Run {
    pub(crate) ends: Ends,
    /// What was injected, and how many verdicts came twice.
    pub injected: Injected,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
}

/// Layouts: which stages share a worker, the first and one behind the last. A stage that one outside its segment sends
/// to is the first of its own.
const LAYOUTS: [&[(usize, usize)]; 4] = [
    &[(0, 9)],
    &[(0, 2), (2, 7), (7, 8), (8, 9)],
    &[(0, 6), (6, 7), (7, 8), (8, 9)],
    &[
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 4),
        (4, 5),
        (5, 6),
        (6, 7),
        (7, 8),
        (8, 9),
    ],
];

/// The chain of one run.
pub(crate) struct Chain {
    pub(crate) log: FaultyLog,
    pub(crate) world: World,
    pub(crate) cases: Vec<Case>,
    pub(crate) published: Vec<bool>,
    plan: Plan,
    time: SimulatedTime,
    runtime: Runtime,
    segments: Vec<SegmentOptions>,
    slots: Vec<Slot>,
}

/// A place for a worker; empty while it is dead.
struct Slot {
    segment: usize,
    index: u32,
    worker: Option<WorkerLoop>,
    end: Option<Box<dyn Worker>>,
}

/// One run of a seed.
///
/// # Errors
/// A fault of the simulation itself.
pub(crate) fn run(site: &Site, seed: u64, mutation: Option<Mutation>, faulty: bool) -> Result<Run> {
    let mut chain = Chain::new(site, seed, mutation, faulty)?;
    let violation = chain.play()?;
    let (ends, violation) = match violation {
        Some(violation) => (Ends::new(), Some(violation)),
        None => crate::checks::all(&chain, &site.reference)?,
    };
    let injected = chain.plan.state().injected;
    Ok(Run {
        ends,
        injected,
        violation,
    })
}

fn topics() -> Vec<TopicSpec> {
    let tenant = TENANT.to_owned();
    let mut topics = vec![
        Topic::Requests {
            tenant: tenant.clone(),
            lane: Lane::Interactive,
        },
        Topic::LibraryCommands {
            tenant: tenant.clone(),
        },
        verdicts(),
        Topic::Results {
            tenant: tenant.clone(),
        },
        Topic::Evidence {
            tenant: tenant.clone(),
        },
        dead_letters(),
        Topic::Library,
    ];
    topics.extend([CHAIN[0], CHAIN[8]].map(|stage| Topic::State {
        stage: stage.to_owned(),
        lane: Lane::Interactive,
    }));
    topics.extend(CHAIN.map(|stage| Topic::Attempts {
        stage: stage.to_owned(),
    }));
    topics.extend(CHAIN.map(|stage| Topic::Stage {
        stage: stage.to_owned(),
        lane: Lane::Interactive,
    }));
    let spec = |topic: Topic| TopicSpec {
        name: topic.to_string(),
        partitions: match topic {
            Topic::Attempts { .. } => 1,
            _ => PARTITIONS,
        },
        retention_ms: 86_400_000,
        max_record_bytes: 4 << 20,
        compacted: matches!(
            topic,
            Topic::Library | Topic::State { .. } | Topic::Attempts { .. }
        ),
    };
    topics.into_iter().map(spec).collect()
}

pub(crate) fn verdicts() -> Topic {
    Topic::Verdicts {
        tenant: TENANT.to_owned(),
        mode: Mode::Live,
    }
}

pub(crate) fn dead_letters() -> Topic {
    Topic::DeadLetters {
        tenant: TENANT.to_owned(),
    }
}

fn options(site: &Site, segments: Vec<SegmentOptions>, bundle_max_records: usize) -> Options {
    Options {
        chain: CHAIN.map(str::to_owned).to_vec(),
        segments,
        tenants: vec![TENANT.to_owned()],
        lanes: vec![Lane::Interactive],
        commands_lane: Some(Lane::Interactive),
        nice: 0,
        bulk_nice: 0,
        bundle_max_records,
        bundle_max_bytes: BUNDLE_MAX_BYTES,
        poll_max_wait: Duration::ZERO,
        queue_max_bytes: 1 << 24,
        bounds: WorkerBounds {
            commit_max_attempts: 3,
            rebuild_max_attempts: u32::MAX,
            dead_letters_max_consecutive: u32::MAX,
            dead_letters_max_ratio: 1.0,
            dead_letters_window_records: 1_000,
            // A worker that dies here dies by the dice, not by its record.
            crash_max_attempts: i32::MAX - 1,
            record_max: Duration::from_secs(600),
            // A clock that stands is to be found by what it does.
            clock_max_skew: Duration::from_secs(1 << 40),
            clock_max_off: Duration::from_secs(1 << 40),
            tick: Duration::from_millis(10),
            max_resident_mib: u64::MAX,
        },
        policy: PolicySource {
            policies: site.policies.clone(),
            table: GlobalTable::new(Topic::Policy.to_string(), |_| Ok(())),
            version_max_wait: Duration::ZERO,
        },
        vault: None,
        default_expires_after_ms: 60_000,
        capture_max_skew_ms: 300_000,
        max_record_bytes: 4 << 20,
        host: "simulation".to_owned(),
        dead_letters_head_max_bytes: 1 << 10,
        instruments: Instruments::default(),
        health: Health::new(),
        watch: WatchBounds::default(),
    }
}

impl Chain {
    fn new(site: &Site, seed: u64, mutation: Option<Mutation>, faulty: bool) -> Result<Self> {
        let (plan, time) = (Plan::new(seed, faulty), SimulatedTime::new());
        let clock = time.clone();
        let memory = MemoryLog::new(move || clock.us());
        memory.apply_topics(&topics())?;
        let cases = cases(&site.pictures, seed, !faulty)?;
        let deadline = |case: &Case| Some((case.id, case.deadline_ms?));
        let deadlines = cases.iter().filter_map(deadline).collect();
        let log = FaultyLog::new(memory, plan.clone(), mutation, deadlines);
        let once = plan.below(2) == 0;
        let world = site.world(&plan, &time, mutation, once);
        let clock = match mutation {
            Some(Mutation::ClockStands) => Clock::of(Arc::new(Frozen(time.clone()))),
            _ => Clock::of(Arc::new(time.clone())),
        };
        let layout = LAYOUTS[plan.below(LAYOUTS.len())];
        let segment = |&(first, end): &(usize, usize)| SegmentOptions {
            name: CHAIN[first].to_owned(),
            stages: CHAIN[first..end].iter().map(|s| (*s).to_owned()).collect(),
            workers: SLOTS,
            first_slot: 0,
        };
        let segments: Vec<SegmentOptions> = layout.iter().map(segment).collect();
        let options = options(site, segments.clone(), 1 + plan.below(5));
        let registry = registry(site, clock, &world);
        let slot = |segment| {
            move |index| Slot {
                segment,
                index,
                worker: None,
                end: None,
            }
        };
        Ok(Self {
            runtime: Runtime::build(options, registry, Arc::new(log.clone()))?,
            log,
            world,
            published: vec![false; cases.len()],
            cases,
            plan,
            time,
            slots: (0..segments.len())
                .flat_map(|segment| (0..SLOTS).map(slot(segment)))
                .collect(),
            segments,
        })
    }

    /// Turns under faults, then without until all is quiet. The first violation ends it.
    fn play(&mut self) -> Result<Option<Violation>> {
        if self.plan.state().faulty {
            for _ in 0..FAULTY_TURNS {
                self.happen()?;
                if let Some(violation) = self.log.violation() {
                    return Ok(Some(violation));
                }
            }
        }
        self.plan.state().faulty = false;
        for _ in 0..QUIET_TURNS {
            self.log.land_late()?;
            let mut busy = self.publish()?;
            for slot in 0..self.slots.len() {
                busy |= self.turn(slot)?;
            }
            if let Some(violation) = self.log.violation() {
                return Ok(Some(violation));
            }
            if !busy {
                return Ok(None);
            }
        }
        bail!("the chain was not quiet after {QUIET_TURNS} turns without faults")
    }

    /// What the dice say: most often a worker's turn.
    fn happen(&mut self) -> Result<()> {
        match self.plan.below(100) {
            0..70 => {
                let slot = self.plan.below(self.slots.len());
                self.turn(slot)?;
            }
            70..80 => {
                self.publish()?;
            }
            80..85 => {
                let case = self.plan.below(self.cases.len());
                if self.published[case] {
                    self.publish_again(case)?;
                }
            }
            85..92 => {
                let ms = self.plan.below(200) as u64;
                self.time.advance(Duration::from_millis(ms));
            }
            92..96 => self.log.land_late()?,
            96..98 => {
                let slot = self.plan.below(self.slots.len());
                self.plan.state().injected.crashes += 1;
                self.slots[slot].die();
            }
            _ => {
                let segment = self.plan.below(self.segments.len());
                self.plan.state().injected.revocations += 1;
                let first = &self.segments[segment].stages[0];
                self.log
                    .memory
                    .rebalance(&format!("shiren.{first}.{}", Lane::Interactive));
            }
        }
        Ok(())
    }

    /// Publishes the next case whose turn it is, if there is one.
    fn publish(&mut self) -> Result<bool> {
        let ended = self.ended()?;
        let ready = |case: &Case| {
            case.after
                .is_none_or(|before| ended.contains_key(&self.cases[before].id))
        };
        let open: Vec<usize> = (0..self.cases.len())
            .filter(|case| !self.published[*case] && ready(&self.cases[*case]))
            .collect();
        if open.is_empty() {
            return Ok(false);
        }
        let case = open[self.plan.below(open.len())];
        self.published[case] = true;
        self.log
            .memory
            .append(vec![self.cases[case].record.clone()])?;
        Ok(true)
    }

    /// The same event once more, or another one under its id.
    fn publish_again(&mut self, case: usize) -> Result<()> {
        let conflicts = self.plan.below(3) == 0;
        let case = &self.cases[case];
        let mut state = self.plan.state();
        let record = if conflicts {
            state.injected.conflicts += 1;
            case.conflict.clone()
        } else {
            state.injected.duplicates += 1;
            case.record.clone()
        };
        drop(state);
        Ok(self.log.memory.append(vec![record])?)
    }

    fn ended(&self) -> Result<BTreeMap<Id, Verdict>> {
        let mut ended = BTreeMap::new();
        for verdict in self.verdicts()? {
            ended.entry(verdict.canonical.case_id).or_insert(verdict);
        }
        Ok(ended)
    }

    /// All verdicts, those of a case in their order.
    pub(crate) fn verdicts(&self) -> Result<Vec<Verdict>> {
        let records = self.log.memory.records(&verdicts().to_string());
        let values = records.iter().filter_map(|record| record.value.as_ref());
        Ok(values
            .map(|value| Verdict::decode(value))
            .collect::<Result<_, _>>()?)
    }

    /// One turn of the worker in a slot, which is started where there is none; true when it was not idle.
    fn turn(&mut self, slot: usize) -> Result<bool> {
        let Slot { segment, index, .. } = self.slots[slot];
        if self.slots[slot].worker.is_none() {
            let segment = &self.segments[segment];
            let worker =
                self.runtime
                    .worker_loop(segment, Lane::Interactive, index, &Drain::new())?;
            self.slots[slot].worker = Some(worker);
        }
        let slot = &mut self.slots[slot];
        let Some(worker) = &mut slot.worker else {
            return Ok(false);
        };
        if slot.end.is_none() {
            slot.end = Some(worker.open()?);
        }
        let Some(end) = &mut slot.end else {
            return Ok(false);
        };
        match catch_unwind(AssertUnwindSafe(|| worker.turn(end.as_mut()))) {
            Ok(Ok(Turn::Idle)) => return Ok(false),
            Ok(Ok(Turn::Rebuild(_)))
            | Ok(Err(
                RuntimeError::Timer { .. } | RuntimeError::Log(LogError::Unavailable { .. }),
            )) => {
                slot.end = None;
            }
            Ok(Err(RuntimeError::StateElsewhere {
                state, committed, ..
            })) => self
                .log
                .violated(state_matches_offset(state, committed).err()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(panic) if panic.is::<Crash>() => slot.die(),
            Err(panic) => resume_unwind(panic),
        }
        Ok(true)
    }

    pub(crate) fn count_verdicts(&self, ended: u64, doubled: u64) {
        let mut state = self.plan.state();
        state.injected.verdicts = ended;
        state.injected.verdicts_doubled = doubled;
    }

    pub(crate) fn conflicts(&self) -> u64 {
        self.plan.state().injected.conflicts
    }
}

impl Slot {
    fn die(&mut self) {
        (self.worker, self.end) = (None, None);
    }
}
