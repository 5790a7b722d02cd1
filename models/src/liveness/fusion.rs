//! How nets and cues become one score of liveness: a table that was fitted, never written by hand.
//!
//! `score = 1 / (1 + exp(-(intercept + sum of weight x value)))`, each value limited to the range in which it was fitted.
//! Scores below `reject_below` are taken for an attack, from `accept_from` on for a live person; between the two there is
//! no answer.

use std::path::Path;

use serde::Deserialize;

use crate::error::ModelError;
use crate::files;
use crate::manifest::MAX_MANIFEST_BYTES;

/// The newest table version that is read.
const VERSION: u32 = 1;
/// Name of the cue that [`super::cues::periodic_pattern`] gives.
pub const PERIODIC_PATTERN: &str = "periodic_pattern";
/// Name of the cue that [`super::cues::straight_edges`] gives: the strongest side.
pub const STRAIGHT_EDGE: &str = "straight_edge";
/// Name of its second strongest side.
pub const SECOND_EDGE: &str = "second_edge";
/// Cues that need no net.
pub const CLASSICAL: [&str; 3] = [PERIODIC_PATTERN, STRAIGHT_EDGE, SECOND_EDGE];

/// A fusion table, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fusion {
    version: u32,
    /// Name, as evidence carries it.
    pub name: String,
    /// Added to the weighted sum.
    pub intercept: f64,
    /// Lowest score that is not taken for an attack, 0 to 1.
    pub reject_below: f64,
    /// Lowest score that is taken for a live person, 0 to 1, at least `reject_below`.
    pub accept_from: f64,
    /// Nets whose scores it joins; all of them or none are there.
    #[serde(default, rename = "net")]
    pub nets: Vec<NetWeight>,
    /// Cues that it joins.
    #[serde(default, rename = "cue")]
    pub cues: Vec<CueWeight>,
    /// What it was fitted on.
    pub sample: Sample,
}

/// Weight of a net; its value is the natural logarithm of the odds that it gives for a live face.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetWeight {
    /// sha256 of the ONNX file, hexadecimal: other weights need another table.
    pub sha256: String,
    /// Name for readers.
    pub name: String,
    /// Factor.
    pub weight: f64,
    /// Lowest and highest value that is taken as it is.
    pub range: [f64; 2],
}

/// Weight of a cue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CueWeight {
    /// One of [`CLASSICAL`].
    pub name: String,
    /// Factor.
    pub weight: f64,
    /// Lowest and highest value that is taken as it is.
    pub range: [f64; 2],
}

/// What a table was fitted on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Whether the attacks were simulated.
    pub simulated: bool,
    /// Pictures of live people, benign shifts among them.
    pub bona_fide: u64,
    /// Pictures of attacks.
    pub attacks: u64,
    /// People shown.
    pub people: u64,
    /// How they were made and what was asked of the operating point.
    pub conditions: String,
}

/// What a score says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Taken for a live person.
    BonaFide,
    /// No answer.
    Uncertain,
    /// Taken for an attack.
    Attack,
}

