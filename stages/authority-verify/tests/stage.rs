//! From replies to decisions: tests/cases/verify.toml. SPECIMEN persons; 110199 was never issued.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use shiren_authority_verify::{AuthorityVerify, Config};
use shiren_contract::asking::{AskFailure, AskingStage};
use shiren_contract::authority::{IdentityReply, PortraitFound, Verified};
use shiren_contract::codes;
use shiren_contract::policies::Policies;
use shiren_contract::policy::{Scene, check};
use shiren_contract::stage::Outcome;
use shiren_contract::terminal::Terminal;
use shiren_models::calibration::{Calibration, Table};
use shiren_models::manifest::Metric;
use shiren_schemas::Id;
use shiren_schemas::records::{
    Envelope, FacedPicture, IdentityClaim, Liveness, PersonalText, PictureRole, Request,
    RequestKind, Template, TemplateCase, TemplatedPicture,
};

const MODEL: &str = "dlib-resnet29";
const NAME: &str = "样本一";
const NUMBER: &str = "110199199003071239";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    identity: Option<String>,
    portrait: Option<String>,
    score: Option<f64>,
    broken: Option<String>,
    failure: Option<String>,
    #[serde(default)]
    requires: Vec<String>,
    #[serde(default)]
    checks: BTreeMap<String, String>,
    #[serde(default)]
    advisory: bool,
    target_fmr: Option<f64>,
    allow_extrapolated: Option<String>,
    decision: String,
    reasons: Vec<String>,
    states: BTreeMap<String, String>,
    #[serde(default)]
    faults: Vec<String>,
}

fn failure(code: &str) -> AskFailure {
    AskFailure::lasting(*codes::find(code).unwrap(), "as the test says")
}

fn reply(case: &Case) -> Result<Verified, AskFailure> {
    if let Some(code) = &case.failure {
        return Err(failure(code));
    }
    let word = case.identity.as_deref().unwrap();
    let identity = IdentityReply::ALL.iter().find(|r| r.word() == word);
    let portrait = match (&case.score, &case.broken, case.portrait.as_deref()) {
        (Some(score), None, None) => PortraitFound::Score(*score),
        (None, Some(code), None) => PortraitFound::Broken(failure(code)),
        (None, None, Some("number_unknown")) => PortraitFound::NumberUnknown,
        (None, None, Some("name_differs")) => PortraitFound::NameDiffers,
        (None, None, Some("no_portrait")) => PortraitFound::NoPortrait,
        other => panic!("{}: {other:?}", case.name),
    };
    Ok(Verified {
        source: "local_register".to_owned(),
        identity: *identity.unwrap(),
        portrait,
    })
}

fn stage(scene: Scene) -> AuthorityVerify {
    let file = "../../models/calibration/dlib-resnet29.toml";
    let table = Table::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let scenes = [("default".to_owned(), scene)].into();
    AuthorityVerify::new(Config {
        policies: Policies::seeded(&["default".to_owned()], &scenes),
        calibration: Calibration {
            model: MODEL.to_owned(),
            metric: Metric::Euclidean,
            tables: vec![table],
        },
    })
}

fn scene() -> Scene {
    Scene {
        requires: Vec::new(),
        target_fmr: 0.001,
        target_fpir: None,
        min_margin: 0.0,
        allow_extrapolated: None,
        allow_advisory: None,
        expires_after_ms: 1000,
        request_ttl_ms: 1000,
        deadline_ms: None,
        min_face_px: 40,
    }
}

fn envelope() -> Envelope {
    Envelope {
        record_id: Id([2; 16]),
        ..Envelope::new(Id([1; 16]), &Request::new("r", RequestKind::Verify), 7)
    }
}

fn liveness() -> Liveness {
    Liveness {
        score: Some(0.9),
        reject_below: 0.1,
        accept_from: 0.5,
        advisory: true,
        table: "t".to_owned(),
        cues: Vec::new(),
    }
}

fn probe(advisory: bool) -> TemplatedPicture {
    TemplatedPicture {
        picture: FacedPicture {
            role: PictureRole::Probe,
            reference_kind: None,
            width: 640,
            height: 480,
            faces: Vec::new(),
            faces_found: 1,
            subject: Some(0),
            subject_rule: None,
            quality: None,
            liveness: advisory.then(liveness),
        },
        template: Template {
            model: MODEL.to_owned(),
            model_sha256: "00".repeat(32),
            values: vec![0.1; 128],
            sealed: None,
        },
    }
}

