//! Real faces through the whole chain in this process: record in, verdict out, every stage real.

// Helpers of tests are tests too; clippy allows it in test functions only.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attributes;
mod bad_pictures;
mod bad_records;
mod bystanders;
mod chain;
mod colour_paths;
mod files;
mod formats;
mod liveness;
mod orientation;
mod people;
mod pictures;
mod rotation;
mod sizes;
