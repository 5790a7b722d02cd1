//! What the benches of the command line share.

pub mod criterion;
pub mod floor;
pub mod measurement;
pub mod pictures;
pub mod spread;
pub mod worker_process;
