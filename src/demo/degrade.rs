//! Pictures made worse on purpose: simulated, and called so.

use anyhow::Context;
use image::RgbImage;
use image::imageops::{self, FilterType};

/// Darkest and lightest dot of a simulated print, of 255.
const INK: [f32; 2] = [25.0, 235.0];

/// The picture with this longer side, pixels.
pub(super) fn resized(picture: &RgbImage, long_px: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let factor = f64::from(long_px) / f64::from(width.max(height)).max(1.0);
    let side = |px: u32| ((f64::from(px) * factor).round() as u32).max(1);
    imageops::resize(picture, side(width), side(height), FilterType::Triangle)
}

/// The picture out of focus: a Gaussian of this deviation, pixels.
pub(super) fn blurred(picture: &RgbImage, sigma_px: f32) -> RgbImage {
    imageops::blur(picture, sigma_px)
}

/// The picture as a black-and-white print: in each square of `cell_px` a dot whose area is its darkness.
pub(super) fn printed(picture: &RgbImage, cell_px: u32) -> anyhow::Result<RgbImage> {
    anyhow::ensure!((2..=64).contains(&cell_px), "dots_px is not within 2..=64");
    let grey = imageops::grayscale(picture);
    let (width, height) = grey.dimensions();
    let cells = imageops::resize(
        &grey,
        width.div_ceil(cell_px),
        height.div_ceil(cell_px),
        FilterType::Triangle,
    );
    let dot = |x: u32, y: u32| {
        let cell = cells.get_pixel_checked(x / cell_px, y / cell_px);
        let darkness = 1.0 - cell.map_or(0.0, |pixel| f32::from(pixel.0[0]) / 255.0);
        let radius = (darkness / std::f32::consts::PI).sqrt() * cell_px as f32;
        let from_middle = |at: u32| (at % cell_px) as f32 + 0.5 - cell_px as f32 / 2.0;
        let distance = from_middle(x).hypot(from_middle(y));
        // An edge of one pixel between ink and paper.
        let ink = (radius - distance + 0.5).clamp(0.0, 1.0);
        let value = (INK[1] + (INK[0] - INK[1]) * ink) as u8;
        image::Rgb([value; 3])
    };
    let print = RgbImage::from_fn(width, height, dot);
    (print.width() > 0)
        .then_some(print)
        .context("an empty picture")
}
