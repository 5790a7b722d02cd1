//! Error rates of presentation attack detection, by ISO/IEC 30107-3: pure statistics, for `bench pad`.
//!
//! Of each species of attack, APCER is the share that is taken for bona fide and APNRR the share without an answer; of
//! bona fide presentations BPCER is the share that is taken for an attack and BPNRR the share without an answer. The
//! species with the highest APCER decides.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::accuracy::{Proportion, proportion};
use crate::liveness::fusion::Answer;

/// Standard normal quantile of a two-sided 95 % interval.
const Z_95: f64 = 1.959_963_984_540_054;

/// One presentation that was judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Presentation {
    /// Whether it is an attack.
    pub attack: bool,
    /// Species of the attack, or condition of the bona fide presentation.
    pub species: String,
    /// Score, 0 to 1, finite; higher = more alive. `None`: not judged.
    pub score: Option<f64>,
    /// What was answered; [`Answer::Uncertain`] where there is no score.
    pub answer: Answer,
}

/// How one species or condition was answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answers {
    /// Taken for a live person: APCER where it is an attack.
    pub bona_fide: Option<Proportion>,
    /// Without an answer: APNRR or BPNRR.
    pub abstained: Option<Proportion>,
    /// Taken for an attack: BPCER where it is bona fide.
    pub attack: Option<Proportion>,
    /// Area under the curve against the bona fide presentations without a shift; attacks only.
    pub auc: Option<Auc>,
}

/// Chance that a bona fide presentation scores above an attack.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Auc {
    /// The area, 0 to 1; 0.5 = no information.
    pub area: f64,
    /// Lower end of the 95 % interval of Hanley and McNeil (1982).
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
    /// Bona fide presentations.
    pub bona_fide: u64,
    /// Attacks.
    pub attacks: u64,
}

/// BPCER where APCER of every species is limited.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BpcerAtApcer {
    /// The limit.
    pub target_apcer: f64,
    /// Lowest threshold at which no species exceeds it: scores from it on are taken for bona fide.
    pub threshold: f64,
    /// The species that exceeds it last.
    pub worst: String,
    /// BPCER there.
    pub bpcer: Proportion,
}

/// How each species and condition was answered, by name. `baseline` is the condition of bona fide presentations that
/// attacks are compared with.
#[must_use]
pub fn by_species(all: &[Presentation], baseline: &str) -> BTreeMap<String, Answers> {
    let mut groups: BTreeMap<&str, Vec<&Presentation>> = BTreeMap::new();
    for one in all {
        groups.entry(&one.species).or_default().push(one);
    }
    let clean = scores(all.iter().filter(|p| !p.attack && p.species == baseline));
    let of_group = |(species, group): (&str, Vec<&Presentation>)| {
        let auc = group[0]
            .attack
            .then(|| auc(&clean, &scores(group.iter().copied())));
        let answers = Answers {
            auc: auc.flatten(),
            ..answers(group.into_iter())
        };
        (species.to_owned(), answers)
    };
    groups.into_iter().map(of_group).collect()
}

/// Shares of the three answers.
pub fn answers<'a>(presentations: impl Iterator<Item = &'a Presentation>) -> Answers {
    let (mut n, mut counts) = (0, [0_u64; 3]);
    for one in presentations {
        n += 1;
        counts[match one.answer {
            Answer::BonaFide => 0,
            Answer::Uncertain => 1,
            Answer::Attack => 2,
        }] += 1;
    }
    let [bona_fide, abstained, attack] = counts.map(|count| proportion(count, n));
    Answers {
        bona_fide,
        abstained,
        attack,
        auc: None,
    }
}

/// Scores of those that have one.
pub fn scores<'a>(presentations: impl Iterator<Item = &'a Presentation>) -> Vec<f64> {
    presentations.filter_map(|one| one.score).collect()
}

/// The area under the curve; `None` without bona fide presentations or attacks.
#[must_use]
pub fn auc(bona_fide: &[f64], attacks: &[f64]) -> Option<Auc> {
    if bona_fide.is_empty() || attacks.is_empty() {
        return None;
    }
    let mut sorted = bona_fide.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let above = |attack: &f64| {
        let from = sorted.partition_point(|score| score < attack);
        let to = sorted.partition_point(|score| score <= attack);
        (sorted.len() - to) as f64 + (to - from) as f64 / 2.0
    };
    let (m, n) = (bona_fide.len() as f64, attacks.len() as f64);
    let area = attacks.iter().map(above).sum::<f64>() / (m * n);
    let (q1, q2) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let square = area * area;
    let spread = area * (1.0 - area) + (m - 1.0) * (q1 - square) + (n - 1.0) * (q2 - square);
    let half = Z_95 * (spread / (m * n)).max(0.0).sqrt();
    Some(Auc {
        area,
        low: (area - half).max(0.0),
        high: (area + half).min(1.0),
        bona_fide: bona_fide.len() as u64,
        attacks: attacks.len() as u64,
    })
}

