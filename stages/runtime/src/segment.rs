//! A run of adjacent stages without a topic between them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use opentelemetry::Context;
use shiren_contract::codes;
use shiren_contract::seal::{Vault, VaultError};
use shiren_contract::stage::{Arrival, Message, Outcome, Rejection, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_schemas::ids;
use shiren_schemas::records::{Envelope, RequestKind, StageTiming};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::registry::{AnyInput, AnyStage, BuildError, Registry, StageFactory, Unread};
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

/// A record on its way through the segment.
struct Step {
    stage: usize,
    input: AnyInput,
    context: Context,
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

    /// Takes one record through the segment. `now_us` is the bundle's start: deadlines are judged by it.
    ///
    /// # Errors
    /// A stage panicked and could not be built anew, or the vault cannot be used: the worker must stop.
    pub fn process(
        &mut self,
        arrival: Arrival,
        context: Context,
        now_us: i64,
    ) -> Result<Vec<Emission>, SegmentError> {
        let Some((factory, first)) = self.stages.first() else {
            return Err(SegmentError::Build("a segment without stages".into()));
        };
        let stage = factory.descriptor.name;
        let input = match first.read(arrival, self.vault.as_deref()) {
            Ok(input) => input,
            Err(Unread::Record(rejection)) => {
                return Ok(vec![Emission::Dead { stage, rejection }]);
            }
            Err(Unread::Case(envelope, rejection)) => {
                let terminal = Terminal::error(*envelope, stage, rejection, None);
                return Ok(vec![closed(terminal, &context)]);
            }
            Err(Unread::Vault(error)) => return Err(error.into()),
        };
        let mut emissions = Vec::with_capacity(1);
        let mut steps = vec![Step {
            stage: 0,
            input,
            context,
        }];
        while let Some(step) = steps.pop() {
            self.step(step, now_us, &mut steps, &mut emissions)?;
        }
        Ok(emissions)
    }

    fn step(
        &mut self,
        step: Step,
        now_us: i64,
        steps: &mut Vec<Step>,
        emissions: &mut Vec<Emission>,
    ) -> Result<(), SegmentError> {
        let stage = self.stages[step.stage].0.descriptor.name;
        let case = step.input.case.clone();
        if let Some(envelope) = case.as_ref().filter(|e| overdue(e, now_us)) {
            emissions.push(closed(deadline_exceeded(envelope, stage), &step.context));
            return Ok(());
        }
        if let Some(envelope) = case.as_ref().filter(|e| !self.knows_policy_of(e)) {
            emissions.push(closed(
                policy_version_unknown(envelope, stage),
                &step.context,
            ));
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
        let outcome = span.in_scope(|| {
            let stage = &mut self.stages[step.stage].1;
            catch_unwind(AssertUnwindSafe(|| stage.process(step.input)))
        });
        let wall_us = i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX);
        let timing = StageTiming {
            stage: stage.to_owned(),
            wall_us,
        };
        let context = if span.is_none() {
            step.context
        } else {
            span.context()
        };

        let outcome = match outcome {
            Ok(Some(outcome)) => outcome,
            Ok(None) => failed(
                case.clone(),
                stage,
                "it was given the record of another stage",
            ),
            Err(_) => {
                // Its memory may be torn: build it anew before the next record.
                tracing::error!(stage, "a stage panicked; it is built anew");
                let (factory, built) = &mut self.stages[step.stage];
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
                    self.route(step.stage, message, &context, steps, emissions);
                }
            }
            Outcome::Terminal(mut terminal) => {
                terminal.envelope.trail.push(timing);
                emissions.push(closed(*terminal, &context));
            }
            Outcome::DeadLetter(rejection) => emissions.push(Emission::Dead { stage, rejection }),
        }
        Ok(())
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
    fn route(
        &self,
        from: usize,
        message: Box<dyn Message>,
        context: &Context,
        steps: &mut Vec<Step>,
        emissions: &mut Vec<Emission>,
    ) {
        let from = self.stages[from].0.descriptor.name;
        let envelope = message.envelope().clone();
        let Some(next) = next_stage(&self.chain, from, envelope.kind) else {
            let what = format!(
                "no stage behind {from} ends a case of kind {}",
                envelope.kind
            );
            emissions.push(closed(fault(envelope, from, &what), context));
            return;
        };
        let here = self
            .stages
            .iter()
            .position(|(factory, _)| factory.descriptor.name == next);
        let Some(stage) = here else {
            let trace = trace_context::inject(context);
            emissions.push(Emission::Forward {
                stage: next,
                message,
                trace,
            });
            return;
        };
        let schema = message.schema();
        match self.stages[stage].1.accept(message) {
            Some(input) => steps.push(Step {
                stage,
                input,
                context: context.clone(),
            }),
            None => {
                let what = format!("{next} does not read {schema}, which {from} puts out");
                emissions.push(closed(fault(envelope, from, &what), context));
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

fn overdue(envelope: &Envelope, now_us: i64) -> bool {
    envelope.deadline_ms.is_some_and(|ms| {
        now_us
            > envelope
                .received_time
                .saturating_add(i64::from(ms).saturating_mul(1000))
    })
}

fn policy_version_unknown(envelope: &Envelope, stage: &str) -> Terminal {
    let what = format!(
        "version {} of scene {} is not known to {stage}",
        envelope.policy_version, envelope.scene
    );
    let rejection = Rejection::new(codes::POLICY_VERSION_UNKNOWN, what);
    let mut terminal = Terminal::error(envelope.clone(), stage, rejection, None);
    terminal.dead_letter = true;
    terminal
}

fn deadline_exceeded(envelope: &Envelope, stage: &str) -> Terminal {
    let detail = format!(
        "older than {} ms before {stage}",
        envelope.deadline_ms.unwrap_or(0)
    );
    let rejection = Rejection::new(codes::DEADLINE_EXCEEDED, detail);
    Terminal::error(envelope.clone(), stage, rejection, None)
}

fn failed(case: Option<Envelope>, stage: &str, what: &str) -> Outcome {
    match case {
        Some(envelope) => Outcome::terminal(fault(envelope, stage, what)),
        None => Outcome::DeadLetter(Rejection::new(
            codes::STAGE_FAILED,
            format!("{stage}: {what}"),
        )),
    }
}

fn fault(envelope: Envelope, stage: &str, what: &str) -> Terminal {
    let rejection = Rejection::new(codes::STAGE_FAILED, what);
    let mut terminal = Terminal::error(envelope, stage, rejection, None);
    terminal.dead_letter = true;
    terminal
}

fn closed(terminal: Terminal, context: &Context) -> Emission {
    Emission::Closed {
        terminal: Box::new(terminal),
        trace: trace_context::inject(context),
    }
}
