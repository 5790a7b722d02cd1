//! What the integration tests share: a real broker, sites, events, runs.
#![allow(clippy::expect_used, reason = "test code: a panic is how it speaks")]

pub mod alerts;
pub mod authority;
pub mod broker;
pub mod cluster;
pub mod collector;
pub mod dice;
pub mod events;
pub mod ledger;
pub mod libraries;
pub mod older;
pub mod own_worker;
pub mod poison;
pub mod policy;
pub mod processes;
pub mod proxy;
pub mod run;
pub mod site;
pub mod small_disk;
pub mod status;
