//! Faces turned upright and brought to one size: similarity transforms and the sampling by them.

use shiren_contract::raster::Rgb8;

use crate::geometry::Landmarks;

/// Where a chip's five points lie, in pixels of a square chip of `side`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChipTemplate {
    /// Side of the chip in pixels.
    pub side: u32,
    /// The five points.
    pub points: [[f64; 2]; 5],
}

/// dlib's 150-px chip (padding 0.25), for CenterFace's points.
pub const DLIB_150: ChipTemplate = ChipTemplate {
    side: 150,
    points: [
        [46.45, 48.59],
        [103.35, 48.72],
        [73.48, 77.52],
        [50.23, 102.26],
        [97.36, 102.65],
    ],
};

/// The ArcFace 112-px chip.
pub const ARCFACE_112: ChipTemplate = ChipTemplate {
    side: 112,
    points: [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
};

impl ChipTemplate {
    /// The same template on a chip of another side.
    #[must_use]
    pub fn scaled_to(&self, side: u32) -> Self {
        let factor = f64::from(side) / f64::from(self.side);
        Self {
            side,
            points: self.points.map(|point| point.map(|value| value * factor)),
        }
    }
}

/// `(x, y) -> (a x - b y + tx, b x + a y + ty)`: rotation, one scale, shift; never a reflection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// Scale times cosine of the rotation.
    pub a: f64,
    /// Scale times sine of the rotation.
    pub b: f64,
    /// Shift in x.
    pub tx: f64,
    /// Shift in y.
    pub ty: f64,
}

impl Similarity {
    /// The similarity that brings `from` to `to` with the least sum of squared distances (Umeyama
    /// 1991, in the plane and without reflection). `None` when `from` is one point, the best scale
    /// is 0 or a coordinate is not finite.
    #[must_use]
    pub fn between(from: &[[f64; 2]], to: &[[f64; 2]]) -> Option<Self> {
        if from.len() != to.len() || from.is_empty() {
            return None;
        }
        let (from_mean, to_mean) = (mean(from), mean(to));
        let (mut spread, mut dot, mut cross) = (0.0, 0.0, 0.0);
        for (from, to) in from.iter().zip(to) {
            let (fx, fy) = (from[0] - from_mean[0], from[1] - from_mean[1]);
            let (gx, gy) = (to[0] - to_mean[0], to[1] - to_mean[1]);
            spread += fx * fx + fy * fy;
            dot += fx * gx + fy * gy;
            cross += fx * gy - fy * gx;
        }
        let (a, b) = (dot / spread, cross / spread);
        let scale = a.hypot(b);
        if !scale.is_finite() || scale < 1e-9 {
            return None;
        }
        let tx = to_mean[0] - a * from_mean[0] + b * from_mean[1];
        let ty = to_mean[1] - b * from_mean[0] - a * from_mean[1];
        Some(Self { a, b, tx, ty })
    }

    /// Brings `landmarks` to the template. `None` when they are one point or not finite.
    #[must_use]
    pub fn to_template(landmarks: &Landmarks, template: &ChipTemplate) -> Option<Self> {
        Self::between(
            &landmarks.map(|point| point.map(f64::from)),
            &template.points,
        )
    }

    /// The point's image.
    #[must_use]
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            self.a * x - self.b * y + self.tx,
            self.b * x + self.a * y + self.ty,
        ]
    }

    /// Length of a unit's image, above 0.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// The transform back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        Self {
            a,
            b,
            tx: -(a * self.tx - b * self.ty),
            ty: -(b * self.tx + a * self.ty),
        }
    }
}

fn mean(points: &[[f64; 2]]) -> [f64; 2] {
    let count = points.len() as f64;
    let sum = points.iter().fold([0.0, 0.0], |sum, point| {
        [sum[0] + point[0], sum[1] + point[1]]
    });
    [sum[0] / count, sum[1] / count]
}

