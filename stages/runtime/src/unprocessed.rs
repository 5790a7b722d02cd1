//! The end of a case whose record kills the process.

use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::Context;
use shiren_contract::stage::{Arrival, Outcome, Rejection};
use shiren_contract::terminal::Terminal;
use shiren_schemas::records::Envelope;

use crate::ends::closed;
use crate::registry::{Progress, Unread};
use crate::segment::{Emission, Segment, SegmentError};

impl Segment {
    /// Name of the stage that reads the segment's topic.
    pub(crate) fn first_stage(&self) -> &'static str {
        let first = self.stages.first();
        first.map_or("", |(factory, _)| factory.descriptor.name)
    }

    /// Ends the case of a record as an error, with a dead letter beside. An ingress record becomes a case by its first
    /// stage; no other is given anything of it.
    ///
    /// # Errors
    /// The vault cannot be used.
    pub(crate) fn end_unprocessed(
        &mut self,
        (arrival, context): (Arrival, Context),
        rejection: Rejection,
    ) -> Result<Vec<Emission>, SegmentError> {
        let stage = self.first_stage();
        let end = |envelope: Envelope| {
            let mut terminal = Terminal::error(envelope, stage, rejection.clone(), None);
            terminal.dead_letter = true;
            closed(terminal, &context)
        };
        let dead = || {
            let rejection = rejection.clone();
            vec![Emission::Dead { stage, rejection }]
        };
        let source = (arrival.topic.clone(), arrival.partition);
        let Some((_, first)) = self.stages.first_mut() else {
            return Ok(dead());
        };
        let input = match first.read(arrival, self.vault.as_deref()) {
            Ok(input) => input,
            Err(Unread::Record(_)) => return Ok(dead()),
            Err(Unread::Case(envelope, _)) => return Ok(vec![end(*envelope)]),
            Err(Unread::Vault(error)) => return Err(error.into()),
        };
        if let Some(envelope) = input.case {
            return Ok(vec![end(envelope)]);
        }
        let states = self.states.first_mut().and_then(Option::as_deref_mut);
        let remembered = states.map(|states| (states, &source));
        let admitted = catch_unwind(AssertUnwindSafe(|| first.process(input, remembered)));
        let Ok(Some(Progress::Decided(outcome))) = admitted else {
            return Ok(dead());
        };
        Ok(match *outcome {
            Outcome::Next(outs) => {
                let cases = outs.into_iter();
                cases
                    .map(|out| end(out.message.envelope().clone()))
                    .collect()
            }
            Outcome::Terminal(terminal) => vec![closed(*terminal, &context)],
            Outcome::DeadLetter(_) => dead(),
            Outcome::Absorbed(absorption) => vec![Emission::Absorbed(absorption)],
        })
    }
}
