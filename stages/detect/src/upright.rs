//! Whether a face stands upright. A detector gives an upside-down face upright landmarks, and its
//! template then misses its owner and resembles other upside-down people.

use shiren_contract::raster::Rgb8;
use shiren_models::{Face, FaceDetector, ModelError};

/// Side of the net that looks at the crop, as a share of the crop: the face is about 44 net pixels.
const CHECK_FACE_NET_PX: f32 = 44.0;
/// Net pixels of the smallest face that the detector is asked for.
const DETECTOR_FACE_NET_PX: f32 = 20.0;

/// True when the face in `crop` is found with a better score after the crop is turned by 180 degrees.
///
/// # Errors
/// The detector cannot be run.
pub fn is_upside_down(
    detector: &mut FaceDetector,
    crop: &Rgb8,
    face_width_px: f32,
) -> Result<bool, ModelError> {
    let smallest = (face_width_px * DETECTOR_FACE_NET_PX / CHECK_FACE_NET_PX).max(1.0) as u32;
    let mut best = |picture: &Rgb8| -> Result<f32, ModelError> {
        let found = detector.detect(picture, smallest)?;
        Ok(found
            .faces
            .iter()
            .map(|face: &Face| face.score)
            .fold(0.0, f32::max))
    };
    let upright = best(crop)?;
    let turned = best(&turned(crop))?;
    Ok(turned > upright)
}

fn turned(picture: &Rgb8) -> Rgb8 {
    let data = picture.data().rchunks_exact(3).flatten().copied().collect();
    // Same size, same length: always a raster.
    Rgb8::new(picture.width(), picture.height(), data).unwrap_or_else(|| picture.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_twice_gives_the_picture_back() {
        let picture = Rgb8::new(2, 3, (0..18).collect()).unwrap();
        assert_eq!(turned(&picture).pixel(0, 0), picture.pixel(1, 2));
        assert_eq!(turned(&turned(&picture)), picture);
    }
}
