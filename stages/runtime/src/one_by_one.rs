//! The records of a bundle one after the other, after a process died of one of them.

use std::sync::PoisonError;
use std::time::Duration;

use opentelemetry::Context;
use shiren_contract::codes;
use shiren_contract::stage::{Arrival, Rejection};
use shiren_log::Bundle;

use crate::crash_attempts::Turn;
use crate::run::RuntimeError;
use crate::segment::Emission;
use crate::worker::WorkerLoop;

/// What became of a record, and how often the process died on it before.
pub(crate) type Became = (Vec<Emission>, i32);

impl WorkerLoop {
    /// As a bundle of one each. `None` when the worker drains while a dependency is awaited.
    pub(crate) fn one_by_one(
        &mut self,
        bundle: &Bundle,
        arrivals: Vec<(Arrival, Context)>,
        now_us: i64,
        wait: &dyn Fn(Duration) -> bool,
    ) -> Result<Option<Vec<Became>>, RuntimeError> {
        let (log, alone) = (self.log.clone(), self.attempts.alone());
        let mut all = Vec::with_capacity(arrivals.len());
        for (record, arrival) in bundle.records.iter().zip(arrivals) {
            // If the process dies now, it is of this record and of no other suspect.
            let _alone = alone.lock().unwrap_or_else(PoisonError::into_inner);
            let became = match self.attempts.begin(log.as_ref(), record)? {
                Turn::Process => {
                    let made = self.segment.process_bundle(vec![arrival], now_us, wait);
                    self.attempts.survived(log.as_ref(), record)?;
                    let Some(made) = made? else { return Ok(None) };
                    (made.into_iter().flatten().collect(), 0)
                }
                Turn::End { attempts } => {
                    let rejection = killer(attempts);
                    (self.segment.end_unprocessed(arrival, rejection)?, attempts)
                }
                Turn::Bury { attempts } => {
                    let stage = self.segment.first_stage();
                    let rejection = killer(attempts);
                    (vec![Emission::Dead { stage, rejection }], attempts)
                }
            };
            all.push(became);
        }
        Ok(Some(all))
    }
}

fn killer(attempts: i32) -> Rejection {
    tracing::error!(
        attempts,
        "a record kills the process: it becomes a dead letter"
    );
    let what = format!("the process died {attempts} times while it worked on this record alone");
    Rejection::new(codes::RECORD_KILLS_PROCESS, what)
}
