//! Still pictures in this process: the implementation of [`shiren_contract::still::Pixels`].
//!
//! What holds for every format:
//! - The format is found from the bytes. Names and declared types are not seen here.
//! - [`StillDecoder::header`](Pixels::header) reads structure only: it decodes nothing, and allocates
//!   nothing that a file declares. Limits are checked there, so before any pixel exists.
//! - A picture is whole or it is refused. Each format is walked to its end before its decoder sees it,
//!   as decoders fill what is missing with grey and say little about it. Bytes behind the end of the
//!   picture are legal (phones put clips and depth maps there) and are not read.
//! - Pixels are taken as sRGB: ICC profiles, `gAMA` and `cICP` are ignored. Of CMYK, the plain
//!   (1-C)(1-K) rule is applied.
//! - Orientation is read from EXIF only (JPEG APP1, PNG `eXIf`, WebP `EXIF`), never from XMP or text chunks.
//!   Thumbnails inside EXIF are never looked at.
//! - Time: PNG, WebP and BMP are stopped between reads of input once `decode_max_ms` is over; how JPEG is
//!   bounded stands in `jpeg.rs`. Whatever took longer in the end is refused.

pub mod bare;
mod bmp;
mod deadline;
mod depth;
mod exif;
mod frame;
mod jpeg;
mod jpeg_segments;
mod limits;
mod png;
mod sniff;
#[cfg(test)]
mod tests;
mod upright;
mod webp;

use deadline::Deadline;
use shiren_contract::codes::{self, Code};
use shiren_contract::raster::Rgb8;
use shiren_contract::still::{Decoded, Pixels, StillError, StillFormat, StillHeader, StillLimits};

/// Target of the event that tells of each decoded picture: `width` and `height` of its stored pixels.
pub const DECODED: &str = "shiren_stills::decoded";

/// Decodes stills in this process: JPEG by libjpeg-turbo, PNG, WebP and BMP by `image`.
///
/// It keeps nothing between pictures, so that no picture can touch the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct StillDecoder;

impl StillDecoder {
    /// A decoder.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Pixels for StillDecoder {
    fn header(&self, bytes: &[u8], limits: &StillLimits) -> Result<StillHeader, StillError> {
        limits::check_bytes(bytes, limits)?;
        // Each checks the size as soon as it has read it: a bomb is called one even if its file is cut.
        match sniff::format(bytes)? {
            StillFormat::Jpeg => jpeg::header(bytes, limits),
            StillFormat::Png => png::header(bytes, limits),
            StillFormat::Webp => webp::header(bytes, limits),
            StillFormat::Bmp => bmp::header(bytes, limits),
        }
    }

    fn decode_reduced(
        &mut self,
        bytes: &[u8],
        limits: &StillLimits,
        long_side_min_px: u32,
    ) -> Result<Decoded, StillError> {
        let deadline = Deadline::starting_now(limits.decode_max_ms);
        let header = self.header(bytes, limits)?;
        let stored = match header.format {
            StillFormat::Jpeg => jpeg::pixels(bytes, &header, limits, long_side_min_px)?,
            StillFormat::Png => png::pixels(bytes, &header, limits, deadline)?,
            StillFormat::Webp => webp::pixels(bytes, &header, deadline)?,
            StillFormat::Bmp => bmp::pixels(bytes, &header, deadline)?,
        };
        let (width, height) = (stored.width(), stored.height());
        tracing::trace!(target: DECODED, width, height);
        let pixels = upright::turn(stored, header.orientation)?;
        deadline.check()?;
        let (width, height) = if upright::swaps_sides(header.orientation) {
            (header.height, header.width)
        } else {
            (header.width, header.height)
        };
        Ok(Decoded {
            pixels,
            width,
            height,
        })
    }
}

/// A refusal.
fn refuse(code: Code, detail: impl Into<String>) -> StillError {
    StillError {
        code,
        detail: detail.into(),
    }
}

/// A refusal of a damaged file.
fn corrupt(detail: impl Into<String>) -> StillError {
    refuse(codes::IMAGE_CORRUPT, detail)
}

/// A refusal of a file that ends too early.
fn truncated(detail: impl Into<String>) -> StillError {
    refuse(codes::IMAGE_TRUNCATED, detail)
}

/// Packed RGB as a picture; refused if its length is not that of its size.
fn rgb8(width: u32, height: u32, data: Vec<u8>) -> Result<Rgb8, StillError> {
    Rgb8::new(width, height, data)
        .ok_or_else(|| corrupt("the decoder gave another number of pixels than the header"))
}
