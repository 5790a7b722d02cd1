//! The demo: a mix of cases, what they are expected to come to, and a report on what they came to.

pub mod cases;
mod degrade;
mod findings;
pub mod judge;
pub mod report;
