//! Smaller than the file, where less is enough.

use super::{LIMITS, make};
use crate::StillDecoder;
use shiren_contract::raster::Rgb8;
use shiren_contract::still::{Decoded, Pixels, StillError};
use turbojpeg::Subsamp;

const WIDTH: u32 = 403;
const HEIGHT: u32 = 301;

fn reduced(bytes: &[u8], long_side_min_px: u32) -> Result<Decoded, StillError> {
    StillDecoder::new().decode_reduced(bytes, &LIMITS, long_side_min_px)
}

fn oriented(subsamp: Subsamp, orientation: u16) -> Vec<u8> {
    let how = make::Jpeg {
        quality: 95,
        progressive: false,
        subsamp,
    };
    let exif = [b"Exif\0\0".as_slice(), &make::exif(orientation)].concat();
    make::with_segment(&make::jpeg(&make::picture(WIDTH, HEIGHT), how), 0xE1, &exif)
}

/// The largest difference between a pixel and the middle of what it stands for in the whole picture.
fn distance(small: &Decoded, whole: &Rgb8) -> u8 {
    let [across, down] = small.factor();
    let mut most = 0;
    for y in 0..small.pixels.height() {
        for x in 0..small.pixels.width() {
            let at = |n: u32, factor: f32, length: u32| {
                (((n as f32 + 0.5) * factor) as u32).min(length - 1)
            };
            let there = [at(x, across, whole.width()), at(y, down, whole.height())];
            let (here, there) = (small.pixels.pixel(x, y), whole.pixel(there[0], there[1]));
            for (a, b) in here.unwrap().into_iter().zip(there.unwrap()) {
                most = most.max(a.abs_diff(b));
            }
        }
    }
    most
}

#[test]
fn a_jpeg_is_as_small_as_it_may_be_and_the_same_picture() {
    for subsamp in [Subsamp::None, Subsamp::Sub2x2, Subsamp::Sub2x1] {
        for orientation in 1..=8 {
            let file = oriented(subsamp, orientation);
            let whole = reduced(&file, u32::MAX).unwrap();
            let size = if orientation >= 5 {
                (HEIGHT, WIDTH)
            } else {
                (WIDTH, HEIGHT)
            };
            assert_eq!((whole.pixels.width(), whole.pixels.height()), size);
            assert_eq!(whole.factor(), [1.0, 1.0]);
            for (wanted, divisor) in [
                (403, 1),
                (203, 1),
                (202, 2),
                (101, 4),
                (52, 4),
                (51, 8),
                (1, 8),
            ] {
                let small = reduced(&file, wanted).unwrap();
                assert_eq!((small.width, small.height), size, "the whole size is told");
                assert_eq!(
                    (small.pixels.width(), small.pixels.height()),
                    (size.0.div_ceil(divisor), size.1.div_ceil(divisor)),
                    "{wanted} wanted, orientation {orientation}"
                );
                let away = distance(&small, &whole.pixels);
                assert!(
                    away <= 8,
                    "{away} at 1/{divisor}, orientation {orientation}"
                );
            }
        }
    }
}

#[test]
fn other_formats_are_given_whole() {
    let picture = make::picture(WIDTH, HEIGHT);
    for file in [
        make::rgb_png(&picture),
        make::webp(&picture),
        make::bmp(&picture),
    ] {
        assert_eq!(reduced(&file, 1).unwrap().pixels, picture);
    }
}

#[test]
fn what_is_refused_whole_is_refused_reduced() {
    let file = oriented(Subsamp::Sub2x2, 6);
    for cut in (1..file.len()).step_by(7) {
        let whole = reduced(&file[..cut], u32::MAX).unwrap_err();
        assert_eq!(reduced(&file[..cut], 1).unwrap_err(), whole, "cut at {cut}");
    }
    let scan = file
        .windows(2)
        .position(|pair| pair == [0xFF, 0xDA])
        .unwrap();
    let mut refused = 0;
    for at in (scan + 20..file.len() - 2).step_by(97) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x55;
        let [whole, small] = [u32::MAX, 1].map(|px| reduced(&damaged, px).map(|_| ()));
        assert_eq!(small, whole, "damaged at {at}");
        refused += usize::from(whole.is_err());
    }
    assert!(refused > 0, "no damage was noticed at all");
}
