//! Sex, age and expression of a face: small nets, each with a chip of its own.

use std::path::Path;

use shiren_contract::raster::Rgb8;

use crate::align::{self, ChipTemplate, DLIB_150, Similarity};
use crate::error::ModelError;
use crate::face_mesh::level_square;
use crate::geometry::Face;
use crate::manifest::{Architecture, Manifest, Role};
use crate::session::{Net, Values};
use crate::tensor::Normalisation;

/// Samples along each side of a chip's pixel, at most: these chips are far smaller than the face in its crop.
const MAX_SAMPLES_PER_SIDE: u32 = 8;
/// Border of dlib's chip for sex and age, in sides of the face; [`DLIB_150`] has [`DLIB_150_PADDING`].
const PADDING: f64 = 0.2;
const DLIB_150_PADDING: f64 = 0.25;
/// Side of the square for expressions, in longer sides of the face's box: the faces that such nets are trained with
/// (FER-2013) fill their pictures.
const EXPRESSION_CONTEXT: f64 = 1.1;
/// Places of the classes that are used.
const MALE: usize = 1;
const HAPPY: usize = 3;
/// Years either way that count for the confidence of an age.
const AGE_WINDOW_YEARS: f64 = 5.0;

/// A net that gives a probability for each class, with its buffers kept from face to face.
pub struct Classifier {
    net: Net,
    role: Role,
    chip: ChipTemplate,
    classes: usize,
    normalisation: Normalisation,
    pixels: Vec<f32>,
    values: Vec<f32>,
}

/// Sex as the net has learnt it: it knows two classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sex {
    /// Probability of male, 0 to 1; that of female is the rest. Not calibrated.
    pub male: f64,
}

/// Age as the net has learnt it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Age {
    /// Expected value, years, 0.25 to 80.
    pub years: f64,
    /// Probability within 5 years of it, 0 to 1. Not calibrated.
    pub confidence: f64,
}

impl Classifier {
    /// Loads model `name` of the manifest for `role` from `home`, the cache folder, with `threads` (at least 1) for one
    /// run, and runs it once.
    ///
    /// # Errors
    /// A file that is missing or has another hash, a model of another role or with other shapes than the manifest
    /// says, a runtime that cannot be loaded.
    pub fn open(
        manifest: &Manifest,
        home: &Path,
        name: &str,
        role: Role,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let entry = manifest.model_for(name, role)?;
        let classes = match entry.architecture {
            Architecture::Sex32 => 2,
            Architecture::Age64 => 81,
            Architecture::Expression64 => 7,
            _ => {
                return Err(ModelError::WrongShape {
                    model: name.into(),
                    what: "tells neither sex, age nor expression".into(),
                });
            }
        };
        let side = entry.input.size[0];
        let mut classifier = Self {
            net: Net::open(manifest, home, name, threads)?,
            role,
            chip: padded(&DLIB_150, DLIB_150_PADDING, PADDING).scaled_to(side),
            classes,
            normalisation: Normalisation::new(&entry.input),
            pixels: vec![127.0; side as usize * side as usize * 3],
            values: Vec::new(),
        };
        classifier.run()?;
        Ok(classifier)
    }

    /// Name of the model in the manifest.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.net.name
    }

    /// sha256 of the network's file, hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.net.sha256
    }

    /// A probability for each class, of the face in `crop` whose box and points are given in the crop's pixels.
    ///
    /// # Errors
    /// [`ModelError::WrongShape`] for a face without extent, [`ModelError::Failed`] when the network cannot be run or
    /// gives no probabilities.
    pub fn classify(&mut self, crop: &Rgb8, face_in_crop: &Face) -> Result<Vec<f32>, ModelError> {
        let to_chip = if self.role == Role::Expression {
            level_square(face_in_crop, EXPRESSION_CONTEXT, self.chip.side)
        } else {
            Similarity::to_template(&face_in_crop.landmarks, &self.chip)
        };
        let to_chip = to_chip.ok_or_else(|| ModelError::WrongShape {
            model: self.net.name.clone(),
            what: "a face without extent".into(),
        })?;
        align::warp(
            crop,
            &to_chip,
            self.chip.side,
            MAX_SAMPLES_PER_SIDE,
            &mut self.pixels,
        );
        self.run()
    }

    fn run(&mut self) -> Result<Vec<f32>, ModelError> {
        self.normalisation.values(&self.pixels, &mut self.values);
        let (model, classes) = (self.net.name.clone(), self.classes);
        let side = (self.chip.side, self.chip.side);
        self.net.run(&self.values, side, |outputs| match outputs {
            [Values { data, .. }]
                if data.len() == classes && data.iter().all(|p| (0.0..=1.001).contains(p)) =>
            {
                Ok(data.to_vec())
            }
            _ => Err(ModelError::Failed {
                model,
                what: format!("gave no {classes} probabilities"),
            }),
        })
    }
}

