//! From the answers of a case's last stage to its decision: what all stages that compare templates share.

use shiren_schemas::records::{
    Basis, Check, CheckState, Decision, Envelope, PictureRole, TemplateCase,
};

use crate::codes::{self, Code};
use crate::policy::{self, Scene, check};
use crate::terminal::Terminal;

/// A question that the kind asks itself, and what it came to.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Name of the check.
    pub check: &'static str,
    /// Its state.
    pub state: CheckState,
    /// Why it is not `passed`.
    pub reason: Option<Code>,
}

/// What the checks of a case allow.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The decision.
    pub decision: Decision,
    /// All checks: those of earlier stages, the answers, and those that did not run.
    pub checks: Vec<Check>,
    /// Reasons beside those of earlier stages.
    pub reasons: Vec<Code>,
}

/// The decision on a case by its earlier checks and these answers. Quality and liveness that did not run say so, and
/// an `accept` that relies on advisory liveness is held back.
#[must_use]
pub fn judge(case: &TemplateCase, answers: &[Answer], scene: &Scene) -> Judgement {
    let mut checks = case.checks.clone();
    let given = |answer: &Answer| check(answer.check, answer.state, answer.reason);
    checks.extend(answers.iter().map(given));
    let mut reasons: Vec<Code> = answers.iter().filter_map(|answer| answer.reason).collect();
    for (name, not_checked) in [
        (policy::LIVENESS, codes::LIVENESS_NOT_CHECKED),
        (policy::QUALITY, codes::QUALITY_NOT_CHECKED),
    ] {
        if checks.iter().all(|check| check.name != name) {
            checks.push(check(name, CheckState::NotChecked, Some(not_checked)));
            reasons.push(not_checked);
        }
    }
    let questions: Vec<&str> = answers.iter().map(|answer| answer.check).collect();
    let (mut decision, why) = policy::decide(&questions, &checks, &scene.requires);
    reasons.extend(why);
    let relied_on = scene.requires.iter().any(|name| name == policy::LIVENESS);
    if relied_on && is_advisory(case) {
        let (held_back, why) = policy::hold_back_advisory(decision, scene);
        decision = held_back;
        reasons.extend(why);
    }
    Judgement {
        decision,
        checks,
        reasons,
    }
}

/// Whether the probe's liveness was judged by a check that is not to be relied on alone.
fn is_advisory(case: &TemplateCase) -> bool {
    let probe = case.of_role(PictureRole::Probe);
    let liveness = probe.and_then(|probe| probe.picture.liveness.as_ref());
    liveness.is_some_and(|liveness| liveness.advisory)
}

impl Judgement {
    /// Holds an `accept` by a threshold that is only extrapolated back for a person, unless the scene says why it may
    /// stand.
    pub fn by_threshold(&mut self, basis: Basis, scene: &Scene) {
        if basis != Basis::Extrapolated {
            return;
        }
        self.reasons.push(codes::THRESHOLD_EXTRAPOLATED);
        if self.decision == Decision::Accept && scene.allow_extrapolated.is_none() {
            self.decision = Decision::Review;
        }
    }

    /// The case's end with this decision.
    #[must_use]
    pub fn terminal(self, envelope: Envelope) -> Terminal {
        let mut terminal = Terminal::new(envelope, self.decision);
        terminal.checks = self.checks;
        self.reasons
            .into_iter()
            .for_each(|code| terminal.reason(code));
        terminal
    }
}
