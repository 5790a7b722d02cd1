//! Pictures made of pictures: heads, rotations, mirror images, degradations. The same bytes each time.

use anyhow::{Context, ensure};
use image::RgbImage;
use image::imageops::{self, FilterType};
use shiren_contract::raster::Rgb8;
use shiren_models::align::{Similarity, warp};
use shiren_schemas::records::BoundingBox;

use crate::bench::pictures::encode;

/// Quality of JPEGs that are not to show it.
pub(super) const FINE_QUALITY: i32 = 95;
/// Side of a head in longer sides of the face's box.
const HEAD: f32 = 2.7;

/// Scaled so that its longer side is at most `side`.
pub(super) fn fitted(picture: &RgbImage, side: u32) -> RgbImage {
    let long = picture.width().max(picture.height());
    if long <= side {
        return picture.clone();
    }
    scaled(picture, f64::from(side) / f64::from(long))
}

fn scaled(picture: &RgbImage, factor: f64) -> RgbImage {
    let side = |px: u32| ((f64::from(px) * factor).round() as u32).max(1);
    imageops::resize(
        picture,
        side(picture.width()),
        side(picture.height()),
        FilterType::Triangle,
    )
}

/// The face with its surroundings, cut at the picture's edges, at a face width of `face_px`.
pub(super) fn head(
    picture: &RgbImage,
    face: &BoundingBox,
    face_px: f32,
) -> anyhow::Result<RgbImage> {
    let half = (face.x2 - face.x1).max(face.y2 - face.y1) * HEAD / 2.0;
    let span = |from: f32, to: f32, length: u32| {
        let (middle, length) = ((from + to) / 2.0, length as f32);
        let start = (middle - half).clamp(0.0, length) as u32;
        (start, (middle + half).clamp(0.0, length) as u32 - start)
    };
    let (x, width) = span(face.x1, face.x2, picture.width());
    let (y, height) = span(face.y1, face.y2, picture.height());
    ensure!(width > 0 && height > 0, "a face outside its picture");
    let cut = imageops::crop_imm(picture, x, y, width, height).to_image();
    Ok(scaled(&cut, f64::from(face_px / (face.x2 - face.x1))))
}

/// Turned clockwise around its middle, on a square that holds its longer side; black around it.
pub(super) fn turned(picture: &RgbImage, degrees: f64) -> anyhow::Result<RgbImage> {
    let (width, height) = (picture.width(), picture.height());
    let side = width.max(height);
    let (b, a) = degrees.to_radians().sin_cos();
    let [x, y] = [width, height].map(|px| f64::from(px) / 2.0);
    let middle = f64::from(side) / 2.0;
    let turn = Similarity {
        a,
        b,
        tx: middle - a * x + b * y,
        ty: middle - b * x - a * y,
    };
    let source = Rgb8::new(width, height, picture.as_raw().clone()).context("no pixels")?;
    let mut floats = Vec::new();
    warp(&source, &turn, side, 1, &mut floats);
    let bytes = floats
        .iter()
        .map(|value| value.round().clamp(0.0, 255.0) as u8);
    RgbImage::from_raw(side, side, bytes.collect()).context("no pixels")
}

/// One way to spoil a picture.
#[derive(Clone, Copy, Debug)]
pub(super) enum Degradation {
    /// As it is.
    None,
    /// Gaussian blur, pixels.
    Blur(f32),
    /// Reduced by this factor.
    Small(f64),
    /// Light times this factor, in levels as stored.
    Dark(f32),
    /// JPEG quality.
    Compressed(i32),
}

impl Degradation {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Blur(_) => "blur",
            Self::Small(_) => "small",
            Self::Dark(_) => "dark",
            Self::Compressed(_) => "compressed",
        }
    }

    /// The spoilt picture as a JPEG.
    pub fn apply(self, picture: &RgbImage) -> anyhow::Result<Vec<u8>> {
        let (spoilt, quality) = match self {
            Self::None => (picture.clone(), FINE_QUALITY),
            Self::Blur(sigma) => (imageops::blur(picture, sigma), FINE_QUALITY),
            Self::Small(factor) => (scaled(picture, factor), FINE_QUALITY),
            Self::Dark(gain) => {
                let mut dark = picture.clone();
                dark.iter_mut()
                    .for_each(|level| *level = (f32::from(*level) * gain).round() as u8);
                (dark, FINE_QUALITY)
            }
            Self::Compressed(quality) => (picture.clone(), quality),
        };
        encode(&spoilt, quality)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_clockwise_brings_the_left_to_the_top() {
        let mut picture = RgbImage::new(9, 9);
        picture.put_pixel(0, 4, image::Rgb([255, 255, 255]));
        let turned = turned(&picture, 90.0).unwrap();
        assert_eq!(turned.get_pixel(4, 0).0, [255; 3]);
    }

    #[test]
    fn a_head_has_the_face_at_the_width_asked_for() {
        let picture = RgbImage::new(1000, 1000);
        let face = BoundingBox {
            x1: 400.0,
            y1: 400.0,
            x2: 500.0,
            y2: 500.0,
        };
        assert_eq!(
            head(&picture, &face, 50.0).unwrap().dimensions(),
            (135, 135)
        );
    }
}
