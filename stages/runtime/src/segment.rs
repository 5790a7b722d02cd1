//! A run of adjacent stages without a topic between them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry::Context;
use shiren_contract::seal::{Vault, VaultError};
use shiren_contract::stage::{Arrival, Message, Outcome, Rejection, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_log::kill_point;
use shiren_schemas::ids;
use shiren_schemas::records::{Envelope, RequestKind, StageTiming};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::clock::Clock;
use crate::ends::{closed, deadline_exceeded, failed, fault, overdue, policy_version_unknown};
use crate::passage::{Passage, Place, Step, Waiting, patience};
use crate::registry::{AnyStage, BuildError, Progress, Registry, StageFactory, Unread};
use crate::run::PolicySource;
use crate::trace_context;

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
}

/// Built stages of one segment, with the chain they are a part of.
pub struct Segment {
    stages: Vec<(StageFactory, Box<dyn AnyStage>)>,
    /// The whole chain in order.
    chain: Vec<StageDescriptor>,
    /// Where versions of the policy are waited for; a lone segment does not wait.
    policy: Option<PolicySource>,
    /// What opens records of the segment's topic.
    vault: Option<Arc<dyn Vault>>,
    clock: Clock,
}

/// Why a segment cannot go on: the worker stops, and nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// A stage panicked and could not be built anew.
    #[error("a stage could not be built: {0}")]
    Build(BuildError),
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
            .collect::<Result<_, BuildError>>()?;
        Ok(Self {
            stages,
            chain,
            policy: None,
            vault: None,
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

    /// Takes one record through the segment: a bundle of one, which waits for no dependency beyond its bounds.
    ///
    /// # Errors
    /// As [`Segment::process_bundle`].
    pub fn process(
        &mut self,
        arrival: Arrival,
        context: Context,
        now_us: i64,
    ) -> Result<Vec<Emission>, SegmentError> {
        let wait = |pause| {
            std::thread::sleep(pause);
            false
        };
        let bundle = self.process_bundle(vec![(arrival, context)], now_us, &wait)?;
        Ok(bundle.into_iter().flatten().flatten().collect())
    }

    /// Takes the records of a bundle through the segment in their order: what each became. At an asking stage all that
    /// have come so far stop, ask together, and go on. `now_us` is the bundle's start: deadlines are judged by it.
    /// `wait` pauses at most so long, and says whether the worker drains: then `None`, as if nothing had been read.
    ///
    /// # Errors
    /// A stage panicked and could not be built anew, or the vault cannot be used: the worker must stop.
    pub fn process_bundle(
        &mut self,
        records: Vec<(Arrival, Context)>,
        now_us: i64,
        wait: &dyn Fn(Duration) -> bool,
    ) -> Result<Option<Vec<Vec<Emission>>>, SegmentError> {
        let mut passage = Passage {
            now_us,
            begun: self.clock.instant(),
            steps: Vec::new(),
            waiting: Vec::new(),
            emissions: Vec::with_capacity(records.len()),
        };
        for (record, (arrival, context)) in records.into_iter().enumerate() {
            passage.emissions.push(Vec::with_capacity(1));
            self.enter(record, arrival, context, &mut passage)?;
            self.advance(&mut passage)?;
        }
        while let Some(stage) = passage.waiting.iter().map(|one| one.stage).min() {
            let (at_stage, others) = std::mem::take(&mut passage.waiting)
                .into_iter()
                .partition(|one| one.stage == stage);
            passage.waiting = others;
            if !self.ask(stage, at_stage, &mut passage, wait)? {
                return Ok(None);
            }
        }
        Ok(Some(passage.emissions))
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
        let progress = span.in_scope(|| {
            let stage = &mut self.stages[step.stage].1;
            catch_unwind(AssertUnwindSafe(|| stage.process(step.input)))
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
        };
        match progress {
            Ok(Some(Progress::Asks { input, ask })) => {
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
            Ok(Some(Progress::Decided(outcome))) => {
                self.came_to(place, case, Ok(Some(*outcome)), passage)
            }
            Ok(None) => self.came_to(place, case, Ok(None), passage),
            Err(panic) => self.came_to(place, case, Err(panic), passage),
        }
    }

    /// One round for all that wait at `stage`; then each is decided and goes on. False when the worker drains meanwhile.
    fn ask(
        &mut self,
        stage: usize,
        waiting: Vec<Waiting>,
        passage: &mut Passage,
        wait: &dyn Fn(Duration) -> bool,
    ) -> Result<bool, SegmentError> {
        let started = Instant::now();
        let mut asked = Vec::with_capacity(waiting.len());
        let mut asks = Vec::with_capacity(waiting.len());
        for one in waiting {
            asks.push((one.ask, patience(one.case.as_ref(), passage)));
            asked.push((one.record, one.input, one.case, one.context, one.spent));
        }
        let Ok(replies) = self.stages[stage].1.ask(asks, wait) else {
            return Ok(false);
        };
        kill_point("asked");
        let round = started.elapsed();
        let mut replies = replies.into_iter();
        for (record, input, case, context, spent) in asked {
            let started = Instant::now();
            let reply = replies.next();
            let decided = catch_unwind(AssertUnwindSafe(|| {
                self.stages[stage].1.decide(input, reply?)
            }));
            let place = Place {
                record,
                stage,
                context,
                spent: spent + round + started.elapsed(),
            };
            self.came_to(place, case, decided, passage)?;
            self.advance(passage)?;
        }
        Ok(true)
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
        match outcome {
            Outcome::Next(outs) => {
                for (index, out) in outs.into_iter().enumerate() {
                    let mut message = out.message;
                    let envelope = message.envelope_mut();
                    let parent = case
                        .as_ref()
                        .map_or(envelope.case_id, |case| case.record_id);
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

    /// To the next stage of the chain that serves the case's kind: in this segment, or by topic.
    fn route(&self, place: &Place, message: Box<dyn Message>, passage: &mut Passage) {
        let from = self.stages[place.stage].0.descriptor.name;
        let emissions = &mut passage.emissions[place.record];
        let (kind, schema) = (message.envelope().kind, message.schema());
        let Some(next) = next_stage(&self.chain, from, kind) else {
            let what = format!("no stage behind {from} ends a case of kind {kind}");
            let end = fault(message.envelope().clone(), from, &what);
            emissions.push(closed(end, &place.context));
            return;
        };
        let here = self
            .stages
            .iter()
            .position(|(factory, _)| factory.descriptor.name == next);
        let Some(stage) = here else {
            let trace = trace_context::inject(&place.context);
            emissions.push(Emission::Forward {
                stage: next,
                message,
                trace,
            });
            return;
        };
        let envelope = message.envelope().clone();
        match self.stages[stage].1.accept(message) {
            Some(input) => passage.steps.push(Step {
                record: place.record,
                stage,
                input,
                context: place.context.clone(),
            }),
            None => {
                let what = format!("{next} does not read {schema}, which {from} puts out");
                emissions.push(closed(fault(envelope, from, &what), &place.context));
            }
        }
    }
}

/// The stage behind `from` that serves `kind`.
pub(crate) fn next_stage(
    chain: &[StageDescriptor],
    from: &str,
    kind: RequestKind,
) -> Option<&'static str> {
    let at = chain.iter().position(|stage| stage.name == from)?;
    chain[at + 1..]
        .iter()
        .find(|stage| stage.kinds.contains(&kind))
        .map(|stage| stage.name)
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
