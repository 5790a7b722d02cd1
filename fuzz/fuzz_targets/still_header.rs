//! Bytes as a picture's header: refused with a code, or a size and orientation within the limits. Nothing is decoded.
#![no_main]

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use libfuzzer_sys::fuzz_target;
use shiren_contract::still::{Pixels, StillLimits};
use shiren_fuzz::seed;
use shiren_stills::{StillDecoder, bare};

const LIMITS: StillLimits = StillLimits {
    max_bytes: 65_536,
    max_pixels: 1_000_000,
    max_side_px: 4096,
    min_side_px: 32,
    decode_max_ms: 5000,
};

/// A grey square in each format.
fn seeds() -> Vec<Vec<u8>> {
    const SIDE: u32 = 40;
    let grey = vec![128; (SIDE * SIDE * 3) as usize];
    let mut seeds = vec![bare::encode(&grey, SIDE, SIDE, 85).expect("a JPEG")];
    let picture = RgbImage::from_raw(SIDE, SIDE, grey).expect("as many bytes as pixels");
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp] {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).expect("a picture");
        seeds.push(file.into_inner());
    }
    seeds
}

fuzz_target!(init: seed(seeds()), |data: &[u8]| {
    match StillDecoder::new().header(data, &LIMITS) {
        Ok(header) => {
            let (width, height) = (header.width, header.height);
            assert!(data.len() <= LIMITS.max_bytes);
            assert!(width.min(height) >= LIMITS.min_side_px && width.max(height) <= LIMITS.max_side_px);
            assert!(u64::from(width) * u64::from(height) <= LIMITS.max_pixels);
            assert!((1..=8).contains(&header.orientation));
        }
        Err(error) => assert!(!error.code.id.is_empty()),
    }
});
