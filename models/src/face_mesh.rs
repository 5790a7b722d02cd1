//! A mesh of 468 points on a face, and whether there is a face at all (MediaPipe Face Mesh, arXiv 1907.06724).

use std::path::Path;

use shiren_contract::raster::Rgb8;

use crate::align::{self, Similarity};
use crate::error::ModelError;
use crate::geometry::Face;
use crate::manifest::{Manifest, Role};
use crate::pose::{Axes, Point, Pose};
use crate::session::{Net, Values};
use crate::tensor::Normalisation;

/// Points of a mesh.
pub const POINTS: usize = 468;
/// Side of the square that the net looks at, in longer sides of the face's box, as MediaPipe takes it.
const CONTEXT: f64 = 1.5;
/// Samples along each side of a net pixel, at most: enough for crops of 2,000 px.
const MAX_SAMPLES_PER_SIDE: u32 = 4;

/// Inner edges of upper and lower lip, and the corners of the mouth between them.
const LIPS: [usize; 4] = [13, 14, 78, 308];

/// What the net saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Mesh {
    /// 468 points: x and y in pixels of the crop, depth in the same unit, larger is further away.
    pub points: Vec<Point>,
    /// Face flag, 0 to 1.
    pub presence: f64,
}

impl Mesh {
    /// Where the face looks; `None` when the points span no plane.
    #[must_use]
    pub fn pose(&self) -> Option<Pose> {
        Axes::of(&self.points)?.pose()
    }

    /// Height of the open mouth over its width, at least 0: under 0.1 closed, about 0.3 wide open, and as much in some
    /// smiles that show teeth. `None` for a mouth without width.
    #[must_use]
    pub fn mouth_aspect_ratio(&self) -> Option<f64> {
        let distance = |from: usize, to: usize| {
            let (from, to) = (self.points.get(from)?, self.points.get(to)?);
            let squares = from.iter().zip(to).map(|(a, b)| f64::from(a - b).powi(2));
            Some(squares.sum::<f64>().sqrt())
        };
        let [upper, lower, left, right] = LIPS;
        let (height, width) = (distance(upper, lower)?, distance(left, right)?);
        (width > 0.0 && width.is_finite()).then_some(height / width)
    }
}

/// The net, with its buffers kept from face to face.
pub struct FaceMesh {
    net: Net,
    side: u32,
    normalisation: Normalisation,
    pixels: Vec<f32>,
    values: Vec<f32>,
}

