//! Bounds of what stages ask: the same for each port.

use crate::build::{Undeclared, int};
use crate::values::Values;

/// Bounds of the asks of one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asks {
    /// Longest wait for an answer, milliseconds.
    pub ask_max_wait_ms: u64,
    /// Longest single call, milliseconds.
    pub call_max_wait_ms: u64,
    /// Times an ask is made.
    pub ask_max_attempts: u32,
    /// Longest pause before the second attempt, milliseconds.
    pub ask_backoff_ms: u64,
    /// Failed calls in a row before it is left alone.
    pub breaker_max_failures: u32,
    /// How long it is left alone, milliseconds.
    pub breaker_pause_ms: u64,
    /// Calls under way at once.
    pub calls_max: u32,
}

impl Asks {
    /// Of the settings below `table`.
    pub(crate) fn read(values: &Values, table: &str) -> Result<Self, Undeclared> {
        let path = |name: &str| format!("{table}.{name}");
        Ok(Self {
            ask_max_wait_ms: int(values, &path("ask_max_wait_ms"))?,
            call_max_wait_ms: int(values, &path("call_max_wait_ms"))?,
            ask_max_attempts: int(values, &path("ask_max_attempts"))?,
            ask_backoff_ms: int(values, &path("ask_backoff_ms"))?,
            breaker_max_failures: int(values, &path("breaker_max_failures"))?,
            breaker_pause_ms: int(values, &path("breaker_pause_ms"))?,
            calls_max: int(values, &path("calls_max"))?,
        })
    }
}

/// Asks of the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Bounds.
    pub asks: Asks,
    /// The same is never asked twice.
    pub ask_once: bool,
    /// How long it is remembered that a case was asked, milliseconds.
    pub intent_ttl_ms: u64,
}

impl Authority {
    pub(crate) fn read(values: &Values) -> Result<Self, Undeclared> {
        Ok(Self {
            asks: Asks::read(values, "authority")?,
            ask_once: values
                .boolean("authority.ask_once")
                .ok_or_else(|| "authority.ask_once".to_owned())?,
            intent_ttl_ms: int(values, "authority.intent_ttl_ms")?,
        })
    }
}
