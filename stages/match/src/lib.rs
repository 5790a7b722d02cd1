//! Match: the 1:1 comparison of probe and reference, and the verdict.
//!
//! The threshold comes from a calibration table by the scene's target false-match rate; a score on
//! its own decides nothing.

mod config;

use shiren_contract::codes::{self, Code};
use shiren_contract::policy::{self, Scene, check};
use shiren_contract::stage::{Outcome, Rejection, Stage, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_models::calibration::{self, OperatingPoint, Table};
use shiren_models::manifest::Metric;
use shiren_models::score;
use shiren_schemas::Wire;
use shiren_schemas::records::{
    Basis, Check, CheckState, Comparison, Decision, FacedPicture, PictureRole, ReferenceKind,
    RequestKind, Template, TemplateCase,
};

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
        let rejection =
            |error: shiren_models::ModelError| Rejection::new(error.code(), error.to_string());
        for template in [probe, reference] {
            if template.model != self.config.model {
                let what = format!(
                    "a template of {}, this worker compares {}",
                    template.model, self.config.model
                );
                return Err(Rejection::new(codes::MODEL_FAILED, what));
            }
        }
        let point = self
            .table(kind)?
            .threshold(scene.target_fmr)
            .map_err(rejection)?;
        let template = |t: &Template| shiren_models::Template {
            model: t.model.clone(),
            values: t.values.clone(),
        };
        let score = score::compare(&template(probe), &template(reference), self.config.metric);
        Ok(comparison(
            f64::from(score.map_err(rejection)?),
            self.config.metric,
            &point,
        ))
    }

    fn table(&self, kind: ReferenceKind) -> Result<&Table, Rejection> {
        let kind = match kind {
            ReferenceKind::Live => calibration::ReferenceKind::Live,
            ReferenceKind::OnFile => calibration::ReferenceKind::OnFile,
            ReferenceKind::CardPrint => calibration::ReferenceKind::CardPrint,
            ReferenceKind::Chip => calibration::ReferenceKind::Chip,
        };
        let model = &self.config.model;
        let tables = self.config.tables.iter();
        let mut of_model = tables.filter(|t| t.model() == *model).peekable();
        if of_model.peek().is_none() {
            let what = format!("no table of {model}: it is not calibrated");
            return Err(Rejection::new(codes::CALIBRATION_MISSING, what));
        }
        of_model.find(|t| t.holds_for(kind)).ok_or_else(|| {
            let what = format!("no table of {model} for this kind");
            Rejection::new(codes::REFERENCE_KIND_UNSUPPORTED, what)
        })
    }
}

impl Stage for Match {
    type Input = TemplateCase;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "match",
        kinds: &[RequestKind::Compare],
        input: TemplateCase::NAME,
        outputs: &[],
        checks: &[policy::COMPARISON],
    };

    fn process(&mut self, case: TemplateCase) -> Outcome {
        let of = |role| case.pictures.iter().find(|p| p.picture.role == role);
        let pair = of(PictureRole::Probe).zip(of(PictureRole::Reference));
        let scene = self.config.policies.of(&case.envelope);
        let scene = scene.as_deref();
        let (compared, kind) = match (pair, scene) {
            (Some((probe, reference)), Some(scene)) => {
                let kind = reference
                    .picture
                    .reference_kind
                    .unwrap_or(ReferenceKind::OnFile);
                (
                    self.compare(&probe.template, &reference.template, kind, scene),
                    Some(kind),
                )
            }
            (None, _) => (
                Err(Rejection::new(
                    codes::STAGE_FAILED,
                    "probe or reference is missing",
                )),
                None,
            ),
            (_, None) => (
                Err(Rejection::new(
                    codes::SCENE_UNKNOWN,
                    "not in this worker's policy",
                )),
                None,
            ),
        };
        let mut terminal = match (compared, scene) {
            (Ok(comparison), Some(scene)) => {
                let advisory = pair.is_some_and(|(probe, _)| is_advisory(&probe.picture));
                judge(case.envelope, comparison, case.checks, advisory, scene)
            }
            (Ok(_), None) => return Outcome::DeadLetter(Rejection::new(codes::SCENE_UNKNOWN, "")),
            (Err(rejection), _) => {
                Terminal::error(case.envelope, Self::DESCRIPTOR.name, rejection, None)
            }
        };
        terminal.reason_codes.extend(case.reason_codes);
        terminal.reference_kind = kind;
        terminal.models = case.models;
        terminal.pictures = case.pictures.into_iter().map(|p| p.picture).collect();
        Outcome::terminal(terminal)
    }
}

/// Whether liveness was judged by a check that is not to be relied on alone.
fn is_advisory(probe: &FacedPicture) -> bool {
    let liveness = probe.liveness.as_ref();
    liveness.is_some_and(|liveness| liveness.advisory)
}

/// The decision: what the checks allow, held back where the threshold is only extrapolated, or required liveness
/// only advisory.
fn judge(
    envelope: shiren_schemas::records::Envelope,
    comparison: Comparison,
    mut checks: Vec<Check>,
    advisory: bool,
    scene: &Scene,
) -> Terminal {
    let matches = comparison.score >= comparison.threshold;
    let (state, reason) = if matches {
        (CheckState::Passed, None)
    } else {
        (CheckState::Failed, Some(codes::COMPARISON_BELOW_THRESHOLD))
    };
    checks.push(check(policy::COMPARISON, state, reason));
    let mut reasons: Vec<Code> = reason.into_iter().collect();
    for (name, not_checked) in [
        (policy::LIVENESS, codes::LIVENESS_NOT_CHECKED),
        (policy::QUALITY, codes::QUALITY_NOT_CHECKED),
    ] {
        if checks.iter().all(|check| check.name != name) {
            checks.push(check(name, CheckState::NotChecked, Some(not_checked)));
            reasons.push(not_checked);
        }
    }
    let (mut decision, why) = policy::decide(policy::COMPARISON, &checks, &scene.requires);
    reasons.extend(why);
    if comparison.basis == Basis::Extrapolated {
        reasons.push(codes::THRESHOLD_EXTRAPOLATED);
        if decision == Decision::Accept && scene.allow_extrapolated.is_none() {
            decision = Decision::Review;
        }
    }
    let relied_on = scene.requires.iter().any(|name| name == policy::LIVENESS);
    if advisory && relied_on {
        let (held_back, why) = policy::hold_back_advisory(decision, scene);
        decision = held_back;
        reasons.extend(why);
    }
    let mut terminal = Terminal::new(envelope, decision);
    terminal.checks = checks;
    terminal.comparison = Some(comparison);
    for code in reasons {
        terminal.reason(code);
    }
    terminal
}

fn comparison(score: f64, metric: Metric, point: &OperatingPoint) -> Comparison {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Comparison {
        score,
        threshold: point.threshold,
        metric: match metric {
            Metric::Cosine => "cosine".to_owned(),
            Metric::Euclidean => "one_minus_euclidean".to_owned(),
        },
        target_fmr: point.target_fmr,
        basis: match point.basis {
            calibration::Basis::Measured => Basis::Measured,
            calibration::Basis::Extrapolated => Basis::Extrapolated,
        },
        table: point.table_name.clone(),
        false_matches: count(point.false_matches),
        n_genuine: count(point.n_genuine),
        n_impostor: count(point.n_impostor),
        identity_pairs: count(point.identity_pairs),
    }
}
