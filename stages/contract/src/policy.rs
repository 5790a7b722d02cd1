//! What a scene asks for, and the one rule by which checks become a decision.

use std::collections::BTreeMap;

use shiren_schemas::records::{Check, CheckState, Decision};

use crate::codes::{self, Code};

/// Name of the check that 1:1 comparison answers.
pub const COMPARISON: &str = "comparison";
/// Name of the check that liveness answers.
pub const LIVENESS: &str = "liveness";
/// Name of the check that quality answers.
pub const QUALITY: &str = "quality";
/// Name of the check that an authority answers: whether name and number belong together.
pub const IDENTITY: &str = "identity";
/// Name of the check that an authority answers: whether the live face is the registered one.
pub const PORTRAIT: &str = "portrait";

/// Policy of one scene.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Checks that must pass before anything is accepted.
    pub requires: Vec<String>,
    /// Target false-match rate of 1:1 comparison, 0..=0.1.
    pub target_fmr: f64,
    /// Target false-positive identification rate of 1:N search, whatever the number of faces; `None`: it does not search.
    pub target_fpir: Option<f64>,
    /// 1:N: least score by which the first candidate leads the second, or a person has to look.
    pub min_margin: f64,
    /// Reason why an extrapolated operating point may accept; `None`: it leads to `review`.
    pub allow_extrapolated: Option<String>,
    /// Reason why a passive liveness check alone may accept; `None`: it leads to `review` at most.
    pub allow_advisory: Option<String>,
    /// A verdict is of no use later than this after received_time, milliseconds.
    pub expires_after_ms: i64,
    /// How long a request is remembered, so that one that comes again is not answered again, milliseconds after its
    /// received_time.
    pub request_ttl_ms: i64,
    /// Deadline of a case that names none, milliseconds after received_time; `None`: no deadline.
    pub deadline_ms: Option<i64>,
    /// Smallest face width of interest, pixels of the upright picture.
    pub min_face_px: u32,
}

/// The scenes of a policy, by name.
pub type Scenes = BTreeMap<String, Scene>;

/// A check that passed, or one in another state with its reason.
#[must_use]
pub fn check(name: &str, state: CheckState, reason: Option<Code>) -> Check {
    Check {
        name: name.to_owned(),
        state,
        reason_code: reason.map(|code| code.id.to_owned()),
    }
}

/// The decision that the checks of a yes-or-no request allow, and why. `questions` are the checks that it asks itself
/// (`comparison`; `liveness`; `identity` and `portrait`); a required comparison is not asked where there is nothing to
/// compare. Fail closed:
/// - no question: `error`;
/// - required quality that failed: `error`, whatever else failed; a poor picture allows no answer;
/// - another failed check that is required, or a question: `reject`;
/// - a required check or a question that abstained or did not run: `error`, never `accept` and never `reject`;
/// - else `accept`.
#[must_use]
pub fn decide(questions: &[&str], checks: &[Check], requires: &[String]) -> (Decision, Vec<Code>) {
    if questions.is_empty() {
        return (Decision::Error, vec![codes::REQUIRED_CHECK_NOT_RUN]);
    }
    let state = |name: &str| checks.iter().find(|c| c.name == name).map(|c| c.state);
    let asked: Vec<&str> = requires
        .iter()
        .map(String::as_str)
        .filter(|name| *name != COMPARISON || questions.contains(&COMPARISON))
        .chain(questions.iter().copied())
        .collect();
    let failed = |name: &&str| state(name) == Some(CheckState::Failed);
    if asked.contains(&QUALITY) && failed(&QUALITY) {
        return (Decision::Error, Vec::new());
    }
    if asked.iter().any(failed) {
        return (Decision::Reject, Vec::new());
    }
    if asked
        .iter()
        .all(|name| state(name) == Some(CheckState::Passed))
    {
        return (Decision::Accept, Vec::new());
    }
    let not_run = asked
        .iter()
        .any(|name| matches!(state(name), None | Some(CheckState::NotChecked)));
    let why = if not_run {
        vec![codes::REQUIRED_CHECK_NOT_RUN]
    } else {
        Vec::new()
    };
    (Decision::Error, why)
}

