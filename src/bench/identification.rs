//! Open-set identification on pictures of known persons (after ISO/IEC 19795-1).
//!
//! Each picture is a probe. *Mated*: the probe of a person with two or more pictures, searched among all pictures but
//! itself. *Non-mated*: every probe, searched among the pictures of all others. A person's score is that of the best of
//! their faces; a search hits when it reaches the threshold. FPIR is the share of non-mated searches that hit, FNIR that of
//! mated searches whose own person does not reach the threshold, at whatever rank. Searches share their pictures, so they
//! are not independent, and intervals are narrower than the truth.

pub mod distractors;

use shiren_models::accuracy::{Proportion, ScoredPair, Scores, proportion};
use shiren_models::calibration::{OperatingPoint, Table, fmr_for_fpir};
use shiren_models::error::ModelError;
use shiren_models::manifest::Metric;
use shiren_models::{Template, score};

use self::distractors::Distractors;
use crate::dice::Dice;

/// Templates of known persons, and every score between two of them.
pub struct People {
    metric: Metric,
    /// Index of the person, and the template.
    faces: Vec<(usize, Template)>,
    scores: Vec<Vec<f64>>,
}

/// One search, by what it found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Best score of the probe's own person; `None`: non-mated.
    pub mate: Option<f64>,
    /// Best score of anybody else; `None`: there is nobody else.
    pub other: Option<f64>,
    /// Faces searched.
    pub faces: u64,
}

/// How the policy's target fares.
#[derive(Clone, Debug)]
pub struct AtTarget {
    /// Thresholds by the number of faces searched.
    pub points: Vec<(u64, OperatingPoint)>,
    /// Non-mated searches that hit.
    pub fpir: Option<Proportion>,
    /// Mated searches that miss their person.
    pub fnir: Option<Proportion>,
}

/// Searches among galleries of one size.
#[derive(Clone, Debug)]
pub struct AtSize {
    /// Faces of a gallery.
    pub faces: u64,
    /// Those of them that are pictures, on average over the searches; the rest is simulated.
    pub real_faces_mean: f64,
    /// The table's threshold for the target at this size.
    pub point: OperatingPoint,
    /// Pairs of pictures of different persons that reach it.
    pub real: Option<Proportion>,
    /// Comparisons of a probe and a simulated distractor that reach it.
    pub simulated: Option<Proportion>,
    /// What the rates of one comparison, real and simulated, predict for these galleries.
    pub predicted: Option<f64>,
    /// Searches that hit.
    pub measured: Option<Proportion>,
    /// Mated probes whose person does not reach the threshold.
    pub fnir: Option<Proportion>,
}

impl People {
    /// Compares every two faces; persons are numbered from 0.
    ///
    /// # Errors
    /// Templates that cannot be compared.
    pub fn new(metric: Metric, faces: Vec<(usize, Template)>) -> Result<Self, ModelError> {
        let mut scores = vec![vec![f64::NAN; faces.len()]; faces.len()];
        for a in 0..faces.len() {
            for b in 0..a {
                let score = score::compare(&faces[a].1, &faces[b].1, metric)?;
                scores[a][b] = f64::from(score);
                scores[b][a] = f64::from(score);
            }
        }
        Ok(Self {
            metric,
            faces,
            scores,
        })
    }

    fn person(&self, face: usize) -> usize {
        self.faces[face].0
    }

    fn is_same(&self, a: usize, b: usize) -> bool {
        self.person(a) == self.person(b)
    }

    /// Scores of a probe against the faces of its person, or against those of others.
    fn scores_of(&self, probe: usize, own: bool) -> impl Iterator<Item = f64> {
        (0..self.faces.len())
            .filter(move |face| *face != probe && self.is_same(probe, *face) == own)
            .map(move |face| self.scores[probe][face])
    }

    /// Mated searches, by probe.
    pub fn mated(&self) -> impl Iterator<Item = Search> {
        (0..self.faces.len()).filter_map(|probe| {
            let mate = self.scores_of(probe, true).max_by(f64::total_cmp)?;
            Some(Search {
                mate: Some(mate),
                other: self.scores_of(probe, false).max_by(f64::total_cmp),
                faces: self.faces.len() as u64 - 1,
            })
        })
    }