impl FaceMesh {
    /// Loads model `name` of the manifest from `home`, the cache folder, with `threads` (at least 1) for one run, and
    /// runs it once.
    ///
    /// # Errors
    /// A file that is missing or has another hash, a model that is no mesh or has other shapes than the manifest says,
    /// a runtime that cannot be loaded.
    pub fn open(
        manifest: &Manifest,
        home: &Path,
        name: &str,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let entry = manifest.model_for(name, Role::Mesh)?;
        let side = entry.input.size[0];
        let mut mesh = Self {
            net: Net::open(manifest, home, name, threads)?,
            side,
            normalisation: Normalisation::new(&entry.input),
            pixels: vec![127.0; side as usize * side as usize * 3],
            values: Vec::new(),
        };
        mesh.run()?;
        Ok(mesh)
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

    /// The mesh of the face in `crop` whose box and points are given in the crop's pixels. The same crop gives the same
    /// bits on one machine.
    ///
    /// # Errors
    /// [`ModelError::Failed`] when the network cannot be run or gives what is not finite,
    /// [`ModelError::WrongShape`] for a face without extent.
    pub fn mesh(&mut self, crop: &Rgb8, face_in_crop: &Face) -> Result<Mesh, ModelError> {
        let to_net = level_square(face_in_crop, CONTEXT, self.side)
            .ok_or_else(|| self.wrong("a face without extent"))?;
        align::warp(
            crop,
            &to_net,
            self.side,
            MAX_SAMPLES_PER_SIDE,
            &mut self.pixels,
        );
        let (mesh, flag) = self.run()?;
        if !flag.is_finite() || !mesh.iter().all(|value| value.is_finite()) {
            return Err(ModelError::Failed {
                model: self.net.name.clone(),
                what: "the mesh is not finite".into(),
            });
        }
        let back = to_net.inverse();
        let scale = back.scale();
        let points = mesh.chunks_exact(3).map(|point| {
            let [x, y] = back.apply([point[0], point[1]].map(f64::from));
            [x as f32, y as f32, (f64::from(point[2]) * scale) as f32]
        });
        Ok(Mesh {
            points: points.collect(),
            presence: 1.0 / (1.0 + (-f64::from(flag)).exp()),
        })
    }

    /// Mesh and flag of what lies in `self.pixels`.
    fn run(&mut self) -> Result<(Vec<f32>, f32), ModelError> {
        self.normalisation.values(&self.pixels, &mut self.values);
        let side = (self.side, self.side);
        let found = self.net.run(&self.values, side, |outputs| {
            Ok(match outputs {
                [Values { data: mesh, .. }, Values { data: [flag], .. }]
                    if mesh.len() == POINTS * 3 =>
                {
                    Some((mesh.to_vec(), *flag))
                }
                _ => None,
            })
        })?;
        found.ok_or_else(|| self.wrong("gave no mesh of 468 points and no flag"))
    }

    fn wrong(&self, what: &str) -> ModelError {
        ModelError::WrongShape {
            model: self.net.name.clone(),
            what: what.into(),
        }
    }
}

/// Brings the square of `context` longer sides of the face's box around its middle, turned so that the eyes are level,
/// to a square of `side` pixels. `None` for a box without extent or points that are not finite.
#[must_use]
pub fn level_square(face: &Face, context: f64, side: u32) -> Option<Similarity> {
    let long = f64::from(face.bbox.width().max(face.bbox.height()));
    let roll = f64::from(face.roll_degrees()).to_radians();
    let scale = f64::from(side) / (long * context);
    if !(long > 0.0 && scale.is_finite() && roll.is_finite()) {
        return None;
    }
    let (a, b) = (scale * roll.cos(), -scale * roll.sin());
    let [x, y] = face.bbox.centre().map(f64::from);
    let half = f64::from(side) / 2.0;
    Some(Similarity {
        a,
        b,
        tx: half - a * x + b * y,
        ty: half - b * x - a * y,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::BoundingBox;

    fn face(x: f32, y: f32, side: f32, roll: f32) -> Face {
        let (sin, cos) = roll.to_radians().sin_cos();
        let eye = |dx: f32| [x + dx * side * cos, y + dx * side * sin];
        Face {
            bbox: BoundingBox {
                x1: x - side / 2.0,
                y1: y - side / 2.0,
                x2: x + side / 2.0,
                y2: y + side / 2.0,
            },
            landmarks: [eye(-0.2), eye(0.2), [x, y], [x, y], [x, y]],
            score: 1.0,
        }
    }

    #[test]
    fn a_face_without_extent_has_no_square() {
        assert_eq!(level_square(&face(5.0, 5.0, 0.0, 0.0), 1.5, 192), None);
        assert_eq!(level_square(&face(f32::NAN, 5.0, 9.0, 0.0), 1.5, 192), None);
    }

    #[test]
    fn the_mouths_ratio_is_height_over_width() {
        let mut points = vec![[0.0; 3]; POINTS];
        points[LIPS[0]] = [0.0, -2.0, 0.0];
        points[LIPS[1]] = [0.0, 3.0, 0.0];
        points[LIPS[2]] = [-10.0, 0.0, 0.0];
        points[LIPS[3]] = [10.0, 0.0, 0.0];
        let mesh = Mesh {
            points,
            presence: 1.0,
        };
        assert_eq!(mesh.mouth_aspect_ratio(), Some(0.25));
        let flat = Mesh {
            points: vec![[0.0; 3]; POINTS],
            presence: 1.0,
        };
        assert_eq!(flat.mouth_aspect_ratio(), None);
        assert_eq!(flat.pose(), None);
    }

    proptest! {
        #[test]
        fn the_square_is_level_and_as_large_as_asked(
            x in -50.0f32..400.0, y in -50.0f32..400.0, side in 4.0f32..400.0, roll in -180.0f32..180.0,
        ) {
            let found = face(x, y, side, roll);
            let to_net = level_square(&found, 1.5, 192).unwrap();
            let [left, right] = [found.landmarks[0], found.landmarks[1]].map(|p| to_net.apply(p.map(f64::from)));
            prop_assert!((left[1] - right[1]).abs() < 0.05 && left[0] < right[0], "{left:?} {right:?}");
            let middle = to_net.apply([x, y].map(f64::from));
            prop_assert!((middle[0] - 96.0).abs() < 0.05 && (middle[1] - 96.0).abs() < 0.05);
            // Within what single precision leaves of a box.
            prop_assert!((to_net.scale() * f64::from(side) * 1.5 / 192.0 - 1.0).abs() < 1e-3);
        }
    }
}
