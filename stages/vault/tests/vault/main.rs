//! The vault on a real folder: sealing, the life of a key, persons' keys, several processes, rotation, bad stores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod bad_stores;
mod destroying;
mod person_costs;
mod person_races;
mod persons;
mod persons_bad_stores;
mod port;
mod races;
mod rotation;
mod sealing;
mod support;
