//! Nets that tell live faces from printed or shown ones.

use std::path::Path;

use super::Presented;
use crate::align::{self, Similarity};
use crate::error::ModelError;
use crate::geometry::BoundingBox;
use crate::manifest::{Architecture, Manifest, ModelEntry};
use crate::session::Net;
use crate::tensor::Normalisation;

/// Probabilities are taken as this far from 0 and 1, so that their odds are finite.
const MIN_PROBABILITY: f64 = 1e-4;
/// Samples along each side of a pixel of the 32-px square, at most: a face of 384 px is 12 times as long.
const MAX_SAMPLES_PER_SIDE: u32 = 8;

/// A small picture of the face with surroundings of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewSize {
    /// Sides of the face's box.
    pub context: f32,
    /// Side, pixels.
    pub side_px: u32,
}

/// The view that a net of this entry needs; `None`: the crop is enough.
pub(super) fn view(entry: &ModelEntry) -> Option<ViewSize> {
    let own = entry.architecture == Architecture::Minifasnet80;
    let (context, side_px) = entry.context.zip(entry.architecture.side())?;
    own.then_some(ViewSize { context, side_px })
}

/// One net, with its buffers kept from face to face.
pub struct LivenessNet {
    net: Net,
    architecture: Architecture,
    size: ViewSize,
    normalisation: Normalisation,
    pixels: Vec<f32>,
    values: Vec<f32>,
}

impl LivenessNet {
    /// Loads model `name` of the manifest from `home`, the cache folder, with `threads` (at least 1) for one run, and
    /// runs it once on black.
    ///
    /// # Errors
    /// A file that is missing or has another hash, a model that is no liveness net or has other shapes than the manifest
    /// says, a runtime that cannot be loaded.
    pub fn open(
        manifest: &Manifest,
        home: &Path,
        name: &str,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let entry = manifest.model(name)?;
        let none = || ModelError::WrongShape {
            model: name.into(),
            what: "is no liveness net".into(),
        };
        let live = live_class(entry.architecture).map(|_| entry.architecture);
        let architecture = live.ok_or_else(none)?;
        let mut net = Self {
            size: ViewSize {
                context: entry.context.ok_or_else(none)?,
                side_px: architecture.side().ok_or_else(none)?,
            },
            net: Net::open(manifest, home, name, threads)?,
            architecture,
            normalisation: Normalisation::new(&entry.input),
            pixels: Vec::new(),
            values: Vec::new(),
        };
        let side = net.size.side_px as usize;
        net.pixels.resize(side * side * 3, 0.0);
        net.run()?;
        Ok(net)
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

    /// The view that it needs; `None`: the crop is enough.
    #[must_use]
    pub fn view(&self) -> Option<ViewSize> {
        (self.architecture == Architecture::Minifasnet80).then_some(self.size)
    }

    /// Natural logarithm of the odds that the face is live, as the net has it, between about -9.2 and 9.2.
    ///
    /// # Errors
    /// [`ModelError::Failed`] when the network cannot be run or its view is not there, [`ModelError::WrongShape`] for
    /// another number of classes.
    pub fn log_odds(&mut self, presented: &Presented<'_>) -> Result<f64, ModelError> {
        let side = self.size.side_px;
        match self.view() {
            Some(size) => {
                let view =
                    (presented.view)(size).filter(|v| (v.width(), v.height()) == (side, side));
                let view = view.ok_or_else(|| self.failed(missing(size)))?;
                self.pixels.clear();
                self.pixels
                    .extend(view.data().iter().map(|&byte| f32::from(byte)));
            }
            None => {
                let square = to_square(&presented.face, self.size)
                    .ok_or_else(|| self.failed("a face without extent".into()))?;
                let samples = MAX_SAMPLES_PER_SIDE;
                align::warp(presented.crop, &square, side, samples, &mut self.pixels);
            }
        }
        let live = f64::from(self.run()?).clamp(MIN_PROBABILITY, 1.0 - MIN_PROBABILITY);
        Ok((live / (1.0 - live)).ln())
    }

    /// Probability of the class `live` for what `self.pixels` holds.
    fn run(&mut self) -> Result<f32, ModelError> {
        self.normalisation.values(&self.pixels, &mut self.values);
        let (model, side) = (self.net.name.clone(), self.size.side_px);
        let wanted = live_class(self.architecture);
        self.net.run(&self.values, (side, side), |outputs| {
            let data = outputs.first().map(|output| output.data);
            match (data, wanted) {
                (Some(data), Some((live, classes))) if data.len() == classes => Ok(data[live]),
                _ => Err(ModelError::WrongShape {
                    model,
                    what: format!(
                        "gave {:?} numbers, not a class each",
                        data.map(<[f32]>::len)
                    ),
                }),
            }
        })
    }

    fn failed(&self, what: String) -> ModelError {
        ModelError::Failed {
            model: self.net.name.clone(),
            what,
        }
    }
}

fn missing(size: ViewSize) -> String {
    format!(
        "there is no view of {} faces at {} px",
        size.context, size.side_px
    )
}

/// Index of the class `live`, and the number of classes.
fn live_class(architecture: Architecture) -> Option<(usize, usize)> {
    match architecture {
        Architecture::Liveness32 => Some((1, 2)),
        Architecture::Minifasnet80 => Some((1, 3)),
        _ => None,
    }
}

/// Brings the square around the face's middle, `context` times its longer side, to a square of `side_px`.
fn to_square(face: &BoundingBox, size: ViewSize) -> Option<Similarity> {
    let long = f64::from(face.width().max(face.height()));
    let scale = f64::from(size.side_px) / (long * f64::from(size.context));
    let [x, y] = face.centre().map(f64::from);
    let half = f64::from(size.side_px) / 2.0;
    scale.is_finite().then_some(Similarity {
        a: scale,
        b: 0.0,
        tx: half - x * scale,
        ty: half - y * scale,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_square_is_context_faces_long_and_around_the_middle(
            x in -50.0_f32..300.0, y in -50.0_f32..300.0, w in 2.0_f32..300.0, h in 2.0_f32..300.0, context in 1.0_f32..6.0,
        ) {
            let face = BoundingBox { x1: x, y1: y, x2: x + w, y2: y + h };
            let square = to_square(&face, ViewSize { context, side_px: 32 }).unwrap();
            let corner = square.inverse().apply([0.0, 0.0]);
            let end = square.inverse().apply([32.0, 32.0]);
            let long = f64::from(face.width().max(face.height()) * context);
            for axis in 0..2 {
                prop_assert!((end[axis] - corner[axis] - long).abs() < 1e-3 * long.max(1.0));
                let middle = f64::from(face.centre()[axis]);
                prop_assert!(((end[axis] + corner[axis]) / 2.0 - middle).abs() < 0.01);
            }
        }
    }

    #[test]
    fn a_face_without_extent_has_no_square() {
        let face = BoundingBox {
            x1: 5.0,
            y1: 5.0,
            x2: 5.0,
            y2: 5.0,
        };
        assert_eq!(
            to_square(
                &face,
                ViewSize {
                    context: 1.4,
                    side_px: 32
                }
            ),
            None
        );
    }
}
