//! The whole chain on a log in memory and a simulated clock, under faults that a seed chooses.
//!
//! Real are the stages, the runtime (worker loop, segments, emitter, asks), the codec and the ids. Simulated are the
//! log, time, the face library and the authority. No network runs: outputs that the networks of this machine gave for
//! the same inputs, at the start of the process, are played by the hash of the input. One seed is one order of events:
//! it runs on one thread, and gives the same each time.

mod checks;
mod faulty_log;
mod memory_log;
mod memory_worker;
mod plan;
mod ports;
mod simulation;
mod site;
mod time;
mod transactions;
mod workload;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub use memory_log::MemoryLog;
pub use plan::{Injected, Mutation};
pub use simulation::Run;
pub use site::Site;

/// One run of `seed`, under faults.
///
/// # Errors
/// A fault of the simulation itself, or an error that ends a worker for good.
pub fn run(site: &Site, seed: u64, mutation: Option<Mutation>) -> anyhow::Result<Run> {
    simulation::run(site, seed, mutation, true)
}

/// A seed that ended otherwise than it must, and how.
pub type Failure = (u64, String);

/// Runs `count` seeds from `first` on, two at a time: what was injected, and what failed.
#[must_use]
pub fn run_all(site: &Site, first: u64, count: u64) -> (Injected, Vec<Failure>) {
    let next = AtomicU64::new(first);
    let all = Mutex::new((Injected::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let run = run(site, seed, None);
                    let mut all = all
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    match run {
                        Ok(run) => {
                            all.0.add(&run.injected);
                            let failed =
                                run.violation.map(|violation| (seed, violation.to_string()));
                            all.1.extend(failed);
                        }
                        Err(error) => all.1.push((seed, format!("{error:#}"))),
                    }
                }
            });
        }
    });
    all.into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
