//! What goes wrong in a run, chosen by its seed, and what a mutation breaks on purpose.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A break of one invariant, made on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Offsets are committed before outputs: a crash between loses a case.
    OffsetsBeforeOutputs,
    /// A commit says that it is done, and its outputs are dropped.
    OutputsDropped,
    /// A commit moves an offset one record too far.
    OffsetSkips,
    /// A bundle is committed later although its partitions are another worker's.
    CommitAfterRevocation,
    /// A record that is read again is decided otherwise.
    RerunDiffers,
    /// A case with a check that failed is accepted.
    AcceptOnFailure,
    /// Workers do not see time pass.
    ClockStands,
    /// A bundle takes no heed of its bound of bytes.
    BundleUnbounded,
    /// A commit leaves out what the ledger remembers.
    StateNotWritten,
    /// A commit before an ask says that it is done, and keeps nothing.
    IntentNotWritten,
    /// A verdict has the id of another case's.
    VerdictIdDiffers,
    /// The library answers that a change is made, and does not keep it.
    ChangeForgotten,
}

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitFault {
    Retry,
    UnknownLanded,
    UnknownNotLanded,
    UnknownLate { accepted: bool },
    CrashBefore,
    CrashAfter,
    Revoked,
    Unavailable,
}

/// What becomes of an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskFault {
    Refused,
    /// The effect is there, the reply is not.
    ReplyLost,
    Slow,
    CrashAfter,
}

/// How often each thing was injected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Commits that wrote nothing and may be tried again.
    pub retries: u64,
    /// Commits of unknown outcome that were written.
    pub unknown_landed: u64,
    /// Commits of unknown outcome that were not.
    pub unknown_not_landed: u64,
    /// Commits of unknown outcome that the coordinator took, and that were visible later.
    pub landed_late: u64,
    /// Commits of unknown outcome that were open for a while, and then aborted.
    pub aborted_late: u64,
    /// Workers that died, at any step.
    pub crashes: u64,
    /// Assignments that were dealt anew.
    pub revocations: u64,
    /// Logs that did not answer.
    pub unavailable: u64,
    /// Asks that failed, lost their reply or were slow.
    pub asks: u64,
    /// Requests that were published again.
    pub duplicates: u64,
    /// Requests that took the id of another one.
    pub conflicts: u64,
    /// Verdicts over and above one a case, before deduplication.
    pub verdicts_doubled: u64,
    /// Cases that ended.
    pub verdicts: u64,
}

impl Injected {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.retries += other.retries;
        self.unknown_landed += other.unknown_landed;
        self.unknown_not_landed += other.unknown_not_landed;
        self.landed_late += other.landed_late;
        self.aborted_late += other.aborted_late;
        self.crashes += other.crashes;
        self.revocations += other.revocations;
        self.unavailable += other.unavailable;
        self.asks += other.asks;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.verdicts += other.verdicts;
        self.verdicts_doubled += other.verdicts_doubled;
    }
}

/// A worker dies here: carried up to the scheduler as a panic that no hook prints.
pub(crate) struct Crash;

pub(crate) fn crash() -> ! {
    std::panic::resume_unwind(Box::new(Crash))
}

/// The dice of a run. Clones share them.
#[derive(Clone)]
pub(crate) struct Plan(Arc<Mutex<State>>);

pub(crate) struct State {
    pub(crate) dice: fastrand::Rng,
    pub(crate) faulty: bool,
    pub(crate) injected: Injected,
}

impl Plan {
    pub(crate) fn new(seed: u64, faulty: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            dice: fastrand::Rng::with_seed(seed),
            faulty,
            injected: Injected::default(),
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn below(&self, end: usize) -> usize {
        self.state().dice.usize(..end)
    }

    pub(crate) fn commit(&self) -> Option<CommitFault> {
        let mut state = self.state();
        if !state.faulty || state.dice.u8(..100) >= 30 {
            return None;
        }
        let roll = state.dice.u8(..9);
        let injected = &mut state.injected;
        let (fault, count) = match roll {
            0 => (CommitFault::Retry, &mut injected.retries),
            1 => (CommitFault::UnknownLanded, &mut injected.unknown_landed),
            2 => (
                CommitFault::UnknownNotLanded,
                &mut injected.unknown_not_landed,
            ),
            3 => (
                CommitFault::UnknownLate { accepted: true },
                &mut injected.landed_late,
            ),
            8 => (
                CommitFault::UnknownLate { accepted: false },
                &mut injected.aborted_late,
            ),
            4 => (CommitFault::CrashBefore, &mut injected.crashes),
            5 => (CommitFault::CrashAfter, &mut injected.crashes),
            6 => (CommitFault::Revoked, &mut injected.revocations),
            _ => (CommitFault::Unavailable, &mut injected.unavailable),
        };
        *count += 1;
        Some(fault)
    }

    pub(crate) fn ask(&self) -> Option<AskFault> {
        let mut state = self.state();
        if !state.faulty || state.dice.u8(..100) >= 35 {
            return None;
        }
        let fault = match state.dice.u8(..4) {
            0 => AskFault::Refused,
            1 => AskFault::ReplyLost,
            2 => AskFault::Slow,
            _ => AskFault::CrashAfter,
        };
        match fault {
            AskFault::CrashAfter => state.injected.crashes += 1,
            _ => state.injected.asks += 1,
        }
        Some(fault)
    }
}
