//! The chain on real Apache Kafka.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod chain;
mod library;
mod log;
mod policy;
mod python;
mod scaling;
mod telemetry;
mod validate;
