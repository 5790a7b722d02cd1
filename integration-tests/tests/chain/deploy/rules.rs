//! deploy/prometheus.

use std::collections::BTreeSet;

use serde_json::Value;
use shiren_integration_tests::site;

use super::{TELEMETRY_PORT, segments, strings, yaml};

#[test]
fn prometheus_scrapes_every_stage_where_it_listens() {
    let scrape = &yaml("prometheus/prometheus.yml")["scrape_configs"][0];
    assert_eq!(scrape["metrics_path"], "/metrics");
    let found = &scrape["dns_sd_configs"][0];
    let names: BTreeSet<String> = strings(&found["names"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(names, segments());
    assert_eq!(found["port"].to_string(), TELEMETRY_PORT);
}

/// Words of `text` that begin with `prefix`.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let part = |c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c));
    text.split(part)
        .filter(|word| word.starts_with(prefix))
        .collect()
}

/// Alerts stand on recorded names, and only records name metrics: those of docs/metrics.md.
#[test]
fn rules_stand_on_metrics_that_there_are() {
    let rules = yaml("prometheus/rules.yml");
    let groups = rules["groups"].as_array().unwrap();
    let all: Vec<&Value> = groups
        .iter()
        .flat_map(|g| g["rules"].as_array().unwrap())
        .collect();
    let recorded: BTreeSet<&str> = all.iter().filter_map(|r| r["record"].as_str()).collect();
    let mut metrics = BTreeSet::new();
    for rule in &all {
        let expression = rule["expr"].as_str().unwrap();
        if rule["record"].is_string() {
            metrics.extend(words(expression, "shiren_"));
        } else {
            assert!(words(expression, "shiren_").is_empty(), "{expression}");
            let used = words(expression, "shiren:");
            assert!(
                !used.is_empty() && used.is_subset(&recorded),
                "{expression}"
            );
            assert!(
                rule["annotations"]["action"].is_string(),
                "{expression}: what to do?"
            );
        }
    }
    assert_eq!(metrics.len(), recorded.len());
    let page = std::fs::read_to_string(site::root().join("docs/metrics.md")).unwrap();
    let known = words(&page, "shiren_");
    let unknown: Vec<_> = metrics.difference(&known).collect();
    assert!(unknown.is_empty(), "not in docs/metrics.md: {unknown:?}");
}
