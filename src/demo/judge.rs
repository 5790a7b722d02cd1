//! What the demo's cases should come to. No pipeline code reads this; it looks at verdicts only.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use shiren_schemas::records::{Evidence, Results, Verdict};

/// Expectation for one case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Decision.
    pub decision: String,
    /// A reason code that must be among the verdict's.
    pub reason: Option<String>,
    /// Kind detect: number of faces.
    pub faces: Option<i32>,
    /// Kind search: the person who must come first.
    pub person: Option<String>,
}

/// Expectations by case.
pub type ExpectedByCase = BTreeMap<String, Expected>;

/// A case with all that came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case's id.
    pub id: String,
    /// Its verdict, if there is one.
    pub verdict: Option<Verdict>,
    /// Its results.
    pub results: Option<Results>,
    /// Its evidence.
    pub evidence: Option<Evidence>,
}

/// Reads the expectations.
///
/// # Errors
/// The file cannot be read or is wrong.
pub fn load(file: &Path) -> anyhow::Result<ExpectedByCase> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    toml::from_str(&text).with_context(|| file.display().to_string())
}

/// What is not as expected; empty when all is.
#[must_use]
pub fn misses(outcome: &Outcome, expected: Option<&Expected>) -> Vec<String> {
    let Some(expected) = expected else {
        return vec!["nothing is said of this case in the file of expectations".to_owned()];
    };
    let Some(verdict) = &outcome.verdict else {
        return vec!["no verdict".to_owned()];
    };
    let mut misses = Vec::new();
    let found = verdict.canonical.decision.as_str();
    if found != expected.decision {
        misses.push(format!("decision {found}, expected {}", expected.decision));
    }
    if let Some(reason) = &expected.reason
        && !verdict.canonical.reason_codes.contains(reason)
    {
        misses.push(format!(
            "reason {reason} is not among {:?}",
            verdict.canonical.reason_codes
        ));
    }
    if let Some(faces) = expected.faces {
        let found: i32 = outcome
            .results
            .iter()
            .flat_map(|r| &r.detections)
            .map(|d| d.faces_found)
            .sum();
        if found != faces {
            misses.push(format!("{found} faces, expected {faces}"));
        }
    }
    if let Some(person) = &expected.person {
        let found = outcome.results.iter().flat_map(|r| &r.candidates).next();
        let found = found.map_or("nobody", |candidate| candidate.person_id.as_str());
        if found != person {
            misses.push(format!("found {found}, expected {person}"));
        }
    }
    misses
}
