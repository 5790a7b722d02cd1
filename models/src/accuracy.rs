//! Error rates of scored pairs: pure statistics, for `bench accuracy`.
//!
//! A comparison matches when its score is at least the threshold. `FMR(t)` is the share of impostor
//! pairs that match, `FNMR(t)` the share of genuine pairs that do not; both are step functions.

use serde::Serialize;

use crate::calibration::MIN_FALSE_MATCHES;

/// Standard normal quantile of a two-sided 95 % interval.
const Z_95: f64 = 1.959_963_984_540_054;
/// A rate is not reported where fewer false matches than this would be expected at it.
const MIN_EXPECTED_FALSE_MATCHES: f64 = 10.0;

/// A scored pair of pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredPair {
    /// Comparison score; higher is more alike.
    pub score: f64,
    /// Whether both pictures show one person.
    pub same: bool,
}

/// A share with its count and Wilson interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Proportion {
    /// The share, 0 to 1.
    pub rate: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Errors counted.
    pub errors: u64,
    /// Pairs counted.
    pub n: u64,
}

/// FNMR at a limited FMR.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FnmrAtFmr {
    /// The limit.
    pub target_fmr: f64,
    /// Lowest observed score at which FMR is within the limit (or just above all scores).
    pub threshold: f64,
    /// What FMR is there.
    pub fmr: Proportion,
    /// What FNMR is there.
    pub fnmr: Proportion,
    /// Whether at least 30 false matches were seen at the threshold.
    pub measured: bool,
}

/// Equal error rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EqualErrorRate {
    /// The rate, 0 to 1.
    pub rate: f64,
    /// Wilson 95 % interval at the rate, by the smaller of the two samples.
    pub low: f64,
    /// Upper end of that interval.
    pub high: f64,
    /// Observed score at which FNMR first reaches FMR.
    pub threshold: f64,
}

/// Genuine and impostor scores, each sorted.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    genuine: Vec<f64>,
    impostor: Vec<f64>,
}

/// A score that is not a finite number.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "the score of pair {index} (from 0) is {score}: leave pairs without a score out and count them as failed"
)]
pub struct ScoreNotFinite {
    /// Place of the pair.
    pub index: usize,
    /// The score.
    pub score: f64,
}

impl Scores {
    /// Sorts the pairs.
    ///
    /// # Errors
    /// [`ScoreNotFinite`] naming the first such pair.
    pub fn new(pairs: &[ScoredPair]) -> Result<Self, ScoreNotFinite> {
        let mut scores = Self {
            genuine: Vec::new(),
            impostor: Vec::new(),
        };
        for (index, pair) in pairs.iter().enumerate() {
            if !pair.score.is_finite() {
                return Err(ScoreNotFinite {
                    index,
                    score: pair.score,
                });
            }
            if pair.same {
                scores.genuine.push(pair.score)
            } else {
                scores.impostor.push(pair.score)
            }
        }
        scores.genuine.sort_unstable_by(f64::total_cmp);
        scores.impostor.sort_unstable_by(f64::total_cmp);
        Ok(scores)
    }

    /// Number of genuine pairs.
    #[must_use]
    pub fn n_genuine(&self) -> u64 {
        self.genuine.len() as u64
    }

    /// Number of impostor pairs.
    #[must_use]
    pub fn n_impostor(&self) -> u64 {
        self.impostor.len() as u64
    }

    /// Impostor pairs that match at `threshold`.
    #[must_use]
    pub fn false_matches(&self, threshold: f64) -> u64 {
        (self.impostor.len() - self.impostor.partition_point(|score| *score < threshold)) as u64
    }

    /// Genuine pairs that do not match at `threshold`.
    #[must_use]
    pub fn false_non_matches(&self, threshold: f64) -> u64 {
        self.genuine.partition_point(|score| *score < threshold) as u64
    }

