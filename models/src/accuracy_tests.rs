//! Cases computed by hand.

use proptest::prelude::*;

use super::*;

fn scores(genuine: &[f64], impostor: &[f64]) -> Scores {
    let pair = |same| {
        move |score: &f64| ScoredPair {
            score: *score,
            same,
        }
    };
    let pairs: Vec<ScoredPair> = genuine
        .iter()
        .map(pair(true))
        .chain(impostor.iter().map(pair(false)))
        .collect();
    Scores::new(&pairs).unwrap()
}

fn near(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() < 1e-9
}

#[test]
fn separated_scores_have_no_error() {
    let eer = scores(&[0.7, 0.8], &[0.1, 0.2, 0.3])
        .equal_error_rate()
        .unwrap();
    assert_eq!((eer.rate, eer.threshold), (0.0, 0.7));
}

#[test]
fn reversed_scores_are_all_errors() {
    let eer = scores(&[0.1, 0.2], &[0.8, 0.9]).equal_error_rate().unwrap();
    assert!(near(eer.rate, 1.0), "{eer:?}");
}

#[test]
fn equal_error_rate_on_a_step() {
    // At 0.5: impostors 0.5 of 4 match (FMR 1/4), genuine 0.4 of 4 misses (FNMR 1/4).
    let eer = scores(&[0.4, 0.6, 0.7, 0.8], &[0.1, 0.2, 0.3, 0.5])
        .equal_error_rate()
        .unwrap();
    assert!(near(eer.rate, 0.25) && eer.threshold == 0.5, "{eer:?}");
}

#[test]
fn equal_error_rate_between_steps() {
    // At 0.5: FMR 1/3, FNMR 0. At 0.6: FMR 1/3, FNMR 1/2 (genuine 0.5 missed). The line from
    // (1/3, 0) to (1/3, 1/2) meets the diagonal at 1/3.
    let eer = scores(&[0.5, 0.9], &[0.1, 0.2, 0.6])
        .equal_error_rate()
        .unwrap();
    assert!(near(eer.rate, 1.0 / 3.0), "{eer:?}");
    // Ties of both kinds: (1, 0) to (0, 1) through one threshold.
    assert!(near(
        scores(&[0.5], &[0.5]).equal_error_rate().unwrap().rate,
        0.5
    ));
}

#[test]
fn without_a_kind_of_pairs_there_is_no_rate() {
    assert_eq!(scores(&[0.5], &[]).equal_error_rate(), None);
    assert_eq!(scores(&[], &[0.5]).equal_error_rate(), None);
    assert_eq!(scores(&[], &[0.5; 5000]).fnmr_at_fmr(0.01), None);
}

#[test]
fn fnmr_at_fmr_by_hand() {
    // 1000 impostors at 0.000 to 0.999; FMR 1e-2 admits the ten from 0.990 on.
    let impostor: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
    let genuine = [0.9895, 0.9905, 1.5, 1.6];
    let at = scores(&genuine, &impostor).fnmr_at_fmr(0.01).unwrap();
    // The lowest observed score with FMR <= 1e-2 is the genuine 0.9895.
    assert_eq!(at.threshold, 0.9895);
    assert_eq!((at.fmr.errors, at.fnmr.errors, at.measured), (10, 0, false));
    let at = scores(&[0.98, 0.9905, 1.5, 1.6], &impostor)
        .fnmr_at_fmr(0.01)
        .unwrap();
    assert_eq!(
        (at.threshold, at.fmr.errors, at.fnmr.errors, at.fnmr.n),
        (0.99, 10, 1, 4)
    );
    assert!(near(at.fnmr.rate, 0.25));
    let at = scores(&genuine, &impostor).fnmr_at_fmr(0.03).unwrap();
    assert!(at.measured && at.fmr.errors == 30);
}

#[test]
fn a_rate_needs_ten_expected_false_matches() {
    let impostor = vec![0.1; 999];
    assert_eq!(scores(&[0.5], &impostor).fnmr_at_fmr(0.01), None);
    let impostor = vec![0.1; 1000];
    assert!(scores(&[0.5], &impostor).fnmr_at_fmr(0.01).is_some());
    assert_eq!(scores(&[0.5], &impostor).fnmr_at_fmr(0.001), None);
}

#[test]
fn ties_at_the_top_leave_no_score_to_match() {
    let at = scores(&[0.9, 0.2], &[0.9; 1000]).fnmr_at_fmr(0.01).unwrap();
    assert!(at.threshold > 0.9 && at.threshold < 0.9001);
    assert_eq!((at.fmr.errors, at.fnmr.errors), (0, 2));
}

#[test]
fn wilson_intervals_of_the_textbook() {
    let (low, high) = wilson_95(0.0, 10);
    assert!(low == 0.0 && (high - 0.2775).abs() < 1e-4, "{high}");
    let (low, high) = wilson_95(0.5, 100);
    assert!((low - 0.4038).abs() < 1e-4 && (high - 0.5962).abs() < 1e-4);
    let (low, high) = wilson_95(1.0, 10);
    assert!((low - 0.7225).abs() < 1e-4 && (high - 1.0).abs() < 1e-12);
    assert_eq!(proportion(1, 0), None);
    assert_eq!(proportion(3, 2), None);
}

#[test]
fn a_score_that_is_no_number_is_refused_by_place() {
    let pairs = [
        ScoredPair {
            score: 0.1,
            same: true,
        },
        ScoredPair {
            score: f64::NAN,
            same: false,
        },
    ];
    assert_eq!(Scores::new(&pairs).unwrap_err().index, 1);
}

proptest! {
    #[test]
    fn equal_error_rate_is_a_rate_and_knows_no_scale(
        genuine in prop::collection::vec(-1.0f64..1.0, 1..60), impostor in prop::collection::vec(-1.0f64..1.0, 1..60),
    ) {
        let eer = scores(&genuine, &impostor).equal_error_rate().unwrap();
        prop_assert!((0.0..=1.0).contains(&eer.rate));
        prop_assert!(eer.low <= eer.rate + 1e-12 && eer.rate <= eer.high + 1e-12);
        let doubled = |values: &[f64]| values.iter().map(|v| v * 2.0).collect::<Vec<_>>();
        let again = scores(&doubled(&genuine), &doubled(&impostor)).equal_error_rate().unwrap();
        prop_assert!(near(eer.rate, again.rate));
    }

    #[test]
    fn the_threshold_is_within_its_limit_and_no_lower_score_is(
        genuine in prop::collection::vec(0.0f64..1.0, 1..40), impostor in prop::collection::vec(0.0f64..1.0, 100..200),
    ) {
        let scores = scores(&genuine, &impostor);
        let at = scores.fnmr_at_fmr(0.1).unwrap();
        prop_assert!(at.fmr.rate <= 0.1 + 1e-9);
        for score in genuine.iter().chain(&impostor).filter(|score| **score < at.threshold) {
            prop_assert!(scores.false_matches(*score) as f64 > 0.1 * impostor.len() as f64);
        }
    }
}
