//! What is drawn of the shipped layout, and of one stage a process.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

use std::collections::BTreeSet;

use shiren_topology::{Format, Topology, graph, parse};

mod support;

const SHIPPED: &str = include_str!("../../../topology.toml");

fn read(text: &str) -> Topology {
    let environment = [
        ("SHIREN_LOG_ENGINE", "kafka"),
        ("SHIREN_KAFKA_BOOTSTRAP_SERVERS", "b:9092"),
        ("SHIREN_LIBRARY_ENGINE", "server"),
        ("SHIREN_LIBRARY_URL", "http://q:6334"),
    ];
    let environment = environment.map(|(k, v)| (k.to_owned(), v.to_owned()));
    parse(text, "topology.toml", environment, support::STAGES).unwrap()
}

/// The layout that stands in the shipped file as comments.
fn apart() -> Topology {
    let (before, rest) = SHIPPED.split_once("[segment.front]").unwrap();
    let (_, apart) = rest.split_once("# [segment.admit]\n").unwrap();
    let (apart, after) = apart.split_once("\n\n").unwrap();
    let apart = format!("[segment.admit]\n{}", apart.replace("# ", ""));
    read(&format!("{before}{apart}\n\n{after}"))
}

#[test]
fn the_shipped_layout_is_one_segment_without_topics_inside() {
    let drawn = graph(&read(SHIPPED), support::STAGES, Format::Mermaid);
    let expected = r#"flowchart LR
    commands[("shiren.default.library-commands")]
    dead_letters[("shiren.default.dead-letters")]
    ingress[("shiren.default.requests.interactive")]
    library[("shiren.library")]
    verdicts[("shiren.default.verdicts<br/>shiren.default.results<br/>shiren.default.evidence")]
    subgraph segment_0 ["segment front"]
        stage_admit["admit"]
        stage_decode["decode"]
        stage_detect["detect"]
        stage_quality["quality"]
        stage_liveness["liveness"]
        stage_embed["embed"]
        stage_match["match"]
        stage_enrol["enrol"]
        stage_authority_verify["authority-verify"]
    end
    ingress -- "detect, compare, verify" --> stage_admit
    commands -- "enrol, unenrol" --> stage_admit
    stage_admit -- "detect, compare, enrol, unenrol, verify" --> stage_decode
    stage_decode -- "detect, compare, enrol, unenrol, verify" --> stage_detect
    stage_detect -- "detect" --> verdicts
    stage_detect -- "compare, enrol, unenrol, verify" --> stage_quality
    stage_quality -- "compare, verify" --> stage_liveness
    stage_quality -- "enrol, unenrol" --> stage_embed
    stage_liveness -- "compare, verify" --> stage_embed
    stage_embed -- "compare" --> stage_match
    stage_embed -- "enrol, unenrol" --> stage_enrol
    stage_embed -- "verify" --> stage_authority_verify
    stage_match -- "compare" --> verdicts
    stage_enrol -- "enrol, unenrol" --> library
    stage_enrol -- "enrol, unenrol" --> verdicts
    stage_authority_verify -- "verify" --> verdicts
    segment_0 -. "error" .-> verdicts
    segment_0 -. "refused" .-> dead_letters
"#;
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(sorted(&drawn), sorted(expected), "{drawn}");
}

#[test]
fn one_stage_a_process_has_a_topic_before_each_stage_in_both_languages() {
    const ALL: &str = "detect, compare, enrol, unenrol, verify";
    const FACES: &str = "compare, enrol, unenrol, verify";
    let topology = apart();
    for format in [Format::Mermaid, Format::Dot] {
        let drawn = graph(&topology, support::STAGES, format);
        let line_of = |from: &str, kinds: &str, to: &str| match format {
            Format::Mermaid => format!("    {from} -- \"{kinds}\" --> {to}"),
            Format::Dot => format!("    {from} -> {to} [label=\"{kinds}\"];"),
        };
        for (from, kinds, to) in [
            ("ingress", "detect, compare, verify", "stage_admit"),
            ("commands", "enrol, unenrol", "stage_admit"),
            ("stage_admit", ALL, "topic_decode"),
            ("topic_decode", ALL, "stage_decode"),
            ("stage_decode", ALL, "topic_detect"),
            ("topic_detect", ALL, "stage_detect"),
            ("stage_detect", "detect", "verdicts"),
            ("stage_detect", FACES, "topic_quality"),
            ("topic_quality", FACES, "stage_quality"),
            ("stage_quality", "compare, verify", "topic_liveness"),
            ("topic_liveness", "compare, verify", "stage_liveness"),
            ("stage_quality", "enrol, unenrol", "topic_embed"),
            ("stage_liveness", "compare, verify", "topic_embed"),
            ("topic_embed", FACES, "stage_embed"),
            ("stage_embed", "enrol, unenrol", "topic_enrol"),
            ("topic_enrol", "enrol, unenrol", "stage_enrol"),
            ("stage_enrol", "enrol, unenrol", "library"),
            ("stage_enrol", "enrol, unenrol", "verdicts"),
            ("stage_embed", "compare", "topic_match"),
            ("topic_match", "compare", "stage_match"),
            ("stage_match", "compare", "verdicts"),
            ("stage_embed", "verify", "topic_authority_verify"),
            ("topic_authority_verify", "verify", "stage_authority_verify"),
            ("stage_authority_verify", "verify", "verdicts"),
        ] {
            let line = line_of(from, kinds, to);
            assert!(drawn.lines().any(|l| l == line), "no {line} in\n{drawn}");
        }
        let is_solid = |line: &&str| {
            let is_arrow = line.contains("-->") || line.contains("->");
            is_arrow && !line.contains("dashed") && !line.contains("-.")
        };
        assert_eq!(drawn.lines().filter(is_solid).count(), 24, "{drawn}");
        for stage in [
            "decode",
            "detect",
            "quality",
            "liveness",
            "embed",
            "match",
            "enrol",
            "authority-verify",
        ] {
            assert!(drawn.contains(&format!("\"shiren.{stage}.interactive\"")));
        }
        assert!(!drawn.contains("\"shiren.admit.interactive\""), "{drawn}");
        assert!(drawn.contains("segment detect, 2 workers"), "{drawn}");
    }
}

#[test]
fn several_tenants_and_lanes_are_one_topic_node() {
    let text = SHIPPED
        .replace("tenants = [\"default\"]", "tenants = [\"a\", \"b\"]")
        .replace(
            "lanes = [\"interactive\"]",
            "lanes = [\"interactive\", \"bulk\"]",
        );
    let drawn = graph(&read(&text), support::STAGES, Format::Dot);
    assert!(
        drawn.contains("\"shiren.{a,b}.requests.{interactive,bulk}\""),
        "{drawn}"
    );
    assert_eq!(drawn.matches('{').count(), drawn.matches('}').count());
}
