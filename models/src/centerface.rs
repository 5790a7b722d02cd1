//! CenterFace's outputs as faces.

use crate::error::ModelError;
use crate::geometry::{BoundingBox, Face};
use crate::session::Values;

/// Net pixels from one cell of the outputs to the next.
pub(crate) const STRIDE: u32 = 4;
/// Largest exponent read from the scale output: e^7 * 4 = 4,386 px, beyond every net size.
const MAX_LOG_SIDE: f32 = 7.0;

/// Heat map, scale, offset and landmarks of one run; each plane is `rows` x `columns`.
pub(crate) struct Maps<'a> {
    columns: usize,
    heat: &'a [f32],
    scale: &'a [f32],
    offset: &'a [f32],
    landmarks: &'a [f32],
}

impl<'a> Maps<'a> {
    /// Outputs of a run on a `net` of that width and height in pixels; refuses other shapes.
    pub fn new(
        model: &str,
        net: (u32, u32),
        outputs: &'a [Values<'a>],
    ) -> Result<Self, ModelError> {
        let (columns, rows) = (net.0 / STRIDE, net.1 / STRIDE);
        let [heat, scale, offset, landmarks] = outputs else {
            return Err(differs(
                model,
                format!("{} outputs instead of 4", outputs.len()),
            ));
        };
        for (output, planes) in [(heat, 1), (scale, 2), (offset, 2), (landmarks, 10)] {
            let wanted = [1, planes, i64::from(rows), i64::from(columns)];
            if output.shape != wanted {
                return Err(differs(
                    model,
                    format!("an output is {:?} instead of {wanted:?}", output.shape),
                ));
            }
        }
        Ok(Self {
            columns: columns as usize,
            heat: heat.data,
            scale: scale.data,
            offset: offset.data,
            landmarks: landmarks.data,
        })
    }

    /// Every cell at or above `threshold` as a face, in net pixels. Cells with values that are not
    /// finite are no faces.
    pub fn faces(&self, threshold: f32) -> Vec<Face> {
        let cells = self
            .heat
            .iter()
            .enumerate()
            .filter(|(_, score)| **score >= threshold);
        cells
            .map(|(cell, &score)| self.face(cell, score))
            .filter(is_finite)
            .collect()
    }

    fn face(&self, cell: usize, score: f32) -> Face {
        let plane = self.heat.len();
        let at = |map: &[f32], index: usize| map[index * plane + cell];
        let stride = STRIDE as f32;
        let height = at(self.scale, 0).min(MAX_LOG_SIDE).exp() * stride;
        let width = at(self.scale, 1).min(MAX_LOG_SIDE).exp() * stride;
        let (row, column) = ((cell / self.columns) as f32, (cell % self.columns) as f32);
        let x = (column + at(self.offset, 1) + 0.5) * stride - width / 2.0;
        let y = (row + at(self.offset, 0) + 0.5) * stride - height / 2.0;
        let landmarks = std::array::from_fn(|index| {
            [
                at(self.landmarks, 2 * index + 1) * width + x,
                at(self.landmarks, 2 * index) * height + y,
            ]
        });
        Face {
            bbox: BoundingBox {
                x1: x,
                y1: y,
                x2: x + width,
                y2: y + height,
            },
            landmarks,
            score: score.min(1.0),
        }
    }
}

fn is_finite(face: &Face) -> bool {
    let BoundingBox { x1, y1, x2, y2 } = face.bbox;
    [x1, y1, x2, y2, face.score]
        .iter()
        .chain(face.landmarks.as_flattened())
        .all(|value| value.is_finite())
}

fn differs(model: &str, what: String) -> ModelError {
    ModelError::WrongShape {
        model: model.into(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hot_cell_becomes_the_face_of_the_published_formula() {
        let net = (32, 32);
        let plane = 8 * 8;
        let cell = 3 * 8 + 2; // row 3, column 2
        let mut heat = vec![0.0; plane];
        heat[cell] = 0.9;
        let mut scale = vec![0.0; 2 * plane];
        scale[cell] = 3.0f32.ln(); // 12 net px high
        scale[plane + cell] = 2.0f32.ln(); // 8 net px wide
        let mut offset = vec![0.0; 2 * plane];
        offset[cell] = 0.25; // y
        let mut landmarks = vec![0.5; 10 * plane];
        landmarks[plane + cell] = 0.25; // x of the first point
        let data = [(1, &heat), (2, &scale), (2, &offset), (10, &landmarks)];
        let shapes: Vec<[i64; 4]> = data.iter().map(|(planes, _)| [1, *planes, 8, 8]).collect();
        let outputs: Vec<Values<'_>> = data
            .iter()
            .zip(&shapes)
            .map(|((_, data), shape)| Values { shape, data })
            .collect();
        let faces = Maps::new("centerface", net, &outputs).unwrap().faces(0.5);
        assert_eq!(faces.len(), 1);
        let BoundingBox { x1, y1, x2, y2 } = faces[0].bbox;
        for (found, wanted) in [(x1, 6.0), (y1, 9.0), (x2, 14.0), (y2, 21.0)] {
            assert!((found - wanted).abs() < 1e-4, "{:?}", faces[0].bbox);
        }
        assert!((faces[0].landmarks[0][0] - 8.0).abs() < 1e-4);
        assert!((faces[0].landmarks[0][1] - 15.0).abs() < 1e-4);
        heat[cell] = f32::NAN;
        let outputs: Vec<Values<'_>> = [&heat, &scale, &offset, &landmarks]
            .iter()
            .zip(&shapes)
            .map(|(data, shape)| Values { shape, data })
            .collect();
        assert!(
            Maps::new("centerface", net, &outputs)
                .unwrap()
                .faces(0.5)
                .is_empty()
        );
        assert!(Maps::new("centerface", net, &outputs[..3]).is_err());
    }
}
