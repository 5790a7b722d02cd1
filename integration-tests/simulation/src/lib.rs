//! The whole chain on a log in memory and a simulated clock, under faults that a seed chooses.

mod memory_log;
mod memory_worker;

pub use memory_log::MemoryLog;