fn template_case(pictures: Vec<TemplatedPicture>) -> TemplateCase {
    TemplateCase {
        envelope: envelope(),
        pictures,
        checks: Vec::new(),
        reason_codes: Vec::new(),
        models: Vec::new(),
        search: None,
        command: None,
        claim: Some(IdentityClaim {
            name: PersonalText::new(NAME),
            number: PersonalText::new(NUMBER),
            valid_from: None,
            valid_to: None,
        }),
    }
}

fn ended(outcome: Outcome) -> Terminal {
    let Outcome::Terminal(terminal) = outcome else {
        panic!("every case ends here");
    };
    // Of all that a verdict, evidence or a log may be made of.
    let shown = format!("{terminal:?}");
    assert!(!shown.contains(NAME) && !shown.contains(NUMBER), "{shown}");
    *terminal
}

fn decided(case: &Case) -> Terminal {
    let mut stage = stage(Scene {
        requires: case.requires.clone(),
        target_fmr: case.target_fmr.unwrap_or(0.001),
        allow_extrapolated: case.allow_extrapolated.clone(),
        ..scene()
    });
    let mut record = template_case(vec![probe(case.advisory)]);
    let given = case.checks.iter();
    record.checks = given
        .map(|(name, state)| check(name, state.parse().unwrap(), None))
        .collect();
    assert!(stage.ask(&record).is_some(), "{}", case.name);
    ended(stage.decide(record, Some(reply(case))))
}

#[test]
fn replies_become_decisions() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/verify.toml");
    let cases: Cases = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(cases.case.len() >= 20);
    for case in &cases.case {
        let mut terminal = decided(case);
        let name = &case.name;
        assert_eq!(terminal.decision.as_str(), case.decision, "{name}");
        terminal.reason_codes.sort_unstable();
        terminal.reason_codes.dedup();
        assert_eq!(terminal.reason_codes, case.reasons, "{name}");
        for (check, state) in &case.states {
            let found = terminal.checks.iter().find(|c| c.name == *check);
            let found = found.map(|check| check.state.as_str());
            assert_eq!(found, Some(state.as_str()), "{name}: {check}");
        }
        let faults: Vec<_> = terminal.faults.iter().map(|f| f.code.as_str()).collect();
        assert_eq!(faults, case.faults, "{name}");
        assert!(!terminal.dead_letter, "{name}");
        let authority = terminal.authority.as_ref();
        assert_eq!(authority.is_some(), case.failure.is_none(), "{name}");
        let compared = terminal.comparison.is_some();
        assert_eq!(terminal.reference_kind.is_some(), compared, "{name}");
        if let Some(authority) = authority {
            assert_eq!(authority.source, "local_register", "{name}");
            assert_eq!(Some(&authority.identity), case.identity.as_ref(), "{name}");
        }
    }
}

#[test]
fn the_ask_holds_what_the_case_holds_and_shows_none_of_it() {
    let record = template_case(vec![probe(false)]);
    let ask = stage(scene()).ask(&record).unwrap();
    assert_eq!(Some(&ask.claim), record.claim.as_ref());
    assert_eq!(ask.template, record.pictures[0].template);
    assert_eq!((ask.received_time_us, ask.case), (7, Id([1; 16])));
    let shown = format!("{ask:?}");
    assert!(!shown.contains(NAME) && !shown.contains("0.1"), "{shown}");
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    let mut without_claim = template_case(vec![probe(false)]);
    without_claim.claim = None;
    let mut of_another_model = template_case(vec![probe(false)]);
    of_another_model.pictures[0].template.model = "another".to_owned();
    let mut unknown_scene = template_case(vec![probe(false)]);
    unknown_scene.envelope.scene = "nowhere".to_owned();
    for (record, code) in [
        (without_claim, "stage_failed"),
        (template_case(Vec::new()), "stage_failed"),
        (of_another_model, "model_failed"),
        (unknown_scene, "scene_unknown"),
    ] {
        let mut stage = stage(scene());
        assert!(stage.ask(&record).is_none(), "{code}");
        let terminal = ended(stage.decide(record, None));
        assert_eq!(terminal.decision.as_str(), "error");
        assert_eq!(terminal.reason_codes, [code]);
    }
    // An ask without a reply is no yes.
    let terminal = ended(stage(scene()).decide(template_case(vec![probe(false)]), None));
    assert_eq!(terminal.reason_codes, ["stage_failed"]);
}
