//! The stage on drawn pictures, by the cases of `cases/liveness.toml`; no weights are needed.

// Helpers of tests are tests too; clippy allows it in test functions only.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use serde::Deserialize;
use shiren_contract::policies::Policies;
use shiren_contract::policy::{self, Scene};
use shiren_contract::stage::{Outcome, Stage};
use shiren_liveness::{Config, Liveness};
use shiren_models::Manifest;
use shiren_models::liveness::PassiveLiveness;
use shiren_models::liveness::fusion::Fusion;
use shiren_schemas::Id;
use shiren_schemas::records::{
    BoundingBox, Check, Crop, Envelope, Face, FaceCase, FacedPicture, Landmark, PictureRole,
    Quality, Request, RequestKind,
};

const SIDE: i32 = 256;
/// Width of the drawn face, pixels.
const FACE: std::ops::Range<f32> = 80.0..176.0;

const TABLE: &str = r#"
    version = 1
    name = "drawn"
    intercept = 8.0
    reject_below = 0.5
    accept_from = 0.5
    cue = [
        { name = "periodic_pattern", weight = -3.0, range = [0.0, 8.0] },
        { name = "second_edge", weight = -9.0, range = [0.0, 3.0] },
    ]
    sample = { simulated = true, bona_fide = 1, attacks = 1, people = 1, conditions = "by hand, for these tests" }
"#;

const MANIFEST: &str = r#"
    version = 1
    profile = {}
    model = {}
    [onnxruntime]
    package = "onnxruntime"
    version = "1.32.0"
"#;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    kind: String,
    looks: String,
    state: String,
    reasons: Vec<String>,
    reason: Option<String>,
    decision: Option<String>,
    allow_advisory: Option<String>,
    reject_below: Option<f64>,
    min_face_px: Option<u32>,
    sharpness: Option<f64>,
    #[serde(default = "liveness_only")]
    requires: Vec<String>,
    #[serde(default = "yes")]
    table: bool,
}

fn liveness_only() -> Vec<String> {
    vec![policy::LIVENESS.into()]
}

fn yes() -> bool {
    true
}

fn cases() -> Vec<Case> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/liveness.toml");
    let cases: Cases = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    cases.case
}

fn stage(case: &Case) -> Liveness {
    let reject_below = format!("reject_below = {:?}", case.reject_below.unwrap_or(0.5));
    let table = Fusion::parse(&TABLE.replace("reject_below = 0.5", &reject_below)).unwrap();
    let tables = if case.table { vec![table] } else { Vec::new() };
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let passive = PassiveLiveness::open(&manifest, Path::new(""), &[], tables, 1).unwrap();
    let scene = Scene {
        requires: case.requires.clone(),
        target_fmr: 0.001,
        target_fpir: None,
        min_margin: 0.0,
        allow_extrapolated: None,
        allow_advisory: case.allow_advisory.clone(),
        expires_after_ms: 1000,
        request_ttl_ms: 1000,
        deadline_ms: None,
        min_face_px: 40,
    };
    let config = Config {
        policies: Policies::seeded(
            &["default".to_owned()],
            &[("default".to_owned(), scene)].into(),
        ),
        min_face_px: case.min_face_px.unwrap_or(80),
        min_sharpness: 5.0,
    };
    Liveness::new(passive, config)
}

/// A blob on an even ground with noise from a fixed sequence.
fn pixels(looks: &str) -> Vec<u8> {
    let mut state = 7_u32;
    let mut rgb = Vec::new();
    for i in 0..SIDE * SIDE {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 24) as f32 / 64.0 - 2.0;
        let (x, y) = ((i % SIDE) as f32, (i / SIDE) as f32);
        let apart = ((x - 128.0).powi(2) + (y - 128.0).powi(2)) / 3000.0;
        let value = 90.0 + 90.0 * (-apart).exp();
        let value = match looks {
            "dotted" => value + 8.0 * (1.9 * x + 0.4 * y).cos() * (1.9 * y - 0.4 * x).cos(),
            "framed" if !(40.0..216.0).contains(&x) || y > 220.0 => 20.0,
            _ => value,
        };
        rgb.extend([(value + noise).clamp(0.0, 255.0) as u8; 3]);
    }
    rgb
}

fn quality(sharpness: f64) -> Quality {
    Quality {
        presence: 1.0,
        yaw_degrees: 0.0,
        pitch_degrees: 0.0,
        roll_degrees: 0.0,
        sharpness,
        blockiness: 0.01,
        brightness: 120.0,
        contrast: 40.0,
        dark_share: 0.0,
        bright_share: 0.0,
        face_width_px: 96.0,
        inter_eye_px: 40.0,
        inside_share: 1.0,
        monochrome: false,
        fit_for_comparison: true,
        fit_for_enrolment: true,
        comparison_reasons: Vec::new(),
        enrolment_reasons: Vec::new(),
        attributes: Vec::new(),
    }
}

