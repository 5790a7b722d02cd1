//! C11: all orientations, in all formats that carry one, applied once.

use super::{LIMITS, decode, distance, make};
use crate::StillDecoder;
use shiren_contract::raster::Rgb8;
use shiren_contract::still::Pixels;
use turbojpeg::Subsamp;

/// The stored picture that `orientation` turns into `upright`. Where the upright pixel (x, y) lies in the stored
/// picture is the table of the EXIF standard: what the 0th row and the 0th column stand for.
fn stored(upright: &Rgb8, orientation: u16) -> Rgb8 {
    let (width, height) = (upright.width(), upright.height());
    let (stored_width, stored_height) = if orientation >= 5 {
        (height, width)
    } else {
        (width, height)
    };
    let mut data = vec![0; upright.data().len()];
    for y in 0..height {
        for x in 0..width {
            let (right, bottom) = (stored_width - 1, stored_height - 1);
            let (column, row) = match orientation {
                1 => (x, y),
                2 => (right - x, y),
                3 => (right - x, bottom - y),
                4 => (x, bottom - y),
                5 => (y, x),
                6 => (y, bottom - x),
                7 => (right - y, bottom - x),
                _ => (right - y, x),
            };
            let at = ((row * stored_width + column) * 3) as usize;
            data[at..at + 3].copy_from_slice(&upright.pixel(x, y).unwrap());
        }
    }
    Rgb8::new(stored_width, stored_height, data).unwrap()
}

fn files(stored: &Rgb8, tag: u16) -> [(&'static str, Vec<u8>); 5] {
    let exif = make::exif(tag);
    let prefixed = [b"Exif\0\0".as_slice(), &exif].concat();
    let how = make::Jpeg {
        quality: 100,
        progressive: false,
        subsamp: Subsamp::None,
    };
    let size = (stored.width(), stored.height());
    let png = make::rgb_png(stored);
    let end = png.len() - 12;
    [
        (
            "JPEG",
            make::with_segment(&make::jpeg(stored, how), 0xE1, &prefixed),
        ),
        ("PNG", make::with_chunk(&png, b"eXIf", &exif)),
        (
            "PNG, behind the pixels",
            [&png[..end], &make::png_chunk(b"eXIf", &exif), &png[end..]].concat(),
        ),
        (
            "WebP",
            make::extended_webp(&make::webp(stored), size, 0x08, &[(b"EXIF", &exif)]),
        ),
        (
            "WebP, with prefix",
            make::extended_webp(&make::webp(stored), size, 0x08, &[(b"EXIF", &prefixed)]),
        ),
    ]
}

#[test]
fn all_eight_give_the_upright_pixels() {
    let upright = make::picture(40, 24);
    for orientation in 1..=8 {
        let stored = stored(&upright, orientation);
        for (format, file) in files(&stored, orientation) {
            let header = StillDecoder::new().header(&file, &LIMITS).unwrap();
            assert_eq!(u16::from(header.orientation), orientation, "{format}");
            assert_eq!(
                (header.width, header.height),
                (stored.width(), stored.height()),
                "as stored"
            );
            let most = if format == "JPEG" { 4 } else { 0 };
            assert!(
                distance(&decode(&file), &upright) <= most,
                "{format} with orientation {orientation}"
            );
        }
    }
}

#[test]
fn orientations_differ_from_each_other() {
    let upright = make::picture(32, 32);
    for a in 1..=8 {
        for b in a + 1..=8 {
            assert!(
                distance(&stored(&upright, a), &stored(&upright, b)) > 100,
                "{a} and {b}"
            );
        }
    }
}

#[test]
fn other_values_mean_one() {
    let upright = make::picture(40, 24);
    for tag in [0, 9, 255, 256 + 6] {
        for (format, file) in files(&upright, tag) {
            assert_eq!(
                StillDecoder::new()
                    .header(&file, &LIMITS)
                    .unwrap()
                    .orientation,
                1,
                "{format}, {tag}"
            );
        }
    }
}

#[test]
fn thumbnails_and_second_exif_segments_are_not_read() {
    let upright = make::picture(40, 24);
    let thumbnail = make::jpeg(&make::picture(16, 8), make::Q95);
    let with_thumbnail = [b"Exif\0\0".as_slice(), &make::exif(1), &thumbnail].concat();
    let second = [b"Exif\0\0".as_slice(), &make::exif(6)].concat();
    let file = make::with_segment(&make::jpeg(&upright, make::Q95), 0xE1, &second);
    let file = make::with_segment(&file, 0xE1, &with_thumbnail);
    assert!(distance(&decode(&file), &upright) <= 12);
}
