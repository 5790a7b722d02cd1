//! What the benches of the command line share.

pub mod attributes;
pub mod criterion;
pub mod floor;
pub mod identification;
pub mod measurement;
pub mod pictures;
pub mod ranking;
pub mod spread;
pub mod worker_process;