fn picture(case: &Case) -> FacedPicture {
    let face = Face {
        bounding_box: BoundingBox {
            x1: FACE.start,
            y1: FACE.start,
            x2: FACE.end,
            y2: FACE.end,
        },
        landmarks: vec![Landmark { x: 1.0, y: 1.0 }; 5],
        score: 0.9,
        crop: Some(Crop {
            width: SIDE,
            height: SIDE,
            origin_x: 0.0,
            origin_y: 0.0,
            scale_x: 1.0,
            scale_y: 1.0,
            rgb: pixels(&case.looks),
            sealed: None,
        }),
        views: Vec::new(),
    };
    FacedPicture {
        role: PictureRole::Probe,
        reference_kind: None,
        width: SIDE,
        height: SIDE,
        faces: vec![face],
        faces_found: 1,
        subject: Some(0),
        subject_rule: None,
        quality: case.sharpness.map(quality),
        liveness: None,
    }
}

fn face_case(case: &Case, pictures: Vec<FacedPicture>) -> FaceCase {
    FaceCase {
        envelope: Envelope {
            record_id: Id([2; 16]),
            ..Envelope::new(
                Id([1; 16]),
                &Request::new("r", case.kind.parse().unwrap()),
                0,
            )
        },
        pictures,
        checks: Vec::new(),
        reason_codes: Vec::new(),
        models: Vec::new(),
        search: None,
        command: None,
        claim: None,
    }
}

/// What a case led to, wherever it went.
struct Seen {
    decision: Option<String>,
    reasons: Vec<String>,
    checks: Vec<Check>,
    pictures: Vec<FacedPicture>,
}

fn seen(outcome: Outcome) -> Seen {
    match outcome {
        Outcome::Terminal(terminal) => Seen {
            decision: Some(terminal.decision.as_str().to_owned()),
            reasons: terminal.reason_codes,
            checks: terminal.checks,
            pictures: terminal.pictures,
        },
        Outcome::Next(outs) => {
            let next = outs.head.message.into_any().downcast::<FaceCase>().unwrap();
            Seen {
                decision: None,
                reasons: next.reason_codes,
                checks: next.checks,
                pictures: next.pictures,
            }
        }
        Outcome::DeadLetter(rejection) => panic!("{rejection:?}"),
        Outcome::Absorbed(absorption) => panic!("{absorption:?}"),
    }
}

#[test]
fn cases_are_answered_as_listed() {
    for case in cases() {
        let outcome = stage(&case).process(face_case(&case, vec![picture(&case)]));
        let (name, seen) = (&case.name, seen(outcome));
        let [check] = seen.checks.as_slice() else {
            panic!("{name}: {:?}", seen.checks);
        };
        assert_eq!(check.name, policy::LIVENESS, "{name}");
        assert_eq!(
            check.state.as_str(),
            case.state,
            "{name}: {:?}",
            seen.pictures[0].liveness
        );
        assert_eq!(check.reason_code, case.reason, "{name}");
        assert_eq!(seen.reasons, case.reasons, "{name}");
        assert_eq!(seen.decision, case.decision, "{name}");
        let liveness = seen.pictures[0].liveness.as_ref();
        let is_scored = !matches!(
            case.reason.as_deref(),
            Some("liveness_input_unfit" | "liveness_not_checked")
        );
        assert_eq!(liveness.is_some(), is_scored, "{name}");
        if let Some(liveness) = liveness {
            assert!(
                liveness.advisory && liveness.score.is_some(),
                "{name}: {liveness:?}"
            );
            assert_eq!(
                (liveness.table.as_str(), liveness.cues.len()),
                ("drawn", 3),
                "{name}"
            );
        }
    }
}

#[test]
fn only_the_probe_is_judged() {
    let case = &cases()[0];
    let mut reference = picture(case);
    reference.role = PictureRole::Reference;
    let both = face_case(case, vec![reference, picture(case)]);
    let judged = seen(stage(case).process(both)).pictures;
    assert!(judged[0].liveness.is_none() && judged[1].liveness.is_some());
}

#[test]
fn a_case_without_a_probe_s_crop_is_closed_as_a_fault() {
    let case = &cases()[0];
    let mut bare = picture(case);
    bare.faces[0].crop = None;
    for pictures in [vec![bare], Vec::new()] {
        let outcome = stage(case).process(face_case(case, pictures));
        let Outcome::Terminal(terminal) = outcome else {
            panic!("the case went on");
        };
        assert!(terminal.dead_letter);
        assert_eq!(terminal.reason_codes, ["stage_failed"]);
    }
}

#[test]
fn every_kind_of_the_descriptor_has_a_case() {
    for kind in Liveness::DESCRIPTOR.kinds {
        let is_its = |case: &Case| case.kind.parse::<RequestKind>() == Ok(*kind);
        assert!(cases().iter().any(is_its), "{kind}");
    }
}
