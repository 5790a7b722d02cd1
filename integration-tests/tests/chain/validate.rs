//! `shiren validate` beyond topology.toml: tables, weights, the embedded log.

use std::path::Path;

use shiren::checks;
use shiren::search_reach;
use shiren::site::Site;
use shiren_integration_tests::{processes, site};
use shiren_topology::Problem;

fn open(folder: &Path, changes: &[(&str, &str)]) -> Site {
    std::sync::Arc::into_inner(site::embedded(folder, changes)).unwrap()
}

fn codes(problems: &[Problem]) -> Vec<(&str, &str)> {
    problems.iter().map(|p| (p.code, p.path.as_str())).collect()
}

#[test]
fn a_rate_that_no_table_supports_is_refused_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("topology.toml");
    let models = |rate: &str, more: &str| {
        let rate = format!("target_fmr = {rate} {more}");
        let site = open(folder.path(), &[("target_fmr = 0.001 ", &rate)]);
        let text = std::fs::read_to_string(&file).unwrap();
        let problems = checks::models(&site, &text, "topology.toml");
        for problem in &problems {
            let line = text.lines().nth(problem.line - 1).unwrap();
            assert!(line.starts_with("target_fmr"), "{problem}: {line}");
            assert!(problem.hint.is_some(), "{problem}");
        }
        problems
    };
    let path = "scene.default.target_fmr";
    assert_eq!(models("0.001", ""), []);
    assert_eq!(
        codes(&models("0.0001", "")),
        [("threshold_extrapolated", path)]
    );
    let reason = "\nallow_extrapolated = \"a guard looks at every match\"";
    assert_eq!(models("0.0001", reason), []);
    assert_eq!(
        codes(&models("1e-9", reason)),
        [("calibration_missing", path)]
    );
}

/// A check that its stage could never answer: no mesh for quality, no table for the nets of liveness.
#[test]
fn a_required_check_without_a_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = std::fs::read_to_string(site::root().join("models/manifest.toml")).unwrap();
    let without: Vec<String> = manifest
        .lines()
        .map(|line| line.replace("mesh = \"face-mesh-468\", ", ""))
        .collect();
    let file = folder.path().join("manifest.toml");
    let calibration = site::root().join("models/calibration");
    std::os::unix::fs::symlink(calibration, folder.path().join("calibration")).unwrap();
    std::fs::write(&file, without.join("\n")).unwrap();
    assert_ne!(
        without.join("\n"),
        manifest.trim_end(),
        "no profile names the mesh"
    );
    let shipped = format!("{:?}", site::root().join("models/manifest.toml"));
    let own = format!("{file:?}");
    let requires = "requires = [\"comparison\", \"quality\", \"liveness\"]";
    let changes = [
        (shipped.as_str(), own.as_str()),
        ("requires = [\"comparison\"]", requires),
        ("[stills]", "[liveness]\ntables = []\n[stills]"),
    ];
    let site = open(folder.path(), &changes);
    let problems = checks::models(&site, "", "topology.toml");
    let path = "scene.default.requires";
    let code = "check_without_model";
    assert_eq!(
        codes(&problems),
        [(code, path), (code, path)],
        "{problems:#?}"
    );
}

#[test]
fn a_manifest_or_profile_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |change| {
        let site = open(folder.path(), &[change]);
        let text = std::fs::read_to_string(folder.path().join("topology.toml")).unwrap();
        checks::models(&site, &text, "topology.toml")
    };
    let gone = check(("models/manifest.toml", "models/manifets.toml"));
    assert_eq!(codes(&gone), [("manifest_invalid", "models.manifest")]);
    let unknown = check(("profile = \"open\"", "profile = \"opne\""));
    assert_eq!(codes(&unknown), [("manifest_invalid", "models.profile")]);
    assert!(unknown[0].what.contains("accurate, open"), "{}", unknown[0]);
}

