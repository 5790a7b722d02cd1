//! Thresholds from error rates: calibration tables and what they support.
//!
//! A table is two histograms of comparison scores, of pairs of one person (genuine) and of
//! strangers (impostor). Every reading is conservative at a bin's edge: a threshold admits whole
//! bins only, so the false match rate at it is at most what is asked.

mod from_pairs;
mod of_model;
mod of_search;

use std::path::Path;

use serde::Deserialize;

use crate::error::ModelError;
use crate::files;
use crate::manifest::MAX_MANIFEST_BYTES;

pub use from_pairs::{BIN_WIDTH, Provenance, ScoredPair};
pub use of_model::Calibration;
pub use of_search::{FacesSupported, faces_for_rates, fmr_for_fpir, fpir_of_fmr};

/// Fewer false matches than this do not measure a rate.
pub const MIN_FALSE_MATCHES: u64 = 30;
/// Fewer identity pairs than this do not measure a rate.
pub const MIN_IDENTITY_PAIRS: u64 = 10;
/// A rate is extrapolated down to this part of the smallest measured one.
pub const MAX_EXTRAPOLATION: f64 = 0.01;
/// Standard normal quantile of a one-sided 95 % bound.
const Z_95: f64 = 1.645;
/// The newest table version that is read.
const VERSION: u32 = 1;

/// Where a reference picture comes from, as far as a table may hold for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    /// Taken of the person by a camera of the system.
    Live,
    /// A portrait from a file.
    OnFile,
    /// A portrait printed on a card.
    CardPrint,
    /// A portrait from a document's chip.
    Chip,
}

impl ReferenceKind {
    const ALL: [Self; 4] = [Self::Live, Self::OnFile, Self::CardPrint, Self::Chip];

    /// As in a table's file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::OnFile => "on_file",
            Self::CardPrint => "card_print",
            Self::Chip => "chip",
        }
    }
}

impl std::str::FromStr for ReferenceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("not one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// A calibration table, checked.
#[derive(Debug, Clone)]
pub struct Table {
    file: TableFile,
    /// Bins by rising score.
    bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy)]
struct Bin {
    lower: f64,
    upper: f64,
    genuine: u64,
    impostor: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    version: u32,
    name: String,
    model: String,
    reference_kinds: Vec<ReferenceKind>,
    population: Population,
    sample: Sample,
    histogram: Histogram,
}

/// Whose faces a table was made from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// Who, by which camera, when.
    pub description: String,
    /// Number of people.
    pub people: u64,
    /// Number of pictures.
    pub pictures: u64,
    /// When it was measured.
    pub measured: String,
    /// What the table does not cover.
    pub limits: String,
}

/// How many pairs a table was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Pairs of pictures of one person; 0 where everybody has one picture.
    pub genuine_pairs: u64,
    /// Pairs of pictures of two people.
    pub impostor_pairs: u64,
    /// Pairs of people behind them: the independent part of the impostor pairs.
    pub impostor_identity_pairs: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Histogram {
    bin_width: f64,
    bins: Vec<(f64, u64, u64)>,
}

impl Basis {
    /// As docs and reports name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Extrapolated => "extrapolated",
        }
    }
}

/// What a threshold rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// At least [`MIN_FALSE_MATCHES`] seen, over at least [`MIN_IDENTITY_PAIRS`].
    Measured,
    /// By a fitted tail, beyond what was seen often enough.
    Extrapolated,
}

/// A threshold and its grounds. A comparison matches when its score is at least the threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatingPoint {
    /// Lowest score of a match.
    pub threshold: f64,
    /// The false match rate asked for.
    pub target_fmr: f64,
    /// What the threshold rests on.
    pub basis: Basis,
    /// Impostor pairs seen at or above the threshold.
    pub false_matches: u64,
    /// Impostor pairs of the table.
    pub n_impostor: u64,
    /// Genuine pairs of the table.
    pub n_genuine: u64,
    /// Pairs of people behind the impostor pairs.
    pub identity_pairs: u64,
    /// Name of the table.
    pub table_name: String,
}

