//! C03, C14, C38, alpha: the same colours by every path.

use super::{decode, distance, make, refused};
use image::ExtendedColorType;
use shiren_contract::codes;
use shiren_contract::raster::Rgb8;
use turbojpeg::{Colorspace, PixelFormat, Subsamp};

fn swapped(picture: &Rgb8) -> Rgb8 {
    let data = picture
        .data()
        .chunks(3)
        .flat_map(|p| [p[2], p[1], p[0]])
        .collect();
    Rgb8::new(picture.width(), picture.height(), data).unwrap()
}

/// The picture of the fixtures.
fn quadrants() -> Rgb8 {
    let colours = [[200, 60, 40], [40, 170, 60], [50, 60, 190], [230, 220, 210]];
    let data = (0..256)
        .flat_map(|n| colours[(n / 128) * 2 + n % 16 / 8])
        .collect();
    Rgb8::new(16, 16, data).unwrap()
}

#[test]
fn every_format_gives_the_same_pixels_and_red_is_not_blue() {
    let picture = make::picture(96, 64);
    for (format, make) in [
        ("PNG", make::rgb_png as fn(&Rgb8) -> Vec<u8>),
        ("WebP", make::webp),
        ("BMP", make::bmp),
        ("JPEG", |picture| make::jpeg(picture, make::Q95)),
    ] {
        let decoded = decode(&make(&picture));
        let most = if format == "JPEG" { 10 } else { 0 };
        assert!(
            distance(&decoded, &picture) <= most,
            "{format}: {}",
            distance(&decoded, &picture)
        );
        assert!(
            distance(&decode(&make(&swapped(&picture))), &picture) > 150,
            "{format} with red and blue swapped"
        );
        assert!(distance(&decode(&make(&swapped(&picture))), &swapped(&picture)) <= most);
    }
}

#[test]
fn progressive_and_subsampled_jpeg_decode() {
    let picture = make::picture(97, 61);
    for subsamp in [
        Subsamp::None,
        Subsamp::Sub2x1,
        Subsamp::Sub2x2,
        Subsamp::Sub1x2,
        Subsamp::Sub4x1,
    ] {
        let jpeg = |progressive| {
            make::jpeg(
                &picture,
                make::Jpeg {
                    quality: 95,
                    progressive,
                    subsamp,
                },
            )
        };
        let (baseline, progressive) = (decode(&jpeg(false)), decode(&jpeg(true)));
        assert!(distance(&baseline, &picture) <= 16, "{subsamp:?}");
        assert_eq!(baseline, progressive, "{subsamp:?}");
    }
    let grey: Vec<u8> = (0..64 * 32).map(|n| (n % 64 * 4) as u8).collect();
    let how = make::Jpeg {
        subsamp: Subsamp::Gray,
        ..make::Q95
    };
    let decoded = decode(&make::compress(
        64,
        &grey,
        PixelFormat::GRAY,
        Colorspace::Gray,
        how,
    ));
    assert!(
        decoded
            .data()
            .chunks(3)
            .zip(&grey)
            .all(|(p, g)| p[0] == p[1] && p[1] == p[2] && p[0].abs_diff(*g) < 6)
    );
}

#[test]
fn jpeg_stored_as_rgb_decodes() {
    let picture = make::picture(48, 32);
    let jpeg = make::compress(
        48,
        picture.data(),
        PixelFormat::RGB,
        Colorspace::RGB,
        make::Q95,
    );
    assert!(distance(&decode(&jpeg), &picture) <= 8);
}

/// C38: many cameras leave out the tables of Annex K.
#[test]
fn jpeg_without_huffman_tables_equals_the_one_with_them() {
    let picture = make::picture(96, 64);
    for subsamp in [Subsamp::None, Subsamp::Sub2x2] {
        let jpeg = make::jpeg(
            &picture,
            make::Jpeg {
                subsamp,
                ..make::Q95
            },
        );
        let stripped = make::without(&jpeg, 0xC4);
        assert!(stripped.len() + 400 < jpeg.len(), "the tables are gone");
        assert_eq!(decode(&stripped), decode(&jpeg));
    }
}

