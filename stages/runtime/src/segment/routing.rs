//! Where a case goes from a stage.

use shiren_contract::stage::{Message, StageDescriptor};
use shiren_schemas::records::RequestKind;

use super::{Emission, Segment};
use crate::ends::{closed, fault};
use crate::passage::{Passage, Place, Step};
use crate::trace_context;

impl Segment {
    /// To the next stage of the chain that serves the case's kind: in this segment, or by topic.
    pub(super) fn route(&self, place: &Place, message: Box<dyn Message>, passage: &mut Passage) {
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
fn next_stage(chain: &[StageDescriptor], from: &str, kind: RequestKind) -> Option<&'static str> {
    let at = chain.iter().position(|stage| stage.name == from)?;
    chain[at + 1..]
        .iter()
        .find(|stage| stage.kinds.contains(&kind))
        .map(|stage| stage.name)
}
