//! Comparison scores.

use crate::embedder::Template;
use crate::error::ModelError;
use crate::manifest::Metric;

/// The comparison score of two templates; higher is more alike. Cosine: -1 to 1; Euclidean:
/// 1 - distance, at most 1. Symmetric.
///
/// # Errors
/// [`ModelError::TemplatesDiffer`] for templates of different models or sizes,
/// [`ModelError::TemplateInvalid`] for values that are not finite or have no length.
pub fn compare(a: &Template, b: &Template, metric: Metric) -> Result<f32, ModelError> {
    if a.model != b.model || a.values.len() != b.values.len() || a.values.is_empty() {
        let name =
            |template: &Template| format!("{} ({} numbers)", template.model, template.values.len());
        return Err(ModelError::TemplatesDiffer {
            a: name(a),
            b: name(b),
        });
    }
    let pairs = || {
        a.values
            .iter()
            .zip(&b.values)
            .map(|(x, y)| (f64::from(*x), f64::from(*y)))
    };
    let score = match metric {
        Metric::Euclidean => 1.0 - pairs().map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt(),
        Metric::Cosine => {
            let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
            for (x, y) in pairs() {
                dot += x * y;
                aa += x * x;
                bb += y * y;
            }
            (dot / (aa * bb).sqrt()).clamp(-1.0, 1.0)
        }
    };
    if !score.is_finite() {
        return Err(ModelError::TemplateInvalid {
            model: a.model.clone(),
            what: "not comparable".into(),
        });
    }
    Ok(score as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(model: &str, values: &[f32]) -> Template {
        Template {
            model: model.into(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn scores_by_hand() {
        let (a, b) = (template("m", &[1.0, 0.0]), template("m", &[0.6, 0.8]));
        assert!((compare(&a, &b, Metric::Cosine).unwrap() - 0.6).abs() < 1e-6);
        assert!((compare(&a, &b, Metric::Euclidean).unwrap() - (1.0 - 0.8f32.sqrt())).abs() < 1e-6);
        assert_eq!(compare(&a, &a, Metric::Euclidean).unwrap(), 1.0);
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let a = template("m", &[1.0, 0.0]);
        for b in [
            template("n", &[1.0, 0.0]),
            template("m", &[1.0, 0.0, 0.0]),
            template("m", &[]),
        ] {
            let error = compare(&a, &b, Metric::Cosine).unwrap_err();
            assert!(
                matches!(error, ModelError::TemplatesDiffer { .. }),
                "{error}"
            );
        }
        for bad in [[f32::NAN, 0.0], [0.0, 0.0]] {
            let error = compare(&a, &template("m", &bad), Metric::Cosine).unwrap_err();
            assert_eq!(error.code().id, "template_invalid");
        }
    }

    proptest! {
        #[test]
        fn a_score_is_symmetric_and_bounded(
            x in prop::collection::vec(-3.0f32..3.0, 16), y in prop::collection::vec(-3.0f32..3.0, 16),
        ) {
            let (a, b) = (template("m", &x), template("m", &y));
            for metric in [Metric::Cosine, Metric::Euclidean] {
                let score = compare(&a, &b, metric).unwrap();
                prop_assert_eq!(score, compare(&b, &a, metric).unwrap());
                prop_assert!(score <= 1.0);
            }
            prop_assert!(compare(&a, &b, Metric::Cosine).unwrap() >= -1.0);
        }
    }
}
