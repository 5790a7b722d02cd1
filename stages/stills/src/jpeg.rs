//! JPEG by libjpeg-turbo.
//!
//! **Warnings.** libjpeg fills what it cannot read with grey and warns. `turbojpeg` 1.5 reports a warning as an
//! error with the text of the last one, so nothing damaged passes. One warning is let off, as whole families of
//! phones and cameras cause it: a few bytes between the last scan and the end marker. They are cut off, and the
//! picture is decoded again: then it must pass without a word.
//!
//! **Time.** libjpeg-turbo cannot be stopped from here, so its work is bounded before it starts: at most
//! [`MOST_SCANS`] scans (usual files have 1 to 12, encoders that try out scripts below 30), and no more blocks in
//! all scans together and bytes than `decode_max_ms` allows at [`BLOCKS_PER_MS`] and [`BYTES_PER_MS`]. Those were
//! measured on 12-megapixel files with each of their scans repeated 40 times; on a slower core the bound stretches.
//!
//! **Size.** Where a smaller picture is enough, libjpeg-turbo computes fewer points of each block: a half, a quarter
//! or an eighth of each side. All bits are read and checked all the same.
//!
//! **Memory.** The output, and for progressive files 2 bytes a coefficient: at most 8 bytes a pixel.
//!
//! **Colour.** CMYK and YCCK are converted only with an Adobe segment, which says that they are stored inverted
//! (as all that write it do). Without one nobody knows which way they go: refused.

use crate::jpeg_segments::{self, Head};
use crate::limits::check_size;
use crate::{corrupt, refuse, rgb8, truncated};
use shiren_contract::codes;
use shiren_contract::raster::Rgb8;
use shiren_contract::still::{StillError, StillFormat, StillHeader, StillLimits};
use turbojpeg::{Decompressor, Image, PixelFormat, ScalingFactor};

/// Most scans of a JPEG.
const MOST_SCANS: usize = 64;

/// Blocks of 8x8 that one core visits in a millisecond, in the slowest kind of scan: refinement that sends nothing
/// (measured: 22,900).
const BLOCKS_PER_MS: u64 = 20_000;

/// Bytes that one core reads in a millisecond, in the slowest kind of scan: dense refinement (measured: 42,000).
const BYTES_PER_MS: u64 = 40_000;

/// Most bytes between the last scan and the end marker that are let off, as libjpeg counts them: without up to 8
/// that it has read ahead.
const MOST_EXTRANEOUS_BYTES: usize = 16;

/// Size, orientation, and all that can be refused without pixels.
pub(crate) fn header(bytes: &[u8], limits: &StillLimits) -> Result<StillHeader, StillError> {
    let head = jpeg_segments::head(bytes)?;
    check_size(head.frame.width, head.frame.height, limits)?;
    if head.several_frames {
        let detail = "a multi-picture file (MPO): panorama, stereo pair or burst";
        return Err(refuse(codes::ANIMATION_UNSUPPORTED, detail));
    }
    check_colours(&head)?;
    Ok(StillHeader {
        format: StillFormat::Jpeg,
        width: head.frame.width,
        height: head.frame.height,
        orientation: head.orientation,
    })
}

fn check_colours(head: &Head) -> Result<(), StillError> {
    let detail = match (head.frame.count, head.adobe) {
        (1, _) | (3, None | Some(0 | 1)) | (4, Some(0 | 2)) => return Ok(()),
        (4, None) => "JPEG with four components and no Adobe segment: it is not known whether they are inverted".into(),
        (n, transform) => format!("JPEG with {n} components and Adobe transform {transform:?}"),
    };
    Err(refuse(codes::COLOUR_SPACE_UNSUPPORTED, detail))
}

/// The smallest picture whose longer side has at least `long_side_min_px` pixels. Other fractions than
/// these have no fast path in libjpeg-turbo.
fn scaling(header: &StillHeader, long_side_min_px: u32) -> ScalingFactor {
    let long = header.width.max(header.height);
    let enough = |divisor: &u32| long.div_ceil(*divisor) >= long_side_min_px;
    let divisor = [8, 4, 2].into_iter().find(enough).unwrap_or(1);
    ScalingFactor::new(1, divisor as usize)
}

