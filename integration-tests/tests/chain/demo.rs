//! `shiren demo` as a user runs it, and whether it would notice a wrong answer.

use std::process::Command;

use shiren_integration_tests::site;

struct Ran {
    success: bool,
    last_line: serde_json::Value,
}

/// Runs the demo with a log and report of its own: a home with links to the fetched files.
fn demo(cases: &str) -> (Ran, String) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["models", "lib", "pictures"] {
        std::os::unix::fs::symlink(site::home().join(name), folder.path().join(name)).unwrap();
    }
    let file = folder.path().join("cases.toml");
    std::fs::write(&file, cases).unwrap();
    let output = Command::new(site::program())
        .current_dir(site::root())
        .args(["demo", "--json", "--cases"])
        .arg(&file)
        .env("SHIREN_HOME", folder.path())
        .env_remove("SHIREN_LOG_ENGINE")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let last = stdout.lines().last().unwrap_or_else(|| {
        panic!(
            "no output; standard error: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let last_line = serde_json::from_str(last).unwrap();
    let report = std::fs::read_to_string(folder.path().join("demo/report.html")).unwrap();
    (
        Ran {
            success: output.status.success(),
            last_line,
        },
        report,
    )
}

fn cases() -> String {
    std::fs::read_to_string(site::root().join("examples/demo/cases.toml")).unwrap()
}

#[test]
fn every_case_comes_to_what_is_expected() {
    let (ran, report) = demo(&cases());
    assert!(ran.success, "{}", ran.last_line);
    let number = |name: &str| ran.last_line[name].as_u64().unwrap();
    assert_eq!(number("published"), 27);
    assert_eq!(number("terminal"), number("published"));
    assert_eq!(number("unexpected"), 0);
    assert_eq!(number("contradictions"), 0);
    // One is sent twice, and answered once.
    assert_eq!(number("events"), number("published") + 1);
    assert_eq!(number("duplicates"), 0);
    assert!(number("frames") > number("published") / 2);
    assert_eq!(report.matches("<section>").count(), 27);
    assert!(report.contains("data:image/jpeg;base64,"));
    assert!(!report.contains("http"), "the report must stand on its own");
}

/// The same demo with two pictures swapped: the judge must see both cases missed.
#[test]
fn swapped_pictures_are_noticed() {
    let swapped = cases()
        .replace(
            "probe = { file = \"obama2.jpg\" }",
            "probe = { file = \"SWAP\" }",
        )
        .replace(
            "probe = { file = \"biden.jpg\" }",
            "probe = { file = \"obama2.jpg\" }",
        )
        .replace(
            "probe = { file = \"SWAP\" }",
            "probe = { file = \"biden.jpg\" }",
        );
    assert_ne!(swapped, cases());
    let (ran, _) = demo(&swapped);
    assert!(!ran.success);
    assert!(
        ran.last_line["unexpected"].as_u64().unwrap() >= 2,
        "{}",
        ran.last_line
    );
    assert_eq!(ran.last_line["terminal"], ran.last_line["published"]);
}
