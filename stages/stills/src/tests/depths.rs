//! C13: every depth of PNG, neither clipped nor darkened.

use super::{decode, make, refused};
use image::ExtendedColorType;
use shiren_contract::codes;

/// 16x8 samples from 0 to `most`.
fn ramp(most: u32) -> Vec<u16> {
    (0..128).map(|n| (n * most / 127) as u16).collect()
}

fn grey16(samples: &[u16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_ne_bytes()).collect();
    make::png(16, &data, ExtendedColorType::L16)
}

#[track_caller]
fn assert_ramp(file: &[u8]) {
    for (n, pixel) in decode(file).data().chunks(3).enumerate() {
        let expected = (n * 255 / 127) as u8;
        assert!(
            pixel.iter().all(|s| s.abs_diff(expected) <= 1),
            "pixel {n}: {pixel:?}, expected {expected}"
        );
    }
}

#[test]
fn full_range_of_16_bits_is_scaled() {
    assert_ramp(&grey16(&ramp(65_535)));
}

#[test]
fn twelve_bits_need_their_depth_declared() {
    let file = grey16(&ramp(4095));
    assert_eq!(refused(&file), codes::BIT_DEPTH_UNKNOWN);
    assert_ramp(&make::with_chunk(&file, b"sBIT", &[12]));
    assert_eq!(
        refused(&make::with_chunk(&file, b"sBIT", &[0])),
        codes::BIT_DEPTH_UNKNOWN,
        "not a depth"
    );
    assert_eq!(
        refused(&make::with_chunk(&file, b"sBIT", &[17])),
        codes::BIT_DEPTH_UNKNOWN,
        "not a depth"
    );
}

#[test]
fn twelve_bits_scaled_by_the_standard_stay() {
    let samples: Vec<u16> = ramp(4095).iter().map(|s| s << 4).collect();
    assert_ramp(&make::with_chunk(&grey16(&samples), b"sBIT", &[12]));
}

#[test]
fn colour_and_alpha_of_16_bits() {
    let rgb: Vec<u8> = ramp(65_535)
        .iter()
        .flat_map(|s| [*s; 3])
        .flat_map(u16::to_ne_bytes)
        .collect();
    assert_ramp(&make::png(16, &rgb, ExtendedColorType::Rgb16));
    let low: Vec<u8> = ramp(1023)
        .iter()
        .flat_map(|s| [*s; 3])
        .flat_map(u16::to_ne_bytes)
        .collect();
    let low = make::png(16, &low, ExtendedColorType::Rgb16);
    assert_eq!(refused(&low), codes::BIT_DEPTH_UNKNOWN);
    assert_ramp(&make::with_chunk(&low, b"sBIT", &[10, 10, 10]));

    let on_grey = |alpha: u16| {
        let pixels = ramp(65_535).into_iter().flat_map(|s| [s, alpha]);
        let data: Vec<u8> = pixels.flat_map(u16::to_ne_bytes).collect();
        make::png(16, &data, ExtendedColorType::La16)
    };
    assert_ramp(&on_grey(65_535));
    assert!(decode(&on_grey(0)).data().iter().all(|s| *s == 128));
    let rgba: Vec<u8> = ramp(65_535)
        .iter()
        .flat_map(|s| [*s, *s, *s, 65_535])
        .flat_map(u16::to_ne_bytes)
        .collect();
    assert_ramp(&make::png(16, &rgba, ExtendedColorType::Rgba16));
}

#[test]
fn eight_bits_grey_with_and_without_alpha() {
    let grey: Vec<u8> = (0..128u32).map(|n| (n * 255 / 127) as u8).collect();
    assert_ramp(&make::png(16, &grey, ExtendedColorType::L8));
    let with_alpha: Vec<u8> = grey.iter().flat_map(|g| [*g, 255]).collect();
    assert_ramp(&make::png(16, &with_alpha, ExtendedColorType::La8));
    let dark = make::png(16, &[3; 128], ExtendedColorType::L8);
    assert!(
        decode(&dark).data().iter().all(|s| *s == 3),
        "8 bits are what they are"
    );
}

#[test]
fn one_bit_and_palette_and_transparent_colour() {
    let checks: Vec<Vec<u8>> = (0..8)
        .map(|y| vec![if y % 2 == 0 { 0xAA } else { 0x55 }; 2])
        .collect();
    let decoded = decode(&make::raw_png((16, 8), 1, 0, &checks, &[]));
    assert_eq!(
        (decoded.pixel(0, 0), decoded.pixel(1, 0)),
        (Some([255; 3]), Some([0; 3]))
    );
    assert_eq!(
        (decoded.pixel(0, 1), decoded.pixel(1, 1)),
        (Some([0; 3]), Some([255; 3]))
    );

    let palette = make::png_chunk(b"PLTE", &[10, 20, 30, 200, 100, 50]);
    let decoded = decode(&make::raw_png(
        (16, 8),
        1,
        3,
        &checks,
        std::slice::from_ref(&palette),
    ));
    assert_eq!(
        (decoded.pixel(0, 0), decoded.pixel(1, 0)),
        (Some([200, 100, 50]), Some([10, 20, 30]))
    );
    let clear = make::png_chunk(b"tRNS", &[0]);
    let decoded = decode(&make::raw_png((16, 8), 1, 3, &checks, &[palette, clear]));
    assert_eq!(
        (decoded.pixel(0, 0), decoded.pixel(1, 0)),
        (Some([200, 100, 50]), Some([128; 3]))
    );

    let rows: Vec<Vec<u8>> = vec![[0x12, 0x34, 0xFF, 0xFF].repeat(8); 8];
    let clear = make::png_chunk(b"tRNS", &[0x12, 0x34]);
    let decoded = decode(&make::raw_png((16, 8), 16, 0, &rows, &[clear]));
    assert_eq!(
        (decoded.pixel(0, 0), decoded.pixel(1, 0)),
        (Some([128; 3]), Some([255; 3]))
    );
}
