//! Passive liveness (ISO/IEC 30107: presentation attack detection) on one still: nets of the manifest and classical
//! cues, joined by a fitted table.

pub mod cues;
pub mod fusion;
pub mod spectrum;
