//! What operators see of a process.

use crate::build::{Undeclared, int, text};
use crate::values::Values;

/// Where metrics and health are shown, and the bounds of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// `address:port` of the HTTP listener; `None`: there is none.
    pub listen: Option<String>,
    /// Longest time between two turns of a worker loop that is healthy, milliseconds.
    pub turn_max_ms: u64,
    /// Between two looks at the lag, milliseconds.
    pub lag_every_ms: u64,
    /// Verdicts that a worker remembers, to count those that it commits again.
    pub recent_verdicts_max: usize,
    /// Connections of the listener at once.
    pub connections_max: usize,
    /// Longest time of a connection, milliseconds.
    pub connection_max_ms: u64,
    /// Most bytes of a request's head.
    pub head_max_bytes: usize,
}

impl Telemetry {
    pub(crate) fn read(values: &Values) -> Result<Self, Undeclared> {
        Ok(Self {
            listen: text(values, "telemetry.listen").ok(),
            turn_max_ms: int(values, "telemetry.turn_max_ms")?,
            lag_every_ms: int(values, "telemetry.lag_every_ms")?,
            recent_verdicts_max: int(values, "telemetry.recent_verdicts_max")?,
            connections_max: int(values, "telemetry.connections_max")?,
            connection_max_ms: int(values, "telemetry.connection_max_ms")?,
            head_max_bytes: int(values, "telemetry.head_max_bytes")?,
        })
    }
}
