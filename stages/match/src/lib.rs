//! Match: the 1:1 comparison of probe and reference, the 1:N search of libraries, and the verdict.
//!
//! The threshold comes from a calibration table by the scene's target rate; a score on its own decides nothing.

mod config;
mod search;

use shiren_contract::asking::{AskFailure, AskingStage};
use shiren_contract::codes::{self, Code};
use shiren_contract::judgement::{self, Answer};
use shiren_contract::library::{Found, SearchAsk};
use shiren_contract::policy::{self, Scene};
use shiren_contract::stage::{Outcome, Rejection, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_models::score;
use shiren_schemas::Wire;
use shiren_schemas::records::{
    CheckState, Comparison, Decision, PersonFound, PictureRole, ReferenceKind, RequestKind,
    Template, TemplateCase,
};

use search::Identification;

pub use config::Config;

/// The stage.
pub struct Match {
    config: Config,
}

impl Match {
    /// The stage with its tables.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Score and operating point of a comparison.
    fn compare(
        &self,
        probe: &Template,
        reference: &Template,
        kind: ReferenceKind,
        scene: &Scene,
    ) -> Result<Comparison, Rejection> {
        let calibration = &self.config.calibration;
        for template in [probe, reference] {
            calibration.must_be_of_model(template)?;
        }
        let point = calibration.point(kind, scene.target_fmr)?;
        let template = |t: &Template| shiren_models::Template {
            model: t.model.clone(),
            values: t.values.clone(),
        };
        let score = score::compare(&template(probe), &template(reference), calibration.metric)
            .map_err(|error| Rejection::new(error.code(), error.to_string()))?;
        Ok(calibration.comparison(f64::from(score), &point))
    }
}

impl AskingStage for Match {
    type Input = TemplateCase;
    type Ask = SearchAsk;
    type Reply = Found;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "match",
        kinds: &[RequestKind::Compare, RequestKind::Search],
        input: TemplateCase::NAME,
        outputs: &[],
        checks: &[policy::COMPARISON],
        state: None,
        is_rekeyed: false,
    };

    fn ask(&mut self, case: &TemplateCase) -> Option<SearchAsk> {
        let question = case.search.as_ref()?;
        let probe = case.of_role(PictureRole::Probe)?;
        if case.envelope.kind != RequestKind::Search
            || probe.template.model != self.config.calibration.model
        {
            return None;
        }
        let persons = usize::try_from(question.persons_max).unwrap_or(0).max(2);
        Some(SearchAsk {
            tenant: case.envelope.tenant.clone(),
            libraries: question.libraries.clone(),
            template: probe.template.values.clone(),
            // With so many faces there are as many persons, however many faces each has.
            faces_max: persons.saturating_mul(self.config.faces_per_person_max),
        })
    }

    fn decide(&mut self, case: TemplateCase, reply: Option<Result<Found, AskFailure>>) -> Outcome {
        let Some(scene) = self.config.policies.of(&case.envelope) else {
            let rejection = Rejection::new(codes::SCENE_UNKNOWN, "not in this worker's policy");
            return ended(case, Err(rejection), None);
        };
        match reply {
            None if case.envelope.kind == RequestKind::Compare => {
                self.decide_comparison(case, &scene)
            }
            None => {
                let what = "a search without a question, or with a template of another model";
                let rejection = Rejection::new(codes::STAGE_FAILED, what);
                ended(case, Err(rejection), None)
            }
            Some(Err(failure)) => {
                let rejection = Rejection::new(failure.code, failure.detail);
                ended(case, Err(rejection), None)
            }
            Some(Ok(found)) => self.decide_search(case, &found, &scene),
        }
    }
}

impl Match {
    fn decide_comparison(&self, case: TemplateCase, scene: &Scene) -> Outcome {
        let pair = case
            .of_role(PictureRole::Probe)
            .zip(case.of_role(PictureRole::Reference));
        let Some((probe, reference)) = pair else {
            let rejection = Rejection::new(codes::STAGE_FAILED, "probe or reference is missing");
            return ended(case, Err(rejection), None);
        };
        let kind = reference.picture.reference_kind;
        let kind = kind.unwrap_or(ReferenceKind::OnFile);
        let compared = self.compare(&probe.template, &reference.template, kind, scene);
        let judged = compared.map(|comparison| judge(&case, comparison, scene));
        ended(case, judged, Some(kind))
    }

