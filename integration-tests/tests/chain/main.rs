//! The whole chain on the embedded log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod accuracy;
mod asks_once;
mod calibrate;
mod crashes;
mod dead_letters;
mod demo;
mod deploy;
mod house;
mod identification;
mod identity_limit;
mod lanes;
mod layouts;
mod ledger;
mod library;
mod own_model;
mod pad_splits;
mod policy;
mod refusals;
mod register;
mod sealing;
mod telemetry;
mod trace;
mod validate;
mod vault;
mod verify;
