//! `shiren calibrate`: an operator's pairs, or the persons of a library, become a table that the chain reads.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

use shiren_integration_tests::{processes, site};
use shiren_log::NewRecord;
use shiren_models::calibration::{ReferenceKind, Table};
use shiren_schemas::records::{LibraryChange, LibraryOperation, Template};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Id, Wire, keys};

const PICTURES: [(&str, &str); 6] = [
    ("obama.jpg", "obama"),
    ("obama2.jpg", "obama"),
    ("obama3.jpg", "obama"),
    ("biden.jpg", "biden"),
    ("cage.jpg", "cage"),
    ("cage2.jpg", "cage"),
];

/// Every pair of the pictures; `people` adds the columns of who they show.
fn pairs(people: bool) -> String {
    let folder = site::home().canonicalize().unwrap().join("pictures");
    let mut csv = String::from("path_a,path_b,same");
    csv += if people { ",person_a,person_b\n" } else { "\n" };
    for (index, (a, a_is)) in PICTURES.iter().enumerate() {
        for (b, b_is) in &PICTURES[index + 1..] {
            let (a, b) = (folder.join(a), folder.join(b));
            let same = u8::from(a_is == b_is);
            write!(csv, "{},{},{same}", a.display(), b.display()).unwrap();
            if people {
                write!(csv, ",{a_is},{b_is}").unwrap();
            }
            csv.push('\n');
        }
    }
    csv
}

fn calibrate(folder: &Path, csv: &str) -> Output {
    let list = folder.join("pairs.csv");
    std::fs::write(&list, csv).unwrap();
    Command::new(site::program())
        .current_dir(site::root())
        .arg("calibrate")
        .arg("--pairs")
        .arg(&list)
        .arg("--out")
        .arg(folder.join("own.toml"))
        .args(["--reference-kind", "on_file", "--reference-kind", "chip"])
        .args(["--description", "three men", "--measured", "2026-11"])
        .args(["--limits", "hardly anybody", "--json"])
        .env("SHIREN_HOME", site::home())
        .output()
        .unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn pairs_become_a_table_with_its_sample() {
    let folder = tempfile::tempdir().unwrap();
    let csv = pairs(true);
    let output = calibrate(folder.path(), &csv);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // 3 + 1 pairs of one man; 15 in all.
    assert_eq!(report["genuine_pairs"], 4);
    assert_eq!(report["impostor_pairs"], 11);
    assert_eq!(report["impostor_identity_pairs"], 3);
    assert_eq!(report["people"], 3);
    assert_eq!(report["pairs_left_out"], 0);
    // So few support no rate, and it says so.
    assert!(report["lowest_measured_fmr"].is_null());
    assert!(report["points"][0]["basis"].is_null(), "{report}");
    assert!(
        report["points"][0]["why"].as_str().unwrap().contains("30"),
        "{report}"
    );

    let table = Table::load(&folder.path().join("own.toml")).unwrap();
    assert_eq!(table.model(), "dlib-resnet29");
    assert!(table.holds_for(ReferenceKind::Chip) && !table.holds_for(ReferenceKind::Live));
    assert_eq!(table.population().description, "three men");
    // They are told apart: no stranger above, nobody missed below.
    assert_eq!(table.genuine_below(0.45), 0);

    let again = refused(&calibrate(folder.path(), &csv));
    assert!(again.contains("own.toml is there already"), "{again}");
}

#[test]
fn a_list_that_does_not_say_who_is_who_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let unknown = refused(&calibrate(folder.path(), &pairs(false)));
    assert!(
        unknown.contains("no columns person_a, person_b"),
        "{unknown}"
    );

    let contradiction = pairs(true).replacen(",1,obama,obama", ",0,obama,obama", 1);
    let wrong = refused(&calibrate(folder.path(), &contradiction));
    assert!(wrong.contains("pairs.csv:2: same is 0"), "{wrong}");
    assert!(!folder.path().join("own.toml").exists());
}

const STAFF: Id = Id([1; 16]);

