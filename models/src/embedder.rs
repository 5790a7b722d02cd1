//! Faces as templates.

use std::path::Path;

use shiren_contract::raster::Rgb8;

use crate::align::{self, ARCFACE_112, ChipTemplate, DLIB_150, Similarity};
use crate::error::ModelError;
use crate::geometry::Landmarks;
use crate::manifest::{Architecture, Manifest, Metric};
use crate::session::{Net, Values};
use crate::tensor::Normalisation;

/// Samples along each side of a chip's pixel, at most.
///
/// THE place that decides how a chip is sampled. 1 is plain bilinear interpolation: what these
/// networks were trained with, and nearest to a plain run on the whole picture, for a context crop
/// is antialiased already. More would average where the face is larger than the chip.
const MAX_SAMPLES_PER_SIDE: u32 = 1;

/// Shortest length of a vector that has a direction worth comparing.
pub const MIN_NORM: f32 = 1e-6;

/// A face as numbers; templates of one model can be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Name of the model in the manifest.
    pub model: String,
    /// Finite; of length 1 where the model's metric is the cosine, as the network gave them where it
    /// is the Euclidean distance.
    pub values: Vec<f32>,
}

/// An embedding network, with its buffers kept from face to face.
pub struct FaceEmbedder {
    net: Net,
    chip: ChipTemplate,
    metric: Metric,
    size: usize,
    normalisation: Normalisation,
    pixels: Vec<f32>,
    planes: Vec<f32>,
}

impl FaceEmbedder {
    /// Loads model `name` of the manifest from `home`, the cache folder, with `threads` (at least 1)
    /// for one run, and runs it once.
    ///
    /// # Errors
    /// A file that is missing or has another hash, a model that is no embedder or has other shapes
    /// than the manifest says, a runtime that cannot be loaded.
    pub fn open(
        manifest: &Manifest,
        home: &Path,
        name: &str,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let entry = manifest.model(name)?;
        let none = || ModelError::WrongShape {
            model: name.into(),
            what: "is no embedder".into(),
        };
        let template = match entry.architecture {
            Architecture::DlibResnet29 => DLIB_150,
            Architecture::Mobilefacenet192 | Architecture::Arcface112 => ARCFACE_112,
            _ => return Err(none()),
        };
        let (metric, size) = entry
            .output
            .metric
            .zip(entry.output.embedding_size)
            .ok_or_else(none)?;
        let mut embedder = Self {
            net: Net::open(manifest, home, name, threads)?,
            chip: template.scaled_to(entry.input.size[0]),
            metric,
            size,
            normalisation: Normalisation::new(&entry.input),
            pixels: Vec::new(),
            planes: Vec::new(),
        };
        let values = embedder.chip.side as usize * embedder.chip.side as usize * 3;
        embedder.pixels.resize(values, 127.0);
        embedder.run()?;
        Ok(embedder)
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

    /// How this model's templates are compared.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Numbers in a template.
    #[must_use]
    pub fn embedding_size(&self) -> usize {
        self.size
    }

    /// The template of the face in `crop` whose five points are given in the crop's pixels. The same
    /// crop gives the same bits on one machine.
    ///
    /// # Errors
    /// [`ModelError::TemplateInvalid`] when the points have no extent or the output is not finite or
    /// without length, [`ModelError::Failed`] when the network cannot be run.
    pub fn embed(
        &mut self,
        crop: &Rgb8,
        landmarks_in_crop: &Landmarks,
    ) -> Result<Template, ModelError> {
        let to_chip = Similarity::to_template(landmarks_in_crop, &self.chip)
            .ok_or_else(|| invalid(&self.net.name, "of landmarks without extent"))?;
        align::warp(
            crop,
            &to_chip,
            self.chip.side,
            MAX_SAMPLES_PER_SIDE,
            &mut self.pixels,
        );
        let values = self.run()?;
        let values = checked(&self.net.name, values, self.metric)?;
        Ok(Template {
            model: self.net.name.clone(),
            values,
        })
    }

    /// The network's output for the chip in `self.pixels`.
    fn run(&mut self) -> Result<Vec<f32>, ModelError> {
        self.normalisation.planes(&self.pixels, &mut self.planes);
        let (model, size) = (self.net.name.clone(), self.size);
        let side = self.chip.side;
        self.net
            .run(&self.planes, (side, side), |outputs| match outputs {
                [Values { data, .. }] if data.len() == size => Ok(data.to_vec()),
                _ => {
                    let found: Vec<&[i64]> = outputs.iter().map(|output| output.shape).collect();
                    Err(ModelError::WrongShape {
                        model,
                        what: format!("gave {found:?}, the manifest says {size} numbers"),
                    })
                }
            })
    }
}

fn checked(model: &str, mut values: Vec<f32>, metric: Metric) -> Result<Vec<f32>, ModelError> {
    if !values.iter().all(|value| value.is_finite()) {
        return Err(invalid(model, "not finite"));
    }
    let norm = values
        .iter()
        .map(|value| f64::from(*value).powi(2))
        .sum::<f64>()
        .sqrt();
    if norm < f64::from(MIN_NORM) {
        return Err(invalid(model, "without length"));
    }
    if metric == Metric::Cosine {
        values
            .iter_mut()
            .for_each(|value| *value = (f64::from(*value) / norm) as f32);
    }
    Ok(values)
}

fn invalid(model: &str, what: &str) -> ModelError {
    ModelError::TemplateInvalid {
        model: model.into(),
        what: what.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_cannot_be_compared_are_refused() {
        for values in [
            vec![f32::NAN, 1.0],
            vec![f32::INFINITY, 1.0],
            vec![0.0, 0.0],
            vec![1e-8, 0.0],
        ] {
            let error = checked("m", values.clone(), Metric::Cosine).unwrap_err();
            assert_eq!(error.code().id, "template_invalid", "{values:?}");
        }
    }

    #[test]
    fn cosine_templates_have_length_1_and_euclidean_ones_are_kept() {
        assert_eq!(
            checked("m", vec![3.0, 4.0], Metric::Cosine).unwrap(),
            [0.6, 0.8]
        );
        assert_eq!(
            checked("m", vec![3.0, 4.0], Metric::Euclidean).unwrap(),
            [3.0, 4.0]
        );
    }
}
