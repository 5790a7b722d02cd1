//! Shiren: an event-driven pipeline for real-person verification.
//!
//! This package is the `shiren` command and the wiring behind it: topology.toml to stages, log and
//! runtime ([`site`]). A program with stages of its own uses [`site::Site`] with a registry of its own.

pub mod authority;
pub mod bench;
pub mod case_reader;
pub mod cases;
pub mod checks;
pub mod codes;
pub mod commands;
pub mod dead_letters;
pub mod demo;
mod dice;
pub mod face_library;
mod identity_limit;
mod library_pairs;
pub mod library_truth;
mod metrics_page;
pub mod one_shot;
mod pairs;
mod performance_page;
pub mod policy;
mod presentations;
pub mod register;
mod reliability_page;
pub mod requests;
pub mod search_reach;
pub mod signals;
pub mod site;
pub mod slots;
pub mod stages;
pub mod telemetry;
mod templates;
mod topics_page;
mod utc;
pub mod vault;
