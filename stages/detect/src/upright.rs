//! Whether a face stands upright. A detector may give a face that is turned by a quarter or a half
//! upright landmarks; its template then misses its owner and resembles other turned people.

use shiren_contract::raster::Rgb8;
use shiren_models::{Face, FaceDetector, ModelError};

/// Width of the face on the net that looks at the crop, net pixels.
const FACE_NET_PX: f32 = 44.0;
/// Net pixels of the smallest face that the detector is asked for.
const DETECTOR_FACE_NET_PX: f32 = 20.0;
/// Least side of what the net sees, in widths of the face: a face that fills its picture, shown
/// without a margin, is as often found better upside down (6 of 35 portraits; with it 0 of 70 faces).
const MIN_SIDE: f32 = 3.6;
/// Score by which a turned view must beat the upright one.
const MARGIN: f32 = 0.1;
/// Longest side of what the net sees, in sides of the crop; bounds memory whatever the width said is.
const MAX_GROWTH: u32 = 4;

/// True when the face in `crop`, `face_width_px` wide there, is found with a better score after the
/// crop is turned by 180 degrees, or by 90 either way.
///
/// # Errors
/// The detector cannot be run.
pub fn is_upside_down(
    detector: &mut FaceDetector,
    crop: &Rgb8,
    face_width_px: f32,
) -> Result<bool, ModelError> {
    let smallest = (face_width_px * DETECTOR_FACE_NET_PX / FACE_NET_PX).max(1.0) as u32;
    let mut view = surrounded(crop, face_width_px);
    let upright = score(detector, &view, smallest)?;
    for _ in 0..3 {
        view = quarter_turned(&view);
        if score(detector, &view, smallest)? > upright + MARGIN {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Score of the largest face; 0 without one. A crop lies around its subject, so others are smaller.
fn score(detector: &mut FaceDetector, view: &Rgb8, smallest: u32) -> Result<f32, ModelError> {
    let found = detector.detect(view, smallest)?.faces;
    let largest = found
        .iter()
        .max_by(|a: &&Face, b: &&Face| a.bbox.area().total_cmp(&b.bbox.area()));
    Ok(largest.map_or(0.0, |face| face.score))
}

/// The crop in the middle of a black square.
fn surrounded(crop: &Rgb8, face_width_px: f32) -> Rgb8 {
    let (width, height) = (crop.width(), crop.height());
    let long = width.max(height);
    let side = ((face_width_px * MIN_SIDE) as u32).clamp(long, long * MAX_GROWTH);
    let (left, top) = ((side - width) as usize / 2, (side - height) as usize / 2);
    let mut data = vec![0; side as usize * side as usize * 3];
    let row_bytes = width as usize * 3;
    for (row, pixels) in crop.data().chunks_exact(row_bytes).enumerate() {
        let at = ((top + row) * side as usize + left) * 3;
        data[at..at + row_bytes].copy_from_slice(pixels);
    }
    // The length is that of its sides: always a raster.
    Rgb8::new(side, side, data).unwrap_or_else(|| crop.clone())
}

/// The square turned clockwise by 90 degrees.
fn quarter_turned(square: &Rgb8) -> Rgb8 {
    let side = square.width() as usize;
    let mut data = Vec::with_capacity(square.data().len());
    for y in 0..side {
        for x in 0..side {
            let at = ((side - 1 - x) * side + y) * 3;
            data.extend_from_slice(&square.data()[at..at + 3]);
        }
    }
    // Same side, same length: always a raster.
    Rgb8::new(square.width(), square.width(), data).unwrap_or_else(|| square.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_is_clockwise_and_four_are_none() {
        let picture = Rgb8::new(3, 3, (0..27).collect()).unwrap();
        let turned = quarter_turned(&picture);
        assert_eq!(turned.pixel(2, 0), picture.pixel(0, 0));
        assert_eq!(turned.pixel(2, 2), picture.pixel(2, 0));
        let back = (0..3).fold(turned, |view, _| quarter_turned(&view));
        assert_eq!(back, picture);
    }

    #[test]
    fn a_crop_is_put_whole_into_the_middle() {
        let crop = Rgb8::new(4, 2, vec![9; 24]).unwrap();
        let view = surrounded(&crop, 3.0);
        assert_eq!((view.width(), view.height()), (10, 10));
        let bright = |(x, y)| view.pixel(x, y) == Some([9; 3]);
        let inside = (3..7).flat_map(|x| (4..6).map(move |y| (x, y)));
        assert!(inside.clone().all(bright));
        assert_eq!(view.data().iter().filter(|value| **value > 0).count(), 24);
        assert_eq!(surrounded(&crop, 0.0).width(), 4);
        assert_eq!(surrounded(&crop, 1e9).width(), 16);
        assert_eq!(surrounded(&crop, f32::NAN).width(), 4);
    }
}
