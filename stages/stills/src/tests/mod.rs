//! The port as a whole, on files made here.

mod colour;
mod depths;
mod hostile;
mod make;
mod orientation;
mod recognition;
mod reduced;
mod whole;

use crate::StillDecoder;
use shiren_contract::codes::Code;
use shiren_contract::raster::Rgb8;
use shiren_contract::still::{Pixels, StillLimits};

const LIMITS: StillLimits = StillLimits {
    max_bytes: 4 << 20,
    max_pixels: 4_000_000,
    max_side_px: 4000,
    min_side_px: 8,
    decode_max_ms: 10_000,
};

#[track_caller]
fn decode(bytes: &[u8]) -> Rgb8 {
    StillDecoder::new().decode(bytes, &LIMITS).unwrap()
}

/// The code of the refusal.
#[track_caller]
fn refused(bytes: &[u8]) -> Code {
    StillDecoder::new().decode(bytes, &LIMITS).unwrap_err().code
}

/// Largest difference of a sample.
#[track_caller]
fn distance(a: &Rgb8, b: &Rgb8) -> u8 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    a.data()
        .iter()
        .zip(b.data())
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap()
}