/// The square chip of `side` pixels that `to_chip` makes of `source`: packed RGB floats 0 to 255 in
/// `out`, which is resized to fit. What lies outside the source is black. A chip pixel is the mean of
/// up to `max_samples_per_side` (at least 1) squared bilinear samples, as many as it covers source
/// pixels.
pub fn warp(
    source: &Rgb8,
    to_chip: &Similarity,
    side: u32,
    max_samples_per_side: u32,
    out: &mut Vec<f32>,
) {
    let back = to_chip.inverse();
    let samples = (back.scale().round() as u32).clamp(1, max_samples_per_side.max(1));
    let step = 1.0 / f64::from(samples);
    let weight = 1.0 / (samples * samples) as f32;
    let sampler = Bilinear::new(source);
    out.clear();
    out.reserve(side as usize * side as usize * 3);
    for row in 0..side {
        for column in 0..side {
            let mut sum = [0.0f32; 3];
            for sub_row in 0..samples {
                for sub_column in 0..samples {
                    let x = f64::from(column) + (f64::from(sub_column) + 0.5) * step;
                    let y = f64::from(row) + (f64::from(sub_row) + 0.5) * step;
                    let [x, y] = back.apply([x, y]);
                    let value = sampler.at(x as f32, y as f32);
                    sum = std::array::from_fn(|channel| sum[channel] + value[channel]);
                }
            }
            out.extend(sum.map(|value| value * weight));
        }
    }
}

/// Bilinear interpolation between pixel centres, black outside.
struct Bilinear<'a> {
    data: &'a [u8],
    width: i64,
    height: i64,
}

impl<'a> Bilinear<'a> {
    fn new(source: &'a Rgb8) -> Self {
        Self {
            data: source.data(),
            width: source.width().into(),
            height: source.height().into(),
        }
    }

    fn at(&self, x: f32, y: f32) -> [f32; 3] {
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (floor(x), floor(y));
        let (right_part, lower_part) = (x - left as f32, y - top as f32);
        let [nw, ne] = self.neighbours(left, top);
        let [sw, se] = self.neighbours(left, top + 1);
        std::array::from_fn(|channel| {
            let upper = nw[channel] + (ne[channel] - nw[channel]) * right_part;
            let lower = sw[channel] + (se[channel] - sw[channel]) * right_part;
            upper + (lower - upper) * lower_part
        })
    }

    /// The pixel and the one to its right.
    fn neighbours(&self, x: i64, y: i64) -> [[f32; 3]; 2] {
        if x < 0 || y < 0 || x + 1 >= self.width || y >= self.height {
            return [self.pixel(x, y), self.pixel(x + 1, y)];
        }
        let at = ((y * self.width + x) * 3) as usize;
        let both = &self.data[at..at + 6];
        [[both[0], both[1], both[2]], [both[3], both[4], both[5]]].map(|rgb| rgb.map(f32::from))
    }

    fn pixel(&self, x: i64, y: i64) -> [f32; 3] {
        if x < 0 || y < 0 || x >= self.width || y >= self.height {
            return [0.0; 3];
        }
        let at = ((y * self.width + x) * 3) as usize;
        [self.data[at], self.data[at + 1], self.data[at + 2]].map(f32::from)
    }
}

