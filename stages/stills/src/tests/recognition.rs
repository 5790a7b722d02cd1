//! C12 and the limits: what a header alone decides.

use super::{LIMITS, make};
use crate::StillDecoder;
use shiren_contract::codes::{self, Code};
use shiren_contract::still::{Pixels, StillError, StillFormat, StillHeader, StillLimits};

fn header(bytes: &[u8]) -> Result<StillHeader, StillError> {
    StillDecoder::new().header(bytes, &LIMITS)
}

#[track_caller]
fn code(bytes: &[u8]) -> Code {
    header(bytes).unwrap_err().code
}

#[test]
fn bytes_decide_the_format() {
    let picture = make::picture(40, 24);
    for (file, format) in [
        (make::jpeg(&picture, make::Q95), StillFormat::Jpeg),
        (make::rgb_png(&picture), StillFormat::Png),
        (make::webp(&picture), StillFormat::Webp),
        (make::bmp(&picture), StillFormat::Bmp),
    ] {
        let found = header(&file).unwrap();
        assert_eq!(
            (found.format, found.width, found.height, found.orientation),
            (format, 40, 24, 1)
        );
    }
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x20meta";
    let error = header(heic).unwrap_err();
    assert_eq!(error.code, codes::FORMAT_UNSUPPORTED);
    assert!(
        error.detail.contains("HEIC") && error.detail.contains("JPEG"),
        "{}",
        error.detail
    );
}

#[test]
fn bombs_are_refused_from_their_headers() {
    let side = 30_000u32;
    let mut ihdr = [side.to_be_bytes(), side.to_be_bytes()].concat();
    ihdr.extend([8, 2, 0, 0, 0]);
    let png = [
        b"\x89PNG\r\n\x1A\n".as_slice(),
        &make::png_chunk(b"IHDR", &ihdr),
    ]
    .concat();
    assert_eq!(
        code(&png),
        codes::PIXELS_OVER_LIMIT,
        "though the file ends there"
    );

    let mut jpeg = make::jpeg(&make::picture(40, 24), make::Q95);
    let (_, sof, _) = make::segments(&jpeg)
        .into_iter()
        .find(|s| s.0 == 0xC0)
        .unwrap();
    jpeg[sof + 5..sof + 9].copy_from_slice(&[0x75, 0x30, 0x75, 0x30]);
    assert_eq!(code(&jpeg), codes::PIXELS_OVER_LIMIT);

    let mut bmp = make::bmp(&make::picture(40, 24));
    bmp[18..22].copy_from_slice(&side.to_le_bytes());
    bmp[22..26].copy_from_slice(&(-30_000i32).to_le_bytes());
    assert_eq!(code(&bmp), codes::PIXELS_OVER_LIMIT);
    bmp[22..26].copy_from_slice(&i32::MIN.to_le_bytes());
    assert_eq!(code(&bmp), codes::PIXELS_OVER_LIMIT);

    let webp = make::webp(&make::picture(40, 24));
    assert_eq!(
        code(&make::extended_webp(&webp, (1 << 24, 1 << 24), 0, &[])),
        codes::PIXELS_OVER_LIMIT
    );
    assert_eq!(
        code(&make::extended_webp(&webp, (41, 24), 0, &[])),
        codes::IMAGE_CORRUPT,
        "two sizes"
    );
}

#[test]
fn bytes_and_sides_have_limits() {
    let file = make::rgb_png(&make::picture(40, 24));
    let with = |change: fn(&mut StillLimits)| {
        let mut limits = LIMITS;
        change(&mut limits);
        StillDecoder::new()
            .header(&file, &limits)
            .map(|_| ())
            .map_err(|e| e.code)
    };
    assert_eq!(with(|_| {}), Ok(()));
    assert_eq!(with(|l| l.max_bytes = 50), Err(codes::PICTURE_TOO_LARGE));
    assert_eq!(with(|l| l.min_side_px = 25), Err(codes::PICTURE_TOO_SMALL));
    assert_eq!(with(|l| l.max_side_px = 39), Err(codes::PIXELS_OVER_LIMIT));
    assert_eq!(code(&[]), codes::PICTURE_EMPTY);
}

#[test]
fn several_frames_are_refused() {
    let picture = make::picture(40, 24);
    let png = make::with_chunk(&make::rgb_png(&picture), b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    assert_eq!(code(&png), codes::ANIMATION_UNSUPPORTED);
    assert_eq!(
        code(&make::fixture(include_str!("fixtures/animated.webp.hex"))),
        codes::ANIMATION_UNSUPPORTED
    );

    let mpf = |kind: u32| {
        let mut index =
            b"MPF\0II*\0\x08\0\0\0\x01\0\x02\xB0\x07\0\x20\0\0\0\x1A\0\0\0\0\0\0\0".to_vec();
        for kind in [0x2003_0000, kind] {
            index.extend(kind.to_le_bytes());
            index.extend([0; 12]);
        }
        make::with_segment(&make::jpeg(&picture, make::Q95), 0xE2, &index)
    };
    assert_eq!(
        code(&mpf(0x0002_0002)),
        codes::ANIMATION_UNSUPPORTED,
        "a stereo pair"
    );
    assert!(header(&mpf(0)).is_ok(), "a phone's picture with a gain map");
}

#[test]
fn kinds_of_jpeg_and_bmp_that_are_not_read_are_named() {
    let jpeg = make::jpeg(&make::picture(40, 24), make::Q95);
    let (_, sof, _) = make::segments(&jpeg)
        .into_iter()
        .find(|s| s.0 == 0xC0)
        .unwrap();
    let patched = |at: usize, value: u8| {
        let mut file = jpeg.clone();
        file[sof + at] = value;
        header(&file).unwrap_err()
    };
    for (at, value, name) in [
        (1, 0xC3, "lossless"),
        (1, 0xC9, "arithmetic"),
        (1, 0xC5, "hierarchical"),
        (4, 12, "12 bits"),
    ] {
        let error = patched(at, value);
        assert_eq!(error.code, codes::FORMAT_UNSUPPORTED);
        assert!(error.detail.contains(name), "{}", error.detail);
    }
    let mut rle = make::bmp(&make::picture(40, 24));
    rle[30] = 1;
    assert_eq!(code(&rle), codes::FORMAT_UNSUPPORTED);
}
