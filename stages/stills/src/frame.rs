//! From `image`'s decoders to RGB.

use crate::deadline::Deadline;
use crate::depth::{self, Depths};
use crate::sniff::unsupported;
use crate::{corrupt, refuse, rgb8, truncated};
use image::{ColorType, ImageDecoder, ImageError, Limits};
use shiren_contract::codes;
use shiren_contract::raster::Rgb8;
use shiren_contract::still::{StillError, StillHeader};

/// Ground under transparent pixels.
const GROUND: u32 = 128;

/// Most bytes that a decoder may allocate for itself: four samples of 16 bits a pixel, twice, and tables.
fn most_bytes(header: &StillHeader) -> u64 {
    u64::from(header.width) * u64::from(header.height) * 16 + (1 << 20)
}

/// Limits for a decoder of `image`.
pub(crate) fn limits(header: &StillHeader) -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(header.width);
    limits.max_image_height = Some(header.height);
    limits.max_alloc = Some(most_bytes(header));
    limits
}

/// Decodes the whole of one picture to RGB.
pub(crate) fn decode<D: ImageDecoder>(
    mut decoder: D,
    header: &StillHeader,
    depths: Depths,
    deadline: Deadline,
) -> Result<Rgb8, StillError> {
    let refused = |error| refusal(error, deadline);
    decoder.set_limits(limits(header)).map_err(refused)?;
    if decoder.dimensions() != (header.width, header.height) {
        return Err(corrupt(format!(
            "two sizes in one file: {:?} and {}x{}",
            decoder.dimensions(),
            header.width,
            header.height
        )));
    }
    let colour = decoder.color_type();
    let samples =
        header.width as usize * header.height as usize * usize::from(colour.channel_count());
    let wide = matches!(
        colour,
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16
    );
    let mut data = vec![0; samples * if wide { 2 } else { 1 }];
    decoder.read_image(&mut data).map_err(refused)?;
    let data = if wide {
        depth::to_8_bits(&data, usize::from(colour.channel_count()), depths)?
    } else {
        data
    };
    let data = match colour {
        ColorType::L8 | ColorType::L16 => data.iter().flat_map(|grey| [*grey; 3]).collect(),
        ColorType::La8 | ColorType::La16 => on_ground(&data, |p: &[u8; 2]| ([p[0]; 3], p[1])),
        ColorType::Rgb8 | ColorType::Rgb16 => data,
        ColorType::Rgba8 | ColorType::Rgba16 => {
            on_ground(&data, |p: &[u8; 4]| ([p[0], p[1], p[2]], p[3]))
        }
        other => return Err(unsupported(&format!("pixels of type {other:?}"))),
    };
    rgb8(header.width, header.height, data)
}

/// Composites straight alpha on mid grey.
fn on_ground<const N: usize>(data: &[u8], split: impl Fn(&[u8; N]) -> ([u8; 3], u8)) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(data.len() / N * 3);
    for pixel in data.as_chunks::<N>().0 {
        let (colour, alpha) = split(pixel);
        let alpha = u32::from(alpha);
        rgb.extend(
            colour.map(|c| ((u32::from(c) * alpha + GROUND * (255 - alpha) + 127) / 255) as u8),
        );
    }
    rgb
}

/// The code for an error of `image`.
pub(crate) fn refusal(error: ImageError, deadline: Deadline) -> StillError {
    if let Err(late) = deadline.check() {
        return late;
    }
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            truncated(e.to_string())
        }
        ImageError::Limits(e) => refuse(codes::PIXELS_OVER_LIMIT, e.to_string()),
        ImageError::Unsupported(e) => unsupported(&e.to_string()),
        other => corrupt(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_mixed_with_mid_grey() {
        let rgba = [200, 100, 0, 255, 200, 100, 0, 0, 255, 0, 128, 128];
        let rgb = on_ground(&rgba, |p: &[u8; 4]| ([p[0], p[1], p[2]], p[3]));
        assert_eq!(rgb, [200, 100, 0, 128, 128, 128, 192, 64, 128]);
    }
}
