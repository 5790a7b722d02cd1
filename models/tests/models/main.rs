//! The crate on the shipped manifest, the real weights and the registry pictures.

// Helpers of tests are tests too; clippy allows it in test functions only.
#![allow(clippy::unwrap_used)]

mod accuracy;
mod detection;
mod opening;
mod support;