    fn decide_search(&self, case: TemplateCase, found: &Found, scene: &Scene) -> Outcome {
        // Faces of a library are photos on file.
        let kind = ReferenceKind::OnFile;
        let persons_max = case
            .search
            .as_ref()
            .map_or(1, |question| question.persons_max);
        let persons_max = usize::try_from(persons_max).unwrap_or(1);
        let identified = self
            .config
            .calibration
            .table(kind)
            .and_then(|table| search::identify(found, persons_max, table, scene));
        let judged = identified.map(|identification| judge_search(&case, identification, scene));
        ended(case, judged, None)
    }
}

/// The case's end, with what every end of it carries.
fn ended(
    case: TemplateCase,
    judged: Result<Terminal, Rejection>,
    kind: Option<ReferenceKind>,
) -> Outcome {
    let mut terminal = judged.unwrap_or_else(|rejection| {
        Terminal::error(case.envelope, Match::DESCRIPTOR.name, rejection, None)
    });
    terminal.reason_codes.extend(case.reason_codes);
    terminal.reference_kind = kind;
    terminal.models = case.models;
    terminal.pictures = case.pictures.into_iter().map(|p| p.picture).collect();
    Outcome::terminal(terminal)
}

/// The decision on a comparison: what the checks allow, held back where the threshold is only extrapolated, or required
/// liveness only advisory.
fn judge(case: &TemplateCase, comparison: Comparison, scene: &Scene) -> Terminal {
    let matches = comparison.score >= comparison.threshold;
    let (state, reason) = if matches {
        (CheckState::Passed, None)
    } else {
        (CheckState::Failed, Some(codes::COMPARISON_BELOW_THRESHOLD))
    };
    let mut judged = judgement::judge(case, &[answer(state, reason)], scene);
    judged.by_threshold(comparison.basis, scene);
    let mut terminal = judged.terminal(case.envelope.clone());
    terminal.comparison = Some(comparison);
    terminal
}

fn answer(state: CheckState, reason: Option<Code>) -> Answer {
    Answer {
        check: policy::COMPARISON,
        state,
        reason,
    }
}

/// The decision on a search: `nobody` only where all else that the scene requires would let somebody in.
fn judge_search(case: &TemplateCase, found: Identification, scene: &Scene) -> Terminal {
    let mut judged = judgement::judge(case, &[answer(CheckState::Passed, None)], scene);
    let hit = found.hits.first();
    if hit.is_none() {
        let comparison = judged
            .checks
            .iter_mut()
            .find(|c| c.name == policy::COMPARISON);
        if let Some(comparison) = comparison {
            *comparison = policy::check(
                policy::COMPARISON,
                CheckState::Failed,
                Some(codes::NOBODY_FOUND),
            );
        }
    }
    match (judged.decision, hit) {
        (Decision::Accept | Decision::Review, None) => {
            judged.decision = Decision::Nobody;
            judged.reasons.push(codes::NOBODY_FOUND);
        }
        (Decision::Accept, Some(_)) if !found.doubts.is_empty() => {
            judged.decision = Decision::Review;
        }
        _ => {}
    }
    judged.reasons.extend(&found.doubts);
    let decision = judged.decision;
    let mut terminal = judged.terminal(case.envelope.clone());
    if let Some(hit) = hit.filter(|_| matches!(decision, Decision::Accept | Decision::Review)) {
        terminal.matched_subject = Some(format!("{}/{}", hit.library, hit.person_id));
        let found = found.hits.iter().map(|hit| PersonFound {
            library: hit.library,
            person_id: hit.person_id.clone(),
        });
        terminal.candidates = Some(found.collect());
    } else {
        terminal.candidates = Some(Vec::new());
    }
    terminal.search = found.evidence;
    terminal
}