/// `f32::floor` is a call where the processor's instruction for it may not be assumed, as on x86-64.
fn floor(value: f32) -> i64 {
    let whole = value as i64;
    whole - i64::from(value < whole as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn similarity() -> impl Strategy<Value = Similarity> {
        (
            0.05f64..20.0,
            -3.2f64..3.2,
            -500.0f64..500.0,
            -500.0f64..500.0,
        )
            .prop_map(|(scale, angle, tx, ty)| Similarity {
                a: scale * angle.cos(),
                b: scale * angle.sin(),
                tx,
                ty,
            })
    }

    fn near(found: [f64; 2], wanted: [f64; 2]) -> bool {
        (found[0] - wanted[0]).abs() < 1e-6 && (found[1] - wanted[1]).abs() < 1e-6
    }

    #[test]
    fn one_point_or_nan_has_no_similarity() {
        assert_eq!(
            Similarity::to_template(&[[5.0, 5.0]; 5], &ARCFACE_112),
            None
        );
        let mut landmarks = ARCFACE_112
            .points
            .map(|point| point.map(|value| value as f32));
        landmarks[3][1] = f32::NAN;
        assert_eq!(Similarity::to_template(&landmarks, &ARCFACE_112), None);
    }

    #[test]
    fn a_mirrored_face_is_not_mirrored_back() {
        let mirrored = ARCFACE_112.points.map(|[x, y]| [112.0 - x, y]);
        let found = Similarity::between(&mirrored, &ARCFACE_112.points).unwrap();
        assert!(
            found.scale() < 0.9,
            "least squares shrinks what it may not reflect: {found:?}"
        );
    }

    #[test]
    fn the_identity_copies_and_outside_is_black() {
        let source = Rgb8::new(
            2,
            2,
            vec![10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120],
        )
        .unwrap();
        let mut chip = Vec::new();
        warp(
            &source,
            &Similarity {
                a: 1.0,
                b: 0.0,
                tx: 1.0,
                ty: 0.0,
            },
            3,
            1,
            &mut chip,
        );
        let pixel = |x: usize, y: usize| &chip[(y * 3 + x) * 3..][..3];
        assert_eq!(pixel(0, 0), [0.0; 3]);
        assert_eq!(pixel(1, 0), [10.0, 20.0, 30.0]);
        assert_eq!(pixel(2, 1), [100.0, 110.0, 120.0]);
        assert_eq!(pixel(2, 2), [0.0; 3]);
    }

    #[test]
    fn a_reduced_fine_pattern_becomes_its_mean() {
        let data = (0..64 * 64)
            .flat_map(|i| [if (i % 64 + i / 64) % 2 == 0 { 0 } else { 254 }; 3])
            .collect();
        let source = Rgb8::new(64, 64, data).unwrap();
        let mut chip = Vec::new();
        warp(
            &source,
            &Similarity {
                a: 0.25,
                b: 0.0,
                tx: 0.0,
                ty: 0.0,
            },
            16,
            4,
            &mut chip,
        );
        assert!(
            chip.iter().all(|value| (value - 127.0).abs() < 1.0),
            "{chip:?}"
        );
    }

    proptest! {
        #[test]
        fn a_known_similarity_is_recovered(known in similarity()) {
            let to = ARCFACE_112.points.map(|point| known.apply(point));
            let found = Similarity::between(&ARCFACE_112.points, &to).unwrap();
            for point in [[0.0, 0.0], [112.0, 0.0], [30.0, 90.0]] {
                prop_assert!(near(found.apply(point), known.apply(point)));
            }
            prop_assert!((found.scale() / known.scale() - 1.0).abs() < 1e-9);
        }

        #[test]
        fn there_and_back_is_the_same_point(known in similarity(), x in -300.0f64..300.0, y in -300.0f64..300.0) {
            prop_assert!(near(known.inverse().apply(known.apply([x, y])), [x, y]));
        }

        #[test]
        fn no_other_similarity_is_closer(
            moved in prop::array::uniform5((-8.0f64..8.0, -8.0f64..8.0)),
            nudge in prop::array::uniform4(-0.02f64..0.02),
        ) {
            let from: Vec<[f64; 2]> =
                ARCFACE_112.points.iter().zip(moved).map(|(p, (dx, dy))| [p[0] + dx, p[1] + dy]).collect();
            let cost = |s: &Similarity| -> f64 {
                from.iter().zip(&ARCFACE_112.points).map(|(from, to)| {
                    let [x, y] = s.apply(*from);
                    (x - to[0]).powi(2) + (y - to[1]).powi(2)
                }).sum()
            };
            let best = Similarity::between(&from, &ARCFACE_112.points).unwrap();
            let other = Similarity {
                a: best.a + nudge[0], b: best.b + nudge[1], tx: best.tx + nudge[2] * 50.0, ty: best.ty + nudge[3] * 50.0,
            };
            prop_assert!(cost(&best) <= cost(&other) + 1e-6);
        }
    }
}
