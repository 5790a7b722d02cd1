//! Why a run ends before it was drained.

use shiren_contract::seal::VaultError;
use shiren_log::LogError;
use shiren_schemas::CodecError;

use crate::emission::EmissionError;
use crate::registry::BuildError;
use crate::segment::SegmentError;

/// Why a run ended before it was drained.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A stage could not be built.
    #[error("a stage could not be built: {0}")]
    Build(BuildError),
    /// A record of this program could not be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The vault cannot be used.
    #[error(
        "{0}. The worker stops, nothing is written in clear text instead; what is not committed is in the log"
    )]
    Vault(#[from] VaultError),
    /// Too many dead letters in a row.
    #[error(
        "group {group}: dead_letters_over_limit: more than {max} records in a row became dead letters; something is wrong with all of them. Look at the dead-letter topic, mend the producer or the stage, then start again; nothing is lost"
    )]
    DeadLettersOverLimit {
        /// Group.
        group: String,
        /// Limit.
        max: u32,
    },
    /// Too many of the last records are dead letters.
    #[error(
        "group {group}: dead_letters_over_limit: {dead} of the last {records} records became dead letters, runtime.dead_letters_max_ratio is {max_ratio}; something is wrong with many of them. Look at them with `shiren dead-letters list`, mend the producer or the stage, then start again; nothing is lost"
    )]
    DeadLetterRatioOverLimit {
        /// Group.
        group: String,
        /// Dead letters among them.
        dead: usize,
        /// Records looked at.
        records: usize,
        /// Limit.
        max_ratio: f64,
    },
    /// Too many rebuilds in a row.
    #[error(
        "group {group}: built anew {attempts} times without a commit between; the last time: {why}"
    )]
    RebuildsOverLimit {
        /// Group.
        group: String,
        /// Times.
        attempts: u32,
        /// Last reason.
        why: String,
    },
    /// The machine's clock is off, and has been for too long.
    #[error(
        "group {group}: clock_off: this machine's clock is off by {skew_ms} ms, and has been for longer than runtime.clock_max_off_ms; deadlines cannot be judged by it. Set it right (NTP), then start again; nothing is lost"
    )]
    ClockOff {
        /// Group of the worker that saw it.
        group: String,
        /// By how much, milliseconds; ahead is positive.
        skew_ms: i64,
    },
    /// The process holds more memory than it may.
    #[error(
        "group {group}: memory_over_budget: the process holds {resident_mib} MiB, runtime.max_resident_mib is {max_mib}. What was answered is committed, the rest is in the log: start it again. If it comes back, lower bundle.max_bytes, bundle.queue_max_bytes, stills.max_pixels or detect.net_max_side_px, run fewer workers in a process, or raise the bound"
    )]
    MemoryOverBudget {
        /// Group of the worker that saw it.
        group: String,
        /// Resident memory, MiB.
        resident_mib: u64,
        /// Bound, MiB.
        max_mib: u64,
    },
    /// A record of a changelog cannot be read.
    #[error(
        "state_unreadable: {topic}/{partition} at offset {offset}: {what}. A newer version may have written it: run that one. What is committed stays in the log"
    )]
    StateUnreadable {
        /// Changelog.
        topic: String,
        /// Partition.
        partition: i32,
        /// Offset.
        offset: i64,
        /// What is wrong.
        what: String,
    },
    /// The state is not of the committed offset.
    #[error(
        "state_elsewhere: {stage} has seen {topic}/{partition} up to offset {state:?}, the group has committed {committed:?}: they were changed apart, by hand or by a backup. Nothing is processed on state that does not belong to it: docs/state.md says how to go on"
    )]
    StateElsewhere {
        /// Stage.
        stage: &'static str,
        /// Input topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Next offset by the state.
        state: Option<i64>,
        /// Next offset by the group.
        committed: Option<i64>,
    },
    /// A record of a topic with keys of its own has none.
    #[error("{stage}: no key for its topic: {why}")]
    Rekey {
        /// Stage that reads the topic.
        stage: &'static str,
        /// What is wrong and what to do.
        why: BuildError,
    },
    /// A stage panicked at a timer.
    #[error("{stage} failed at a timer")]
    Timer {
        /// Stage.
        stage: &'static str,
    },
    /// A worker thread panicked or could not be started.
    #[error("worker {0} stopped unexpectedly")]
    WorkerLost(String),
}

impl From<SegmentError> for RuntimeError {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::Build(error) => Self::Build(error),
            SegmentError::Vault(error) => Self::Vault(error),
            SegmentError::Timer { stage } => Self::Timer { stage },
        }
    }
}

impl From<EmissionError> for RuntimeError {
    fn from(error: EmissionError) -> Self {
        match error {
            EmissionError::Codec(error) => Self::Codec(error),
            EmissionError::Vault(error) => Self::Vault(error),
            EmissionError::Rekey { stage, why } => Self::Rekey { stage, why },
        }
    }
}
