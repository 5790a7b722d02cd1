//! `shiren bench identification` on the registry pictures: the main figures, within generous bounds.

use std::path::Path;
use std::process::Command;

use shiren_integration_tests::site;

use crate::accuracy::python;

fn bench(folder: &Path, profile: &str, arguments: &[&str]) -> serde_json::Value {
    let output = Command::new(site::program())
        .current_dir(site::root())
        .args(["bench", "identification", "--json", "--profile", profile])
        .args(["--galleries", "2", "--persons"])
        .arg(folder.join("persons.csv"))
        .args(arguments)
        .env("SHIREN_HOME", site::home())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn known_persons_are_found_and_strangers_are_nobody() {
    let folder = tempfile::tempdir().unwrap();
    python("pairs.py", &[folder.path().as_os_str()]);
    let report = bench(folder.path(), "open", &["--min-face-px", "100"]);
    let count = |path: &str| {
        let found = report.pointer(path).and_then(serde_json::Value::as_u64);
        found.unwrap_or_else(|| panic!("{path} in {report}"))
    };
    // 35 portraits of 20 people; four of them have 19 pictures.
    assert_eq!((count("/persons"), count("/pictures_refused")), (20, 0));
    assert_eq!(
        (count("/mated_searches"), count("/non_mated_searches")),
        (19, 35)
    );
    assert!(count("/not_at_rank_1/errors") <= 1, "{report}");
    // Too few searches for a rate of their own.
    let why = report["fnir_at_fpir"][0]["why"].as_str().unwrap();
    assert!(
        why.contains("not supported: 19 mated and 35 non-mated"),
        "{why}"
    );
    assert!(count("/at_target/fpir/errors") <= 2, "{report}");
    assert!(count("/at_target/fnir/errors") <= 4, "{report}");
    // 10 real faces; 100 and 1,000 are filled with simulated ones.
    let sizes = report["sizes"].as_array().unwrap();
    assert_eq!(sizes.len(), 3);
    assert_eq!(
        (
            &sizes[0]["simulated_faces_mean"],
            &sizes[0]["fmr_simulated"]
        ),
        (&0.0.into(), &().into())
    );
    assert!(
        sizes[2]["simulated_faces_mean"].as_f64().unwrap() > 960.0,
        "{report}"
    );
    for size in sizes {
        assert_eq!(size["fpir"]["n"], 70);
        assert!(size["fpir"]["rate"].as_f64().unwrap() <= 0.1, "{size}");
    }
    assert_eq!(report["distractors"]["seed"], 1);
}
