//! Asks of a bundle: one round for all that wait at a stage.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use shiren_log::kill_point;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Meanwhile, Segment, SegmentError};
use crate::passage::{Asked, Passage, Place, Waiting, patience};
use crate::registry::AnyReply;

impl Segment {
    /// One round for all that wait at `stage`; then each is decided and goes on. False when the bundle is dropped.
    pub(super) fn ask(
        &mut self,
        stage: usize,
        mut waiting: Vec<Waiting>,
        passage: &mut Passage,
        meanwhile: &mut dyn Meanwhile,
    ) -> Result<bool, SegmentError> {
        let started = Instant::now();
        let mut refused = Vec::new();
        if let Some(bounds) = self.stages[stage].1.intents() {
            let intended = self.intend(stage, waiting, bounds, passage, meanwhile);
            let Some(intended) = intended else {
                return Ok(false);
            };
            (waiting, refused) = (intended.asked, intended.refused);
        }
        let mut asked = Vec::with_capacity(waiting.len());
        let mut asks = Vec::with_capacity(waiting.len());
        // One span each: they begin together and end with the round.
        let mut spans = Vec::with_capacity(waiting.len());
        for one in waiting {
            spans.push(self.ask_span(stage, &one));
            let (ask, one) = one.part();
            asks.push((ask, patience(one.case.as_ref(), passage)));
            asked.push(one);
        }
        if !asks.is_empty() {
            let Ok(replies) = self.stages[stage]
                .1
                .ask(asks, &|pause| meanwhile.wait(pause))
            else {
                return Ok(false);
            };
            drop(spans);
            kill_point("asked");
            let round = started.elapsed();
            let mut replies = replies.into_iter();
            for one in asked {
                self.replied(stage, one, replies.next(), round, passage)?;
            }
        }
        for (one, failure) in refused {
            let reply = self.stages[stage].1.refusal(failure);
            self.replied(stage, one.part().1, reply, Duration::ZERO, passage)?;
        }
        Ok(true)
    }

    /// The record goes on with its reply.
    fn replied(
        &mut self,
        stage: usize,
        one: Asked,
        reply: Option<AnyReply>,
        round: Duration,
        passage: &mut Passage,
    ) -> Result<(), SegmentError> {
        let started = Instant::now();
        self.progress.step();
        let decided = catch_unwind(AssertUnwindSafe(|| {
            self.stages[stage].1.decide(one.input, reply?)
        }));
        self.progress.step();
        let place = Place {
            record: one.record,
            stage,
            context: one.context,
            spent: one.spent + round + started.elapsed(),
            parent: None,
        };
        self.came_to(place, one.case, decided, passage)?;
        self.advance(passage)
    }

    /// The span of an ask, in the trace of its record.
    fn ask_span(&self, stage: usize, waiting: &Waiting) -> tracing::Span {
        let span = tracing::info_span!(
            "ask",
            otel.name = format!("ask {}", self.stages[stage].0.descriptor.name),
            otel.kind = "client",
            case_id = waiting
                .case
                .as_ref()
                .map(|e| tracing::field::display(e.case_id)),
        );
        // As for a stage.
        let _ = span.set_parent(waiting.context.clone());
        span
    }
}
