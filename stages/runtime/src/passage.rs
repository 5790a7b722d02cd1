//! A bundle on its way through a segment: where each of its records is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use shiren_schemas::Id;
use shiren_schemas::records::{Envelope, Lane};

use crate::asker::Patience;
use crate::ends::deadline_us;
use crate::registry::{AnyAsk, AnyInput};
use crate::segment::Emission;
use crate::states::Source;

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

impl Waiting {
    /// What it asks, and the rest.
    pub(crate) fn part(self) -> (AnyAsk, Asked) {
        let asked = Asked {
            record: self.record,
            input: self.input,
            case: self.case,
            context: self.context,
            spent: self.spent,
        };
        (self.ask, asked)
    }
}

/// A record whose ask is under way.
pub(crate) struct Asked {
    pub(crate) record: usize,
    pub(crate) input: AnyInput,
    pub(crate) case: Option<Envelope>,
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
    /// By record; behind them, by timer that fired.
    pub(crate) emissions: Vec<Vec<Emission>>,
    /// Where each of them comes from.
    pub(crate) sources: Vec<Source>,
    /// The timers that fired.
    pub(crate) timers: Vec<Timer>,
}

impl Passage {
    /// `begun`: the same moment as `now_us`, by the monotonic clock.
    pub(crate) fn new(now_us: i64, begun: Instant, sources: Vec<Source>) -> Self {
        Self {
            now_us,
            begun,
            steps: Vec::new(),
            waiting: Vec::new(),
            emissions: sources.iter().map(|_| Vec::with_capacity(1)).collect(),
            sources,
            timers: Vec::new(),
        }
    }

    /// A place for what becomes of a timer.
    pub(crate) fn timer(&mut self, source: Source, key: Arc<str>, due_us: i64) -> usize {
        self.timers.push(Timer {
            topic: source.0.clone(),
            partition: source.1,
            key,
            due_us,
        });
        self.sources.push(source);
        self.emissions.push(Vec::new());
        self.emissions.len() - 1
    }

    /// What became of everything.
    pub(crate) fn taken(self) -> Taken {
        let mut records = self.emissions;
        let timers = records.split_off(records.len() - self.timers.len());
        Taken {
            records,
            timers: self.timers.into_iter().zip(timers).collect(),
        }
    }
}

/// What a segment made of a bundle.
pub struct Taken {
    /// By record.
    pub records: Vec<Vec<Emission>>,
    /// By timer that fired.
    pub timers: Vec<(Timer, Vec<Emission>)>,
}

/// A timer of a keyed stage that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Topic of the partition that its state belongs to.
    pub topic: Arc<str>,
    /// That partition.
    pub partition: i32,
    /// Key of the state; what becomes of it is written under this key.
    pub key: Arc<str>,
    /// When it was due, microseconds since the Unix epoch.
    pub due_us: i64,
}

/// Where a record is, and the time that the stage took.
pub(crate) struct Place {
    pub(crate) record: usize,
    pub(crate) stage: usize,
    pub(crate) context: Context,
    pub(crate) spent: Duration,
    /// Parent of what comes of it, where there is no case: a timer.
    pub(crate) parent: Option<Id>,
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
