//! The splits of the generator of simulated attacks: what is judged on must be new to what was fitted.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use shiren_integration_tests::site;

/// Species that `docs/liveness.md` has figures for.
const ATTACKS: [&str; 6] = [
    "bezel_replay",
    "halftone_print",
    "moire_replay",
    "plain_print",
    "print_edge",
    "soft_replay",
];
/// Benign shifts that it has figures for.
const SHIFTS: [&str; 8] = [
    "cold_light",
    "defocus",
    "dim",
    "dull",
    "low_contrast",
    "low_resolution",
    "warm_light",
    "webcam_noise",
];

#[derive(Deserialize)]
struct Splits {
    identities: BTreeMap<String, BTreeSet<String>>,
    shift: BTreeMap<String, BTreeMap<String, Parameter>>,
    attack: BTreeMap<String, BTreeMap<String, Parameter>>,
}

/// Intervals `[low, high]` of each split.
#[derive(Deserialize)]
struct Parameter {
    fit: Vec<[f64; 2]>,
    judge: Vec<[f64; 2]>,
}

fn splits() -> Splits {
    let file = site::root().join("integration-tests/pad/splits.toml");
    toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn nobody_is_in_both_splits_and_all_have_portraits() {
    let splits = splits();
    let (fit, judge) = (&splits.identities["fit"], &splits.identities["judge"]);
    assert!(fit.is_disjoint(judge));
    let list = std::fs::read_to_string(site::root().join("integration-tests/pictures.toml"));
    let list: toml::Table = toml::from_str(&list.unwrap()).unwrap();
    let portraits: BTreeSet<String> = list["picture"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|picture| picture["kind"].as_str() == Some("portrait"))
        .map(|picture| picture["identity"].as_str().unwrap().to_owned())
        .collect();
    let all: BTreeSet<String> = fit.union(judge).cloned().collect();
    assert_eq!(all, portraits);
}

#[test]
fn no_interval_of_a_parameter_is_in_both_splits() {
    let splits = splits();
    let names = |of: &BTreeMap<String, _>| of.keys().cloned().collect::<Vec<String>>();
    assert_eq!(names(&splits.attack), ATTACKS);
    assert_eq!(names(&splits.shift), SHIFTS);
    for (kind, parameters) in splits.attack.iter().chain(&splits.shift) {
        assert!(!parameters.is_empty(), "{kind}");
        for (name, parameter) in parameters {
            assert!(
                !parameter.fit.is_empty() && !parameter.judge.is_empty(),
                "{kind}.{name}"
            );
            for [low, high] in parameter.fit.iter().chain(&parameter.judge) {
                assert!(low < high, "{kind}.{name}: {low} {high}");
            }
            for fit in &parameter.fit {
                for judge in &parameter.judge {
                    let apart = fit[1] <= judge[0] || judge[1] <= fit[0];
                    assert!(apart, "{kind}.{name}: {fit:?} and {judge:?}");
                }
            }
        }
    }
}
