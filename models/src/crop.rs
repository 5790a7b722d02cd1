//! The piece of a picture that travels on with a face.

use shiren_contract::raster::Rgb8;

use crate::geometry::{BoundingBox, Face};
use crate::resample::{Region, Resampler};

/// Side of a crop in sides of the face's box: head, hair and shoulders.
pub const SIDE_FACTOR: f32 = 2.7;

/// Where a crop lies in its picture: `crop = (picture - [x, y]) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropTransform {
    /// Crop pixels a picture pixel in x and y, above 0 and at most 1; the two differ by less than
    /// one crop pixel over the crop's side.
    pub scale: [f32; 2],
    /// Left edge in the picture, in whole pixels.
    pub x: u32,
    /// Upper edge in the picture, in whole pixels.
    pub y: u32,
}

impl CropTransform {
    /// A point of the picture in the crop.
    #[must_use]
    pub fn to_crop(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [
            (x - self.x as f32) * self.scale[0],
            (y - self.y as f32) * self.scale[1],
        ]
    }

    /// A face of the picture in the crop.
    #[must_use]
    pub fn face_to_crop(&self, face: &Face) -> Face {
        let b = face.bbox;
        let ([x1, y1], [x2, y2]) = (self.to_crop([b.x1, b.y1]), self.to_crop([b.x2, b.y2]));
        Face {
            bbox: BoundingBox { x1, y1, x2, y2 },
            landmarks: face.landmarks.map(|point| self.to_crop(point)),
            score: face.score,
        }
    }

    /// A point of the crop in the picture.
    #[must_use]
    pub fn to_picture(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [
            x / self.scale[0] + self.x as f32,
            y / self.scale[1] + self.y as f32,
        ]
    }
}

/// A face's surroundings.
#[derive(Debug, Clone)]
pub struct ContextCrop {
    /// The pixels.
    pub pixels: Rgb8,
    /// The face, in pixels of the crop.
    pub face: Face,
    /// Where the crop lies in its picture.
    pub transform: CropTransform,
}

/// The square of `side_factor` (at least 1) times the longer side of the face's box around its
/// middle, cut off at the picture's edges (never padded), and shrunk with antialiasing where its
/// longer side is above `max_side_px` (at least 1). `None` when the face lies outside the picture.
#[must_use]
pub fn context_crop(
    picture: &Rgb8,
    face: &Face,
    side_factor: f32,
    max_side_px: u32,
) -> Option<ContextCrop> {
    let [x, y, region_width, region_height] = region(picture, face, side_factor)?;
    let long = region_width.max(region_height);
    let shrink = f64::from(max_side_px.clamp(1, long)) / f64::from(long);
    let side = |px: u32| ((f64::from(px) * shrink).round() as u32).max(1);
    let (width, height) = (side(region_width), side(region_height));
    let mut data = Vec::new();
    let region = Region::of_pixels(x, y, region_width, region_height);
    Resampler::default()
        .resize(picture, region, (width, height), &mut data)
        .ok()?;
    let scale = [
        width as f32 / region_width as f32,
        height as f32 / region_height as f32,
    ];
    let transform = CropTransform { scale, x, y };
    Some(ContextCrop {
        pixels: Rgb8::new(width, height, data)?,
        face: transform.face_to_crop(face),
        transform,
    })
}

/// Whole pixels of the wanted square that lie in the picture: left, upper edge, width, height.
fn region(picture: &Rgb8, face: &Face, side_factor: f32) -> Option<[u32; 4]> {
    let half = face.bbox.width().max(face.bbox.height()) * side_factor.max(1.0) / 2.0;
    let [x, y] = face.bbox.centre();
    let span = |middle: f32, length: u32| {
        let from = (middle - half).floor().clamp(0.0, length as f32) as u32;
        let to = (middle + half).ceil().clamp(0.0, length as f32) as u32;
        (to > from).then_some((from, to - from))
    };
    let (x, width) = span(x, picture.width())?;
    let (y, height) = span(y, picture.height())?;
    Some([x, y, width, height])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picture(width: u32, height: u32) -> Rgb8 {
        let data = (0..width * height)
            .flat_map(|i| [(i % width) as u8, (i / width) as u8, 7])
            .collect();
        Rgb8::new(width, height, data).unwrap()
    }

    fn face(x: f32, y: f32, side: f32) -> Face {
        let bbox = BoundingBox {
            x1: x,
            y1: y,
            x2: x + side,
            y2: y + side,
        };
        let at = |dx: f32, dy: f32| [x + dx * side, y + dy * side];
        let landmarks = [
            at(0.3, 0.4),
            at(0.7, 0.4),
            at(0.5, 0.6),
            at(0.35, 0.8),
            at(0.65, 0.8),
        ];
        Face {
            bbox,
            landmarks,
            score: 0.9,
        }
    }

    #[test]
    fn an_unscaled_crop_is_the_pixels_themselves() {
        let crop = context_crop(&picture(200, 100), &face(100.0, 40.0, 10.0), 2.0, 384).unwrap();
        assert_eq!((crop.pixels.width(), crop.pixels.height()), (20, 20));
        assert_eq!(
            crop.transform,
            CropTransform {
                scale: [1.0, 1.0],
                x: 95,
                y: 35
            }
        );
        assert_eq!(crop.pixels.pixel(0, 0), Some([95, 35, 7]));
        assert_eq!(crop.face.landmarks[0], [103.0 - 95.0, 44.0 - 35.0]);
    }

    #[test]
    fn a_crop_stays_in_the_picture_and_under_the_limit() {
        let crop = context_crop(
            &picture(200, 100),
            &face(-20.0, 20.0, 60.0),
            SIDE_FACTOR,
            50,
        )
        .unwrap();
        assert_eq!((crop.transform.x, crop.transform.y), (0, 0));
        assert_eq!((crop.pixels.width(), crop.pixels.height()), (46, 50));
    }

    #[test]
    fn a_face_outside_has_no_crop() {
        assert!(
            context_crop(
                &picture(20, 20),
                &face(100.0, 100.0, 10.0),
                SIDE_FACTOR,
                384
            )
            .is_none()
        );
        assert!(
            context_crop(
                &picture(20, 20),
                &face(f32::NAN, 0.0, 10.0),
                SIDE_FACTOR,
                384
            )
            .is_none()
        );
    }

    proptest! {
        #[test]
        fn crop_to_picture_and_back(
            x in 0.0f32..150.0, y in 0.0f32..80.0, side in 4.0f32..120.0, factor in 1.0f32..5.0, max in 8u32..200,
            px in 0.0f32..200.0, py in 0.0f32..100.0,
        ) {
            let crop = context_crop(&picture(200, 100), &face(x, y, side), factor, max).unwrap();
            let [bx, by] = crop.transform.to_picture(crop.transform.to_crop([px, py]));
            prop_assert!((bx - px).abs() < 0.01 && (by - py).abs() < 0.01);
            prop_assert!(crop.pixels.width().max(crop.pixels.height()) <= max);
            let corner = crop.transform.to_picture([crop.pixels.width() as f32, crop.pixels.height() as f32]);
            prop_assert!(corner[0] <= 200.01 && corner[1] <= 100.01);
            for (in_crop, in_picture) in crop.face.landmarks.iter().zip(face(x, y, side).landmarks) {
                let back = crop.transform.to_picture(*in_crop);
                prop_assert!((back[0] - in_picture[0]).abs() < 0.01 && (back[1] - in_picture[1]).abs() < 0.01);
            }
        }
    }
}
