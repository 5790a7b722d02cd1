//! The vault on a real folder: sealing, the life of a key, several processes, rotation, bad stores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod bad_stores;
mod destroying;
mod port;
mod races;
mod rotation;
mod sealing;
mod support;