impl Table {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`ModelError::Calibration`] with the file and what is wrong.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let place = path.display().to_string();
        let fail = |what: String| fault(&place, what);
        let text = files::read_text(path, MAX_MANIFEST_BYTES).map_err(&fail)?;
        Self::parse(&text, &place)
    }

    /// Reads and checks a text; `place` names it in errors.
    ///
    /// # Errors
    /// [`ModelError::Calibration`] with what is wrong.
    pub fn parse(text: &str, place: &str) -> Result<Self, ModelError> {
        let file: TableFile =
            toml::from_str(text).map_err(|error| fault(place, error.to_string()))?;
        if file.version != VERSION {
            return Err(fault(
                place,
                format!("version is {}; this build reads {VERSION}", file.version),
            ));
        }
        let width = file.histogram.bin_width;
        if !width.is_finite() || !(1e-6..=0.1).contains(&width) {
            return Err(fault(place, "bin_width must be 0.000001 to 0.1".into()));
        }
        // Edges are whole multiples of the width, so that neighbours meet exactly.
        let edge = |index: f64| index * width;
        let mut bins: Vec<Bin> = Vec::with_capacity(file.histogram.bins.len());
        for &(lower, genuine, impostor) in &file.histogram.bins {
            let index = (lower / width).round();
            let sound = lower.is_finite() && (index * width - lower).abs() < width / 100.0;
            if !sound || bins.last().is_some_and(|last| edge(index) < last.upper) {
                return Err(fault(
                    place,
                    format!("bin {lower}: edges are rising multiples of {width}"),
                ));
            }
            bins.push(Bin {
                lower: edge(index),
                upper: edge(index + 1.0),
                genuine,
                impostor,
            });
        }
        let table = Self { file, bins };
        table.check_counts(place)?;
        Ok(table)
    }

    fn check_counts(&self, place: &str) -> Result<(), ModelError> {
        let sample = self.sample();
        let genuine: u64 = self.bins.iter().map(|bin| bin.genuine).sum();
        let impostor: u64 = self.bins.iter().map(|bin| bin.impostor).sum();
        if (genuine, impostor) != (sample.genuine_pairs, sample.impostor_pairs) {
            return Err(fault(
                place,
                format!(
                    "the bins hold {genuine} genuine and {impostor} impostor pairs, not those of [sample]"
                ),
            ));
        }
        if impostor == 0 || sample.impostor_identity_pairs > impostor {
            return Err(fault(
                place,
                "needs impostor pairs, and no more identity pairs than pairs".into(),
            ));
        }
        Ok(())
    }

    /// Name of the table.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// Model whose scores the table holds.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.file.model
    }

    /// Whether the table may be used for references of this kind.
    #[must_use]
    pub fn holds_for(&self, kind: ReferenceKind) -> bool {
        self.file.reference_kinds.contains(&kind)
    }

    /// Whose faces the table was made from.
    #[must_use]
    pub fn population(&self) -> &Population {
        &self.file.population
    }

    /// How many pairs the table was made from.
    #[must_use]
    pub fn sample(&self) -> Sample {
        self.file.sample
    }

    /// The threshold for a false match rate of at most `target_fmr`.
    ///
    /// Where at least 30 false matches over at least 10 identity pairs are left at it, it is read
    /// off the histogram. Below, the tail is taken for exponential from the highest such edge on:
    /// `FMR(t) = FMR(edge) * exp(-(t - edge) / m)`, with the 95 % upper bound of the mean excess `m`
    /// over the edge, and never below the edge that the histogram itself gives.
    ///
    /// # Errors
    /// [`ModelError::Calibration`] for a rate that is not above 0 and below 1, or below a hundredth
    /// of the smallest measured rate.
    pub fn threshold(&self, target_fmr: f64) -> Result<OperatingPoint, ModelError> {
        if !(target_fmr > 0.0 && target_fmr < 1.0) {
            return Err(fault(
                self.name(),
                format!("a false match rate is above 0 and below 1, not {target_fmr}"),
            ));
        }
        let seen = self.empirical_edge(target_fmr);
        let false_matches = self.false_matches_at(seen);
        if self.is_measured(false_matches) {
            return Ok(self.point(seen, target_fmr, Basis::Measured));
        }
        let tail = self.tail()?;
        let lowest = tail.fmr * MAX_EXTRAPOLATION;
        if target_fmr < lowest {
            return Err(fault(
                self.name(),
                format!(
                    "supports false match rates down to {lowest:.1e}, not {target_fmr:e}; bring a table with more pairs (docs/thresholds.md)"
                ),
            ));
        }
        let fitted = tail.edge + tail.mean_excess * (tail.fmr / target_fmr).ln();
        Ok(self.point(fitted.max(seen), target_fmr, Basis::Extrapolated))
    }

    /// Smallest rate that the table supports, extrapolated.
    ///
    /// # Errors
    /// [`ModelError::Calibration`] when it has too few impostor pairs to measure any.
    pub fn lowest_fmr(&self) -> Result<f64, ModelError> {
        Ok(self.tail()?.fmr * MAX_EXTRAPOLATION)
    }

    /// Smallest rate that the table measures.
    ///
    /// # Errors
    /// As [`Table::lowest_fmr`].
    pub fn lowest_measured_fmr(&self) -> Result<f64, ModelError> {
        Ok(self.tail()?.fmr)
    }

    /// Share of genuine pairs that miss a threshold, 0 to 1, as [`Table::genuine_below`] counts them. `None`: the table
    /// has no genuine pairs, so nobody knows.
    #[must_use]
    pub fn fnmr_at(&self, threshold: f64) -> Option<f64> {
        let pairs = self.sample().genuine_pairs;
        (pairs > 0).then(|| self.genuine_below(threshold) as f64 / pairs as f64)
    }

    /// Genuine pairs that miss a threshold, counting a bin that it cuts as missed.
    #[must_use]
    pub fn genuine_below(&self, threshold: f64) -> u64 {
        let slack = self.file.histogram.bin_width / 1e6;
        self.bins
            .iter()
            .filter(|bin| bin.lower < threshold - slack)
            .map(|bin| bin.genuine)
            .sum()
    }

    /// Impostor pairs that may reach the threshold, counting a bin that it cuts as reaching it.
    fn false_matches_at(&self, threshold: f64) -> u64 {
        let slack = self.file.histogram.bin_width / 1e6;
        self.bins
            .iter()
            .filter(|bin| bin.upper > threshold + slack)
            .map(|bin| bin.impostor)
            .sum()
    }

    /// The lowest edge at or above which at most `target_fmr` of the impostor pairs lie.
    fn empirical_edge(&self, target_fmr: f64) -> f64 {
        let allowed = target_fmr * self.sample().impostor_pairs as f64;
        let mut above = 0u64;
        for bin in self.bins.iter().rev() {
            above += bin.impostor;
            if above as f64 > allowed {
                return bin.upper;
            }
        }
        self.bins.first().map_or(f64::INFINITY, |bin| bin.lower)
    }

    fn is_measured(&self, false_matches: u64) -> bool {
        false_matches >= MIN_FALSE_MATCHES
            && self.sample().impostor_identity_pairs >= MIN_IDENTITY_PAIRS
    }

    /// The exponential tail from the highest measured edge on.
    fn tail(&self) -> Result<Tail, ModelError> {
        let anchor = self
            .bins
            .iter()
            .rev()
            .find(|bin| self.is_measured(self.false_matches_at(bin.lower)));
        let edge = anchor.map(|bin| bin.lower).ok_or_else(|| {
            fault(self.name(), format!("has fewer than {MIN_FALSE_MATCHES} impostor pairs over {MIN_IDENTITY_PAIRS} identity pairs"))
        })?;
        let count = self.false_matches_at(edge) as f64;
        // Each pair at its bin's upper edge: the excess is never understated.
        let excess: f64 = self
            .bins
            .iter()
            .filter(|bin| bin.lower >= edge)
            .map(|bin| (bin.upper - edge) * bin.impostor as f64)
            .sum::<f64>()
            / count;
        Ok(Tail {
            edge,
            fmr: count / self.sample().impostor_pairs as f64,
            mean_excess: excess * (1.0 + Z_95 / count.sqrt()),
        })
    }

    fn point(&self, threshold: f64, target_fmr: f64, basis: Basis) -> OperatingPoint {
        let sample = self.sample();
        OperatingPoint {
            threshold,
            target_fmr,
            basis,
            false_matches: self.false_matches_at(threshold),
            n_impostor: sample.impostor_pairs,
            n_genuine: sample.genuine_pairs,
            identity_pairs: sample.impostor_identity_pairs,
            table_name: self.name().into(),
        }
    }
}

struct Tail {
    edge: f64,
    fmr: f64,
    mean_excess: f64,
}

fn fault(table: &str, what: String) -> ModelError {
    ModelError::Calibration {
        table: table.into(),
        what,
    }
}

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;
