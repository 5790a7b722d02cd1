//! What a face shows, for kind `attributes` alone.

use shiren_contract::codes::{self, Code};
use shiren_models::attributes::{Age, Sex, happy};
use shiren_models::{Classifier, Mesh, ModelError};
use shiren_schemas::records::{AnswerState, Attribute, ModelRef};

use crate::subject::Subject;

/// Sex and smiling are answered from this probability on; it lies between "as likely as not" and the net's own
/// certainty on clear pictures, and was not fitted to any.
const MIN_CONFIDENCE: f64 = 0.6;
/// The mouth is open from this height over width on: above the 0.15 to 0.25 of a smile that shows teeth, below the 0.4
/// of a mouth wide open.
const MOUTH_OPEN_FROM: f64 = 0.3;
/// Attributes without a measured table: they abstain, always.
const NOT_MEASURED: [&str; 3] = ["eyes_open", "glasses", "occluded"];

/// The nets that kind `attributes` asks; a missing one abstains.
#[derive(Default)]
pub struct AttributeModels {
    /// Tells sex.
    pub sex: Option<Classifier>,
    /// Tells age.
    pub age: Option<Classifier>,
    /// Tells expressions.
    pub expression: Option<Classifier>,
}

impl AttributeModels {
    /// Models that take part.
    #[must_use]
    pub fn refs(&self) -> Vec<ModelRef> {
        let all = [&self.sex, &self.age, &self.expression]
            .into_iter()
            .flatten();
        all.map(|model| ModelRef {
            name: model.model().to_owned(),
            sha256: model.sha256().to_owned(),
        })
        .collect()
    }

    /// Every attribute of the subject, answered or abstained, in a fixed order.
    ///
    /// # Errors
    /// A model that cannot be run.
    pub(crate) fn answer(
        &mut self,
        subject: &Subject,
        mesh: &Mesh,
        min_presence: f64,
    ) -> Result<Vec<Attribute>, ModelError> {
        let is_face = mesh.presence >= min_presence;
        let mut found = vec![yes_or_no("is_face", is_face, None, Some(mesh.presence))];
        if !is_face {
            let asked = ["sex", "age", "smiling", "mouth_open"];
            found.extend(asked.map(|name| abstained(name, codes::NOT_A_FACE)));
        } else {
            found.push(classified(&mut self.sex, subject, "sex", sex)?);
            found.push(classified(&mut self.age, subject, "age", age)?);
            found.push(classified(
                &mut self.expression,
                subject,
                "smiling",
                smiling,
            )?);
            found.push(mouth(mesh));
        }
        found.extend(NOT_MEASURED.map(|name| abstained(name, codes::ATTRIBUTE_NOT_MEASURED)));
        Ok(found)
    }
}

fn classified(
    model: &mut Option<Classifier>,
    subject: &Subject,
    name: &str,
    read: impl Fn(&[f32]) -> Option<Attribute>,
) -> Result<Attribute, ModelError> {
    let Some(model) = model else {
        return Ok(abstained(name, codes::ATTRIBUTE_NOT_MEASURED));
    };
    let probabilities = model.classify(&subject.raster, &subject.face)?;
    Ok(read(&probabilities).unwrap_or_else(|| abstained(name, codes::ATTRIBUTE_UNCERTAIN)))
}

fn sex(probabilities: &[f32]) -> Option<Attribute> {
    let Sex { male } = Sex::of(probabilities)?;
    let (value, confidence) = if male >= 0.5 {
        ("male", male)
    } else {
        ("female", 1.0 - male)
    };
    (confidence >= MIN_CONFIDENCE).then(|| Attribute {
        value: Some(value.to_owned()),
        confidence: Some(confidence),
        ..answered("sex")
    })
}

fn age(probabilities: &[f32]) -> Option<Attribute> {
    let age = Age::of(probabilities)?;
    Some(Attribute {
        number: Some(age.years),
        confidence: Some(age.confidence),
        ..answered("age")
    })
}

fn smiling(probabilities: &[f32]) -> Option<Attribute> {
    let happy = happy(probabilities)?;
    let confidence = happy.max(1.0 - happy);
    (confidence >= MIN_CONFIDENCE)
        .then(|| yes_or_no("smiling", happy >= 0.5, None, Some(confidence)))
}

fn mouth(mesh: &Mesh) -> Attribute {
    let name = "mouth_open";
    match mesh.mouth_aspect_ratio() {
        Some(ratio) => yes_or_no(name, ratio >= MOUTH_OPEN_FROM, Some(ratio), None),
        None => abstained(name, codes::ATTRIBUTE_UNCERTAIN),
    }
}

fn yes_or_no(name: &str, yes: bool, number: Option<f64>, confidence: Option<f64>) -> Attribute {
    Attribute {
        value: Some(if yes { "yes" } else { "no" }.to_owned()),
        number,
        confidence,
        ..answered(name)
    }
}

fn answered(name: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        state: AnswerState::Answered,
        value: None,
        number: None,
        confidence: None,
        reason_code: None,
    }
}

fn abstained(name: &str, why: Code) -> Attribute {
    Attribute {
        state: AnswerState::Abstained,
        reason_code: Some(why.id.to_owned()),
        ..answered(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_even_odds_abstain() {
        assert_eq!(sex(&[0.45, 0.55]), None);
        assert_eq!(sex(&[0.3, 0.7]).unwrap().value.as_deref(), Some("male"));
        let female = sex(&[0.9, 0.1]).unwrap();
        assert_eq!(female.value.as_deref(), Some("female"));
        assert!((female.confidence.unwrap() - 0.9).abs() < 1e-6);
        let of = |happy: f32| smiling(&[0.0, 0.0, 0.0, happy, 1.0 - happy, 0.0, 0.0]);
        assert_eq!(of(0.5), None);
        assert_eq!(of(0.8).unwrap().value.as_deref(), Some("yes"));
        assert_eq!(of(0.1).unwrap().value.as_deref(), Some("no"));
    }
}
