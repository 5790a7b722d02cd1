//! Classical cues of a presentation attack in one still: pure functions of the subject's crop.
//!
//! Both are ratios within the picture, so that a dim, dull or flat picture of a live face does not look like an attack
//! by that alone. Neither sees a good print or a screen without visible pixels that fill the frame.

use shiren_contract::raster::Rgb8;

use super::spectrum::{TILE_PX, Transform};
use crate::geometry::BoundingBox;
use crate::resample::{Region, Resampler};

/// Tiles along each side, half a tile apart.
const TILES: usize = 4;
/// Lowest and highest frequency that is looked at, cycles a tile: below lie features of faces, above nothing whole.
const BAND: (f32, f32) = (8.0, 31.0);
/// Frequencies this near to an axis are left out, cycles a tile: edges of a face, and blocks of a JPEG.
const AXIS: i32 = 2;
/// Standard deviation of the noise below which a pattern does not count, grey values.
const NOISE: f32 = 1.0;
/// Highest frequencies that the cue is the mean of.
const PEAKS: usize = 4;
/// Sides of the squares that a frequency's surroundings are, without their middle, in frequencies.
const AROUND: (i32, i32) = (5, 2);

/// Longer side of the face when straight edges are looked for, pixels.
const EDGE_FACE_PX: f32 = 48.0;
/// Largest side of the crop then, pixels, whatever its face.
const EDGE_MAX_PX: f32 = 192.0;
/// Largest tilt of an edge, degrees, and the step in which tilts are tried.
const TILT: (i32, usize) = (10, 2);
/// Least share of the crop's side that an edge runs across.
const SPAN: f32 = 0.7;
/// A step of brightness counts up to this, in mean steps; and from this on, as a step of the edge's.
const STEP: (f32, f32) = (3.0, 0.5);

/// Periodic patterns on the face: how far the strongest isolated frequencies of the brightness stand out of their
/// surroundings, in natural logarithms of power. About 1 for a face, 3 and more for halftone dots. `None` where the crop
/// is smaller than a tile. The face is given in the crop's pixels.
#[must_use]
pub fn periodic_pattern(crop: &Rgb8, face: &BoundingBox, transform: &Transform) -> Option<f64> {
    let (width, height) = (crop.width() as usize, crop.height() as usize);
    if width < TILE_PX || height < TILE_PX {
        return None;
    }
    let grey = luma(crop.data());
    let starts = |middle: f32, length: usize| -> Vec<usize> {
        let span = TILE_PX / 2 * (TILES + 1);
        let first = (middle - span as f32 / 2.0).clamp(0.0, length.saturating_sub(span) as f32);
        (0..TILES)
            .map(|tile| first as usize + tile * TILE_PX / 2)
            .filter(|start| start + TILE_PX <= length)
            .collect()
    };
    let [x, y] = face.centre();
    let (columns, rows) = (starts(x, width), starts(y, height));
    let tiles: Vec<Vec<f32>> = rows
        .iter()
        .flat_map(|&top| columns.iter().map(move |&left| (left, top)))
        .map(|(left, top)| {
            let lines = grey.chunks_exact(width).skip(top).take(TILE_PX);
            lines
                .flat_map(|line| line[left..left + TILE_PX].to_vec())
                .collect()
        })
        .collect();
    let mut power = vec![0.0; TILE_PX * TILE_PX];
    let none = vec![0.0; TILE_PX * TILE_PX];
    for pair in tiles.chunks(2) {
        let second = pair.get(1).unwrap_or(&none);
        transform.add_powers([&pair[0], second], &mut power);
    }
    let floor = transform.noise_power() * NOISE * NOISE;
    for value in &mut power {
        *value = (*value / tiles.len().max(1) as f32 + floor).ln();
    }
    Some(f64::from(peaks(&power)))
}

/// Mean of the highest residuals of the log powers over their surroundings.
fn peaks(log_power: &[f32]) -> f32 {
    let side = TILE_PX as i32;
    let wide = box_sums(log_power, AROUND.0);
    let narrow = box_sums(log_power, AROUND.1);
    let count = |radius: i32| ((2 * radius + 1) * (2 * radius + 1)) as f32;
    let around = count(AROUND.0) - count(AROUND.1);
    let mut residuals = Vec::with_capacity(TILE_PX * TILE_PX / 2);
    // The other half is the mirror image of this one.
    for v in 0..=side / 2 {
        for place in 0..side {
            let u = if place > side / 2 {
                place - side
            } else {
                place
            };
            let radius = ((u * u + v * v) as f32).sqrt();
            if radius < BAND.0 || radius > BAND.1 || u.abs() < AXIS || v < AXIS {
                continue;
            }
            let at = (v * side + place) as usize;
            residuals.push(log_power[at] - (wide[at] - narrow[at]) / around);
        }
    }
    residuals.sort_unstable_by(|a, b| b.total_cmp(a));
    let highest = &residuals[..PEAKS.min(residuals.len())];
    highest.iter().sum::<f32>() / highest.len().max(1) as f32
}

