//! Antialiased resizing, with its buffers kept.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use shiren_contract::raster::Rgb8;

/// A part of a picture in whole pixels; inside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Region {
    pub fn whole(picture: &Rgb8) -> Self {
        Self {
            x: 0,
            y: 0,
            width: picture.width(),
            height: picture.height(),
        }
    }
}

/// Scales regions with a triangle filter that widens with the reduction, so that nothing is skipped.
#[derive(Default)]
pub(crate) struct Resampler {
    resizer: Resizer,
}

impl Resampler {
    /// `region` of `picture` as packed RGB of `width` x `height` pixels (at least 1) in `out`, which
    /// is resized to fit. The error says what the resizer refused; sound arguments give none.
    pub fn resize(
        &mut self,
        picture: &Rgb8,
        region: Region,
        (width, height): (u32, u32),
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        out.resize(width as usize * height as usize * 3, 0);
        if (width, height) == (region.width, region.height) {
            copy_region(picture, region, out);
            return Ok(());
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
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(
                region.x.into(),
                region.y.into(),
                region.width.into(),
                region.height.into(),
            );
        self.resizer
            .resize(&source, &mut target, &options)
            .map_err(|error| error.to_string())
    }
}

fn copy_region(picture: &Rgb8, region: Region, out: &mut [u8]) {
    let stride = picture.width() as usize * 3;
    let row_bytes = region.width as usize * 3;
    let first = region.y as usize * stride + region.x as usize * 3;
    for (row, target) in out.chunks_exact_mut(row_bytes).enumerate() {
        let at = first + row * stride;
        target.copy_from_slice(&picture.data()[at..at + row_bytes]);
    }
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
        let region = Region {
            x: 1,
            y: 2,
            width: 3,
            height: 2,
        };
        Resampler::default()
            .resize(&picture, region, (3, 2), &mut out)
            .unwrap();
        let expected: Vec<u8> = [(1, 2), (2, 2), (3, 2), (1, 3), (2, 3), (3, 3)]
            .iter()
            .flat_map(|&(x, y)| picture.pixel(x, y).unwrap())
            .collect();
        assert_eq!(out, expected);
    }
}