impl Sex {
    /// Of the probabilities female, male.
    #[must_use]
    pub fn of(probabilities: &[f32]) -> Option<Self> {
        let male = f64::from(*probabilities.get(MALE)?);
        Some(Self {
            male: male.clamp(0.0, 1.0),
        })
    }
}

impl Age {
    /// Of the probabilities of 0.25, 1, 2 ... years; `None` when they are all 0.
    #[must_use]
    pub fn of(probabilities: &[f32]) -> Option<Self> {
        let years = |class: usize| if class == 0 { 0.25 } else { class as f64 };
        let all = || {
            probabilities
                .iter()
                .enumerate()
                .map(|(class, p)| (years(class), f64::from(*p)))
        };
        let sum: f64 = all().map(|(_, p)| p).sum();
        if sum.is_nan() || sum <= 0.0 {
            return None;
        }
        let mean = all().map(|(years, p)| years * p).sum::<f64>() / sum;
        let near = all().filter(|(years, _)| (years - mean).abs() <= AGE_WINDOW_YEARS);
        Some(Self {
            years: mean,
            confidence: near.map(|(_, p)| p).sum::<f64>() / sum,
        })
    }
}

/// Probability of a happy face, 0 to 1, of the seven expressions.
#[must_use]
pub fn happy(probabilities: &[f32]) -> Option<f64> {
    probabilities
        .get(HAPPY)
        .map(|p| f64::from(*p).clamp(0.0, 1.0))
}

/// The same template with another border around the face.
fn padded(template: &ChipTemplate, from: f64, to: f64) -> ChipTemplate {
    let side = f64::from(template.side);
    ChipTemplate {
        side: template.side,
        points: template.points.map(|point| {
            point.map(|value| {
                let in_face = value / side * (1.0 + 2.0 * from) - from;
                (in_face + to) / (1.0 + 2.0 * to) * side
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_border_spreads_the_points_around_the_middle() {
        let narrow = padded(&DLIB_150, 0.25, 0.2);
        for (narrow, wide) in narrow.points.iter().zip(DLIB_150.points) {
            for (narrow, wide) in narrow.iter().zip(wide) {
                assert!(((narrow - 75.0) - (wide - 75.0) * 1.5 / 1.4).abs() < 1e-9);
            }
        }
        assert_eq!(padded(&DLIB_150, 0.25, 0.25).side, DLIB_150.side);
    }

    #[test]
    fn age_is_the_expected_value() {
        let mut probabilities = vec![0.0; 81];
        probabilities[20] = 0.5;
        probabilities[40] = 0.5;
        let age = Age::of(&probabilities).unwrap();
        assert_eq!((age.years, age.confidence), (30.0, 0.0));
        probabilities[40] = 0.0;
        let age = Age::of(&probabilities).unwrap();
        assert_eq!((age.years, age.confidence), (20.0, 1.0));
        let mut infant = vec![0.0; 81];
        infant[0] = 1.0;
        assert_eq!(Age::of(&infant).unwrap().years, 0.25);
        assert_eq!(Age::of(&[0.0; 81]), None);
        assert_eq!(Age::of(&[]), None);
    }

    #[test]
    fn classes_lie_where_the_manifest_says() {
        assert_eq!(Sex::of(&[0.25, 0.75]), Some(Sex { male: 0.75 }));
        assert_eq!(Sex::of(&[0.25]), None);
        assert_eq!(happy(&[0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0]), Some(0.5));
        assert_eq!(happy(&[]), None);
    }
}