impl Fusion {
    /// Reads and checks the table at `path`.
    ///
    /// # Errors
    /// [`ModelError::Calibration`] with what is wrong.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let fail = |what: String| ModelError::Calibration {
            table: path.display().to_string(),
            what,
        };
        let text = files::read_text(path, MAX_MANIFEST_BYTES).map_err(&fail)?;
        Self::parse(&text).map_err(|error| match error {
            ModelError::Calibration { what, .. } => fail(what),
            other => other,
        })
    }

    /// As [`Fusion::load`], of a text.
    ///
    /// # Errors
    /// As [`Fusion::load`].
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let fail = |what: String| ModelError::Calibration {
            table: "liveness".into(),
            what,
        };
        let table: Self = toml::from_str(text).map_err(|error| fail(error.to_string()))?;
        table.check().map_err(fail)?;
        Ok(table)
    }

    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!(
                "version is {}; this build reads {VERSION}",
                self.version
            ));
        }
        let (reject, accept) = (self.reject_below, self.accept_from);
        if !(0.0 <= reject && reject <= accept && accept <= 1.0) {
            return Err(format!(
                "0 <= reject_below <= accept_from <= 1 is wanted, not {reject} and {accept}"
            ));
        }
        if let Some(unknown) = self
            .cues
            .iter()
            .find(|cue| !CLASSICAL.contains(&cue.name.as_str()))
        {
            let known = CLASSICAL.join(", ");
            return Err(format!(
                "there is no cue `{}`; there are: {known}",
                unknown.name
            ));
        }
        let nets = self.nets.iter().map(|net| (net.weight, net.range));
        let weights = nets.chain(self.cues.iter().map(|cue| (cue.weight, cue.range)));
        let mut count = 0;
        for (weight, [low, high]) in weights {
            count += 1;
            if !(weight.is_finite() && low.is_finite() && high.is_finite() && low <= high) {
                return Err(
                    "weights and ranges are finite numbers, a range's lower end first".into(),
                );
            }
        }
        if count == 0 || !self.intercept.is_finite() {
            return Err("a table has a finite intercept and at least one net or cue".into());
        }
        Ok(())
    }

    /// Whether it joins exactly the nets with these hashes, in any order.
    #[must_use]
    pub fn is_for(&self, sha256: &[&str]) -> bool {
        let sorted = |mut hashes: Vec<String>| {
            hashes.sort_unstable();
            hashes
        };
        sorted(self.nets.iter().map(|net| net.sha256.clone()).collect())
            == sorted(sha256.iter().map(|&hash| hash.to_owned()).collect())
    }

    /// The score, 0 to 1, higher = more alive, of values that are asked for by a net's sha256 or a cue's name. `None`
    /// where one is missing or not finite: a score of fewer cues than the table's would be another one.
    #[must_use]
    pub fn score(&self, value: impl Fn(&str) -> Option<f64>) -> Option<f64> {
        let nets = self
            .nets
            .iter()
            .map(|net| (net.sha256.as_str(), net.weight, net.range));
        let cues = self
            .cues
            .iter()
            .map(|cue| (cue.name.as_str(), cue.weight, cue.range));
        let mut sum = self.intercept;
        for (key, weight, [low, high]) in nets.chain(cues) {
            let value = value(key).filter(|value| value.is_finite())?;
            sum += weight * value.clamp(low, high);
        }
        Some(1.0 / (1.0 + (-sum).exp()))
    }

    /// What `score` says.
    #[must_use]
    pub fn answer(&self, score: f64) -> Answer {
        if score >= self.accept_from {
            Answer::BonaFide
        } else if score >= self.reject_below {
            Answer::Uncertain
        } else {
            Answer::Attack
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &str = r#"
        version = 1
        name = "t"
        intercept = 1.0
        reject_below = 0.3
        accept_from = 0.6
        net = [{ sha256 = "a", name = "n", weight = 2.0, range = [-1.0, 1.0] }]
        cue = [{ name = "straight_edge", weight = -1.0, range = [0.0, 2.0] }]
        sample = { simulated = true, bona_fide = 1, attacks = 1, people = 1, conditions = "" }
    "#;

    fn table() -> Fusion {
        Fusion::parse(TABLE).unwrap()
    }

    #[test]
    fn values_are_limited_weighed_and_summed() {
        let of = |net: f64, edge: f64| {
            let value = move |key: &str| Some(if key == "a" { net } else { edge });
            table().score(value).unwrap()
        };
        let odds = |sum: f64| 1.0 / (1.0 + (-sum).exp());
        assert_eq!(of(0.5, 1.0), odds(1.0 + 1.0 - 1.0));
        assert_eq!(of(9.0, 9.0), odds(1.0 + 2.0 - 2.0));
    }

    #[test]
    fn a_missing_value_gives_no_score() {
        assert_eq!(table().score(|key| (key == "a").then_some(1.0)), None);
        assert_eq!(table().score(|_| Some(f64::NAN)), None);
    }

    #[test]
    fn answers_by_the_band() {
        let answers = [0.29, 0.3, 0.59, 0.6].map(|score| table().answer(score));
        assert_eq!(
            answers,
            [
                Answer::Attack,
                Answer::Uncertain,
                Answer::Uncertain,
                Answer::BonaFide
            ]
        );
        assert!(table().is_for(&["a"]) && !table().is_for(&[]) && !table().is_for(&["a", "b"]));
    }

    #[test]
    fn tables_that_contradict_themselves_are_refused() {
        for (from, to, said) in [
            ("version = 1", "version = 9", "version is 9"),
            (
                "reject_below = 0.3",
                "reject_below = 0.7",
                "reject_below <= accept_from",
            ),
            ("straight_edge", "saturation", "no cue `saturation`"),
            ("[0.0, 2.0]", "[2.0, 0.0]", "lower end first"),
            ("intercept = 1.0", "intercept = nan", "finite intercept"),
        ] {
            let error = Fusion::parse(&TABLE.replace(from, to))
                .unwrap_err()
                .to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_score_is_a_probability_and_rises_with_a_net_s_odds(a in -9.0_f64..9.0, b in -9.0_f64..9.0, edge in 0.0_f64..3.0) {
            let of = |net: f64| table().score(|key| Some(if key == "a" { net } else { edge })).unwrap();
            prop_assert!((0.0..=1.0).contains(&of(a)));
            prop_assert!(a > b || of(a) <= of(b));
        }
    }
}
