//! From commands to asks, and from replies to verdicts: tests/cases/enrol.toml.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

use serde::Deserialize;
use shiren_contract::asking::{AskFailure, AskingStage};
use shiren_contract::codes;
use shiren_contract::library::{Change, Changed};
use shiren_contract::stage::Outcome;
use shiren_contract::terminal::Terminal;
use shiren_enrol::Enrol;
use shiren_schemas::Id;
use shiren_schemas::records::{
    Envelope, FacedPicture, Lane, LibraryChange, LibraryCommand, LibraryOperation, ModelRef,
    PictureRole, Quality, Request, RequestKind, Template, TemplateCase, TemplatedPicture,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    operation: LibraryOperation,
    #[serde(default)]
    template: bool,
    #[serde(default)]
    nothing: bool,
    face: Option<u8>,
    unfit: Option<String>,
    asks: String,
    reply: Option<String>,
    #[serde(default)]
    faces: u8,
    key: Option<String>,
    failure: Option<String>,
    decision: String,
    reasons: Vec<String>,
    changes: Vec<String>,
}

fn reply(case: &Case) -> Option<Result<Changed, AskFailure>> {
    if let Some(code) = &case.failure {
        let code = *codes::find(code).unwrap();
        return Some(Err(AskFailure::transient(code, "as the test says")));
    }
    let first = case.face.unwrap_or(match case.operation {
        LibraryOperation::Enrol => 1,
        _ => 0,
    });
    let faces = (first..first + case.faces).map(|face| Id([face; 16]));
    Some(Ok(match case.reply.as_deref()? {
        "done" => Changed::Done {
            faces: faces.collect(),
            key_destroyed: case.key.clone(),
        },
        "superseded" => Changed::Superseded,
        "nothing_there" => Changed::NothingThere,
        "library_unknown" => Changed::LibraryUnknown,
        "face_conflict" => Changed::FaceConflict,
        "model_mismatch" => Changed::ModelMismatch {
            wanted: "00".to_owned(),
        },
        "faces_over_limit" => Changed::FacesOverLimit { max: 16 },
        other => panic!("{other}"),
    }))
}

fn quality(unfit: &str) -> Quality {
    Quality {
        presence: 1.0,
        yaw_degrees: 0.0,
        pitch_degrees: 0.0,
        roll_degrees: 0.0,
        sharpness: 1.0,
        blockiness: 0.0,
        brightness: 0.5,
        contrast: 0.5,
        dark_share: 0.0,
        bright_share: 0.0,
        face_width_px: 200.0,
        inter_eye_px: 80.0,
        inside_share: 1.0,
        monochrome: false,
        fit_for_comparison: true,
        fit_for_enrolment: false,
        comparison_reasons: Vec::new(),
        enrolment_reasons: vec![unfit.to_owned()],
        attributes: Vec::new(),
    }
}

fn template() -> Template {
    Template {
        model: "m".to_owned(),
        model_sha256: "ab".to_owned(),
        values: vec![0.5, -0.5],
        sealed: None,
    }
}

fn picture(case: &Case) -> TemplatedPicture {
    TemplatedPicture {
        picture: FacedPicture {
            role: PictureRole::Probe,
            reference_kind: None,
            width: 100,
            height: 100,
            faces: Vec::new(),
            faces_found: 1,
            subject: Some(0),
            subject_rule: None,
            quality: case.unfit.as_deref().map(quality),
            liveness: None,
        },
        template: template(),
    }
}

fn input(case: &Case) -> TemplateCase {
    let is_enrolment = case.operation == LibraryOperation::Enrol;
    let kind = match case.operation {
        LibraryOperation::Create | LibraryOperation::Enrol => RequestKind::Enrol,
        _ => RequestKind::Unenrol,
    };
    TemplateCase {
        envelope: Envelope {
            purpose: Some("door".to_owned()),
            consent_ref: Some("c".to_owned()),
            record_id: Id([2; 16]),
            lane: Lane::Bulk,
            ..Envelope::new(Id([1; 16]), &Request::new("r", kind), 7)
        },
        pictures: (is_enrolment && !case.template && !case.nothing)
            .then(|| picture(case))
            .into_iter()
            .collect(),
        checks: Vec::new(),
        reason_codes: Vec::new(),
        models: Vec::new(),
        search: None,
        claim: None,
        command: Some(LibraryCommand {
            operation: case.operation,
            library: Id([8; 16]),
            label: "staff".to_owned(),
            person_id: match case.operation {
                LibraryOperation::Create | LibraryOperation::Delete => String::new(),
                _ => "ann".to_owned(),
            },
            face_id: case.face.map(|face| Id([face; 16])),
            template: case.template.then(template),
            sequence: 5,
        }),
    }
}

fn key(change: &LibraryChange) -> String {
    assert_eq!((change.sequence, change.tenant.as_str()), (5, "default"));
    let is_enrolment = change.operation == LibraryOperation::Enrol;
    assert_eq!(change.template.is_some(), is_enrolment);
    assert_eq!(change.consent_ref.is_some(), is_enrolment);
    let is_creation = change.operation == LibraryOperation::Create;
    assert_eq!(change.model_sha256 == "ab", is_creation);
    let person = Some(change.person_id.as_str()).filter(|person| !person.is_empty());
    let face = change.face_id.map(|face| format!("{:02}", face.0[0]));
    format!(
        "{} {} {}",
        change.operation,
        person.unwrap_or("-"),
        face.as_deref().unwrap_or("-")
    )
}

fn end(outcome: Outcome) -> Terminal {
    match outcome {
        Outcome::Terminal(terminal) => *terminal,
        _ => panic!("no end"),
    }
}

#[test]
fn commands_come_to_what_the_cases_say() {
    let cases: Cases = toml::from_str(include_str!("cases/enrol.toml")).unwrap();
    assert!(cases.case.len() >= 15);
    for case in cases.case {
        let mut stage = Enrol::new(ModelRef {
            name: "m".to_owned(),
            sha256: "ab".to_owned(),
        });
        let input = input(&case);
        let ask = stage.ask(&input);
        let asked = match ask.as_ref().map(|ask| &ask.change) {
            None => "",
            Some(Change::Create { .. }) => "create",
            Some(Change::Enrol { .. }) => "enrol",
            Some(Change::Unenrol { .. }) => "unenrol",
            Some(Change::Delete) => "delete",
        };
        assert_eq!(asked, case.asks, "{}", case.name);
        let terminal = end(stage.decide(input, reply(&case)));
        assert_eq!(terminal.decision.as_str(), case.decision, "{}", case.name);
        assert_eq!(terminal.reason_codes, case.reasons, "{}", case.name);
        let changes: Vec<String> = terminal.library_changes.iter().map(key).collect();
        assert_eq!(changes, case.changes, "{}", case.name);
        if terminal.decision.as_str() == "done" {
            let enrolment = terminal.enrolment.unwrap();
            assert_eq!(
                enrolment.faces.len(),
                usize::from(case.faces),
                "{}",
                case.name
            );
            assert_eq!(enrolment.key_destroyed, case.key, "{}", case.name);
        }
    }
}
