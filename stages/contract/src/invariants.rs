//! What must hold whatever happens: one name, one meaning and one check each, used alike by unit tests, tests of the
//! chain, the simulation and the runtime.

use std::collections::{HashMap, VecDeque};

use shiren_schemas::records::{CanonicalVerdict, Check, CheckState, Decision, RequestKind};
use shiren_schemas::{Id, Sha256};

use crate::policy;

/// A promise with a name: stable, lower snake case, a label of `shiren_invariant_violations_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// What holds, in a sentence.
    pub meaning: &'static str,
}

macro_rules! invariants {
    ($($name:ident $id:literal $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Invariant = Invariant { name: $id, meaning: $meaning };)*
        /// All invariants, in the order of `docs/metrics.md`.
        pub const ALL: &[Invariant] = &[$($name),*];
    };
}

invariants! {
    ONE_TERMINAL_PER_CASE "one_terminal_per_case" "A case ends in one verdict: what is written again under its verdict id has the same canonical hash.";
    NO_ACCEPT_ON_FAILURE "no_accept_on_failure" "Nothing is accepted with a fault, without a question that an accept answers, or with a check that is asked or required and not `passed`.";
    NO_VERDICT_PAST_DEADLINE "no_verdict_past_deadline" "Nothing is accepted after its case's deadline.";
    VERDICT_OF_ITS_CASE "verdict_of_its_case" "A verdict's id is the one that its case id gives.";
    OFFSETS_NEVER_SKIP "offsets_never_skip" "The records of a partition are processed in their order, from the committed offset on, none left out and none again after its commit.";
    STATE_MATCHES_OFFSET "state_matches_offset" "State that was restored is that of the committed offset: neither ahead of it nor behind.";
    ASKED_ONCE "asked_once" "A case is asked once where its authority must not be asked the same twice.";
    MEMORY_WITHIN_BUDGET "memory_within_budget" "A process holds no more memory than runtime.max_resident_mib.";
}

/// An invariant that does not hold, and what was found instead. Names no person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} does not hold: {what}", invariant.name)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What was found.
    pub what: String,
}

/// A violation, unless `holds`.
fn holds(
    invariant: Invariant,
    holds: bool,
    what: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        return Ok(());
    }
    Err(Violation {
        invariant,
        what: what(),
    })
}

/// The checks that a request of this kind asks for itself; none: nothing of this kind is ever accepted.
#[must_use]
pub fn questions(kind: RequestKind) -> &'static [&'static str] {
    match kind {
        RequestKind::Compare | RequestKind::Search => &[policy::COMPARISON],
        RequestKind::Liveness => &[policy::LIVENESS],
        RequestKind::Verify => &[policy::IDENTITY, policy::PORTRAIT],
        _ => &[],
    }
}

/// [`NO_ACCEPT_ON_FAILURE`] of one case. `requires`: what its scene requires; `None`: that is not known.
///
/// # Errors
/// It is accepted where it must not be.
pub fn no_accept_on_failure(
    kind: RequestKind,
    decision: Decision,
    checks: &[Check],
    faults: usize,
    requires: Option<&[String]>,
) -> Result<(), Violation> {
    if decision != Decision::Accept {
        return Ok(());
    }
    let held = |right, what: &dyn Fn() -> String| holds(NO_ACCEPT_ON_FAILURE, right, what);
    held(faults == 0, &|| format!("accept with {faults} faults"))?;
    let questions = questions(kind);
    held(!questions.is_empty(), &|| {
        format!("accept of kind {kind}, which asks nothing")
    })?;
    let Some(requires) = requires else {
        return held(false, &|| "accept by a policy that is not known".to_owned());
    };
    // A required comparison is not asked where there is nothing to compare.
    let required = requires.iter().map(String::as_str);
    let required = required.filter(|name| *name != policy::COMPARISON);
    for name in questions.iter().copied().chain(required) {
        let mut answers = checks.iter().filter(|check| check.name == name).peekable();
        let passed =
            answers.peek().is_some() && answers.all(|check| check.state == CheckState::Passed);
        held(passed, &|| format!("accept without {name} passed"))?;
    }
    Ok(())
}

/// [`NO_VERDICT_PAST_DEADLINE`]: times in microseconds since the Unix epoch; no deadline is never past.
///
/// # Errors
/// An `accept` was decided later.
pub fn no_verdict_past_deadline(
    decision: Decision,
    decided_us: i64,
    deadline_us: Option<i64>,
) -> Result<(), Violation> {
    let late_us = deadline_us.map_or(0, |deadline| decided_us.saturating_sub(deadline));
    holds(
        NO_VERDICT_PAST_DEADLINE,
        decision != Decision::Accept || late_us <= 0,
        || format!("accept {late_us} us after the deadline"),
    )
}

/// [`VERDICT_OF_ITS_CASE`].
///
/// # Errors
/// The verdict has another id.
pub fn verdict_of_its_case(verdict: &CanonicalVerdict) -> Result<(), Violation> {
    let (id, case) = (verdict.verdict_id, verdict.case_id);
    holds(
        VERDICT_OF_ITS_CASE,
        id == shiren_schemas::ids::verdict(case),
        || format!("verdict {id} of case {case}"),
    )
}

/// [`STATE_MATCHES_OFFSET`]: the offset that restored state names, and the committed one; `None`: nothing yet.
///
/// # Errors
/// They differ.
pub fn state_matches_offset(state: Option<i64>, committed: Option<i64>) -> Result<(), Violation> {
    holds(STATE_MATCHES_OFFSET, state == committed, || {
        format!("state of offset {state:?}, committed is {committed:?}")
    })
}