    /// The rate at which FMR and FNMR are equal. Convention: the thresholds are the observed scores
    /// and one above them all; between two neighbours the pair (FMR, FNMR) is taken to move on a
    /// straight line, and the rate is where that line meets FMR = FNMR. `None` without genuine or
    /// without impostor pairs.
    #[must_use]
    pub fn equal_error_rate(&self) -> Option<EqualErrorRate> {
        let n = self.n_genuine().min(self.n_impostor());
        if n == 0 {
            return None;
        }
        let rates = |threshold: f64| {
            let fmr = self.false_matches(threshold) as f64 / self.impostor.len() as f64;
            (
                fmr,
                self.false_non_matches(threshold) as f64 / self.genuine.len() as f64,
            )
        };
        let mut before = (1.0, 0.0);
        for threshold in self.thresholds() {
            let (fmr, fnmr) = rates(threshold);
            if fnmr >= fmr {
                let (gap_before, gap) = (before.0 - before.1, fnmr - fmr);
                let part = if gap_before + gap > 0.0 {
                    gap_before / (gap_before + gap)
                } else {
                    1.0
                };
                let rate = before.1 + part * (fnmr - before.1);
                let (low, high) = wilson_95(rate, n);
                return Some(EqualErrorRate {
                    rate,
                    low,
                    high,
                    threshold,
                });
            }
            before = (fmr, fnmr);
        }
        None
    }

    /// FNMR at the lowest threshold with `FMR <= target_fmr`. `None` where fewer than 10 false
    /// matches would be expected at that rate, or without genuine pairs.
    #[must_use]
    pub fn fnmr_at_fmr(&self, target_fmr: f64) -> Option<FnmrAtFmr> {
        let allowed = self.impostor.len() as f64 * target_fmr;
        // A hair's breadth for products such as 1000 * 0.01 that binary fractions miss.
        let slack = 1e-9 * allowed.max(1.0);
        if self.genuine.is_empty() || allowed + slack < MIN_EXPECTED_FALSE_MATCHES {
            return None;
        }
        let threshold = self
            .thresholds()
            .into_iter()
            .find(|t| self.false_matches(*t) as f64 <= allowed + slack)?;
        let false_matches = self.false_matches(threshold);
        Some(FnmrAtFmr {
            target_fmr,
            threshold,
            fmr: proportion(false_matches, self.n_impostor())?,
            fnmr: proportion(self.false_non_matches(threshold), self.n_genuine())?,
            measured: false_matches >= MIN_FALSE_MATCHES,
        })
    }

    /// Every observed score, rising, and one just above all.
    fn thresholds(&self) -> Vec<f64> {
        let mut all: Vec<f64> = self.genuine.iter().chain(&self.impostor).copied().collect();
        all.sort_unstable_by(f64::total_cmp);
        all.dedup();
        all.extend(all.last().map(|last| last.next_up()));
        all
    }
}

/// The share of `errors` in `n` with its Wilson 95 % interval; `None` when `n` is 0.
#[must_use]
pub fn proportion(errors: u64, n: u64) -> Option<Proportion> {
    if n == 0 || errors > n {
        return None;
    }
    let rate = errors as f64 / n as f64;
    let (low, high) = wilson_95(rate, n);
    Some(Proportion {
        rate,
        low,
        high,
        errors,
        n,
    })
}

/// Wilson's 95 % interval of a share `rate` (0 to 1) of `n` (at least 1) trials.
#[must_use]
pub fn wilson_95(rate: f64, n: u64) -> (f64, f64) {
    let n = n as f64;
    let square = Z_95 * Z_95;
    let middle = rate + square / (2.0 * n);
    let spread = Z_95 * (rate * (1.0 - rate) / n + square / (4.0 * n * n)).sqrt();
    let whole = 1.0 + square / n;
    // At rate 0 the lower end is 0; the difference leaves a rounding error.
    (
        if rate > 0.0 {
            ((middle - spread) / whole).max(0.0)
        } else {
            0.0
        },
        ((middle + spread) / whole).min(1.0),
    )
}

#[cfg(test)]
#[path = "accuracy_tests.rs"]
mod tests;
