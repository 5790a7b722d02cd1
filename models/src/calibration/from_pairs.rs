//! A table of an operator's own pairs, and its file.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bin, Histogram, Population, ReferenceKind, Sample, Table, TableFile, VERSION, fault};
use crate::error::ModelError;

/// Width of the bins of a new table.
pub const BIN_WIDTH: f64 = 0.01;
/// Decimals of a bin's edge in a file.
const DECIMALS: usize = 2;

/// A pair of pictures with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredPair<'a> {
    /// As the model's metric gives it, finite.
    pub score: f64,
    /// Whom the pictures show; the same name twice makes the pair genuine.
    pub people: [&'a str; 2],
}

/// What a table is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Name of the table.
    pub name: String,
    /// Model whose scores it holds.
    pub model: String,
    /// Kinds of reference that it holds for.
    pub reference_kinds: Vec<ReferenceKind>,
    /// Whose faces it was made from.
    pub population: Population,
}

impl Table {
    /// The table of these pairs, in bins of [`BIN_WIDTH`].
    ///
    /// # Errors
    /// [`ModelError::Calibration`] without an impostor pair, or for a score that is not finite.
    pub fn of_pairs(of: Provenance, pairs: &[ScoredPair<'_>]) -> Result<Self, ModelError> {
        let mut counts: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        let mut identity_pairs = BTreeSet::new();
        for pair in pairs {
            if !pair.score.is_finite() {
                return Err(fault(&of.name, format!("a score is {}", pair.score)));
            }
            let [a, b] = pair.people;
            let count = counts.entry(bin_of(pair.score)).or_default();
            if a == b {
                count.0 += 1;
            } else {
                count.1 += 1;
                identity_pairs.insert((a.min(b), a.max(b)));
            }
        }
        let edge = |index: i64| index as f64 * BIN_WIDTH;
        let sample = Sample {
            genuine_pairs: counts.values().map(|count| count.0).sum(),
            impostor_pairs: counts.values().map(|count| count.1).sum(),
            impostor_identity_pairs: identity_pairs.len() as u64,
        };
        let bins = counts.iter().map(|(&index, &(genuine, impostor))| Bin {
            lower: edge(index),
            upper: edge(index + 1),
            genuine,
            impostor,
        });
        let bins: Vec<Bin> = bins.collect();
        let histogram = Histogram {
            bin_width: BIN_WIDTH,
            bins: bins
                .iter()
                .map(|bin| (bin.lower, bin.genuine, bin.impostor))
                .collect(),
        };
        let table = Self {
            file: TableFile {
                version: VERSION,
                name: of.name,
                model: of.model,
                reference_kinds: of.reference_kinds,
                population: of.population,
                sample,
                histogram,
            },
            bins,
        };
        table.check_counts(table.name())?;
        Ok(table)
    }

    /// The table's file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let file = &self.file;
        let text = |value: &str| toml::Value::from(value).to_string();
        let kinds: Vec<String> = file
            .reference_kinds
            .iter()
            .map(|kind| text(kind.as_str()))
            .collect();
        let (population, sample) = (&file.population, &file.sample);
        let bins: String = self
            .bins
            .iter()
            .map(|bin| {
                format!(
                    "  [{:.DECIMALS$}, {}, {}],\n",
                    bin.lower, bin.genuine, bin.impostor
                )
            })
            .collect();
        format!(
            "# How often scores were reached by two pictures of one person and of two. Data, not settings: made by\n\
             # `shiren calibrate`, changed by measuring again.\n\
             version = {VERSION}\nname = {}\nmodel = {}\nreference_kinds = [{}]\n\n\
             [population]\ndescription = {}\npeople = {}\npictures = {}\nmeasured = {}\nlimits = {}\n\n\
             [sample]\ngenuine_pairs = {}\nimpostor_pairs = {}\nimpostor_identity_pairs = {}\n\n\
             [histogram]\nbin_width = {BIN_WIDTH}\n\
             # [lower edge of the score, genuine pairs, impostor pairs]; bins without pairs are left out.\n\
             bins = [\n{bins}]\n",
            text(&file.name),
            text(&file.model),
            kinds.join(", "),
            text(&population.description),
            population.people,
            population.pictures,
            text(&population.measured),
            text(&population.limits),
            sample.genuine_pairs,
            sample.impostor_pairs,
            sample.impostor_identity_pairs,
        )
    }
}

