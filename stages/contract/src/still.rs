//! The port through which pure stages see still pictures.

pub use shiren_schemas::records::StillFormat;

use crate::codes::Code;
use crate::raster::Rgb8;

/// Limits on one still picture. All are checked against the header before a pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillLimits {
    /// Most bytes of the file.
    pub max_bytes: usize,
    /// Most pixels, width x height.
    pub max_pixels: u64,
    /// Longest side, pixels.
    pub max_side_px: u32,
    /// Shortest side, pixels.
    pub min_side_px: u32,
    /// Longest time to decode, milliseconds.
    pub decode_max_ms: u64,
}

/// What a still's header says. `width` and `height` are as stored, before orientation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillHeader {
    /// Format, found from the bytes, never from a name.
    pub format: StillFormat,
    /// Stored width, pixels.
    pub width: u32,
    /// Stored height, pixels.
    pub height: u32,
    /// EXIF orientation 1..=8; anything else in the file reads as 1.
    pub orientation: u8,
}

/// Why a picture is refused: a code and the particulars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StillError {
    /// One of `shiren_contract::codes`.
    pub code: Code,
    /// What was found, for the operator. No picture content.
    pub detail: String,
}

/// A decoded picture, upright, perhaps smaller than its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The pixels. Both sides are the whole picture's, divided by one factor and rounded up.
    pub pixels: Rgb8,
    /// Width of the whole upright picture, pixels.
    pub width: u32,
    /// Height of the whole upright picture, pixels.
    pub height: u32,
}

impl Decoded {
    /// Pixels of the whole picture for one of `pixels`, in x and y; at least 1.
    #[must_use]
    pub fn factor(&self) -> [f32; 2] {
        [
            self.width as f32 / self.pixels.width() as f32,
            self.height as f32 / self.pixels.height() as f32,
        ]
    }
}

/// Pixels of stills. An engine behind it decodes in this process or, later, in a child.
pub trait Pixels: Send {
    /// Reads format, size and orientation from the header and checks them against `limits`. Decodes nothing.
    ///
    /// # Errors
    /// Codes `picture_*`, `pixels_over_limit`, `not_an_image`, `format_unsupported`, `animation_unsupported`,
    /// `image_truncated` and `image_corrupt` where the header shows it.
    fn header(&self, bytes: &[u8], limits: &StillLimits) -> Result<StillHeader, StillError>;

    /// Decodes to upright RGB: orientation applied once, alpha composited on mid grey (128, 128, 128).
    ///
    /// # Errors
    /// As [`Pixels::header`], and `image_truncated`, `image_corrupt`, `colour_space_unsupported`, `bit_depth_unknown`, `decode_timeout`.
    fn decode(&mut self, bytes: &[u8], limits: &StillLimits) -> Result<Rgb8, StillError> {
        Ok(self.decode_reduced(bytes, limits, u32::MAX)?.pixels)
    }

    /// As [`Pixels::decode`], but where the format makes a smaller picture cheaper it may be given as
    /// small as the longer side stays at least `long_side_min_px`. What is refused does not depend on it.
    ///
    /// # Errors
    /// As [`Pixels::decode`].
    fn decode_reduced(
        &mut self,
        bytes: &[u8],
        limits: &StillLimits,
        long_side_min_px: u32,
    ) -> Result<Decoded, StillError>;
}