#[test]
fn what_is_missing_outside_is_found_all_at_once_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut site = open(folder.path(), &[]);
    site.home = folder.path().join("home");
    let before = checks::live(&site);
    let log = folder.path().join("log");
    assert!(!log.exists(), "a check has made a log");
    let found: Vec<&str> = before.iter().map(|p| p.code).collect();
    // ONNX Runtime, and six weights of the profile.
    let mut expected = vec!["model_file_missing"; 7];
    expected.push("topic_unknown");
    assert_eq!(found, expected);

    site.home = site::home();
    let opened = site.open_log().unwrap();
    let problems = checks::live(&site);
    assert_eq!(problems.len(), site.topics().len());
    assert!(
        problems.iter().all(|p| p.code == "topic_unknown"),
        "{problems:#?}"
    );

    site.set_up(opened.as_ref()).unwrap();
    assert_eq!(checks::live(&site), []);
    site.topology.topics.partitions = 6;
    site.topology.topics.evidence_retention_ms += 1;
    let problems = checks::live(&site);
    let count = |code: &str| problems.iter().filter(|p| p.code == code).count();
    // The policy and notes of crashes have one partition, whatever the topology says.
    let topics = site.topics();
    let many = topics.iter().filter(|topic| topic.partitions == 6).count();
    assert!(many > topics.len() / 2, "{many}");
    assert_eq!(count("topic_partitions_differ"), many);
    assert_eq!(count("topic_setting_differs"), 1);
    assert_eq!(problems.len(), many + 1);
}

/// How large a library the shipped scene's target supports, by the shipped table.
#[test]
fn the_largest_search_of_each_scene_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let reach = |changes: &[(&str, &str)]| search_reach::of_scenes(&open(folder.path(), changes));
    let found = reach(&[]);
    let (table, faces) = found[0].supported.clone().unwrap();
    assert_eq!(
        (found.len(), table.as_str()),
        (1, "dlib-resnet29/att-faces")
    );
    // The table measures 41 false matches in 74,100 pairs at its last edge: an FMR of 5.5e-4, and 1 % over N is 0.01 / N.
    assert!((15..=25).contains(&faces.measured), "{faces:?}");
    assert!((1_500..=2_500).contains(&faces.extrapolated), "{faces:?}");
    let none = reach(&[("target_fpir = 0.01 ", "target_fpir = 0.000001 ")]);
    assert!(
        none[0]
            .to_string()
            .contains("supported at no number of faces"),
        "{}",
        none[0]
    );
    assert_eq!(reach(&[("target_fpir = 0.01 ", "# ")]), []);
    let unknown = reach(&[("profile = \"open\"", "profile = \"opne\"")]);
    assert!(unknown[0].json()["why"].as_str().unwrap().contains("opne"));
}

#[test]
fn the_command_says_all_of_it_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let site = open(
        folder.path(),
        &[("target_fmr = 0.001 ", "target_fmr = 1e-9 ")],
    );
    let topology = folder.path().join("topology.toml");
    let run = |arguments: &[&str]| {
        let output = processes::on_embedded(&topology)
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (ok, out) = run(&["validate", "--live", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    let codes: Vec<_> = answer["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["code"])
        .collect();
    assert!(!ok && answer["ok"] == false);
    assert_eq!(codes, ["calibration_missing", "topic_unknown"], "{out}");
    site.set_up(site.open_log().unwrap().as_ref()).unwrap();
    std::fs::write(
        &topology,
        site::topology(&[(
            "dir = \"log\"",
            &format!("dir = {:?}", folder.path().join("log")),
        )]),
    )
    .unwrap();
    let (ok, out) = run(&["validate", "--live"]);
    assert!(ok && out.contains(": ok; 1 tenant(s)"), "{out}");
    assert!(
        out.contains("scene default: target_fpir 0.01 is measured up to"),
        "{out}"
    );
    let (ok, out) = run(&["graph", "--format", "dot"]);
    assert!(ok && out.starts_with("digraph shiren {"), "{out}");
}

#[test]
fn codes_are_explained_and_slips_understood() {
    let topology = site::root().join("topology.toml");
    let run = |arguments: &[&str]| {
        let output = processes::on_embedded(&topology)
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (ok, out, _) = run(&["explain", "calibration_missing"]);
    assert!(ok && out.contains("What to do: "), "{out}");
    let (ok, out, err) = run(&["explain", "calibration_mising"]);
    assert!(
        !ok && out.is_empty() && err.contains("did you mean calibration_missing?"),
        "{err}"
    );
    let (ok, out, _) = run(&["explain", "--json"]);
    let ids: Vec<String> = out
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["code"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(ok);
    for id in [
        "no_face",
        "topic_unknown",
        "edge_mismatch",
        "model_hash_mismatch",
        "embeddings_mixed",
    ] {
        assert!(ids.iter().any(|known| known == id), "{id} is not listed");
    }
}
