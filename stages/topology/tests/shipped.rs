//! The shipped topology, other layouts, the environment, and the table itself.

use std::collections::BTreeSet;

use proptest::prelude::*;
use shiren_contract::still::StillLimits;
use shiren_schemas::records::Lane;
use shiren_topology::{
    Absent, Kind, LogSettings, Problem, SETTINGS, Topology, parse, settings_markdown,
};

mod support;

const SHIPPED: &str = include_str!("../../../topology.toml");

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Topology, Vec<Problem>> {
    let environment = environment
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    parse(text, "topology.toml", environment, support::STAGES)
}

#[test]
fn the_shipped_topology_is_sound() {
    let topology = read(SHIPPED, &[]).unwrap();
    assert_eq!(topology.warnings, []);
    assert_eq!(topology.tenants, ["default"]);
    assert_eq!(topology.lanes, [Lane::Interactive]);
    assert_eq!(
        topology.chain,
        [
            "admit",
            "decode",
            "detect",
            "quality",
            "liveness",
            "embed",
            "match",
            "enrol",
            "authority-verify"
        ]
    );
    assert_eq!(topology.segments.len(), 1);
    assert_eq!(topology.segments[0].stages, topology.chain);
    assert!(
        matches!(&topology.log, LogSettings::Embedded(log) if log.dir == "log" && log.max_mib == 4096)
    );
    let limits = StillLimits::from(topology.stills);
    assert_eq!(
        (limits.max_bytes, limits.max_pixels, limits.min_side_px),
        (7_340_032, 50_000_000, 32)
    );
    assert_eq!(topology.scenes["default"].requires, ["comparison"]);
    assert_eq!(topology.scenes["default"].deadline_ms, None);
}

#[test]
fn the_shipped_layout_of_one_stage_a_process_is_sound() {
    let (before, rest) = SHIPPED.split_once("[segment.front]").unwrap();
    let (_, apart) = rest.split_once("# [segment.admit]\n").unwrap();
    let (apart, after) = apart.split_once("\n\n").unwrap();
    let apart = format!("[segment.admit]\n{}", apart.replace("# ", ""));
    let text = format!("{before}{apart}\n\n{after}");
    let topology = read(
        &text,
        &[
            ("SHIREN_LOG_ENGINE", "kafka"),
            ("SHIREN_KAFKA_BOOTSTRAP_SERVERS", "b:9092"),
            ("SHIREN_LIBRARY_ENGINE", "server"),
            ("SHIREN_LIBRARY_URL", "http://q:6334"),
        ],
    )
    .unwrap();
    let names: Vec<&str> = topology.segments.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "admit",
            "decode",
            "detect",
            "quality",
            "liveness",
            "embed",
            "match",
            "enrol",
            "authority-verify"
        ]
    );
    assert_eq!(topology.segment_of("detect").unwrap().workers, 2);
    assert_eq!(topology.segment("detect"), topology.segment_of("detect"));
}

#[test]
fn segments_follow_the_chain_however_the_file_orders_them() {
    let front = "stages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\", \"embed\", \"match\", \"enrol\", \"authority-verify\"]";
    let split = "stages = [\"embed\", \"match\", \"enrol\", \"authority-verify\"]\n[segment.back]\nstages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\"]";
    let topology = read(&SHIPPED.replacen(front, split, 1), &[]).unwrap();
    let names: Vec<&str> = topology.segments.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["back", "front"]);
}

#[test]
fn the_environment_wins_over_the_file_and_keeps_its_secrets() {
    let text = SHIPPED.replace(
        "[log.kafka.properties]\n",
        "[log.kafka.properties]\nsasl.mechanism = \"PLAIN\"\n\"sasl.password\" = \"from-file\"\nsocket.keepalive.enable = true\n",
    );
    let environment = [
        ("SHIREN_LOG_ENGINE", "kafka"),
        ("SHIREN_KAFKA_BOOTSTRAP_SERVERS", "broker:9092"),
        ("SHIREN_KAFKA_PROPERTY_SASL_PASSWORD", "very-secret"),
        ("SHIREN_KAFKA_PROPERTY_SSL_CA_LOCATION", ""),
        ("SHIREN_HOME", "/somewhere"),
        ("PATH", "/bin"),
    ];
    let topology = read(&text, &environment).unwrap();
    let LogSettings::Kafka(kafka) = &topology.log else {
        panic!("{:?}", topology.log)
    };
    assert_eq!(kafka.bootstrap_servers, "broker:9092");
    let properties: Vec<(&str, &str)> = kafka
        .properties
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        properties,
        [
            ("sasl.mechanism", "PLAIN"),
            ("sasl.password", "very-secret"),
            ("socket.keepalive.enable", "true")
        ]
    );
    assert!(!format!("{topology:?}").contains("very-secret"));
}

#[test]
fn a_right_variable_does_not_hide_a_wrong_line() {
    let problems = read(
        &SHIPPED.replacen("engine = \"embedded\"", "engine = \"kafak\"", 1),
        &[("SHIREN_LOG_ENGINE", "embedded")],
    )
    .unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, "unknown_engine");
    assert_eq!(
        SHIPPED
            .lines()
            .nth(problems[0].line - 1)
            .unwrap()
            .split_once('=')
            .unwrap()
            .0,
        "engine "
    );
}

#[test]
fn the_table_declares_each_setting_once_with_a_default_in_its_range() {
    let mut paths = BTreeSet::new();
    for setting in SETTINGS {
        assert!(paths.insert(setting.path), "{} twice", setting.path);
        assert!(setting.doc.ends_with(['.', ')']), "{}", setting.path);
        match (setting.kind, setting.absent) {
            (Kind::Integer { min, max }, Absent::Integer(n)) => {
                assert!((min..=max).contains(&n), "{}", setting.path)
            }
            (Kind::Number { min, max }, Absent::Number(n)) => {
                assert!((min..=max).contains(&n), "{}", setting.path)
            }
            (Kind::Boolean, Absent::Boolean(_)) => {}
            (Kind::Text(_), Absent::Text(_)) | (Kind::List { .. }, Absent::List(_)) => {}
            (_, Absent::Required | Absent::Unset) => {}
            other => panic!("{}: {other:?}", setting.path),
        }
    }
    let page = settings_markdown();
    for setting in SETTINGS {
        let leaf = setting.path.rsplit('.').next().unwrap();
        assert!(page.contains(&format!("{leaf}` |")), "{}", setting.path);
    }
}

proptest! {
    /// Whatever an operator's editor leaves behind: an answer, never a panic, and never both
    /// accepted and wrong.
    #[test]
    fn any_damage_is_answered(at in 0..SHIPPED.len(), cut in 0_usize..40, paste in "[\\[\\]\"=#.a-z0-9 \n\u{e9}-]{0,12}") {
        let end = (at + cut).min(SHIPPED.len());
        let text = format!("{}{paste}{}", &SHIPPED[..at], &SHIPPED[end..]);
        if let Err(problems) = read(&text, &[]) {
            prop_assert!(!problems.is_empty());
            let lines = text.lines().count().max(1);
            for problem in &problems {
                prop_assert!((1..=lines + 1).contains(&problem.line), "{problem}");
                prop_assert!(problem.code != "unreadable_tables", "{problem}");
            }
        }
    }
}
