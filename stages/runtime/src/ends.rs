//! Ends of cases that the runtime makes, not a stage.

use opentelemetry::Context;
use shiren_contract::codes;
use shiren_contract::stage::{Outcome, Rejection};
use shiren_contract::terminal::Terminal;
use shiren_schemas::records::Envelope;

use crate::segment::Emission;
use crate::trace_context;

/// When the case ends at the latest, microseconds since the Unix epoch.
pub(crate) fn deadline_us(envelope: &Envelope) -> Option<i64> {
    let after_us = i64::from(envelope.deadline_ms?).saturating_mul(1000);
    Some(envelope.received_time.saturating_add(after_us))
}

pub(crate) fn overdue(envelope: &Envelope, now_us: i64) -> bool {
    deadline_us(envelope).is_some_and(|deadline_us| now_us > deadline_us)
}

pub(crate) fn policy_version_unknown(envelope: &Envelope, stage: &str) -> Terminal {
    let what = format!(
        "version {} of scene {} is not known to {stage}",
        envelope.policy_version, envelope.scene
    );
    let rejection = Rejection::new(codes::POLICY_VERSION_UNKNOWN, what);
    let mut terminal = Terminal::error(envelope.clone(), stage, rejection, None);
    terminal.dead_letter = true;
    terminal
}

pub(crate) fn deadline_exceeded(envelope: &Envelope, stage: &str) -> Terminal {
    let detail = format!(
        "older than {} ms before {stage}",
        envelope.deadline_ms.unwrap_or(0)
    );
    let rejection = Rejection::new(codes::DEADLINE_EXCEEDED, detail);
    Terminal::error(envelope.clone(), stage, rejection, None)
}

pub(crate) fn failed(case: Option<Envelope>, stage: &str, what: &str) -> Outcome {
    match case {
        Some(envelope) => Outcome::terminal(fault(envelope, stage, what)),
        None => Outcome::DeadLetter(Rejection::new(
            codes::STAGE_FAILED,
            format!("{stage}: {what}"),
        )),
    }
}

pub(crate) fn fault(envelope: Envelope, stage: &str, what: &str) -> Terminal {
    let rejection = Rejection::new(codes::STAGE_FAILED, what);
    let mut terminal = Terminal::error(envelope, stage, rejection, None);
    terminal.dead_letter = true;
    terminal
}

pub(crate) fn closed(terminal: Terminal, context: &Context) -> Emission {
    Emission::Closed {
        terminal: Box::new(terminal),
        trace: trace_context::inject(context),
    }
}