    /// Non-mated searches, by probe.
    pub fn non_mated(&self) -> impl Iterator<Item = Search> {
        (0..self.faces.len()).filter_map(|probe| {
            let other = self.scores_of(probe, false).max_by(f64::total_cmp)?;
            Some(Search {
                mate: None,
                other: Some(other),
                faces: self.scores_of(probe, false).count() as u64,
            })
        })
    }

    /// Mates' scores as genuine, the best scores of non-mated searches as impostor: FNMR at FMR of these is FNIR at FPIR.
    #[must_use]
    pub fn as_scores(&self) -> Option<Scores> {
        let pair = |score: f64, same: bool| ScoredPair { score, same };
        let mated = self.mated().filter_map(|search| search.mate);
        let non_mated = self.non_mated().filter_map(|search| search.other);
        let pairs: Vec<ScoredPair> = mated
            .map(|score| pair(score, true))
            .chain(non_mated.map(|score| pair(score, false)))
            .collect();
        Scores::new(&pairs).ok()
    }

    /// Mated searches whose own person is not the first.
    #[must_use]
    pub fn not_at_rank_1(&self) -> Option<Proportion> {
        let mut count = Count::default();
        for search in self.mated() {
            // A tie is no identification.
            count.add(search.mate.zip(search.other).is_some_and(|(m, o)| m <= o));
        }
        count.proportion()
    }

    /// The searches judged by the table, each at its own number of faces.
    ///
    /// # Errors
    /// The table does not support the rate at that number.
    pub fn at_target(&self, table: &Table, fpir: f64) -> Result<AtTarget, ModelError> {
        let mut points: Vec<(u64, OperatingPoint)> = Vec::new();
        let mut threshold = |faces: u64| {
            if let Some((_, point)) = points.iter().find(|(known, _)| *known == faces) {
                return Ok(point.threshold);
            }
            let point = table.threshold(fmr_for_fpir(fpir, faces))?;
            let threshold = point.threshold;
            points.push((faces, point));
            Ok::<f64, ModelError>(threshold)
        };
        let (mut hits, mut misses) = (Count::default(), Count::default());
        for search in self.non_mated() {
            let threshold = threshold(search.faces)?;
            hits.add(search.other.is_some_and(|score| score >= threshold));
        }
        for search in self.mated() {
            let threshold = threshold(search.faces)?;
            misses.add(search.mate.is_none_or(|score| score < threshold));
        }
        points.sort_by_key(|(faces, _)| *faces);
        Ok(AtTarget {
            points,
            fpir: hits.proportion(),
            fnir: misses.proportion(),
        })
    }

    /// Pairs of pictures of different persons whose score reaches a threshold.
    #[must_use]
    pub fn impostor_pairs_from(&self, threshold: f64) -> Option<Proportion> {
        let mut count = Count::default();
        for a in 0..self.faces.len() {
            for b in (0..a).filter(|b| !self.is_same(a, *b)) {
                count.add(self.scores[a][b] >= threshold);
            }
        }
        count.proportion()
    }

    /// The lowest observed score that at most `share` (0 to 1) of the pairs of different persons reach; `None` without one.
    #[must_use]
    pub fn impostor_score_of(&self, share: f64) -> Option<f64> {
        let mut scores: Vec<f64> = (0..self.faces.len())
            .flat_map(|a| {
                (0..a)
                    .filter(move |b| !self.is_same(a, *b))
                    .map(move |b| self.scores[a][b])
            })
            .collect();
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        let allowed = (scores.len() as f64 * share) as usize;
        scores.get(allowed.checked_sub(1)?).copied()
    }

    /// Distractors for the probes of each person, fitted to everybody else: a probe never meets what was made of its own
    /// person. `None`: too few people.
    #[must_use]
    pub fn distractors(&self) -> Option<Vec<Distractors>> {
        let mut firsts: Vec<(usize, &[f32])> = Vec::new();
        for (person, template) in &self.faces {
            if firsts.iter().all(|(known, _)| known != person) {
                firsts.push((*person, &template.values));
            }
        }
        let persons = firsts.iter().map(|(person, _)| person + 1).max()?;
        let without = |person: usize| {
            let others = firsts.iter().filter(|(other, _)| *other != person);
            Distractors::fit(&others.map(|(_, values)| *values).collect::<Vec<_>>())
        };
        (0..persons).map(without).collect()
    }

