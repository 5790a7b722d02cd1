//! The table of faults: each row injects one, proves that it happened, waits for the outcome, and compares it with a
//! run without faults. `scripts/faults` runs the rows in their long form and makes docs/reliability.md of what they print.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod authority;
mod bad_input;
mod beside;
mod brokers;
mod burst;
mod churn;
mod clocks;
mod commits;
mod disk_full;
mod drain;
mod kills;
mod ledger;
mod library;
mod membership;
mod memory;
mod poison;
mod row;
mod sleepers;
mod upgrade;
