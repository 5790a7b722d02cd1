//! Rules of the house that a tool can check.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use shiren_integration_tests::site;

/// Direct dependencies (not those of tests) of each crate of the workspace.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(site::root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let normal = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|d| d["kind"].is_null());
            let names = normal
                .map(|d| d["name"].as_str().unwrap().to_owned())
                .collect();
            (package["name"].as_str().unwrap().to_owned(), names)
        })
        .collect()
}

/// Each heavy crate has one home; nobody else may import it.
const HOMES: &[(&str, &[&str])] = &[
    ("rdkafka", &["shiren-log-kafka"]),
    ("rusqlite", &["shiren-log-embedded"]),
    ("ort", &["shiren-models"]),
    ("apache-avro", &["shiren-schemas"]),
    ("turbojpeg", &["shiren-stills"]),
    ("chacha20poly1305", &["shiren-vault"]),
    ("qdrant-client", &["shiren-library"]),
    ("qdrant-edge", &["shiren-library"]),
    ("usearch", &["shiren-bench-search"]),
    ("ffmpeg-next", &[]),
];

/// What each crate may import of the workspace: `schemas <- contract <- stages/<name> <- src/`.
const ARROWS: &[(&str, &[&str])] = &[
    ("shiren-schemas", &[]),
    ("shiren-contract", &["shiren-schemas"]),
    ("shiren-models", &["shiren-contract", "shiren-schemas"]),
    ("shiren-stills", &["shiren-contract", "shiren-schemas"]),
    ("shiren-topology", &["shiren-contract", "shiren-schemas"]),
    ("shiren-log", &["shiren-schemas"]),
    ("shiren-log-embedded", &["shiren-log"]),
    ("shiren-log-kafka", &["shiren-log"]),
    (
        "shiren-runtime",
        &["shiren-contract", "shiren-log", "shiren-schemas"],
    ),
    (
        "shiren-admit",
        &["shiren-contract", "shiren-idcard", "shiren-schemas"],
    ),
    ("shiren-decode", &["shiren-contract", "shiren-schemas"]),
    (
        "shiren-detect",
        &["shiren-contract", "shiren-models", "shiren-schemas"],
    ),
    (
        "shiren-quality",
        &["shiren-contract", "shiren-models", "shiren-schemas"],
    ),
    (
        "shiren-liveness",
        &["shiren-contract", "shiren-models", "shiren-schemas"],
    ),
    (
        "shiren-embed",
        &["shiren-contract", "shiren-models", "shiren-schemas"],
    ),
    (
        "shiren-match",
        &["shiren-contract", "shiren-models", "shiren-schemas"],
    ),
    (
        "shiren-authority-verify",
        &["shiren-contract", "shiren-models", "shiren-schemas"],
    ),
    ("shiren-enrol", &["shiren-contract", "shiren-schemas"]),
    ("shiren-vault", &["shiren-contract", "shiren-schemas"]),
    ("shiren-library", &["shiren-schemas"]),
    ("shiren-bench-search", &["shiren-library"]),
    ("shiren-idcard", &[]),
    (
        "shiren-identity-limit",
        &["shiren-contract", "shiren-idcard", "shiren-schemas"],
    ),
    (
        "shiren-authority",
        &[
            "shiren-contract",
            "shiren-idcard",
            "shiren-schemas",
            "shiren-vault",
        ],
    ),
];

/// Crates that wire everything together: any arrow may start here, none may end here.
const TOPS: &[&str] = &[
    "shiren",
    "shiren-integration-tests",
    "shiren-simulation",
    "own-stage",
];

#[test]
fn imports_point_one_way() {
    let crates = dependencies();
    let ours: BTreeSet<&String> = crates.keys().collect();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, imports) in &crates {
        if TOPS.contains(&name.as_str()) {
            continue;
        }
        let Some(may) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name}: say in this test what it may import"));
            continue;
        };
        let taken = imports.iter().filter(|import| ours.contains(import));
        wrong.extend(
            taken
                .filter(|i| !may.contains(&i.as_str()))
                .map(|i| format!("{name} imports {i}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let gone: Vec<_> = allowed
        .keys()
        .filter(|name| !crates.contains_key(**name))
        .collect();
    assert!(gone.is_empty(), "no longer there: {gone:?}");
}

#[test]
fn heavy_crates_have_one_home() {
    let mut wrong = Vec::new();
    for (name, imports) in dependencies() {
        for (heavy, homes) in HOMES {
            if imports.contains(*heavy) && !homes.contains(&name.as_str()) {
                wrong.push(format!("{name} imports {heavy}"));
            }
        }
        let pure = [
            "shiren-schemas",
            "shiren-contract",
            "shiren-topology",
            "shiren-models",
            "shiren-stills",
            "shiren-idcard",
        ];
        let stage = [
            "admit",
            "decode",
            "detect",
            "quality",
            "liveness",
            "embed",
            "match",
            "identity-limit",
            "authority-verify",
        ]
        .iter()
        .any(|s| name == format!("shiren-{s}"));
        if (pure.contains(&name.as_str()) || stage) && imports.contains("tokio") {
            wrong.push(format!("{name} imports tokio"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Long files hide the part that wants a name of its own.
#[test]
fn no_file_is_over_500_lines() {
    let output = Command::new("git")
        .args(["ls-files", "*.rs", "*.py"])
        .current_dir(site::root())
        .output()
        .unwrap();
    let files = String::from_utf8(output.stdout).unwrap();
    assert!(files.lines().count() > 50);
    for file in files.lines() {
        let Ok(text) = std::fs::read_to_string(site::root().join(file)) else {
            continue;
        };
        let lines = text.lines().count();
        assert!(lines <= 500, "{file}: {lines} lines");
    }
}

/// The shipped topology fits the stages that this program really has.
#[test]
fn the_shipped_topology_is_sound() {
    let text = std::fs::read_to_string(site::root().join("topology.toml")).unwrap();
    let stages = shiren::stages::descriptors();
    let parsed = shiren_topology::parse(&text, "topology.toml", Vec::new(), &stages);
    let topology = parsed.unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(topology.warnings.is_empty(), "{:#?}", topology.warnings);
}

/// Codes, settings and topics change in the program; their pages follow by `shiren docs write`.
#[test]
fn no_generated_page_is_stale() {
    let output = Command::new(site::program())
        .args(["docs", "check"])
        .current_dir(site::root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