    /// `each` distractors for every probe against it: those that reach each of the thresholds.
    ///
    /// # Errors
    /// Templates that cannot be compared.
    pub(crate) fn distractors_from(
        &self,
        distractors: &[Distractors],
        thresholds: &[f64],
        each: u64,
        dice: &mut Dice,
    ) -> Result<Vec<Option<Proportion>>, ModelError> {
        let mut counts = vec![Count::default(); thresholds.len()];
        for probe in 0..self.faces.len() {
            for _ in 0..each {
                let score = self.distractor_score(probe, distractors, dice)?;
                for (count, threshold) in counts.iter_mut().zip(thresholds) {
                    count.add(score >= *threshold);
                }
            }
        }
        Ok(counts.iter().map(Count::proportion).collect())
    }

    fn distractor_score(
        &self,
        probe: usize,
        distractors: &[Distractors],
        dice: &mut Dice,
    ) -> Result<f64, ModelError> {
        let (person, template) = &self.faces[probe];
        let distractor = Template {
            model: template.model.clone(),
            values: distractors[*person].draw(dice),
        };
        Ok(f64::from(score::compare(
            template,
            &distractor,
            self.metric,
        )?))
    }

    /// Non-mated searches of every probe in `galleries` galleries of `faces` faces each, drawn anew: pictures of others as
    /// far as there are any, then distractors.
    ///
    /// # Errors
    /// The table does not support the rate at that size; templates that cannot be compared.
    pub(crate) fn at_size(
        &self,
        faces: u64,
        galleries: u64,
        (table, fpir): (&Table, f64),
        distractors: &[Distractors],
        dice: &mut Dice,
    ) -> Result<AtSize, ModelError> {
        let point = table.threshold(fmr_for_fpir(fpir, faces))?;
        let threshold = point.threshold;
        let (mut hits, mut simulated) = (Count::default(), Count::default());
        let mut real_faces = 0;
        for probe in 0..self.faces.len() {
            let others: Vec<f64> = self.scores_of(probe, false).collect();
            for _ in 0..galleries {
                let chosen = dice.sample(faces, others.len() as u64);
                real_faces += chosen.len() as u64;
                let mut is_hit = chosen.iter().any(|at| others[*at as usize] >= threshold);
                for _ in chosen.len() as u64..faces {
                    let reaches = self.distractor_score(probe, distractors, dice)? >= threshold;
                    simulated.add(reaches);
                    is_hit |= reaches;
                }
                hits.add(is_hit);
            }
        }
        let mut misses = Count::default();
        for search in self.mated() {
            misses.add(search.mate.is_none_or(|score| score < threshold));
        }
        let real = self.impostor_pairs_from(threshold);
        let (simulated, measured) = (simulated.proportion(), hits.proportion());
        let real_faces_mean = measured.map_or(0.0, |m| real_faces as f64 / m.n as f64);
        let part = |rate: Option<Proportion>, count: f64| {
            rate.map_or(0.0, |rate| count * f64::ln_1p(-rate.rate))
        };
        // 1 - (1 - real FMR)^real * (1 - simulated FMR)^simulated.
        let log = part(real, real_faces_mean) + part(simulated, faces as f64 - real_faces_mean);
        Ok(AtSize {
            faces,
            real_faces_mean,
            point,
            real,
            simulated,
            predicted: real.map(|_| 0.0 - f64::exp_m1(log)),
            measured,
            fnir: misses.proportion(),
        })
    }
}

#[derive(Clone, Default)]
struct Count {
    hits: u64,
    n: u64,
}

impl Count {
    fn add(&mut self, is_hit: bool) {
        self.hits += u64::from(is_hit);
        self.n += 1;
    }

    fn proportion(&self) -> Option<Proportion> {
        proportion(self.hits, self.n)
    }
}

#[cfg(test)]
#[path = "identification_tests.rs"]
mod tests;
