//! Simulated distractors: templates of nobody, drawn from a normal distribution fitted to templates of people.
//!
//! Mean and covariance are those of one template a person, the covariance shrunk towards a sphere by Ledoit and Wolf's
//! estimate ("A well-conditioned estimator for large-dimensional covariance matrices", 2004): with fewer people than
//! numbers in a template, most directions were never seen to vary.

use crate::dice::Dice;

/// A distribution of templates.
#[derive(Clone, Debug)]
pub struct Distractors {
    mean: Vec<f64>,
    /// Each person's template less the mean, scaled so that normal weights give the covariance's seen part.
    directions: Vec<Vec<f64>>,
    /// Standard deviation of the part that is alike in all directions.
    sphere: f64,
    /// Share of the sphere in the covariance, 0 to 1.
    pub shrinkage: f64,
}

impl Distractors {
    /// Fewest people that a distribution is fitted to.
    pub const PEOPLE_MIN: usize = 3;

    /// Of one template a person, all of one size. `None`: fewer than [`Distractors::PEOPLE_MIN`].
    #[must_use]
    pub fn fit(templates: &[&[f32]]) -> Option<Self> {
        let people = templates.len();
        let first = templates.first().filter(|_| people >= Self::PEOPLE_MIN)?;
        let n = people as f64;
        let mut mean = vec![0.0; first.len()];
        for template in templates {
            for (sum, value) in mean.iter_mut().zip(*template) {
                *sum += f64::from(*value) / n;
            }
        }
        let mut directions: Vec<Vec<f64>> = templates
            .iter()
            .map(|template| {
                let pairs = template.iter().zip(&mean);
                pairs
                    .map(|(value, mean)| f64::from(*value) - mean)
                    .collect()
            })
            .collect();
        let (shrinkage, variance) = ledoit_wolf(&directions);
        // Sums of squares over n - 1, as the mean was estimated too.
        let scale = ((1.0 - shrinkage) / (n - 1.0)).sqrt();
        for value in directions.iter_mut().flatten() {
            *value *= scale;
        }
        Some(Self {
            mean,
            directions,
            sphere: (shrinkage * variance * n / (n - 1.0)).sqrt(),
            shrinkage,
        })
    }

    /// The next distractor.
    pub(crate) fn draw(&self, dice: &mut Dice) -> Vec<f32> {
        let mut normals = Normals { dice, kept: None };
        let mut values: Vec<f64> = self
            .mean
            .iter()
            .map(|mean| mean + self.sphere * normals.next())
            .collect();
        for direction in &self.directions {
            let weight = normals.next();
            for (value, part) in values.iter_mut().zip(direction) {
                *value += weight * part;
            }
        }
        values.into_iter().map(|value| value as f32).collect()
    }
}

struct Normals<'a> {
    dice: &'a mut Dice,
    kept: Option<f64>,
}

impl Normals<'_> {
    fn next(&mut self) -> f64 {
        if let Some(kept) = self.kept.take() {
            return kept;
        }
        let [now, later] = self.dice.normals();
        self.kept = Some(later);
        now
    }
}

/// The share of the sphere, and the mean variance of one number, of rows whose mean is 0.
fn ledoit_wolf(rows: &[Vec<f64>]) -> (f64, f64) {
    let n = rows.len() as f64;
    let size = rows.first().map_or(1, Vec::len) as f64;
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(x, y)| x * y).sum() };
    let grams: Vec<Vec<f64>> = rows
        .iter()
        .map(|a| rows.iter().map(|b| dot(a, b)).collect())
        .collect();
    let own = |k: usize| grams[k][k];
    let squares = |k: usize| grams[k].iter().map(|g| g * g).sum::<f64>();
    let variance = (0..rows.len()).map(own).sum::<f64>() / (n * size);
    // Squared Frobenius norms: of the covariance, of its distance to the sphere, of its own uncertainty.
    let norm = (0..rows.len()).map(squares).sum::<f64>() / (n * n);
    let distance = norm - size * variance * variance;
    let doubt = (0..rows.len())
        .map(|k| own(k) * own(k) - 2.0 / n * squares(k) + norm)
        .sum::<f64>()
        / (n * n);
    let share = if distance > 0.0 {
        doubt / distance
    } else {
        1.0
    };
    (share.clamp(0.0, 1.0), variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Templates whose first number varies ten times as much as the other 15.
    fn people(count: usize) -> Vec<Vec<f32>> {
        let mut dice = Dice::of(3);
        (0..count)
            .map(|_| {
                let mut values: Vec<f32> = (0..8)
                    .flat_map(|_| dice.normals())
                    .map(|x| x as f32)
                    .collect();
                values[0] = values[0] * 10.0 + 5.0;
                values
            })
            .collect()
    }

    fn fit(people: &[Vec<f32>]) -> Distractors {
        let rows: Vec<&[f32]> = people.iter().map(Vec::as_slice).collect();
        Distractors::fit(&rows).unwrap()
    }

    #[test]
    fn what_is_drawn_varies_as_what_was_fitted() {
        let fitted = fit(&people(400));
        assert!(fitted.shrinkage < 0.1, "{}", fitted.shrinkage);
        let mut dice = Dice::of(1);
        let drawn: Vec<Vec<f32>> = (0..4000).map(|_| fitted.draw(&mut dice)).collect();
        let moments = |at: usize| {
            let values = || drawn.iter().map(|values| f64::from(values[at]));
            let mean = values().sum::<f64>() / drawn.len() as f64;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
            (mean, variance.sqrt())
        };
        let ((mean, first), (_, second)) = (moments(0), moments(1));
        assert!((mean - 5.0).abs() < 1.5, "{mean}");
        assert!((first - 10.0).abs() < 1.5, "{first}");
        assert!((second - 1.0).abs() < 0.4, "{second}");
    }

    #[test]
    fn few_people_are_shrunk_more_and_too_few_refused() {
        let (few, many) = (fit(&people(4)), fit(&people(200)));
        assert!(few.shrinkage > many.shrinkage, "{few:?}");
        assert!(Distractors::fit(&[&[1.0], &[2.0]]).is_none());
        let same: Vec<f32> = vec![1.0, 2.0];
        let drawn = fit(&[same.clone(), same.clone(), same.clone()]).draw(&mut Dice::of(1));
        assert_eq!(drawn, same);
    }

    #[test]
    fn a_seed_gives_the_same_distractors() {
        let fitted = fit(&people(5));
        let draw = |seed| fitted.draw(&mut Dice::of(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
