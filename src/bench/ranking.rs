//! Statistics of scores that order things: area under the ROC curve, error versus discard.

use serde::Serialize;
use shiren_models::accuracy::{Proportion, proportion};

/// Normal quantile of a two-sided 95 % interval.
const Z_95: f64 = 1.959_963_985;

/// Area under the ROC curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Area {
    /// Share of pairs in which the one that should be higher is; a tie counts half.
    pub auc: f64,
    /// Lower end of its 95 % interval (Hanley and McNeil, Radiology 143, 1982).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How many should be low.
    pub n_low: usize,
    /// How many should be high.
    pub n_high: usize,
}

/// Area under the curve of scores that should be low and scores that should be high; `None` without one of both.
#[must_use]
pub fn area(low: &[f64], high: &[f64]) -> Option<Area> {
    if low.is_empty() || high.is_empty() {
        return None;
    }
    let half_wins: u64 = high
        .iter()
        .flat_map(|h| {
            low.iter()
                .map(move |l| if h > l { 2 } else { u64::from(h == l) })
        })
        .sum();
    let (n_low, n_high) = (low.len() as f64, high.len() as f64);
    let auc = half_wins as f64 / (2.0 * n_low * n_high);
    let square = auc * auc;
    let of_high = auc / (2.0 - auc) - square;
    let of_low = 2.0 * square / (1.0 + auc) - square;
    let variance = auc * (1.0 - auc) + (n_high - 1.0) * of_high + (n_low - 1.0) * of_low;
    let spread = Z_95 * (variance / (n_low * n_high)).max(0.0).sqrt();
    Some(Area {
        auc,
        low: (auc - spread).max(0.0),
        high: (auc + spread).min(1.0),
        n_low: low.len(),
        n_high: high.len(),
    })
}

/// Something that was judged, and how good it was said to be before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Quality: the lower, the earlier it is discarded.
    pub quality: f64,
    /// Whether the judgement was wrong.
    pub error: bool,
}

/// A point of an error-versus-discard curve (ISO/IEC 29794-1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Discard {
    /// Share that is discarded, 0 to 1.
    pub discarded: f64,
    /// Errors among the rest; none when nothing is left.
    pub error: Option<Proportion>,
}

/// Errors among what is left when the given shares of the worst are discarded. Equal qualities keep their order.
#[must_use]
pub fn error_versus_discard(judged: &[Judged], shares: &[f64]) -> Vec<Discard> {
    let mut sorted = judged.to_vec();
    sorted.sort_by(|a, b| a.quality.total_cmp(&b.quality));
    let point = |share: &f64| {
        let gone = (share.clamp(0.0, 1.0) * sorted.len() as f64).round() as usize;
        Discard {
            discarded: *share,
            error: errors(sorted.iter().skip(gone)),
        }
    };
    shares.iter().map(point).collect()
}

/// Share of errors.
#[must_use]
pub fn errors<'a>(judged: impl Iterator<Item = &'a Judged>) -> Option<Proportion> {
    let (mut wrong, mut n) = (0, 0);
    for one in judged {
        n += 1;
        wrong += u64::from(one.error);
    }
    proportion(wrong, n)
}

/// Whether no point is above the one before, and the last below the first.
#[must_use]
pub fn falls(curve: &[Discard]) -> bool {
    let rates: Vec<f64> = curve
        .iter()
        .filter_map(|point| Some(point.error?.rate))
        .collect();
    let ends = rates.first().zip(rates.last());
    rates.is_sorted_by(|before, after| before >= after)
        && ends.is_some_and(|(first, last)| last < first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn areas_by_hand() {
        let of = |low: &[f64], high: &[f64]| area(low, high).unwrap().auc;
        assert_eq!(of(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(of(&[3.0, 4.0], &[1.0, 2.0]), 0.0);
        assert_eq!(of(&[1.0], &[1.0]), 0.5);
        assert_eq!(of(&[1.0, 3.0], &[2.0, 4.0]), 0.75);
        assert_eq!(area(&[], &[1.0]), None);
    }

    #[test]
    fn the_worst_go_first() {
        let judged: Vec<Judged> = (0..10)
            .map(|i| Judged {
                quality: f64::from(i),
                error: i < 2 || i == 8,
            })
            .collect();
        let curve = error_versus_discard(&judged, &[0.0, 0.2, 1.0]);
        let counts = |point: &Discard| point.error.map(|e| (e.errors, e.n));
        let counted: Vec<_> = curve.iter().map(counts).collect();
        assert_eq!(counted, [Some((3, 10)), Some((1, 8)), None]);
        assert!(falls(&curve));
        assert!(!falls(&error_versus_discard(&judged, &[0.0])));
        let useless: Vec<Judged> = judged
            .iter()
            .map(|j| Judged {
                quality: -j.quality,
                ..*j
            })
            .collect();
        assert!(!falls(&error_versus_discard(&useless, &[0.0, 0.2, 0.5])));
    }

    proptest! {
        #[test]
        fn an_area_and_its_mirror_sum_to_1(
            low in prop::collection::vec(-5.0f64..5.0, 1..20), high in prop::collection::vec(-5.0f64..5.0, 1..20),
        ) {
            let (one, other) = (area(&low, &high).unwrap(), area(&high, &low).unwrap());
            prop_assert!((one.auc + other.auc - 1.0).abs() < 1e-9);
            prop_assert!(one.low <= one.auc && one.auc <= one.high && one.low >= 0.0 && one.high <= 1.0);
        }
    }
}