/// A library in the topic, as the stage writes it: one template of one number for each person and value.
fn library(folder: &Path, sha256: &str, faces: &[(&str, f32)]) {
    let site = site::embedded(folder, &[]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    let head = LibraryChange {
        tenant: "default".into(),
        library: STAFF,
        operation: LibraryOperation::Create,
        sequence: 1,
        case_id: Id([2; 16]),
        received_time: 0,
        label: "staff".into(),
        model: "dlib-resnet29".into(),
        model_sha256: sha256.into(),
        person_id: String::new(),
        face_id: None,
        template: None,
        consent_ref: None,
        purpose: None,
    };
    let record = |key: String, change: &LibraryChange| NewRecord {
        topic: Topic::Library.to_string().into(),
        partition: None,
        key: key.into(),
        value: Some(change.encode().unwrap().into()),
        headers: Vec::new(),
    };
    let mut records = vec![record(keys::library("default", STAFF), &head)];
    for (at, (person, value)) in (2_u8..).zip(faces) {
        let face = Id([at; 16]);
        let change = LibraryChange {
            operation: LibraryOperation::Enrol,
            sequence: at.into(),
            person_id: (*person).into(),
            face_id: Some(face),
            template: Some(Template {
                model: head.model.clone(),
                model_sha256: sha256.into(),
                values: vec![*value, 0.0],
                sealed: None,
            }),
            ..head.clone()
        };
        records.push(record(keys::face("default", STAFF, person, face), &change));
    }
    log.publisher().unwrap().publish(records).unwrap();
}

fn of_library(folder: &Path, arguments: &[&str]) -> Output {
    processes::on_embedded(&folder.join("topology.toml"))
        .args(["calibrate", "--library", "staff", "--json", "--out"])
        .arg(folder.join("own.toml"))
        .args(["--reference-kind", "on_file", "--description", "staff"])
        .args(["--measured", "2026-11", "--limits", "one door"])
        .args(arguments)
        .output()
        .unwrap()
}

fn weights_sha256() -> String {
    let manifest = shiren_models::Manifest::load(&site::root().join("models/manifest.toml"));
    let manifest = manifest.unwrap();
    manifest.model("dlib-resnet29").unwrap().onnx.sha256.clone()
}

#[test]
fn persons_of_a_library_become_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let faces = [("ann", 0.0), ("ann", 0.1), ("bob", 0.7), ("eve", 1.5)];
    library(folder.path(), &weights_sha256(), &faces);
    let output = of_library(folder.path(), &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // ann with ann; ann twice with bob and eve, bob with eve.
    let counts = [
        "genuine_pairs",
        "impostor_pairs",
        "impostor_identity_pairs",
        "people",
        "pictures",
    ];
    assert_eq!(
        counts.map(|name| report[name].as_u64().unwrap()),
        [1, 5, 3, 3, 4]
    );
    assert_eq!(
        report["likest_strangers"][0]["persons"],
        serde_json::json!(["ann", "bob"])
    );
    assert!(report["not_known"].is_null() && report["seed"].is_null());
    let table = Table::load(&folder.path().join("own.toml")).unwrap();
    assert_eq!(
        (table.model(), table.population().limits.as_str()),
        ("dlib-resnet29", "one door")
    );
    // 1 - 0.1 of one person, 1 - 0.6 of the likest two.
    assert_eq!(
        (table.genuine_below(0.89), table.genuine_below(0.92)),
        (0, 1)
    );
}

#[test]
fn a_library_with_one_picture_each_tells_nothing_of_misses() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..10).map(|n| format!("person {n}")).collect();
    let faces: Vec<_> = names
        .iter()
        .zip(0_u8..)
        .map(|(name, n)| (name.as_str(), f32::from(n) / 10.0))
        .collect();
    library(folder.path(), &weights_sha256(), &faces);
    let output = of_library(folder.path(), &["--pairs-max", "40", "--seed", "7"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["impostor_pairs"], &report["impostor_pairs_of"]),
        (&40.into(), &45.into())
    );
    assert_eq!(report["seed"], 7);
    assert!(
        report["not_known"]
            .as_str()
            .unwrap()
            .contains("false non-matches")
    );
    assert!(report["lowest_measured_fmr"].as_f64().is_some(), "{report}");
    assert!(report["points"][0]["false_non_matches"].is_null());
    let table = Table::load(&folder.path().join("own.toml")).unwrap();
    let limits = &table.population().limits;
    assert!(
        limits.starts_with("one door; 40 of 45 pairs of strangers, drawn by seed 7; no two faces"),
        "{limits}"
    );
}

#[test]
fn a_library_that_makes_no_table_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    library(
        folder.path(),
        &weights_sha256(),
        &[("ann", 0.0), ("ann", 0.1)],
    );
    let alone = refused(&of_library(folder.path(), &[]));
    assert!(
        alone.contains("library staff has 1 person(s) with a template"),
        "{alone}"
    );
    let unknown = refused(&of_library(folder.path(), &["--tenant", "nobody"]));
    assert!(unknown.contains("nobody"), "{unknown}");
    let both = of_library(folder.path(), &["--pairs", "pairs.csv"]);
    assert_eq!(both.status.code(), Some(2), "{both:?}");

    let other = tempfile::tempdir().unwrap();
    library(other.path(), &"0".repeat(64), &[("ann", 0.0), ("bob", 0.1)]);
    let weights = refused(&of_library(other.path(), &[]));
    assert!(
        weights.contains("their scores cannot be compared"),
        "{weights}"
    );
}
