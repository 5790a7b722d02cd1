//! Antialiased resizing, with its buffers kept.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use shiren_contract::raster::Rgb8;

use crate::view::FloatRaster;

/// A part of a picture in its pixels; inside the picture, at least a part of a pixel large.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width, above 0.
    pub width: f64,
    /// Height, above 0.
    pub height: f64,
}

impl Region {
    /// All of it.
    #[must_use]
    pub fn whole(picture: &Rgb8) -> Self {
        Self::of_pixels(0, 0, picture.width(), picture.height())
    }

    /// Whole pixels, from the left and upper edge on.
    #[must_use]
    pub fn of_pixels(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self {
            x: x.into(),
            y: y.into(),
            width: width.into(),
            height: height.into(),
        }
    }

    /// Left and upper edge, if it is made of `width` x `height` whole pixels.
    fn whole_pixels(&self, width: u32, height: u32) -> Option<(u32, u32)> {
        let whole = self.x.fract() == 0.0 && self.y.fract() == 0.0;
        let same = self.width == f64::from(width) && self.height == f64::from(height);
        (whole && same).then_some((self.x as u32, self.y as u32))
    }
}

/// Scales regions with a triangle filter that widens with the reduction, so that nothing is skipped.
#[derive(Default)]
pub struct Resampler {
    resizer: Resizer,
}

impl Resampler {
    /// `region` of `picture` as packed RGB of `width` x `height` pixels (at least 1) in `out`, which
    /// is resized to fit.
    ///
    /// # Errors
    /// What the resizer refused: a region that is not in the picture, or a side of 0.
    pub fn resize(
        &mut self,
        picture: &Rgb8,
        region: Region,
        (width, height): (u32, u32),
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        out.resize(width as usize * height as usize * 3, 0);
        if let Some(corner) = region.whole_pixels(width, height) {
            return copy_region(picture, corner, (width, height), out);
        }
        let source = ImageRef::new(
            picture.width(),
            picture.height(),
            picture.data(),
            PixelType::U8x3,
        )
        .map_err(|error| error.to_string())?;
        let mut target = Image::from_slice_u8(width, height, out, PixelType::U8x3)
            .map_err(|error| error.to_string())?;
        self.resizer
            .resize(&source, &mut target, &options(&region))
            .map_err(|error| error.to_string())
    }

    /// As [`Resampler::resize`], without rounding; `region` counts the raster's border.
    ///
    /// # Errors
    /// As [`Resampler::resize`].
    pub fn resize_floats(
        &mut self,
        picture: &FloatRaster,
        region: Region,
        (width, height): (u32, u32),
        out: &mut Vec<f32>,
    ) -> Result<(), String> {
        out.resize(width as usize * height as usize * 3, 0.0);
        let source = ImageRef::new(
            picture.width,
            picture.height,
            bytemuck::cast_slice(&picture.values),
            PixelType::F32x3,
        )
        .map_err(|error| error.to_string())?;
        let out = bytemuck::cast_slice_mut(out);
        let mut target = Image::from_slice_u8(width, height, out, PixelType::F32x3)
            .map_err(|error| error.to_string())?;
        self.resizer
            .resize(&source, &mut target, &options(&region))
            .map_err(|error| error.to_string())
    }
}

fn options(region: &Region) -> ResizeOptions {
    ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(region.x, region.y, region.width, region.height)
}

fn copy_region(
    picture: &Rgb8,
    (x, y): (u32, u32),
    (width, height): (u32, u32),
    out: &mut [u8],
) -> Result<(), String> {
    let fits = |from: u32, length: u32, side: u32| from.saturating_add(length) <= side;
    if !fits(x, width, picture.width()) || !fits(y, height, picture.height()) {
        return Err("the region reaches out of the picture".into());
    }
    let stride = picture.width() as usize * 3;
    let row_bytes = width as usize * 3;
    let first = y as usize * stride + x as usize * 3;
    for (row, target) in out.chunks_exact_mut(row_bytes).enumerate() {
        let at = first + row * stride;
        target.copy_from_slice(&picture.data()[at..at + row_bytes]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkerboard(side: u32) -> Rgb8 {
        let pixels = (0..side * side).flat_map(|i| {
            [if (i % side + i / side).is_multiple_of(2) {
                0
            } else {
                254
            }; 3]
        });
        Rgb8::new(side, side, pixels.collect()).unwrap()
    }

    #[test]
    fn a_fine_pattern_becomes_its_mean() {
        let mut out = Vec::new();
        let picture = checkerboard(64);
        Resampler::default()
            .resize(&picture, Region::whole(&picture), (16, 16), &mut out)
            .unwrap();
        assert!(
            out.iter().all(|&value| (i32::from(value) - 127).abs() <= 4),
            "{out:?}"
        );
    }

    #[test]
    fn an_unscaled_region_is_copied() {
        let picture = checkerboard(8);
        let mut out = Vec::new();
        let region = Region::of_pixels(1, 2, 3, 2);
        Resampler::default()
            .resize(&picture, region, (3, 2), &mut out)
            .unwrap();
        let expected: Vec<u8> = [(1, 2), (2, 2), (3, 2), (1, 3), (2, 3), (3, 3)]
            .iter()
            .flat_map(|&(x, y)| picture.pixel(x, y).unwrap())
            .collect();
        assert_eq!(out, expected);
        let outside = Region::of_pixels(6, 2, 3, 2);
        let refused = Resampler::default().resize(&picture, outside, (3, 2), &mut out);
        assert!(refused.unwrap_err().contains("out of the picture"));
    }
}
