//! The records of a bundle one after the other, after a process died of one of them.

use std::sync::PoisonError;

use opentelemetry::Context;
use shiren_contract::codes;
use shiren_contract::stage::{Arrival, Rejection};
use shiren_log::{Bundle, Worker};

use crate::between::Dropped;
use crate::crash_attempts::Turn;
use crate::passage::{Taken, Timer};
use crate::runtime_error::RuntimeError;
use crate::segment::Emission;
use crate::worker::WorkerLoop;

/// What became of a bundle.
#[derive(Default)]
pub(crate) struct Became {
    /// By record; how often the process died on it before.
    pub(crate) records: Vec<(Vec<Emission>, i32)>,
    /// By timer that fired.
    pub(crate) timers: Vec<(Timer, Vec<Emission>)>,
}

impl Became {
    /// Of a bundle on which no process died.
    pub(crate) fn of(taken: Taken) -> Self {
        let records = taken.records.into_iter();
        Self {
            records: records.map(|emissions| (emissions, 0)).collect(),
            timers: taken.timers,
        }
    }
}

impl WorkerLoop {
    /// As a bundle of one each.
    pub(crate) fn one_by_one(
        &mut self,
        bundle: &Bundle,
        arrivals: Vec<(Arrival, Context)>,
        now_us: i64,
        worker: &mut dyn Worker,
    ) -> Result<Result<Became, Dropped>, RuntimeError> {
        let (log, alone) = (self.log.clone(), self.attempts.alone());
        let mut all = Became::default();
        for (record, arrival) in bundle.records.iter().zip(arrivals) {
            // If the process dies now, it is of this record and of no other suspect.
            let _alone = alone.lock().unwrap_or_else(PoisonError::into_inner);
            let became = match self.attempts.begin(log.as_ref(), record)? {
                Turn::Process => {
                    let made = self.take(bundle, vec![arrival], now_us, worker);
                    self.attempts.survived(log.as_ref(), record)?;
                    let made = match made? {
                        Ok(made) => made,
                        Err(dropped) => return Ok(Err(dropped)),
                    };
                    all.timers.extend(made.timers);
                    (made.records.into_iter().flatten().collect(), 0)
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
            all.records.push(became);
        }
        Ok(Ok(all))
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
