//! The program runs, and its verdicts carry what the stage says.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_stage_takes_part_in_the_verdict() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let home =
        std::env::var_os("SHIREN_HOME").map_or_else(|| repository.join(".shiren"), PathBuf::from);
    let output = Command::new(env!("CARGO_BIN_EXE_own-stage"))
        .env("SHIREN_HOME", home)
        .env_remove("SHIREN_LOG_ENGINE")
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let line = |pair: &str| {
        let found = lines.lines().find(|line| line.starts_with(pair));
        found.unwrap_or_else(|| panic!("{pair}: not in {lines:?}"))
    };
    let strangers = line("obama2.jpg and biden.jpg");
    assert!(
        strangers.contains("comparison=failed") && strangers.contains("quality=passed"),
        "{strangers}"
    );
    // One person, whom the stage alone keeps out: a poor picture allows no answer.
    let one_person = line("obama2.jpg and obama.jpg");
    assert!(
        one_person.contains(": error [")
            && one_person.contains("face_too_small")
            && one_person.contains("comparison=passed")
            && one_person.contains("quality=failed"),
        "{one_person}"
    );
}