/// BPCER of the presentations of `baseline` at the lowest threshold where no species' APCER is above `target_apcer`.
/// `None` without scores on either side. Presentations without a score are left out on both.
#[must_use]
pub fn bpcer_at_apcer(
    all: &[Presentation],
    baseline: &str,
    target_apcer: f64,
) -> Option<BpcerAtApcer> {
    let mut species: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for one in all.iter().filter(|one| one.attack) {
        species.entry(&one.species).or_default().extend(one.score);
    }
    let (threshold, worst) = species
        .iter()
        .filter_map(|(name, scores)| Some((threshold(scores, target_apcer)?, *name)))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    let clean = scores(all.iter().filter(|p| !p.attack && p.species == baseline));
    let rejected = clean.iter().filter(|score| **score < threshold).count();
    Some(BpcerAtApcer {
        target_apcer,
        threshold,
        worst: worst.to_owned(),
        bpcer: proportion(rejected as u64, clean.len() as u64)?,
    })
}

/// Lowest threshold at which at most the share `target` of `scores` passes: just above one of them.
fn threshold(scores: &[f64], target: f64) -> Option<f64> {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    // A hair's breadth for products that binary fractions miss.
    let allowed = (target * sorted.len() as f64 + 1e-9).floor() as usize;
    sorted.get(allowed).map(|score| score.next_up())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(species: &str, score: f64) -> Presentation {
        Presentation {
            attack: species != "clean" && species != "dim",
            species: species.into(),
            score: Some(score),
            answer: match score {
                s if s >= 0.6 => Answer::BonaFide,
                s if s >= 0.4 => Answer::Uncertain,
                _ => Answer::Attack,
            },
        }
    }

    fn all() -> Vec<Presentation> {
        let scores = [
            ("clean", &[0.9, 0.8, 0.7, 0.5][..]),
            ("dim", &[0.7, 0.3]),
            ("print", &[0.1, 0.2, 0.3, 0.75]),
            ("replay", &[0.1, 0.2]),
        ];
        scores
            .iter()
            .flat_map(|(name, scores)| scores.iter().map(|s| one(name, *s)))
            .collect()
    }

    #[test]
    fn rates_are_counted_for_each_species() {
        let answers = by_species(&all(), "clean");
        assert_eq!(answers["print"].bona_fide.unwrap().rate, 0.25);
        assert_eq!(answers["replay"].bona_fide.unwrap().errors, 0);
        assert_eq!(answers["clean"].attack.unwrap().rate, 0.0);
        assert_eq!(answers["clean"].abstained.unwrap().rate, 0.25);
        assert_eq!(answers["dim"].attack.unwrap().rate, 0.5);
        assert!(answers["dim"].auc.is_none());
        assert_eq!(answers["replay"].auc.unwrap().area, 1.0);
        // 14 of 16 pairs: 0.75 beats 0.7 and 0.5.
        assert_eq!(answers["print"].auc.unwrap().area, 14.0 / 16.0);
    }

    #[test]
    fn the_worst_species_decides_the_threshold() {
        let none = bpcer_at_apcer(&all(), "clean", 0.05).unwrap();
        assert_eq!((none.worst.as_str(), none.bpcer.errors), ("print", 2));
        let quarter = bpcer_at_apcer(&all(), "clean", 0.25).unwrap();
        assert_eq!((quarter.worst.as_str(), quarter.bpcer.errors), ("print", 0));
        assert!(bpcer_at_apcer(&all()[..4], "clean", 0.05).is_none());
    }

    proptest! {
        #[test]
        fn no_species_exceeds_the_limit(scores in proptest::collection::vec((0_u8..20, any::<bool>()), 1..60), target in 0.0_f64..0.5) {
            let mut all: Vec<Presentation> = scores.iter()
                .map(|(score, print)| one(if *print { "print" } else { "replay" }, f64::from(*score) / 20.0)).collect();
            all.push(one("clean", 0.5));
            let at = bpcer_at_apcer(&all, "clean", target).unwrap();
            for species in ["print", "replay"] {
                let own = all.iter().filter(|p| p.species == species);
                let passed = own.clone().filter(|p| p.score >= Some(at.threshold)).count();
                prop_assert!(passed as f64 <= target * own.count() as f64 + 1e-9);
            }
        }

        #[test]
        fn the_area_is_the_share_of_pairs_in_order(
            bona_fide in proptest::collection::vec(0_u8..9, 1..20), attacks in proptest::collection::vec(0_u8..9, 1..20),
        ) {
            let floats = |scores: &[u8]| scores.iter().map(|s| f64::from(*s)).collect::<Vec<_>>();
            let area = auc(&floats(&bona_fide), &floats(&attacks)).unwrap();
            let pairs = bona_fide.iter().flat_map(|b| attacks.iter().map(move |a| match b.cmp(a) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            }));
            let wanted = pairs.sum::<f64>() / (bona_fide.len() * attacks.len()) as f64;
            prop_assert!((area.area - wanted).abs() < 1e-12 && area.low <= area.area && area.area <= area.high);
        }
    }
}
