//! `shiren calibrate`: an operator's pairs become a table that the chain reads.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

use shiren_integration_tests::site;
use shiren_models::calibration::{ReferenceKind, Table};

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
