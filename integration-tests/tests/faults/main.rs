//! The table of faults: each row injects one, proves that it happened, waits for the outcome, and compares it with a
//! run without faults. `scripts/faults` runs the rows in their long form and makes docs/reliability.md of what they print.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod bad_input;
mod brokers;
mod churn;
mod commits;
mod drain;
mod kills;
mod library;
mod memory;
mod row;
mod sleepers;
