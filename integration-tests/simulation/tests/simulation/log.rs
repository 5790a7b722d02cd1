//! The contract suite on the log in memory.

use std::sync::Arc;

use shiren_log::contract_suite::Subject;
use shiren_simulation::MemoryLog;

shiren_log::contract_tests!(|promise: &str| {
    let log = MemoryLog::new(shiren_runtime::now_us);
    Subject::new(promise, move || Arc::new(log.clone()))
});
