//! The producer and consumer of `examples/python`, in another language, against the running chain.

use std::process::Command;

use shiren_integration_tests::site;

use shiren_integration_tests::cluster::Cluster;

/// Runs an example with the Python that set-up made for it; its standard output.
fn example(script: &str, arguments: &[&str]) -> String {
    let python = site::home().join("venv-examples/bin/python");
    assert!(
        python.exists(),
        "{}: not there; run scripts/setup --tests",
        python.display()
    );
    let output = Command::new(python)
        .arg(site::root().join("examples/python").join(script))
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_python_producer_is_answered_and_a_python_consumer_reads_it() {
    let cluster = Cluster::start(&[]);
    let picture = |name: &str| {
        site::home()
            .join("pictures")
            .join(name)
            .display()
            .to_string()
    };
    let bootstrap = cluster.bootstrap();
    let ask = |pictures: &[String]| {
        let mut arguments = vec!["--bootstrap", bootstrap.as_str()];
        arguments.extend(pictures.iter().map(String::as_str));
        example("producer.py", &arguments).trim().to_owned()
    };
    let verdict = |request_id: &str| {
        let group = format!("test-{request_id}");
        let line = example(
            "consumer.py",
            &[
                "--bootstrap",
                &bootstrap,
                "--group",
                &group,
                "--request-id",
                request_id,
                "--max-wait-seconds",
                "60",
            ],
        );
        serde_json::from_str::<serde_json::Value>(line.trim())
            .unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let same = ask(&[picture("obama2.jpg"), picture("obama.jpg")]);
    let other = ask(&[picture("biden.jpg"), picture("obama.jpg")]);
    let faces = ask(&[picture("multi_face.jpg")]);
    assert_eq!(verdict(&same)["canonical"]["decision"], "accept");
    assert_eq!(verdict(&other)["canonical"]["decision"], "reject");
    assert_eq!(verdict(&faces)["canonical"]["decision"], "done");

    let library = |arguments: &[&str]| {
        let mut all = vec!["--bootstrap", bootstrap.as_str()];
        all.extend(arguments);
        example("library.py", &all).trim().to_owned()
    };
    let decision = |request_id: &str| verdict(request_id)["canonical"]["decision"].clone();
    let created = library(&["create", "staff"]);
    let (created, staff) = created.split_once(' ').unwrap();
    assert_eq!(decision(created), "done");
    let (enrolled, probe) = (picture("obama.jpg"), picture("obama2.jpg"));
    let consent = ["--consent-ref", "c", "--purpose", "door"];
    let enrol = [
        ["enrol", staff, "obama", enrolled.as_str()].as_slice(),
        &consent,
    ]
    .concat();
    assert_eq!(decision(&library(&enrol)), "done");
    let found = verdict(&library(&["search", staff, &probe]));
    assert_eq!(
        found["canonical"]["matched_subject"],
        format!("{staff}/obama")
    );
    assert_eq!(decision(&library(&["unenrol", staff, "obama"])), "done");
    assert_eq!(decision(&library(&["search", staff, &probe])), "nobody");
}
