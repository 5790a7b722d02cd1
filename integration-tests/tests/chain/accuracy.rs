//! `shiren bench accuracy` against a plain Python run of the same weights.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use shiren_integration_tests::site;

/// Scores may differ by this much on 99 % of the pairs.
const MAX_DIFFERENCE: f64 = 0.01;

/// Runs a script of `integration-tests/reference`.
pub(crate) fn python(script: &str, arguments: &[&std::ffi::OsStr]) {
    let python = site::home().join("venv-reference/bin/python");
    assert!(
        python.exists(),
        "{}: not there; run scripts/setup --tests",
        python.display()
    );
    let output = Command::new(python)
        .arg(
            site::root()
                .join("integration-tests/reference")
                .join(script),
        )
        .args(arguments)
        .env("SHIREN_HOME", site::home())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Score by pair; pairs that could not be scored are left out.
fn scores(file: &Path) -> HashMap<(String, String), f64> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name: &str| header.iter().position(|field| *field == name).unwrap();
    let (a, b, score) = (column("path_a"), column("path_b"), column("score"));
    lines
        .filter_map(|row| {
            Some((
                (row[a].to_owned(), row[b].to_owned()),
                row[score].parse().ok()?,
            ))
        })
        .collect()
}

/// Smallest faces in pixels: that of the shipped scenes, and one of a door terminal.
const MIN_FACE_PX: [&str; 2] = ["40", "100"];

fn agree(profile: &str) {
    for min_face_px in MIN_FACE_PX {
        agree_at(profile, min_face_px);
    }
}

fn agree_at(profile: &str, min_face_px: &str) {
    let folder = tempfile::tempdir().unwrap();
    python("pairs.py", &[folder.path().as_os_str()]);
    let pairs = folder.path().join("pairs.csv");
    let (ours, theirs) = (
        folder.path().join("ours.csv"),
        folder.path().join("theirs.csv"),
    );
    let output = Command::new(site::program())
        .current_dir(site::root())
        .args([
            "bench",
            "accuracy",
            "--json",
            "--profile",
            profile,
            "--min-face-px",
            min_face_px,
            "--pairs",
        ])
        .arg(&pairs)
        .arg("--scores")
        .arg(&ours)
        .env("SHIREN_HOME", site::home())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |name: &str| {
        report[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} in {report}"))
    };
    python(
        "accuracy.py",
        &[
            pairs.as_os_str(),
            theirs.as_os_str(),
            "--profile".as_ref(),
            profile.as_ref(),
            "--min-face-px".as_ref(),
            min_face_px.as_ref(),
            "--as-shiren".as_ref(),
        ],
    );
    let (ours, theirs) = (scores(&ours), scores(&theirs));
    assert_eq!(
        ours.len() as f64,
        number("n_genuine") + number("n_impostor")
    );
    let differences: Vec<f64> = ours
        .iter()
        .filter_map(|(pair, score)| Some((score - theirs.get(pair)?).abs()))
        .collect();
    // Python takes the largest face where Shiren refuses to choose: nothing is missing there.
    assert_eq!(differences.len(), ours.len());
    assert!(differences.len() >= 400, "only {} pairs", differences.len());
    let within = differences.iter().filter(|d| **d <= MAX_DIFFERENCE).count();
    let share = within as f64 / differences.len() as f64;
    assert!(
        share >= 0.99,
        "{profile} at {min_face_px} px: {within} of {} within {MAX_DIFFERENCE}",
        differences.len()
    );
}

#[test]
fn the_open_profile_agrees_with_plain_python() {
    agree("open");
}

#[test]
fn the_accurate_profile_agrees_with_plain_python() {
    agree("accurate");
}
