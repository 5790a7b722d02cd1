//! A run of adjacent stages without a topic between them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use opentelemetry::Context;
use shiren_contract::seal::{Vault, VaultError};
use shiren_contract::stage::{Absorption, Arrival, Message, Outcome, Rejection, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_schemas::ids;
use shiren_schemas::records::{Envelope, StageTiming};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::clock::Clock;
use crate::ends::{closed, deadline_exceeded, failed, overdue, policy_version_unknown};
use crate::metrics::{StageInstruments, WorkerInstruments};
use crate::passage::{Passage, Place, Step, Taken, Waiting};
use crate::poison::poison;
use crate::registry::{self, AnyStage, BuildError, Registry, StageFactory, Unread};
use crate::run::PolicySource;
use crate::states::{AnyStates, Source};
use crate::watchdog::Progress;

mod asking;
mod intending;
mod remembering;
mod routing;

pub use intending::IntentBounds;
pub(crate) use intending::{Alone, Meanwhile};

/// What a segment makes of a record, before it is put into records of the log.
pub enum Emission {
    /// To the topic of a stage outside the segment.
    Forward {
        /// That stage.
        stage: &'static str,
        /// The case.
        message: Box<dyn Message>,
        /// Trace context headers.
        trace: Vec<(String, Bytes)>,
    },
    /// A case ended.
    Closed {
        /// Its end.
        terminal: Box<Terminal>,
        /// Trace context headers.
        trace: Vec<(String, Bytes)>,
    },
    /// A record that holds no readable case.
    Dead {
        /// Stage that refused it.
        stage: &'static str,
        /// Why.
        rejection: Rejection,
    },
    /// A record of a case that another one ends: nothing is written.
    Absorbed(Absorption),
}

/// Built stages of one segment, with the chain they are a part of.
pub struct Segment {
    pub(crate) stages: Vec<(StageFactory, Box<dyn AnyStage>)>,
    /// What each of them remembers.
    pub(crate) states: Vec<Option<Box<dyn AnyStates>>>,
    /// The latest append time seen of each partition, or later where it was idle.
    event_times_us: HashMap<Source, i64>,
    /// The whole chain in order.
    chain: Vec<StageDescriptor>,
    /// Where versions of the policy are waited for; a lone segment does not wait.
    policy: Option<PolicySource>,
    /// What opens records of the segment's topic.
    pub(crate) vault: Option<Arc<dyn Vault>>,
    /// By stage; a lone segment has none.
    instruments: Vec<StageInstruments>,
    /// Where a watchdog sees whether a stage comes back.
    pub(crate) progress: Progress,
    pub(crate) clock: Clock,
}

/// Why a segment cannot go on: the worker stops, and nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// A stage panicked and could not be built anew.
    #[error("a stage could not be built: {0}")]
    Build(BuildError),
    /// A timer's state was lost with a panic.
    #[error("{stage} failed at a timer; the worker begins anew from what is committed")]
    Timer {
        /// Stage.
        stage: &'static str,
    },
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Segment {
    /// Builds `stages`, adjacent ones of `chain`.
    ///
    /// # Errors
    /// A stage that is not registered, or could not be built.
    pub fn build(
        registry: &Registry,
        chain: &[String],
        stages: &[String],
    ) -> Result<Self, BuildError> {
        let find = |name: &String| {
            registry
                .get(name)
                .cloned()
                .ok_or_else(|| format!("no stage named {name} is registered"))
        };
        // Fused behind another one it would see the attempts of its keys in many partitions.
        for name in stages.iter().skip(1) {
            if find(name)?.descriptor.is_rekeyed {
                return Err(format!("{name} has keys of its own: it must begin a segment").into());
            }
        }
        let chain = chain
            .iter()
            .map(|name| find(name).map(|factory| factory.descriptor))
            .collect::<Result<_, _>>()?;
        let stages = stages
            .iter()
            .map(|name| {
                let factory = find(name)?;
                let stage = factory.build()?;
                Ok((factory, stage))
            })
            .collect::<Result<Vec<_>, BuildError>>()?;
        Ok(Self {
            states: stages.iter().map(|(_, stage)| stage.states()).collect(),
            event_times_us: HashMap::new(),
            stages,
            chain,
            policy: None,
            vault: None,
            instruments: Vec::new(),
            progress: Progress::default(),
            clock: registry.clock.clone(),
        })
    }

    /// On a log: cases whose version of the policy is not known, and does not become so in time, end as
    /// errors; what is sealed is opened by `vault`.
    #[must_use]
    pub(crate) fn on_log(mut self, policy: PolicySource, vault: Option<Arc<dyn Vault>>) -> Self {
        self.policy = Some(policy);
        self.vault = vault;
        self
    }

    /// Measured by the instruments of its worker.
    #[must_use]
    pub(crate) fn measured(mut self, worker: &WorkerInstruments) -> Self {
        for (factory, _) in &self.stages {
            let stage = factory.descriptor.name;
            self.instruments.push(worker.of_stage(stage));
            if let Some(tally) = &factory.asks {
                worker.all.watch_asks(stage, Arc::clone(tally));
            }
        }
        self
    }

    /// Takes one record through the segment: a bundle of one, which waits for no dependency beyond its bounds, and of which
    /// nothing is remembered.
    ///
    /// # Errors
    /// As [`Segment::process_bundle`].
    pub fn process(
        &mut self,
        arrival: Arrival,
        context: Context,
        now_us: i64,
    ) -> Result<Vec<Emission>, SegmentError> {
        let mut alone = Alone(|pause| {
            std::thread::sleep(pause);
            false
        });
        let taken = self.process_bundle(vec![(arrival, context)], now_us, &mut alone)?;
        self.forget();
        Ok(taken
            .into_iter()
            .flat_map(|taken| taken.records.into_iter().flatten())
            .collect())
    }

    /// Takes the records of a bundle through the segment in their order: what each became. At an asking stage all that
    /// have come so far stop, ask together, and go on. `now_us` is the bundle's start: deadlines are judged by it.
    /// `None` when the worker drains, or an intent was not committed: as if nothing had been read.
    ///
    /// # Errors
    /// A stage panicked and could not be built anew, or the vault cannot be used: the worker must stop.
    pub(crate) fn process_bundle(
        &mut self,
        records: Vec<(Arrival, Context)>,
        now_us: i64,
        meanwhile: &mut dyn Meanwhile,
    ) -> Result<Option<Taken>, SegmentError> {
        let source = |(arrival, _): &(Arrival, Context)| (arrival.topic.clone(), arrival.partition);
        let mut passage = Passage::new(
            now_us,
            self.clock.instant(),
            records.iter().map(source).collect(),
        );
        for (record, (arrival, context)) in records.into_iter().enumerate() {
            let source = passage.sources[record].clone();
            self.fire_due(&source, arrival.append_time_us, &mut passage)?;
            self.enter(record, arrival, context, &mut passage)?;
            self.advance(&mut passage)?;
        }
        self.finish(passage, meanwhile)
    }

    /// Asks for all that wait, until nothing does.
    fn finish(
        &mut self,
        mut passage: Passage,
        meanwhile: &mut dyn Meanwhile,
    ) -> Result<Option<Taken>, SegmentError> {
        while let Some(stage) = passage.waiting.iter().map(|one| one.stage).min() {
            let (at_stage, others) = std::mem::take(&mut passage.waiting)
                .into_iter()
                .partition(|one| one.stage == stage);
            passage.waiting = others;
            if !self.ask(stage, at_stage, &mut passage, meanwhile)? {
                return Ok(None);
            }
        }
        Ok(Some(passage.taken()))
    }

    /// Reads a record at the segment's first stage.
    fn enter(
        &self,
        record: usize,
        arrival: Arrival,
        context: Context,
        passage: &mut Passage,
    ) -> Result<(), SegmentError> {
        let Some((factory, first)) = self.stages.first() else {
            return Err(SegmentError::Build("a segment without stages".into()));
        };
        let stage = factory.descriptor.name;
        let emission = match first.read(arrival, self.vault.as_deref()) {
            Ok(input) => {
                passage.steps.push(Step {
                    record,
                    stage: 0,
                    input,
                    context,
                });
                return Ok(());
            }
            Err(Unread::Record(rejection)) => Emission::Dead { stage, rejection },
            Err(Unread::Case(envelope, rejection)) => {
                closed(Terminal::error(*envelope, stage, rejection, None), &context)
            }
            Err(Unread::Vault(error)) => return Err(error.into()),
        };
        passage.emissions[record].push(emission);
        Ok(())
    }

    /// Takes all steps until each ends or waits.
    fn advance(&mut self, passage: &mut Passage) -> Result<(), SegmentError> {
        while let Some(step) = passage.steps.pop() {
            self.step(step, passage)?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step, passage: &mut Passage) -> Result<(), SegmentError> {
        let stage = self.stages[step.stage].0.descriptor.name;
        let case = step.input.case.clone();
        if let Some(end) = case
            .as_ref()
            .and_then(|envelope| self.refused(envelope, stage, passage.now_us))
        {
            passage.emissions[step.record].push(closed(end, &step.context));
            return Ok(());
        }
        let span = tracing::info_span!(
            "stage",
            otel.name = stage,
            case_id = case.as_ref().map(|e| tracing::field::display(e.case_id)),
        );
        // Fails only where no OpenTelemetry layer is installed: then there is no trace to join.
        let _ = span.set_parent(step.context.clone());
        let started = Instant::now();
        let name = stage;
        let progress = span.in_scope(|| {
            let stage = &mut self.stages[step.stage].1;
            let source = &passage.sources[step.record];
            let states = self.states[step.stage].as_deref_mut();
            let remembered = states.map(|states| (states, source));
            self.progress.step();
            let progress = catch_unwind(AssertUnwindSafe(|| {
                poison(name, case.as_ref());
                stage.process(step.input, remembered)
            }));
            self.progress.step();
            progress
        });
        let context = if span.is_none() {
            step.context
        } else {
            span.context()
        };
        let place = Place {
            record: step.record,
            stage: step.stage,
            context,
            spent: started.elapsed(),
            parent: None,
        };
        match progress {
            Ok(Some(registry::Progress::Asks { input, ask })) => {
                passage.waiting.push(Waiting {
                    record: place.record,
                    stage: place.stage,
                    input: *input,
                    case,
                    ask,
                    context: place.context,
                    spent: place.spent,
                });
                Ok(())
            }
            Ok(Some(registry::Progress::Decided(outcome))) => {
                self.came_to(place, case, Ok(Some(*outcome)), passage)
            }
            Ok(None) => self.came_to(place, case, Ok(None), passage),
            Err(panic) => self.came_to(place, case, Err(panic), passage),
        }
    }

    /// What a stage decided: to the next one, or to the record's emissions.
    fn came_to(
        &mut self,
        place: Place,
        case: Option<Envelope>,
        decided: std::thread::Result<Option<Outcome>>,
        passage: &mut Passage,
    ) -> Result<(), SegmentError> {
        let stage = self.stages[place.stage].0.descriptor.name;
        let timing = StageTiming {
            stage: stage.to_owned(),
            wall_us: i64::try_from(place.spent.as_micros()).unwrap_or(i64::MAX),
        };
        let outcome = match decided {
            Ok(Some(outcome)) => outcome,
            Ok(None) => failed(
                case.clone(),
                stage,
                "it was given the record of another stage",
            ),
            Err(_) => {
                // Its memory may be torn: build it anew before the next record.
                tracing::error!(stage, "a stage panicked; it is built anew");
                let (factory, built) = &mut self.stages[place.stage];
                *built = factory.build().map_err(SegmentError::Build)?;
                failed(case.clone(), stage, "it panicked")
            }
        };
        if let Some(instruments) = self.instruments.get(place.stage) {
            instruments.decided(&outcome, place.spent);
        }
        match outcome {
            Outcome::Next(outs) => {
                for (index, out) in outs.into_iter().enumerate() {
                    let mut message = out.message;
                    let envelope = message.envelope_mut();
                    let of_case = case.as_ref().map(|case| case.record_id);
                    let parent = of_case.or(place.parent).unwrap_or(envelope.case_id);
                    envelope.record_id = ids::record(parent, stage, out.name, index);
                    envelope.trail.push(timing.clone());
                    self.route(&place, message, passage);
                }
            }
            Outcome::Terminal(mut terminal) => {
                terminal.envelope.trail.push(timing);
                passage.emissions[place.record].push(closed(*terminal, &place.context));
            }
            Outcome::DeadLetter(rejection) => {
                passage.emissions[place.record].push(Emission::Dead { stage, rejection });
            }
            Outcome::Absorbed(absorption) => {
                passage.emissions[place.record].push(Emission::Absorbed(absorption));
            }
        }
        Ok(())
    }

    /// Why a case is not taken further: it is late, or its policy is not known here.
    fn refused(&self, case: &Envelope, stage: &str, now_us: i64) -> Option<Terminal> {
        if overdue(case, now_us) {
            return Some(deadline_exceeded(case, stage));
        }
        (!self.knows_policy_of(case)).then(|| policy_version_unknown(case, stage))
    }

    fn knows_policy_of(&self, case: &Envelope) -> bool {
        let Some(PolicySource {
            policies,
            table,
            version_max_wait,
        }) = &self.policy
        else {
            return true;
        };
        table.wait_until(*version_max_wait, || policies.of(case).is_some())
    }
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
