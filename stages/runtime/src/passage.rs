//! A bundle on its way through a segment: where each of its records is.

use std::time::{Duration, Instant};

use opentelemetry::Context;
use shiren_schemas::records::{Envelope, Lane};

use crate::asker::Patience;
use crate::ends::deadline_us;
use crate::registry::{AnyAsk, AnyInput};
use crate::segment::Emission;

/// A record on its way through the segment.
pub(crate) struct Step {
    /// Index in the bundle.
    pub(crate) record: usize,
    pub(crate) stage: usize,
    pub(crate) input: AnyInput,
    pub(crate) context: Context,
}

/// A record that waits for a reply.
pub(crate) struct Waiting {
    pub(crate) record: usize,
    pub(crate) stage: usize,
    pub(crate) input: AnyInput,
    pub(crate) case: Option<Envelope>,
    pub(crate) ask: AnyAsk,
    pub(crate) context: Context,
    pub(crate) spent: Duration,
}

/// A bundle on its way through the segment.
pub(crate) struct Passage {
    /// The bundle's start: deadlines are judged by it.
    pub(crate) now_us: i64,
    pub(crate) begun: Instant,
    pub(crate) steps: Vec<Step>,
    pub(crate) waiting: Vec<Waiting>,
    /// By record.
    pub(crate) emissions: Vec<Vec<Emission>>,
}

/// Where a record is, and the time that the stage took.
pub(crate) struct Place {
    pub(crate) record: usize,
    pub(crate) stage: usize,
    pub(crate) context: Context,
    pub(crate) spent: Duration,
}

/// Bulk waits for its dependency to come back; others only as long as bounds and deadline say.
pub(crate) fn patience(case: Option<&Envelope>, passage: &Passage) -> Patience {
    let Some(case) = case else {
        return Patience::Bounded;
    };
    match deadline_us(case) {
        Some(deadline_us) => {
            let left = deadline_us
                .saturating_sub(passage.now_us)
                .max(0)
                .unsigned_abs();
            Patience::Until(passage.begun + Duration::from_micros(left))
        }
        None if case.lane == Lane::Bulk => Patience::Unbounded,
        None => Patience::Bounded,
    }
}
