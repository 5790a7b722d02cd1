//! `shiren validate --live` on a real broker.

use std::process::Command;

use shiren_integration_tests::broker::Broker;
use shiren_integration_tests::{processes, site};

/// Code and topic of each problem, without those that are not about this test's topic.
fn run(mut command: Command) -> (bool, Vec<(String, String)>) {
    let output = command
        .args(["validate", "--live", "--json"])
        .output()
        .unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |problem: &serde_json::Value, key: &str| problem[key].as_str().unwrap().to_owned();
    let problems = answer["problems"].as_array().unwrap().iter();
    (
        output.status.success(),
        problems
            .map(|p| (text(p, "code"), text(p, "path")))
            .collect(),
    )
}

/// Sets one setting of a topic, by another client, and returns once the broker shows it.
const ALTER: &str = r#"
import sys
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType)

bootstrap, topic, setting, value = sys.argv[1:]
admin = AdminClient({"bootstrap.servers": bootstrap})
entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
admin.incremental_alter_configs([change])[change].result(30)
for _ in range(100):
    found = admin.describe_configs([change])[change].result(30)
    if found[setting].value == value:
        sys.exit(0)
sys.exit("the change never came")
"#;

fn alter(bootstrap: &str, topic: &str, setting: &str, value: &str) {
    let python = site::home().join("venv-examples/bin/python");
    let output = Command::new(&python)
        .args(["-c", ALTER, bootstrap, topic, setting, value])
        .output()
        .unwrap_or_else(|error| panic!("{python:?}: {error}; run scripts/setup --tests"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{setting}: {error}");
}

#[test]
fn every_difference_of_the_topics_is_reported_and_mended_by_apply() {
    let broker = Broker::start();
    let folder = tempfile::tempdir().unwrap();
    let topology = folder.path().join("topology.toml");
    let vault = site::vault_in(folder.path());
    let changes = |more| {
        let vault = vault.iter().map(|(from, to)| (*from, to.as_str()));
        site::topology(&vault.chain(more).collect::<Vec<_>>())
    };
    std::fs::write(&topology, changes(None)).unwrap();
    let shiren = || processes::on_kafka(&topology, &broker.bootstrap());
    let apply = || {
        shiren()
            .args(["topics", "apply"])
            .output()
            .unwrap()
            .status
            .success()
    };

    let (ok, mut problems) = run(shiren());
    assert!(!ok && problems.len() > 1);
    let store = problems.remove(0);
    assert_eq!(
        store,
        ("key_store_missing".to_owned(), "vault.dir".to_owned())
    );
    assert!(shiren().args(["vault", "init"]).status().unwrap().success());
    assert!(
        problems.iter().all(|(code, _)| code == "topic_unknown"),
        "{problems:?}"
    );
    assert!(apply());
    assert_eq!(run(shiren()), (true, vec![]));

    // Another administrator changes a topic behind Shiren's back.
    let alter = |topic, setting, value| alter(&broker.bootstrap(), topic, setting, value);
    alter(
        "shiren.default.verdicts",
        "message.timestamp.type",
        "CreateTime",
    );
    alter("shiren.default.verdicts", "max.message.bytes", "1000000");
    alter("shiren.default.evidence", "retention.ms", "1000");
    let verdicts = || "shiren.default.verdicts".to_owned();
    let (ok, mut problems) = run(shiren());
    problems.sort();
    assert!(!ok);
    assert_eq!(
        problems,
        [
            (
                "topic_setting_differs".to_owned(),
                "shiren.default.evidence".to_owned()
            ),
            ("topic_setting_differs".to_owned(), verdicts()),
            ("topic_without_append_time".to_owned(), verdicts()),
        ]
    );
    assert!(apply());
    assert_eq!(run(shiren()), (true, vec![]));

    std::fs::write(
        &topology,
        changes(Some(("partitions = 12 ", "partitions = 6 "))),
    )
    .unwrap();
    let (_, problems) = run(shiren());
    assert!(!problems.is_empty());
    assert!(
        problems
            .iter()
            .all(|(code, _)| code == "topic_partitions_differ"),
        "{problems:?}"
    );
}

#[test]
fn a_broker_that_does_not_answer_is_one_problem() {
    let folder = tempfile::tempdir().unwrap();
    let topology = folder.path().join("topology.toml");
    let wait = ("[log.kafka]\n", "[log.kafka]\nrequest_max_wait_ms = 1000\n");
    let off = ("[vault] ", "[vault]\nenabled = false\n");
    std::fs::write(&topology, site::topology(&[wait, off])).unwrap();
    let (ok, problems) = run(processes::on_kafka(&topology, "127.0.0.1:1"));
    assert!(!ok);
    let codes: Vec<&str> = problems.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["log_unavailable"]);
}
