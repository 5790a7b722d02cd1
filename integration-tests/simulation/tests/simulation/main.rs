//! The chain under faults that a seed chooses, and the log in memory that it runs on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod log;
mod seeds;
