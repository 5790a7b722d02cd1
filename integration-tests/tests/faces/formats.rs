//! Files that some decoders read wrongly: they are read right, or refused with a code.

use image::{Rgb, RgbImage};
use shiren_contract::codes;
use shiren_schemas::records::Decision;

use crate::chain::chain;
use crate::files;
use crate::pictures::{file, pixels};

const PORTRAITS: [&str; 4] = [
    "obama2.jpg",
    "astronaut.png",
    "franck_02221.jpg",
    "cage.jpg",
];
/// Least score of dlib (1 - distance) between two files of the same pixels.
const SAME_PIXELS: f64 = 0.9;

/// Case C14, both as Adobe writes them.
#[test]
fn inks_are_never_read_inverted() {
    let mut chain = chain();
    for name in PORTRAITS {
        let original = pixels(name);
        let reference = files::png(&original);
        for (kind, bytes) in [
            ("CMYK", files::cmyk_jpeg(&original)),
            ("YCCK", files::ycck_jpeg(&original)),
        ] {
            let score = chain.score(name, &bytes, &reference);
            assert!(score >= SAME_PIXELS, "{name} as {kind}: {score}");
        }
    }
}

/// Case C13: full range, and 12 bits that say so. (12 bits that do not are in the table of bad pictures.)
#[test]
fn sixteen_bits_are_scaled_and_not_clipped_or_darkened() {
    let mut chain = chain();
    for name in PORTRAITS {
        let original = pixels(name);
        let grey = image::imageops::grayscale(&original);
        let grey = RgbImage::from_fn(grey.width(), grey.height(), |x, y| {
            Rgb([grey.get_pixel(x, y).0[0]; 3])
        });
        let reference = files::png(&grey);
        let full = files::grey_16(&original, 65_535);
        let twelve = files::with_chunk(&files::grey_16(&original, 4095), b"sBIT", &[12]);
        for (kind, bytes) in [("0..65535", full), ("0..4095 with sBIT", twelve)] {
            let score = chain.score(name, &bytes, &reference);
            assert!(score >= SAME_PIXELS, "{name} as {kind}: {score}");
        }
    }
}

/// Case C12: nothing but bytes is on the wire, and they decide.
#[test]
fn heic_is_refused_with_what_to_send_instead() {
    let mut chain = chain();
    let answer = chain.detect(&files::heic());
    assert_eq!(answer.reasons(), [codes::FORMAT_UNSUPPORTED.id]);
    let detail = &answer.evidence.faults[0].detail;
    assert!(
        detail.contains("HEIC") && detail.contains("send JPEG"),
        "{detail}"
    );
    assert!(codes::FORMAT_UNSUPPORTED.advice.contains("JPEG"));
}

/// Case C38: cameras leave the standard Huffman tables out.
#[test]
fn a_jpeg_without_huffman_tables_gives_the_same_verdict() {
    let mut chain = chain();
    let reference = file("obama.jpg");
    for name in ["obama2.jpg", "biden.jpg", "franck_02221.jpg"] {
        let whole = files::jpeg(&pixels(name), 90);
        let stripped = files::without_huffman_tables(&whole);
        assert!(
            stripped.len() + 400 < whole.len(),
            "the tables have over 400 bytes"
        );
        let (expected, answer) = (
            chain.compare(&whole, &reference),
            chain.compare(&stripped, &reference),
        );
        assert_ne!(
            expected.decision(),
            Decision::Error,
            "{name}: {}",
            expected.summary()
        );
        assert_eq!(
            answer.verdict.canonical, expected.verdict.canonical,
            "{name}"
        );
        assert_eq!(
            answer.evidence.comparison, expected.evidence.comparison,
            "{name}"
        );
        assert_eq!(
            answer.evidence.pictures, expected.evidence.pictures,
            "{name}"
        );
    }
}
