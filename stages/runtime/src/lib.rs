//! The runtime: it owns every effect, so that stages can be pure.
//!
//! `Options -> build -> run(drain)`. A *segment* is a run of adjacent stages in one worker loop;
//! a *worker* is one such loop with one end of the log; a *bundle* is what it commits at once.

mod asker;
mod between;
mod clock;
mod clock_check;
mod computed;
mod crash_attempts;
mod dead_letter;
mod dead_letter_limits;
mod drain;
mod emission;
mod ends;
mod global_table;
mod guard;
mod health;
mod keeper;
mod metrics;
mod niceness;
mod one_by_one;
mod passage;
mod poison;
mod registry;
mod resident;
mod run;
mod runtime_error;
mod segment;
mod states;
mod trace_context;
mod unprocessed;
mod watch;
mod watchdog;
mod worker;

pub use asker::AskBounds;
pub use clock::{Clock, TimeSource};
pub use drain::Drain;
pub use emission::{EmissionError, Emitter, Rekeys, VERDICT_HEADERS};
pub use global_table::GlobalTable;
pub use health::{Health, Phase, Pulse, WorkerHealth};
pub use metrics::{Instruments, Kind, METRICS, Metric, SpanTally};
pub use passage::{Taken, Timer};
pub use registry::{BuildError, Registry, StageFactory};
pub use resident::{peak_resident_bytes, resident_bytes};
pub use run::{Options, PolicySource, Runtime, SegmentOptions, Summary};
pub use runtime_error::RuntimeError;
pub use segment::{Emission, IntentBounds, Segment, SegmentError};
pub use states::StateBounds;
pub use watch::WatchBounds;
pub use worker::{Turn, WorkerBounds, WorkerLoop};

/// Microseconds since the Unix epoch: the one place where the wall clock is read.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place, handed on to pure code"
)]
pub fn now_us() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}
