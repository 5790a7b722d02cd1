//! What the pixels of a face alone say: sharpness, light, colour. No network.

use shiren_contract::raster::Rgb8;

use crate::blockiness::blockiness;
use crate::geometry::BoundingBox;
use crate::resample::{Region, Resampler};
use crate::tensor::LUMA;

/// Side of the square that a face is brought to before it is measured, pixels: figures of faces of different sizes can
/// be compared, and a face that had fewer pixels is blurred by so much.
pub const SIDE_PX: u32 = 128;
/// Luma up to here is nearly black.
pub const DARK_LUMA: f32 = 20.0;
/// Luma from here on is nearly white.
pub const BRIGHT_LUMA: f32 = 250.0;
/// Mean distance between the largest and the smallest of R, G and B up to which a face has no colour, levels: grey
/// pictures that went through JPEG keep within 1 or 2.
const MONOCHROME_MAX_CHROMA: f32 = 3.0;

/// Largest variance of the Laplacian that counts, in squared medians of its size: twice that of Laplace's distribution
/// (2 / ln(2)^2), which it follows about on natural pictures. The edges of strongly compressed blocks leave most pixels
/// at nothing and a few far off; what they add is no detail.
const MAX_VARIANCE_IN_MEDIANS: f64 = 2.0 * 4.163;

/// Figures of one face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Photometry {
    /// Variance of the Laplacian of luma (4 neighbours), in squared levels; no more than its median size bears out.
    pub sharpness: f64,
    /// How far block coding coarsened the face: excess of the steps across a grid of 8 picture pixels, times a block's
    /// share of the face; 0 without a grid.
    pub blockiness: f64,
    /// Mean luma, 0 to 255.
    pub brightness: f64,
    /// Standard deviation of luma, 0 to 127.5.
    pub contrast: f64,
    /// Share of pixels that are nearly black, 0 to 1.
    pub dark_share: f64,
    /// Share of pixels that are nearly white, 0 to 1.
    pub bright_share: f64,
    /// Whether the face has no colour.
    pub monochrome: bool,
}

/// Measures faces, with buffers kept.
#[derive(Default)]
pub struct Photometer {
    resampler: Resampler,
    pixels: Vec<u8>,
    luma: Vec<f32>,
}

impl Photometer {
    /// Measures the middle of a face: the largest square in what lies of its box in the crop, around the middle of
    /// that, so that neither background nor the picture's edge is measured. `scale` is crop pixels a picture pixel in x
    /// and y. `None` when nothing lies in the crop.
    pub fn measure(
        &mut self,
        crop: &Rgb8,
        face_in_crop: &BoundingBox,
        scale: [f64; 2],
    ) -> Option<Photometry> {
        let region = middle_square(crop, face_in_crop)?;
        let size = (SIDE_PX, SIDE_PX);
        self.resampler
            .resize(crop, region, size, &mut self.pixels)
            .ok()?;
        let luma = |rgb: &[u8]| -> f32 {
            rgb.iter()
                .zip(LUMA)
                .map(|(v, part)| f32::from(*v) * part)
                .sum()
        };
        self.luma.clear();
        self.luma.extend(self.pixels.chunks_exact(3).map(luma));
        let corner = [region.x, region.y].map(|at| at as u32);
        Some(Photometry {
            blockiness: blockiness(crop, corner, region.width as u32, scale),
            ..photometry(&self.pixels, &self.luma, SIDE_PX as usize)
        })
    }
}

/// The largest square within the box and the crop, around the middle of their common part.
fn middle_square(crop: &Rgb8, face: &BoundingBox) -> Option<Region> {
    let inside = face.clipped(crop.width(), crop.height());
    let side = inside.width().min(inside.height());
    if side.is_nan() || side < 1.0 {
        return None;
    }
    let [x, y] = inside.centre().map(f64::from);
    let side = f64::from(side);
    // Rounding must not carry it over the crop's edge.
    let from =
        |middle: f64, length: u32| (middle - side / 2.0).min(f64::from(length) - side).max(0.0);
    Some(Region {
        x: from(x, crop.width()),
        y: from(y, crop.height()),
        width: side,
        height: side,
    })
}

fn photometry(rgb: &[u8], luma: &[f32], side: usize) -> Photometry {
    let count = luma.len() as f64;
    let share = |is: &dyn Fn(f32) -> bool| luma.iter().filter(|l| is(**l)).count() as f64 / count;
    let (brightness, variance) = mean_and_variance(luma.iter().copied());
    let chroma: f32 = rgb
        .chunks_exact(3)
        .map(|p| f32::from(p[0].max(p[1]).max(p[2]) - p[0].min(p[1]).min(p[2])))
        .sum();
    Photometry {
        sharpness: sharpness(luma, side),
        blockiness: 0.0,
        brightness,
        contrast: variance.sqrt(),
        dark_share: share(&|l| l <= DARK_LUMA),
        bright_share: share(&|l| l >= BRIGHT_LUMA),
        monochrome: chroma / luma.len() as f32 <= MONOCHROME_MAX_CHROMA,
    }
}

/// Over all pixels that have four neighbours.
fn sharpness(luma: &[f32], side: usize) -> f64 {
    let rows = luma.chunks_exact(side).zip(luma.chunks_exact(side).skip(1));
    let rows = rows.zip(luma.chunks_exact(side).skip(2));
    let values = rows.flat_map(|((above, row), below)| {
        (1..side - 1).map(move |x| row[x - 1] + row[x + 1] + above[x] + below[x] - 4.0 * row[x])
    });
    let values: Vec<f32> = values.collect();
    let variance = mean_and_variance(values.iter().copied()).1;
    let mut sizes: Vec<f32> = values.into_iter().map(f32::abs).collect();
    if sizes.is_empty() {
        return 0.0;
    }
    let middle = sizes.len() / 2;
    let (_, median, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
    variance.min(MAX_VARIANCE_IN_MEDIANS * f64::from(*median).powi(2))
}

fn mean_and_variance(values: impl Iterator<Item = f32>) -> (f64, f64) {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in values.map(f64::from) {
        count += 1.0;
        sum += value;
        squares += value * value;
    }
    let mean = sum / count;
    (mean, (squares / count - mean * mean).max(0.0))
}

/// Share of a face's box that lies inside a picture of `width` x `height` pixels, 0 to 1; 0 for an empty box.
#[must_use]
pub fn inside_share(face: &BoundingBox, width: u32, height: u32) -> f64 {
    let area = face.area();
    if area > 0.0 {
        f64::from(face.clipped(width, height).area() / area).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

#[cfg(test)]
#[path = "photometry_tests.rs"]
mod tests;
