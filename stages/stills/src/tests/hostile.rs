//! Any bytes: no panic, no picture over the limits.

use super::make;
use crate::StillDecoder;
use proptest::prelude::*;
use shiren_contract::codes;
use shiren_contract::still::{Pixels, StillLimits};
use turbojpeg::Subsamp;

const TIGHT: StillLimits = StillLimits {
    max_bytes: 64 << 10,
    max_pixels: 4096,
    max_side_px: 128,
    min_side_px: 8,
    decode_max_ms: 10_000,
};

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut decoder = StillDecoder::new();
    let header = decoder.header(bytes, &TIGHT);
    let decoded = decoder.decode(bytes, &TIGHT);
    match (&header, decoded) {
        (Ok(header), decoded) => {
            let (width, height) = (header.width, header.height);
            prop_assert!(u64::from(width) * u64::from(height) <= TIGHT.max_pixels);
            prop_assert!(
                width.max(height) <= TIGHT.max_side_px && width.min(height) >= TIGHT.min_side_px
            );
            prop_assert!((1..=8).contains(&header.orientation));
            if let Ok(picture) = decoded {
                let turned = header.orientation >= 5;
                let expected = if turned {
                    (height, width)
                } else {
                    (width, height)
                };
                prop_assert_eq!((picture.width(), picture.height()), expected);
            }
        }
        (Err(error), decoded) => {
            prop_assert_eq!(decoded.as_ref().map_err(|e| e.code), Err(error.code));
            prop_assert!(codes::ALL.contains(&error.code) && !error.detail.is_empty());
        }
    }
    Ok(())
}

fn seeds() -> Vec<Vec<u8>> {
    let picture = make::picture(40, 24);
    let exif = make::exif(6);
    let prefixed = [b"Exif\0\0".as_slice(), &exif].concat();
    let jpeg = |progressive, subsamp| {
        make::jpeg(
            &picture,
            make::Jpeg {
                quality: 60,
                progressive,
                subsamp,
            },
        )
    };
    vec![
        make::with_segment(&jpeg(false, Subsamp::Sub2x2), 0xE1, &prefixed),
        jpeg(true, Subsamp::None),
        make::with_chunk(&make::rgb_png(&picture), b"eXIf", &exif),
        make::extended_webp(&make::webp(&picture), (40, 24), 8, &[(b"EXIF", &exif)]),
        make::fixture(include_str!("fixtures/lossy.webp.hex")),
        make::fixture(include_str!("fixtures/lossy_alpha.webp.hex")),
        make::fixture(include_str!("fixtures/cmyk_adobe.jpg.hex")),
        make::bmp(&picture),
    ]
}

/// Checksums made good again, so that damage gets past them.
fn mend_checksums(png: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = png.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let Some(content) = png.get(at + 4..at.saturating_add(8).saturating_add(length)) else {
            return;
        };
        let sum = crc32fast::hash(content).to_be_bytes();
        let Some(place) = png.get_mut(at + 8 + length..at + 12 + length) else {
            return;
        };
        place.copy_from_slice(&sum);
        at += 12 + length;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes)?;
    }

    #[test]
    fn arbitrary_bytes_behind_a_signature(which in 0usize..5, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let heads: [&[u8]; 5] = [
            b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR",
            b"\xFF\xD8\xFF",
            b"BM",
            b"RIFF\x40\0\0\0WEBPVP8X",
            b"\0\0\0\x20ftyp",
        ];
        check(&[heads[which], &bytes].concat())?;
    }

    #[test]
    fn mutations_of_whole_files(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        mend in any::<bool>(),
    ) {
        let seeds = seeds();
        let mut file = which.get(&seeds).clone();
        for (at, value) in changes {
            let length = file.len();
            file[at.index(length)] = value;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        if mend && file.starts_with(b"\x89PNG") {
            mend_checksums(&mut file);
        }
        check(&file)?;
    }
}