/// Index of the bin of a score; a score on an edge belongs to the upper one, as it reaches that threshold.
fn bin_of(score: f64) -> i64 {
    let index = (score / BIN_WIDTH).floor() as i64;
    index + i64::from((index + 1) as f64 * BIN_WIDTH <= score)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn provenance() -> Provenance {
        Provenance {
            name: "m/branch".into(),
            model: "m".into(),
            reference_kinds: vec![ReferenceKind::Chip],
            population: Population {
                description: "\"staff\", one door".into(),
                people: 3,
                pictures: 5,
                measured: "2026-11".into(),
                limits: "few".into(),
            },
        }
    }

    fn pair<'a>(score: f64, a: &'a str, b: &'a str) -> ScoredPair<'a> {
        let people = [a, b];
        ScoredPair { score, people }
    }

    #[test]
    fn pairs_are_counted_in_their_bins_and_people_once() {
        let pairs = [
            pair(0.7, "a", "a"),
            pair(-0.003, "a", "b"),
            pair(0.3, "b", "a"),
            pair(0.309, "b", "c"),
        ];
        let table = Table::of_pairs(provenance(), &pairs).unwrap();
        assert_eq!(
            table.sample(),
            Sample {
                genuine_pairs: 1,
                impostor_pairs: 3,
                impostor_identity_pairs: 2
            }
        );
        let text = table.to_toml();
        assert!(
            text.contains("  [-0.01, 0, 1],\n  [0.30, 0, 2],\n  [0.70, 1, 0],\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for pairs in [
            &[pair(0.5, "a", "a")][..],
            &[pair(0.5, "a", "a"), pair(f64::NAN, "a", "b")],
        ] {
            let error = Table::of_pairs(provenance(), pairs).unwrap_err();
            assert!(matches!(error, ModelError::Calibration { .. }), "{error}");
        }
    }

    #[test]
    fn strangers_alone_give_thresholds_and_no_misses() {
        let table = Table::of_pairs(provenance(), &[pair(0.5, "a", "b")]).unwrap();
        let again = Table::parse(&table.to_toml(), "again").unwrap();
        assert_eq!(
            (again.sample().genuine_pairs, again.fnmr_at(0.4)),
            (0, None)
        );
    }

    proptest! {
        /// A score reaches the lower edge of its bin, and not the upper one.
        #[test]
        fn a_file_read_back_is_the_same_table(scores in prop::collection::vec((-1.0f64..1.0, 0usize..3, 0usize..3), 2..40)) {
            const PEOPLE: [&str; 3] = ["a", "b", "c"];
            let mut pairs: Vec<_> =
                scores.iter().map(|&(score, a, b)| pair(score, PEOPLE[a], PEOPLE[b])).collect();
            pairs.extend([pair(0.6, "a", "a"), pair(0.1, "a", "b")]);
            for pair in &pairs {
                let lower = bin_of(pair.score) as f64 * BIN_WIDTH;
                prop_assert!(lower <= pair.score && pair.score < (bin_of(pair.score) + 1) as f64 * BIN_WIDTH);
            }
            let table = Table::of_pairs(provenance(), &pairs).unwrap();
            let again = Table::parse(&table.to_toml(), "again").unwrap();
            prop_assert_eq!(again.to_toml(), table.to_toml());
            for threshold in [-0.5, 0.0, 0.3, 0.6] {
                let below = pairs.iter().filter(|p| p.people[0] == p.people[1] && p.score < threshold - 1e-9).count() as u64;
                prop_assert_eq!(again.genuine_below(threshold), below);
            }
        }
    }
}