#[test]
fn ycck_is_not_inverted() {
    let picture = make::picture(48, 32);
    // Adobe's way round: 255 is no ink, so full key keeps red, green and blue as they are.
    let inks: Vec<u8> = picture
        .data()
        .chunks(3)
        .flat_map(|p| [p[0], p[1], p[2], 255])
        .collect();
    for colours in [Colorspace::YCCK, Colorspace::CMYK] {
        let jpeg = make::compress(48, &inks, PixelFormat::CMYK, colours, make::Q95);
        assert!(distance(&decode(&jpeg), &picture) <= 10, "{colours:?}");
        let unmarked = make::without(&jpeg, 0xEE);
        assert_eq!(
            refused(&unmarked),
            codes::COLOUR_SPACE_UNSUPPORTED,
            "{colours:?} without Adobe segment"
        );
    }
    let half_key: Vec<u8> = inks
        .chunks(4)
        .flat_map(|p| [p[0], p[1], p[2], 128])
        .collect();
    let jpeg = make::compress(
        48,
        &half_key,
        PixelFormat::CMYK,
        Colorspace::YCCK,
        make::Q95,
    );
    let halved = Rgb8::new(48, 32, picture.data().iter().map(|c| c / 2).collect()).unwrap();
    assert!(
        distance(&decode(&jpeg), &halved) <= 8,
        "half the key is half the light"
    );
}

#[test]
fn cmyk_of_another_writer_is_not_inverted() {
    let decoded = decode(&make::fixture(include_str!("fixtures/cmyk_adobe.jpg.hex")));
    assert!(distance(&decoded, &quadrants()) <= 8);
}

#[test]
fn unknown_adobe_transforms_and_two_components_are_refused() {
    let picture = make::picture(48, 32);
    let jpeg = make::without(&make::jpeg(&picture, make::Q95), 0xE0);
    let adobe = |transform| [b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat();
    assert_eq!(
        refused(&make::with_segment(&jpeg, 0xEE, &adobe(2))),
        codes::COLOUR_SPACE_UNSUPPORTED
    );
    assert!(
        distance(
            &decode(&make::with_segment(&jpeg, 0xEE, &adobe(1))),
            &picture
        ) <= 10
    );

    let (_, sof, _) = make::segments(&jpeg)
        .into_iter()
        .find(|s| s.0 == 0xC0)
        .unwrap();
    let mut two = jpeg.clone();
    two[sof + 9] = 2;
    assert_eq!(refused(&two), codes::COLOUR_SPACE_UNSUPPORTED);
}

#[test]
fn lossy_webp_decodes_with_and_without_alpha() {
    let opaque = decode(&make::fixture(include_str!("fixtures/lossy.webp.hex")));
    let at = |picture: &Rgb8, x, y| picture.pixel(x, y).unwrap();
    let near = |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 25);
    for (x, y) in [(3, 3), (12, 3), (3, 12), (12, 12)] {
        assert!(
            near(at(&opaque, x, y), at(&quadrants(), x, y)),
            "{:?}",
            at(&opaque, x, y)
        );
    }
    // Alpha runs from 0 at the top to 255 at the bottom.
    let faded = decode(&make::fixture(include_str!(
        "fixtures/lossy_alpha.webp.hex"
    )));
    assert!(near(at(&faded, 3, 0), [128; 3]), "{:?}", at(&faded, 3, 0));
    assert!(
        near(at(&faded, 12, 15), at(&quadrants(), 12, 15)),
        "{:?}",
        at(&faded, 12, 15)
    );
}

#[test]
fn alpha_lies_on_mid_grey_once() {
    let rgba: Vec<u8> = (0..16u8 * 8)
        .flat_map(|n| [200, 40, 90, if n % 2 == 0 { 0 } else { 128 }])
        .collect();
    let decoded = decode(&make::png(16, &rgba, ExtendedColorType::Rgba8));
    assert_eq!(decoded.pixel(0, 0), Some([128, 128, 128]));
    assert_eq!(decoded.pixel(1, 0), Some([164, 84, 109]));
}

#[test]
fn bitmaps_with_32_bits_ignore_the_unused_byte() {
    let picture = make::picture(16, 8);
    let mut file = make::bmp(&picture)[..54].to_vec();
    file[28] = 32;
    for y in (0..8).rev() {
        for x in 0..16 {
            let [r, g, b] = picture.pixel(x, y).unwrap();
            file.extend([b, g, r, 0]);
        }
    }
    assert_eq!(decode(&file), picture);
    file[22..26].copy_from_slice(&(-8i32).to_le_bytes());
    let flipped = decode(&file);
    assert_eq!(
        flipped.pixel(0, 0),
        picture.pixel(0, 7),
        "negative height: top row first"
    );
}
