//! A picture is whole or refused.

use super::{LIMITS, decode, distance, make, refused};
use crate::StillDecoder;
use shiren_contract::codes;
use shiren_contract::still::Pixels;
use turbojpeg::Subsamp;

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let picture = make::picture(40, 24);
    let with = |progressive, subsamp| {
        make::jpeg(
            &picture,
            make::Jpeg {
                quality: 90,
                progressive,
                subsamp,
            },
        )
    };
    let exif = [
        b"Exif\0\0".as_slice(),
        &make::exif(6),
        &with(false, Subsamp::None),
    ]
    .concat();
    let lossless = make::webp(&picture);
    vec![
        ("baseline JPEG", with(false, Subsamp::None)),
        (
            "JPEG with a thumbnail",
            make::with_segment(&with(false, Subsamp::Sub2x2), 0xE1, &exif),
        ),
        ("progressive JPEG", with(true, Subsamp::Sub2x2)),
        ("PNG", make::rgb_png(&picture)),
        ("lossless WebP", lossless.clone()),
        (
            "extended WebP",
            make::extended_webp(&lossless, (40, 24), 8, &[(b"EXIF", &make::exif(3))]),
        ),
        (
            "lossy WebP",
            make::fixture(include_str!("fixtures/lossy.webp.hex")),
        ),
        (
            "lossy WebP with alpha",
            make::fixture(include_str!("fixtures/lossy_alpha.webp.hex")),
        ),
        ("BMP", make::bmp(&picture)),
    ]
}

#[test]
fn every_cut_is_refused() {
    for (name, file) in files() {
        decode(&file);
        for cut in 1..file.len() {
            let code = refused(&file[..cut]);
            assert!(
                code == codes::IMAGE_TRUNCATED || code == codes::IMAGE_CORRUPT,
                "{name} cut at {cut}: {code}"
            );
        }
        assert_eq!(
            refused(&file[..file.len() - 1]),
            codes::IMAGE_TRUNCATED,
            "{name}"
        );
        assert_eq!(
            refused(&file[..file.len() / 2]),
            codes::IMAGE_TRUNCATED,
            "{name}"
        );
    }
}

#[test]
fn bytes_behind_the_end_are_legal() {
    for (name, file) in files() {
        let second = [file.as_slice(), b"\0\0\0\x18ftypmp42", &file, &[0xFF]].concat();
        assert_eq!(decode(&second), decode(&file), "{name}");
    }
}

/// What a well-meaning tool makes of a cut file.
#[test]
fn cut_jpeg_with_a_new_end_marker_is_refused() {
    for (name, file) in files().into_iter().take(3) {
        let (_, scan, _) = make::segments(&file)
            .into_iter()
            .find(|s| s.0 == 0xDA)
            .unwrap();
        // The last byte of a scan may hold filling bits only.
        for cut in scan + 14..file.len() - 4 {
            let mended = [&file[..cut], &[0xFF, 0xD9]].concat();
            let code = refused(&mended);
            assert!(
                code == codes::IMAGE_TRUNCATED || code == codes::IMAGE_CORRUPT,
                "{name} cut at {cut}: {code}"
            );
        }
    }
}

/// libjpeg says nothing of scans that never came.
#[test]
fn progressive_jpeg_without_its_last_scans_is_refused() {
    let (_, file) = files().swap_remove(2);
    let scans: Vec<_> = make::segments(&file)
        .into_iter()
        .filter(|s| s.0 == 0xDA)
        .collect();
    assert!(scans.len() > 5);
    for (_, begin, _) in &scans[1..] {
        // Tables that belong to the scan may stand before it; libjpeg ignores what is not used.
        assert_eq!(
            refused(&[&file[..*begin], &[0xFF, 0xD9]].concat()),
            codes::IMAGE_TRUNCATED
        );
    }
}

#[test]
fn webp_whose_sizes_were_mended_after_a_cut_is_refused() {
    for (name, file) in files()
        .into_iter()
        .filter(|(name, _)| ["lossless WebP", "lossy WebP"].contains(name))
    {
        // Down to half: nearer to the end a decoder cannot know.
        for cut in 24..file.len() / 2 {
            let mut mended = file[..cut - cut % 2].to_vec();
            let length = mended.len() as u32;
            mended[4..8].copy_from_slice(&(length - 8).to_le_bytes());
            mended[16..20].copy_from_slice(&(length - 20).to_le_bytes());
            let code = refused(&mended);
            assert!(
                code == codes::IMAGE_TRUNCATED || code == codes::IMAGE_CORRUPT,
                "{name} cut at {cut}: {code}"
            );
        }
    }
}

#[test]
fn png_with_too_few_pixels_in_whole_chunks_is_refused() {
    let rows = vec![vec![9; 16]; 8];
    assert_eq!(
        decode(&make::raw_png((16, 8), 8, 0, &rows, &[])).height(),
        8
    );
    let code = refused(&make::raw_png((16, 8), 8, 0, &rows[..7], &[]));
    assert!(
        code == codes::IMAGE_TRUNCATED || code == codes::IMAGE_CORRUPT,
        "{code}"
    );
}