/// Sums over the square of `radius` around each value of a tile that goes on at its other end.
fn box_sums(values: &[f32], radius: i32) -> Vec<f32> {
    let side = TILE_PX as i32;
    let wrap = |at: i32| at.rem_euclid(side) as usize;
    let along = |values: &[f32], at: &dyn Fn(usize, usize) -> usize| {
        let mut sums = vec![0.0; values.len()];
        for line in 0..TILE_PX {
            let mut sum: f32 = (-radius..=radius).map(|k| values[at(line, wrap(k))]).sum();
            for place in 0..side {
                sums[at(line, place as usize)] = sum;
                sum += values[at(line, wrap(place + radius + 1))]
                    - values[at(line, wrap(place - radius))];
            }
        }
        sums
    };
    let rows = along(values, &|line, place| line * TILE_PX + place);
    along(&rows, &|line, place| place * TILE_PX + line)
}

/// Straight edges beside the face, as a screen's frame or a print's border: for the left, right, upper and lower side of
/// the face the steadiest step of brightness along a line across the crop, 0 to 3, the strongest side first.
#[must_use]
pub fn straight_edges(crop: &Rgb8, face: &BoundingBox) -> Option<[f64; 4]> {
    let long = face.width().max(face.height());
    if long.is_nan() || long <= 0.0 {
        return None;
    }
    let largest = crop.width().max(crop.height()) as f32;
    let scale = (EDGE_FACE_PX / long).min(EDGE_MAX_PX / largest);
    let side = |px: u32| ((px as f32 * scale).round() as u32).max(8);
    let (width, height) = (side(crop.width()), side(crop.height()));
    let mut small = Vec::new();
    Resampler::default()
        .resize(crop, Region::whole(crop), (width, height), &mut small)
        .ok()?;
    let grey = luma(&small);
    let (width, height) = (width as usize, height as usize);
    let turned: Vec<f32> = (0..width)
        .flat_map(|x| grey.iter().skip(x).step_by(width).copied())
        .collect();
    let [left, right] = edges_beside(&grey, width, (face.x1 * scale, face.x2 * scale));
    let [upper, lower] = edges_beside(&turned, height, (face.y1 * scale, face.y2 * scale));
    let mut sides = [left, right, upper, lower].map(f64::from);
    sides.sort_unstable_by(|a, b| b.total_cmp(a));
    Some(sides)
}

/// The steadiest near-upright edge before and behind `face` (first and last column) of rows of `width` values.
fn edges_beside(grey: &[f32], width: usize, face: (f32, f32)) -> [f32; 2] {
    let height = grey.len() / width;
    let across = width - 2;
    let mut steps: Vec<f32> = grey
        .chunks_exact(width)
        .flat_map(|row| row.windows(3).map(|w| (w[2] - w[0]) / 2.0))
        .collect();
    let square: f32 = steps.iter().map(|step| step * step).sum();
    // A whole grey value more, so that an even picture has no edges.
    let mean = (square / steps.len().max(1) as f32).sqrt() + 1.0;
    for step in &mut steps {
        *step /= mean;
    }
    let mut best = [0.0_f32; 2];
    for tilt in (-TILT.0..=TILT.0).step_by(TILT.1) {
        let slope = (tilt as f32).to_radians().tan();
        let shift = |y: usize| (slope * (y as f32 - height as f32 / 2.0)).round() as isize;
        let shifts: Vec<isize> = (0..height).map(shift).collect();
        for start in 0..across {
            // A step's column counts from 1 in the picture.
            let beside = start as f32 + 1.0;
            let side = match (beside < face.0, beside > face.1) {
                (true, _) => 0,
                (_, true) => 1,
                _ => continue,
            };
            let values = steps.chunks_exact(across).zip(&shifts);
            let values =
                values.filter_map(|(row, shift)| row.get(start.checked_add_signed(*shift)?));
            best[side] = best[side].max(steadiness(values, height));
        }
    }
    best
}

/// Mean of the steps along a line, times the share of them that go the line's way.
fn steadiness<'a>(values: impl Iterator<Item = &'a f32>, height: usize) -> f32 {
    let (mut n, mut up, mut down, mut sum) = (0_usize, 0_usize, 0_usize, 0.0);
    for value in values {
        n += 1;
        sum += value.clamp(-STEP.0, STEP.0);
        up += usize::from(*value > STEP.1);
        down += usize::from(-value > STEP.1);
    }
    if (n as f32) < SPAN * height as f32 {
        return 0.0;
    }
    let with = if sum < 0.0 { down } else { up };
    sum.abs() / height as f32 * with as f32 / n as f32
}

/// ITU-R BT.601 luma of packed RGB, 0 to 255.
fn luma(rgb: &[u8]) -> Vec<f32> {
    rgb.chunks_exact(3)
        .map(|p| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]))
        .collect()
}

#[cfg(test)]
#[path = "cues_tests.rs"]
mod tests;
