//! Authority-verify: is this the person that the authority's register holds under that name and number?
//!
//! Two results, apart: whether name and number belong together, and whether the live face is the registered one. The
//! authority says how alike two faces are; which score is enough comes from a calibration table by the scene's target
//! rate, as in match. No verdict, evidence or message holds a name or a number.

mod config;

use shiren_contract::asking::{AskFailure, AskingStage};
use shiren_contract::authority::{IdentityReply, PortraitFound, Verified, VerifyAsk};
use shiren_contract::codes::{self, Code};
use shiren_contract::judgement::{self, Answer};
use shiren_contract::policy::{self, Scene};
use shiren_contract::stage::{Outcome, Rejection, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_schemas::Wire;
use shiren_schemas::records::{
    AskIntent, AuthorityEvidence, CheckState, Comparison, Fault, IdentityClaim, PictureRole,
    ReferenceKind, RequestKind, TemplateCase, TemplatedPicture,
};

pub use config::Config;

/// A registered portrait is a photo on file.
const PORTRAIT_KIND: ReferenceKind = ReferenceKind::OnFile;

/// The stage.
pub struct AuthorityVerify {
    config: Config,
}

impl AuthorityVerify {
    /// The stage with its tables.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }
}

impl AskingStage for AuthorityVerify {
    type Input = TemplateCase;
    type Ask = VerifyAsk;
    type Reply = Verified;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "authority-verify",
        kinds: &[RequestKind::Verify],
        input: TemplateCase::NAME,
        outputs: &[],
        checks: &[policy::IDENTITY, policy::PORTRAIT],
        state: Some(AskIntent::NAME),
        is_rekeyed: false,
    };

    fn ask(&mut self, case: &TemplateCase) -> Option<VerifyAsk> {
        let (claim, probe) = self.question(case).ok()?;
        Some(VerifyAsk {
            tenant: case.envelope.tenant.clone(),
            case: case.envelope.case_id,
            claim: claim.clone(),
            received_time_us: case.envelope.received_time,
            template: probe.template.clone(),
        })
    }

    fn decide(
        &mut self,
        case: TemplateCase,
        reply: Option<Result<Verified, AskFailure>>,
    ) -> Outcome {
        let decided = match reply {
            Some(Ok(verified)) => self.decided(&case, &verified),
            Some(Err(failure)) => Err(Rejection::new(failure.code, failure.detail)),
            None => match self.question(&case) {
                Err(rejection) => Err(rejection),
                Ok(_) => Err(Rejection::new(codes::STAGE_FAILED, "nothing was asked")),
            },
        };
        let mut terminal = decided.unwrap_or_else(|rejection| {
            let envelope = case.envelope.clone();
            let mut terminal = Terminal::error(envelope, Self::DESCRIPTOR.name, rejection, None);
            terminal.checks.clone_from(&case.checks);
            terminal
        });
        terminal.reason_codes.extend(case.reason_codes);
        terminal.models = case.models;
        terminal.pictures = case.pictures.into_iter().map(|p| p.picture).collect();
        Outcome::terminal(terminal)
    }
}

impl AuthorityVerify {
    /// Who the person says they are, and their face; or why there is nothing to ask.
    fn question<'a>(
        &self,
        case: &'a TemplateCase,
    ) -> Result<(&'a IdentityClaim, &'a TemplatedPicture), Rejection> {
        if self.config.policies.of(&case.envelope).is_none() {
            let what = "not in this worker's policy";
            return Err(Rejection::new(codes::SCENE_UNKNOWN, what));
        }
        let question = case.claim.as_ref().zip(case.of_role(PictureRole::Probe));
        let (claim, probe) = question
            .ok_or_else(|| Rejection::new(codes::STAGE_FAILED, "claim or probe is missing"))?;
        self.config.calibration.must_be_of_model(&probe.template)?;
        Ok((claim, probe))
    }

    fn decided(&self, case: &TemplateCase, verified: &Verified) -> Result<Terminal, Rejection> {
        let Some(scene) = self.config.policies.of(&case.envelope) else {
            let what = "not in this worker's policy";
            return Err(Rejection::new(codes::SCENE_UNKNOWN, what));
        };
        let identity = identity(verified.identity);
        let compared = self.portrait(&verified.portrait, &scene);
        // What broke did not run: its reason stands in the check, its particulars in the evidence.
        let (portrait, comparison, fault) = match compared {
            Ok((answer, comparison)) => (answer, comparison, None),
            Err(rejection) => {
                let code = rejection.code;
                let answer = portrait(CheckState::NotChecked, Some(code));
                (answer, None, Some(fault(rejection)))
            }
        };
        let mut judged = judgement::judge(case, &[identity, portrait], &scene);
        if let Some(comparison) = &comparison {
            judged.by_threshold(comparison.basis, &scene);
        }
        let mut terminal = judged.terminal(case.envelope.clone());
        terminal.reference_kind = comparison.as_ref().map(|_| PORTRAIT_KIND);
        terminal.comparison = comparison;
        terminal.faults.extend(fault);
        terminal.authority = Some(AuthorityEvidence {
            source: verified.source.clone(),
            identity: verified.identity.word().to_owned(),
            portrait: verified.portrait.word().to_owned(),
        });
        Ok(terminal)
    }

    /// What the check `portrait` came to. A portrait that was not compared is no failed comparison.
    fn portrait(
        &self,
        found: &PortraitFound,
        scene: &Scene,
    ) -> Result<(Answer, Option<Comparison>), Rejection> {
        let score = match found {
            PortraitFound::Score(score) => *score,
            PortraitFound::NumberUnknown => return Ok(without(codes::IDENTITY_NUMBER_UNKNOWN)),
            PortraitFound::NameDiffers => return Ok(without(codes::IDENTITY_NAME_DIFFERS)),
            PortraitFound::NoPortrait => return Ok(without(codes::PORTRAIT_MISSING_AT_AUTHORITY)),
            PortraitFound::Broken(failure) => {
                return Err(Rejection::new(failure.code, failure.detail.clone()));
            }
        };
        if !score.is_finite() {
            let what = "the authority's score is no number";
            return Err(Rejection::new(codes::TEMPLATE_INVALID, what));
        }
        let calibration = &self.config.calibration;
        let point = calibration.point(PORTRAIT_KIND, scene.target_fmr)?;
        let answer = if score >= point.threshold {
            portrait(CheckState::Passed, None)
        } else {
            portrait(CheckState::Failed, Some(codes::PORTRAIT_BELOW_THRESHOLD))
        };
        Ok((answer, Some(calibration.comparison(score, &point))))
    }
}

fn identity(reply: IdentityReply) -> Answer {
    let reason = reply.code();
    let state = match reason {
        None => CheckState::Passed,
        Some(_) => CheckState::Failed,
    };
    Answer {
        check: policy::IDENTITY,
        state,
        reason,
    }
}

fn portrait(state: CheckState, reason: Option<Code>) -> Answer {
    Answer {
        check: policy::PORTRAIT,
        state,
        reason,
    }
}

fn without(reason: Code) -> (Answer, Option<Comparison>) {
    (portrait(CheckState::NotChecked, Some(reason)), None)
}

fn fault(rejection: Rejection) -> Fault {
    Fault {
        stage: AuthorityVerify::DESCRIPTOR.name.to_owned(),
        code: rejection.code.id.to_owned(),
        detail: rejection.detail,
        role: None,
    }
}
