//! The local register on real files: replies, imports, secrecy, damage, several writers and readers.
//!
//! All persons are SPECIMEN: made up, with region codes that were never issued (110199 in Beijing,
//! whose districts end at 110119; 830099 beside the permits' 830000).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: a panic is how it speaks"
)]

mod bad_files;
mod cost;
mod imports;
mod limits;
mod replies;
mod secrecy;
mod several;
mod support;