/// Holds an `accept` that rests on an advisory check back for a person, unless the scene says why it may stand.
#[must_use]
pub fn hold_back_advisory(decision: Decision, scene: &Scene) -> (Decision, Option<Code>) {
    if decision == Decision::Accept && scene.allow_advisory.is_none() {
        return (Decision::Review, Some(codes::LIVENESS_ADVISORY));
    }
    (decision, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_state() -> impl Strategy<Value = CheckState> {
        proptest::sample::select(CheckState::ALL)
    }

    #[test]
    fn a_required_comparison_is_not_asked_of_a_request_without_one() {
        let checks = [check(LIVENESS, CheckState::Passed, None)];
        let requires = [COMPARISON.to_owned(), LIVENESS.to_owned()];
        assert_eq!(decide(&[LIVENESS], &checks, &requires).0, Decision::Accept);
        assert_eq!(decide(&[COMPARISON], &checks, &requires).0, Decision::Error);
    }

    #[test]
    fn who_asks_nothing_gets_no_yes() {
        assert_eq!(decide(&[], &[], &[]).0, Decision::Error);
    }

    proptest! {
        #[test]
        fn verify_accepts_only_when_both_its_questions_and_all_required_passed(
            states in proptest::collection::vec(proptest::option::of(any_state()), 4),
            required in proptest::collection::vec(any::<bool>(), 3),
        ) {
            let names = [IDENTITY, PORTRAIT, LIVENESS, QUALITY];
            let checks: Vec<Check> = names.iter().zip(&states)
                .filter_map(|(name, state)| Some(check(name, (*state)?, None))).collect();
            let requires: Vec<String> = [COMPARISON, LIVENESS, QUALITY].iter().zip(&required)
                .filter(|(_, r)| **r).map(|(n, _)| (*n).to_owned()).collect();
            let (decision, _) = decide(&[IDENTITY, PORTRAIT], &checks, &requires);
            let is = |name: &str, state| checks.iter().any(|c| c.name == name && c.state == state);
            let asked: Vec<&str> = [IDENTITY, PORTRAIT].into_iter()
                .chain([LIVENESS, QUALITY].into_iter().filter(|n| requires.iter().any(|r| r == n))).collect();
            let all = asked.iter().all(|name| is(name, CheckState::Passed));
            prop_assert_eq!(decision == Decision::Accept, all);
            let poor = asked.contains(&QUALITY) && is(QUALITY, CheckState::Failed);
            let some_failed = asked.iter().any(|name| is(name, CheckState::Failed));
            prop_assert_eq!(decision == Decision::Reject, some_failed && !poor);
        }

        #[test]
        fn accepts_only_when_all_required_passed(
            states in proptest::collection::vec(any_state(), 3),
            required in proptest::collection::vec(any::<bool>(), 3),
            missing in proptest::option::of(0_usize..3),
        ) {
            let names = [COMPARISON, LIVENESS, QUALITY];
            let checks: Vec<Check> = names.iter().zip(&states).enumerate()
                .filter(|(i, _)| Some(*i) != missing)
                .map(|(_, (name, state))| check(name, *state, None)).collect();
            let requires: Vec<String> = names.iter().zip(&required)
                .filter(|(_, r)| **r).map(|(n, _)| (*n).to_owned()).collect();
            let (decision, _) = decide(&[COMPARISON], &checks, &requires);
            let passed = |name: &str| checks.iter().any(|c| c.name == name && c.state == CheckState::Passed);
            let failed = |name: &str| checks.iter().any(|c| c.name == name && c.state == CheckState::Failed);
            let all = passed(COMPARISON) && requires.iter().all(|r| passed(r));
            prop_assert_eq!(decision == Decision::Accept, all);
            let poor = failed(QUALITY) && requires.iter().any(|r| r == QUALITY);
            let some_failed = failed(COMPARISON) || requires.iter().any(|r| failed(r));
            prop_assert_eq!(decision == Decision::Reject, some_failed && !poor);
        }
    }
}
