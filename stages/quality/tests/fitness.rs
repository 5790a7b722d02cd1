//! What faces are fit for, by figures: tests/cases/*.toml.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

use std::path::Path;

use serde::Deserialize;
use shiren_contract::codes;
use shiren_quality::{Config, Detail, KindLimits, Limits};
use shiren_schemas::records::{Quality, ReferenceKind};

/// A face that is fit for everything; a case changes some figures.
fn good() -> Quality {
    Quality {
        presence: 0.99,
        yaw_degrees: 2.0,
        pitch_degrees: -3.0,
        roll_degrees: 1.0,
        sharpness: 150.0,
        blockiness: 0.01,
        brightness: 130.0,
        contrast: 45.0,
        dark_share: 0.02,
        bright_share: 0.0,
        face_width_px: 240.0,
        inter_eye_px: 110.0,
        inside_share: 1.0,
        monochrome: false,
        fit_for_comparison: false,
        fit_for_enrolment: false,
        comparison_reasons: Vec::new(),
        enrolment_reasons: Vec::new(),
        attributes: Vec::new(),
    }
}

const fn kind(compared: (f64, f64, f64), enrolled: (f64, f64, f64)) -> KindLimits {
    KindLimits {
        comparison: Detail {
            min_inter_eye_px: compared.0,
            min_sharpness: compared.1,
            max_blockiness: compared.2,
        },
        enrolment: Detail {
            min_inter_eye_px: enrolled.0,
            min_sharpness: enrolled.1,
            max_blockiness: enrolled.2,
        },
    }
}

/// The defaults of topology.toml.
const CONFIG: Config = Config {
    min_presence: 0.5,
    comparison: Limits {
        max_yaw_degrees: 35.0,
        max_pitch_degrees: 35.0,
        max_roll_degrees: 45.0,
        min_brightness: 30.0,
        max_brightness: 235.0,
        min_contrast: 10.0,
        max_dark_share: 0.6,
        max_bright_share: 0.4,
        min_inside_share: 0.8,
    },
    enrolment: Limits {
        max_yaw_degrees: 15.0,
        max_pitch_degrees: 15.0,
        max_roll_degrees: 15.0,
        min_brightness: 50.0,
        max_brightness: 220.0,
        min_contrast: 20.0,
        max_dark_share: 0.3,
        max_bright_share: 0.15,
        min_inside_share: 0.98,
    },
    live: kind((24.0, 15.0, 0.05), (90.0, 60.0, 0.03)),
    on_file: kind((24.0, 10.0, 0.05), (60.0, 40.0, 0.03)),
    card_print: kind((24.0, 8.0, 0.05), (40.0, 20.0, 0.03)),
    chip: kind((16.0, 3.0, 0.2), (20.0, 6.0, 0.1)),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    reference_kind: Option<String>,
    #[serde(default)]
    set: toml::Table,
    comparison: Vec<String>,
    enrolment: Vec<String>,
}

fn changed(set: &toml::Table) -> Quality {
    let mut quality = good();
    for (figure, value) in set {
        let value = value.as_float().unwrap();
        let place = match figure.as_str() {
            "presence" => &mut quality.presence,
            "yaw_degrees" => &mut quality.yaw_degrees,
            "pitch_degrees" => &mut quality.pitch_degrees,
            "roll_degrees" => &mut quality.roll_degrees,
            "sharpness" => &mut quality.sharpness,
            "brightness" => &mut quality.brightness,
            "contrast" => &mut quality.contrast,
            "dark_share" => &mut quality.dark_share,
            "bright_share" => &mut quality.bright_share,
            "blockiness" => &mut quality.blockiness,
            "inter_eye_px" => &mut quality.inter_eye_px,
            "inside_share" => &mut quality.inside_share,
            other => panic!("no figure {other}"),
        };
        *place = value;
    }
    quality
}

#[test]
fn every_case_is_fit_for_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut judged = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file: File =
            toml::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        for case in file.case {
            let kind: Option<ReferenceKind> = case
                .reference_kind
                .as_deref()
                .map(|kind| kind.parse().unwrap());
            let mut quality = changed(&case.set);
            CONFIG.judge(&mut quality, kind);
            let name = &case.name;
            assert_eq!(
                quality.comparison_reasons, case.comparison,
                "{name}: comparison"
            );
            assert_eq!(
                quality.enrolment_reasons, case.enrolment,
                "{name}: enrolment"
            );
            assert_eq!(
                quality.fit_for_comparison,
                case.comparison.is_empty(),
                "{name}"
            );
            assert_eq!(
                quality.fit_for_enrolment,
                case.enrolment.is_empty(),
                "{name}"
            );
            let margin = CONFIG.comparison_margin(&quality, kind);
            assert_eq!(
                margin >= 1.0,
                quality.fit_for_comparison,
                "{name}: margin {margin}"
            );
            for code in quality
                .comparison_reasons
                .iter()
                .chain(&quality.enrolment_reasons)
            {
                assert!(codes::find(code).is_some(), "{name}: {code} has no page");
            }
            judged += 1;
        }
    }
    assert!(judged >= 25, "{judged} cases");
}
