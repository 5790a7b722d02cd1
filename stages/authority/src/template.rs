//! Face templates as the register holds them, and how alike two of them are.

use std::fmt;

use shiren_schemas::Sha256;
use zeroize::Zeroizing;

use crate::error::AuthorityError;

/// Most numbers of a template.
pub const TEMPLATE_MAX_VALUES: usize = 4_096;
/// Longest name of a model, bytes.
pub(crate) const MODEL_NAME_MAX_BYTES: usize = 128;

/// How two templates become a comparison score; higher is more alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Cosine of the angle, -1 to 1.
    Cosine,
    /// 1 - Euclidean distance, at most 1.
    OneMinusEuclidean,
}

/// A model by its name and weights: templates of different ones say nothing about each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelId {
    /// Name, 1 to 128 bytes.
    pub name: String,
    /// SHA-256 of its weights.
    pub sha256: Sha256,
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = self.sha256.to_string();
        write!(f, "{} ({})", self.name, hash.get(..12).unwrap_or_default())
    }
}

/// Why numbers are no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// None, or more than [`TEMPLATE_MAX_VALUES`].
    #[error("a template has 1 to {TEMPLATE_MAX_VALUES} numbers")]
    Size,
    /// A number is not finite, or all are zero.
    #[error("a template's numbers are finite and not all zero")]
    Values,
    /// The model's name is empty or too long.
    #[error("a model's name has 1 to {MODEL_NAME_MAX_BYTES} bytes")]
    ModelName,
}

/// A face's template, finite and with a length. Its memory is overwritten when it is dropped; `Debug`
/// shows the model alone.
#[derive(Clone, PartialEq)]
pub struct Template {
    model: ModelId,
    values: Zeroizing<Vec<f32>>,
}

impl Template {
    /// Of a model and its numbers, of any length but zero.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn new(model: ModelId, values: Vec<f32>) -> Result<Self, TemplateError> {
        let values = Zeroizing::new(values);
        if !(1..=MODEL_NAME_MAX_BYTES).contains(&model.name.len()) {
            return Err(TemplateError::ModelName);
        }
        if !(1..=TEMPLATE_MAX_VALUES).contains(&values.len()) {
            return Err(TemplateError::Size);
        }
        if values.iter().any(|v| !v.is_finite()) || values.iter().all(|v| *v == 0.0) {
            return Err(TemplateError::Values);
        }
        Ok(Self { model, values })
    }

    /// The model that made it.
    #[must_use]
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// Its numbers.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// # Errors
    /// [`AuthorityError::RegisterModelMismatch`]: another model made it than the register is to hold.
    pub(crate) fn must_be_of(&self, model: &ModelId) -> Result<(), AuthorityError> {
        if self.model == *model {
            return Ok(());
        }
        Err(AuthorityError::RegisterModelMismatch {
            register: model.to_string(),
            given: self.model.to_string(),
        })
    }

    /// The comparison score of two templates.
    ///
    /// # Errors
    /// [`AuthorityError::RegisterModelMismatch`]: they are of different models or sizes. `self` is the
    /// register's.
    pub fn compare(&self, given: &Self, metric: Metric) -> Result<f64, AuthorityError> {
        let weights = |t: &Self| (t.model.sha256, t.values.len());
        if weights(self) != weights(given) {
            let named = |t: &Self| format!("{} with {} numbers", t.model, t.values.len());
            return Err(AuthorityError::RegisterModelMismatch {
                register: named(self),
                given: named(given),
            });
        }
        // In double precision neither overflows nor vanishes what fits a single one.
        let wide = |(a, b): (&f32, &f32)| (f64::from(*a), f64::from(*b));
        let pairs = || self.values.iter().zip(given.values.iter()).map(wide);
        if metric == Metric::OneMinusEuclidean {
            let squares: f64 = pairs().map(|(a, b)| (a - b).powi(2)).sum();
            return Ok(1.0 - squares.sqrt());
        }
        let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
        for (a, b) in pairs() {
            dot += a * b;
            aa += a * a;
            bb += b * b;
        }
        Ok((dot / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({}, {} numbers)", self.model, self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(weights: u8, values: &[f32]) -> Template {
        let model = ModelId {
            name: "net".to_owned(),
            sha256: Sha256([weights; 32]),
        };
        Template::new(model, values.to_vec()).unwrap()
    }

    #[test]
    fn scores_by_hand() {
        let one = template(1, &[3.0, 4.0]);
        for (other, score) in [
            ([3.0, 4.0], 1.0),
            ([-6.0, -8.0], -1.0),
            ([4.0, -3.0], 0.0),
            ([1.0, 0.0], 0.6),
        ] {
            let found = one.compare(&template(1, &other), Metric::Cosine).unwrap();
            assert!((found - score).abs() < 1e-12, "{other:?}: {found}");
        }
        for (other, score) in [([3.0, 4.0], 1.0), ([6.0, 8.0], -4.0), ([3.0, 3.75], 0.75)] {
            let metric = Metric::OneMinusEuclidean;
            let found = one.compare(&template(1, &other), metric).unwrap();
            assert!((found - score).abs() < 1e-12, "{other:?}: {found}");
        }
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let one = template(1, &[3.0, 4.0]);
        for other in [template(2, &[3.0, 4.0]), template(1, &[3.0])] {
            let error = one.compare(&other, Metric::Cosine).unwrap_err();
            assert_eq!(error.code().id, "register_model_mismatch");
        }
    }

    #[test]
    fn other_numbers_are_no_template() {
        let make = |name: &str, values| {
            let name = name.to_owned();
            Template::new(
                ModelId {
                    name,
                    sha256: Sha256([0; 32]),
                },
                values,
            )
        };
        assert_eq!(make("net", vec![]), Err(TemplateError::Size));
        assert_eq!(
            make("net", vec![1.0; TEMPLATE_MAX_VALUES + 1]),
            Err(TemplateError::Size)
        );
        assert_eq!(make("net", vec![0.0, -0.0]), Err(TemplateError::Values));
        assert_eq!(make("net", vec![1.0, f32::NAN]), Err(TemplateError::Values));
        assert_eq!(make("net", vec![f32::INFINITY]), Err(TemplateError::Values));
        assert_eq!(make("", vec![1.0]), Err(TemplateError::ModelName));
    }

    #[test]
    fn it_does_not_show_its_numbers() {
        assert_eq!(
            format!("{:?}", template(1, &[0.125])),
            "Template(net (010101010101), 1 numbers)"
        );
    }

    proptest! {
        #[test]
        fn scores_are_symmetric_and_bounded(
            a in prop::collection::vec(proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL, 1..40),
            b in prop::collection::vec(proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL, 1..40),
        ) {
            let size = a.len().min(b.len());
            let (a, b) = (template(1, &a[..size]), template(1, &b[..size]));
            let score = a.compare(&b, Metric::Cosine).unwrap();
            prop_assert!((-1.0..=1.0).contains(&score));
            for metric in [Metric::Cosine, Metric::OneMinusEuclidean] {
                let score = a.compare(&b, metric).unwrap();
                prop_assert!(score.is_finite() && score <= 1.0);
                prop_assert_eq!(score, b.compare(&a, metric).unwrap());
                prop_assert!((a.compare(&a, metric).unwrap() - 1.0).abs() < 1e-9);
            }
        }
    }
}