#[test]
fn damaged_png_pixels_are_refused() {
    let mut file = make::rgb_png(&make::picture(40, 24));
    let middle = file.len() / 2;
    file[middle] ^= 1;
    assert_eq!(refused(&file), codes::IMAGE_CORRUPT);
}

/// Phones and cameras leave a few bytes there.
#[test]
fn few_bytes_before_the_end_marker_are_let_off_and_many_are_not() {
    let file = make::jpeg(&make::picture(40, 24), make::Q95);
    let body = &file[..file.len() - 2];
    for surplus in [&[0u8][..], &[0; 2], &[0x55; 16]] {
        assert_eq!(
            decode(&[body, surplus, &[0xFF, 0xD9]].concat()),
            decode(&file),
            "{} bytes",
            surplus.len()
        );
    }
    // libjpeg does not count those that it has read ahead, at most 8.
    assert_eq!(
        refused(&[body, &[0; 16 + 9], &[0xFF, 0xD9]].concat()),
        codes::IMAGE_CORRUPT
    );
    assert_eq!(
        decode(&[body, &[0xFF; 3], &[0xFF, 0xD9]].concat()),
        decode(&file),
        "fill bytes are legal"
    );
}

#[test]
fn broken_profiles_and_unknown_segments_do_not_matter() {
    let picture = make::picture(40, 24);
    let file = make::with_segment(
        &make::jpeg(&picture, make::Q95),
        0xE2,
        b"ICC_PROFILE\0\x07\x02garbage",
    );
    let file = make::with_segment(&file, 0xE7, &[0xFF; 300]);
    assert!(distance(&decode(&file), &picture) <= 12);
    let mut file = file;
    let jfif = file
        .windows(5)
        .position(|bytes| bytes == b"JFIF\0")
        .unwrap();
    file[jfif + 5] = 2;
    assert!(distance(&decode(&file), &picture) <= 12, "JFIF 2");
    let file = make::with_chunk(&make::rgb_png(&picture), b"iCCP", b"x\0\0garbage");
    assert_eq!(decode(&file), picture);
}

/// A progressive JPEG whose last refinement scan stands there `times` times.
fn with_repeated_scan(times: usize) -> Vec<u8> {
    let picture = make::picture(40, 24);
    let file = make::jpeg(
        &picture,
        make::Jpeg {
            quality: 90,
            progressive: true,
            subsamp: Subsamp::None,
        },
    );
    let begin = make::segments(&file)
        .into_iter()
        .rfind(|s| s.0 == 0xDA)
        .unwrap()
        .1;
    let end = file.len() - 2;
    [
        &file[..begin],
        &file[begin..end].repeat(times),
        &file[end..],
    ]
    .concat()
}

#[test]
fn scans_are_limited_in_number() {
    assert_eq!(refused(&with_repeated_scan(100)), codes::DECODE_TIMEOUT);
    assert_eq!(refused(&with_repeated_scan(60_000)), codes::DECODE_TIMEOUT);
}

/// 1800x1800 pixels with 50 refinement scans that send nothing: few bytes, 3 million blocks.
#[test]
fn work_is_limited_before_it_begins() {
    let picture = make::picture(1800, 1800);
    let file = make::jpeg(
        &picture,
        make::Jpeg {
            quality: 30,
            progressive: true,
            subsamp: Subsamp::None,
        },
    );
    let begin = make::segments(&file)
        .into_iter()
        .rfind(|s| s.0 == 0xDA)
        .unwrap()
        .1;
    let end = file.len() - 2;
    let bomb = [&file[..begin], &file[begin..end].repeat(50), &file[end..]].concat();
    let limits = |decode_max_ms| shiren_contract::still::StillLimits {
        decode_max_ms,
        ..LIMITS
    };
    let error = StillDecoder::new().decode(&bomb, &limits(100)).unwrap_err();
    assert_eq!(error.code, codes::DECODE_TIMEOUT);
    assert!(
        error.detail.contains("nothing was decoded"),
        "{}",
        error.detail
    );
    assert!(
        StillDecoder::new().decode(&file, &limits(10_000)).is_ok(),
        "the same picture without the bomb"
    );
}

#[test]
fn time_is_limited_in_every_format() {
    for (name, file) in files() {
        let limits = shiren_contract::still::StillLimits {
            decode_max_ms: 0,
            ..LIMITS
        };
        let code = StillDecoder::new().decode(&file, &limits).unwrap_err().code;
        assert_eq!(code, codes::DECODE_TIMEOUT, "{name}");
        assert!(StillDecoder::new().header(&file, &limits).is_ok(), "{name}");
    }
}

#[test]
fn a_bad_picture_leaves_nothing_behind() {
    let mut decoder = StillDecoder::new();
    // Any bytes are pixels of a bitmap.
    for (name, file) in files().into_iter().filter(|(name, _)| *name != "BMP") {
        let expected = decode(&file);
        let broken = [&file[..file.len() / 2], &vec![0x41; file.len()]].concat();
        decoder.decode(&broken, &LIMITS).unwrap_err();
        assert_eq!(decoder.decode(&file, &LIMITS).unwrap(), expected, "{name}");
    }
}