/// Stored pixels, perhaps reduced. `header` is what [`header`] said of the same bytes.
pub(crate) fn pixels(
    bytes: &[u8],
    header: &StillHeader,
    limits: &StillLimits,
    long_side_min_px: u32,
) -> Result<Rgb8, StillError> {
    let head = jpeg_segments::head(bytes)?;
    let whole = jpeg_segments::whole(bytes, head.frame, MOST_SCANS)?;
    let expected_ms = whole.blocks / BLOCKS_PER_MS + whole.stream.len() as u64 / BYTES_PER_MS;
    if expected_ms > limits.decode_max_ms {
        let detail = format!(
            "JPEG of {} scans: {expected_ms} ms expected, at most {} allowed; nothing was decoded",
            whole.scans, limits.decode_max_ms
        );
        return Err(refuse(codes::DECODE_TIMEOUT, detail));
    }
    let four_components = head.frame.count == 4;
    let format = if four_components {
        PixelFormat::CMYK
    } else {
        PixelFormat::RGB
    };
    let scaling = scaling(header, long_side_min_px);
    let size = (header.width as usize, header.height as usize);
    let (width, height) = (scaling.scale(size.0), scaling.scale(size.1));
    let image = Image {
        pixels: vec![0; width * height * format.size()],
        width,
        pitch: width * format.size(),
        height,
        format,
    };
    let mut target = Target {
        image,
        size,
        scaling,
    };
    decompress_strictly(whole.stream, &mut target)?;
    let image = target.image;
    let data = if four_components {
        rgb_of_inverted_cmyk(&image.pixels)
    } else {
        image.pixels
    };
    let side = |px: usize| u32::try_from(px).unwrap_or(u32::MAX);
    rgb8(side(width), side(height), data)
}

/// Where libjpeg-turbo writes to.
struct Target {
    image: Image<Vec<u8>>,
    /// Width and height that the stream must declare, pixels.
    size: (usize, usize),
    scaling: ScalingFactor,
}

/// Decodes without a warning, but for a few bytes too many at the end.
fn decompress_strictly(mut stream: Vec<u8>, target: &mut Target) -> Result<(), StillError> {
    let Err(first) = decompress(&stream, target) else {
        return Ok(());
    };
    let Some(surplus) = extraneous_bytes_at_end(&first) else {
        return Err(refusal(&first));
    };
    stream.truncate(stream.len() - 2 - surplus);
    stream.extend_from_slice(&[0xFF, 0xD9]);
    decompress(&stream, target).map_err(|_| refusal(&first))
}

/// The one place where libjpeg-turbo runs.
/// A new handle each time: after an error a handle may keep state of the bad file.
fn decompress(stream: &[u8], target: &mut Target) -> Result<(), String> {
    let mut decompressor = Decompressor::new().map_err(|e| e.to_string())?;
    let found = decompressor
        .read_header(stream)
        .map_err(|e| e.to_string())?;
    if (found.width, found.height) != target.size {
        return Err(format!(
            "libjpeg-turbo finds {}x{} pixels",
            found.width, found.height
        ));
    }
    decompressor
        .set_scaling_factor(target.scaling)
        .map_err(|e| e.to_string())?;
    decompressor
        .decompress(stream, target.image.as_deref_mut())
        .map_err(|e| e.to_string())
}

/// `Corrupt JPEG data: 2 extraneous bytes before marker 0xd9` gives 2, within bounds.
fn extraneous_bytes_at_end(warning: &str) -> Option<usize> {
    let count = warning
        .split("JPEG data: ")
        .nth(1)?
        .strip_suffix(" extraneous bytes before marker 0xd9")?;
    count
        .parse()
        .ok()
        .filter(|count| (1..=MOST_EXTRANEOUS_BYTES).contains(count))
}

fn refusal(message: &str) -> StillError {
    if message.contains("remature end of") {
        truncated(message)
    } else {
        corrupt(message)
    }
}

/// Adobe stores ink inverted: 255 is none. So red is cyan x key / 255.
fn rgb_of_inverted_cmyk(cmyk: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(cmyk.len() / 4 * 3);
    for ink in cmyk.chunks_exact(4) {
        let of = |n: usize| ((u32::from(ink[n]) * u32::from(ink[3]) + 127) / 255) as u8;
        rgb.extend_from_slice(&[of(0), of(1), of(2)]);
    }
    rgb
}
