//! Orientation, applied once.

use crate::{corrupt, rgb8};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use shiren_contract::raster::Rgb8;
use shiren_contract::still::StillError;

/// Turns stored pixels upright. `orientation` is 1..=8.
pub(crate) fn turn(stored: Rgb8, orientation: u8) -> Result<Rgb8, StillError> {
    let way = Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms);
    if way == Orientation::NoTransforms {
        return Ok(stored);
    }
    let (width, height) = (stored.width(), stored.height());
    let stored = RgbImage::from_raw(width, height, stored.into_data())
        .ok_or_else(|| corrupt("the pixels do not fill the picture"))?;
    let mut picture = DynamicImage::ImageRgb8(stored);
    picture.apply_orientation(way);
    let upright = picture.into_rgb8();
    rgb8(upright.width(), upright.height(), upright.into_raw())
}
