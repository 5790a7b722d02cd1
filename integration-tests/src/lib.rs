//! What integration tests share: real parts of the world outside.
#![expect(clippy::expect_used, reason = "test code: a panic is how it speaks")]

pub mod broker;