/// [`MEMORY_WITHIN_BUDGET`], in one unit.
///
/// # Errors
/// More is held.
pub fn memory_within_budget(resident: u64, budget: u64) -> Result<(), Violation> {
    holds(MEMORY_WITHIN_BUDGET, resident <= budget, || {
        format!("{resident} held, {budget} allowed")
    })
}

/// How a verdict relates to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The first of its case.
    First,
    /// Its case had the same verdict before: the first counts.
    Again,
}

/// [`ONE_TERMINAL_PER_CASE`], over verdicts as they come.
#[derive(Clone, Debug, Default)]
pub struct Terminals {
    seen: HashMap<Id, Sha256>,
    /// Oldest first, where only the newest are remembered.
    order: VecDeque<Id>,
    most: Option<usize>,
}

impl Terminals {
    /// Remembers every verdict.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Remembers the `most` newest verdicts.
    #[must_use]
    pub fn newest(most: usize) -> Self {
        Self {
            most: Some(most),
            ..Self::default()
        }
    }

    /// One more verdict, by its id and canonical hash.
    ///
    /// # Errors
    /// Its case ended otherwise before.
    pub fn add(&mut self, verdict: Id, canonical: Sha256) -> Result<Seen, Violation> {
        if let Some(first) = self.seen.get(&verdict) {
            let same = *first == canonical;
            let what = || format!("verdict {verdict} is {first} and then {canonical}");
            return holds(ONE_TERMINAL_PER_CASE, same, what).map(|()| Seen::Again);
        }
        self.seen.insert(verdict, canonical);
        if let Some(most) = self.most {
            self.order.push_back(verdict);
            if self.order.len() > most
                && let Some(oldest) = self.order.pop_front()
            {
                self.seen.remove(&oldest);
            }
        }
        Ok(Seen::First)
    }

    /// That each of these cases has ended.
    ///
    /// # Errors
    /// The first that has not.
    pub fn ended(&self, cases: impl IntoIterator<Item = Id>) -> Result<(), Violation> {
        for case in cases {
            let verdict = shiren_schemas::ids::verdict(case);
            let known = self.seen.contains_key(&verdict);
            holds(ONE_TERMINAL_PER_CASE, known, || {
                format!("case {case} has no verdict")
            })?;
        }
        Ok(())
    }
}

/// [`ASKED_ONCE`]: how often a case was asked.
///
/// # Errors
/// More than once.
pub fn asked_once(case: Id, times: u64) -> Result<(), Violation> {
    holds(ASKED_ONCE, times <= 1, || {
        format!("case {case} was asked {times} times")
    })
}

/// [`OFFSETS_NEVER_SKIP`] of the partitions that one worker reads under one assignment.
#[derive(Clone, Debug, Default)]
pub struct Progress<P> {
    next: HashMap<P, Next>,
    /// Whether every offset holds a record. Kafka's transaction markers take offsets too.
    dense: bool,
}

/// Where a partition goes on.
#[derive(Clone, Copy, Debug)]
struct Next {
    offset: i64,
    /// There, and no later: what was read there is not committed.
    exactly: bool,
}

impl<P: std::hash::Hash + Eq + Clone + std::fmt::Debug> Progress<P> {
    /// Of a log whose offsets are all taken by records (`dense`), or not.
    #[must_use]
    pub fn new(dense: bool) -> Self {
        Self {
            next: HashMap::new(),
            dense,
        }
    }

    /// Partitions came or went, or the worker starts anew: it goes on at the committed offsets.
    pub fn forget(&mut self) {
        self.next.clear();
    }

    /// The records of a bundle, as they are read: partition and offset.
    ///
    /// # Errors
    /// The first that is out of order, again or beyond one that was left out; then nothing is remembered.
    pub fn read<'a>(
        &mut self,
        bundle: impl IntoIterator<Item = (&'a P, i64)>,
    ) -> Result<(), Violation>
    where
        P: 'a,
    {
        let mut began: HashMap<&P, i64> = HashMap::new();
        let mut at: HashMap<&P, i64> = HashMap::new();
        for (place, offset) in bundle {
            let (next, exactly) = match (at.get(place), self.next.get(place)) {
                (Some(before), _) => (before + 1, self.dense),
                (None, Some(next)) => (next.offset, next.exactly || self.dense),
                (None, None) => (offset, true),
            };
            let right = if exactly {
                offset == next
            } else {
                offset >= next
            };
            holds(OFFSETS_NEVER_SKIP, right, || {
                format!("{place:?} at offset {offset}, expected {next}")
            })?;
            began.entry(place).or_insert(offset);
            at.insert(place, offset);
        }
        for (place, offset) in began {
            let next = Next {
                offset,
                exactly: true,
            };
            self.next.insert(place.clone(), next);
        }
        Ok(())
    }

    /// That bundle is committed.
    pub fn committed<'a>(&mut self, bundle: impl IntoIterator<Item = (&'a P, i64)>)
    where
        P: 'a,
    {
        for (place, offset) in bundle {
            let next = Next {
                offset: offset + 1,
                exactly: false,
            };
            self.next.insert(place.clone(), next);
        }
    }
}

#[cfg(test)]
#[path = "invariants_tests.rs"]
mod tests;
