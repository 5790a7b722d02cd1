//! Files for the tests.

use image::codecs::{bmp::BmpEncoder, png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder};
use shiren_contract::raster::Rgb8;
use turbojpeg::{Colorspace, Compressor, Image, PixelFormat, Subsamp};

/// A smooth picture without any symmetry.
pub fn picture(width: u32, height: u32) -> Rgb8 {
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (across, down) = (x * 255 / width, y * 255 / height);
            data.extend([
                across as u8,
                down as u8,
                (255 - (across + 2 * down) / 3) as u8,
            ]);
        }
    }
    Rgb8::new(width, height, data).unwrap()
}

/// How a JPEG is made.
#[derive(Clone, Copy)]
pub struct Jpeg {
    pub quality: i32,
    pub progressive: bool,
    pub subsamp: Subsamp,
}

pub const Q95: Jpeg = Jpeg {
    quality: 95,
    progressive: false,
    subsamp: Subsamp::None,
};

pub fn jpeg(picture: &Rgb8, how: Jpeg) -> Vec<u8> {
    compress(
        picture.width(),
        picture.data(),
        PixelFormat::RGB,
        Colorspace::YCbCr,
        how,
    )
}

/// Packed samples as JPEG.
pub fn compress(
    width: u32,
    data: &[u8],
    format: PixelFormat,
    colours: Colorspace,
    how: Jpeg,
) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(how.quality).unwrap();
    compressor.set_subsamp(how.subsamp).unwrap();
    compressor.set_progressive(how.progressive).unwrap();
    compressor.set_colorspace(colours).unwrap();
    let (width, pitch) = (width as usize, width as usize * format.size());
    let image = Image {
        pixels: data,
        width,
        pitch,
        height: data.len() / pitch,
        format,
    };
    compressor.compress_to_vec(image).unwrap()
}

/// Inserts a segment behind SOI.
pub fn with_segment(jpeg: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, body, &jpeg[2..]].concat()
}

/// Segments before and between scans as (marker, begin, end); entropy-coded data is skipped.
pub fn segments(jpeg: &[u8]) -> Vec<(u8, usize, usize)> {
    let (mut at, mut found) = (2, Vec::new());
    while jpeg[at + 1] != 0xD9 {
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        found.push((jpeg[at + 1], at, end));
        at = end;
        while jpeg[at] != 0xFF || matches!(jpeg[at + 1], 0 | 0xD0..=0xD7) {
            at += 1;
        }
    }
    found.push((0xD9, at, at + 2));
    found
}

/// The JPEG without its segments of one kind.
pub fn without(jpeg: &[u8], marker: u8) -> Vec<u8> {
    let mut rest = jpeg.to_vec();
    for (_, begin, end) in segments(jpeg).into_iter().rev().filter(|s| s.0 == marker) {
        rest.drain(begin..end);
    }
    rest
}

/// A TIFF block with an orientation.
pub fn exif(orientation: u16) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    tiff.extend(orientation.to_be_bytes());
    tiff.extend([0; 6]);
    tiff
}

pub fn png(width: u32, data: &[u8], colour: ExtendedColorType) -> Vec<u8> {
    let height = data.len() as u32 * 8 / u32::from(colour.bits_per_pixel()) / width;
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(data, width, height, colour)
        .unwrap();
    file
}

pub fn rgb_png(picture: &Rgb8) -> Vec<u8> {
    png(picture.width(), picture.data(), ExtendedColorType::Rgb8)
}

pub fn png_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let content = [kind.as_slice(), body].concat();
    let sum = crc32fast::hash(&content).to_be_bytes();
    [&(body.len() as u32).to_be_bytes(), content.as_slice(), &sum].concat()
}

/// Inserts a chunk behind IHDR.
pub fn with_chunk(png: &[u8], kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&png[..33], &png_chunk(kind, body), &png[33..]].concat()
}

/// A PNG by hand: `rows` without filter bytes, stored uncompressed.
pub fn raw_png(
    size: (u32, u32),
    depth: u8,
    colour_type: u8,
    rows: &[Vec<u8>],
    chunks: &[Vec<u8>],
) -> Vec<u8> {
    let mut header = size.0.to_be_bytes().to_vec();
    header.extend(size.1.to_be_bytes());
    header.extend([depth, colour_type, 0, 0, 0]);
    let data: Vec<u8> = rows
        .iter()
        .flat_map(|row| [vec![0], row.clone()].concat())
        .collect();
    let (mut a, mut b) = (1u32, 0u32);
    for byte in &data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let length = data.len() as u16;
    let mut zlib = vec![0x78, 0x01, 0x01];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(data);
    zlib.extend((b << 16 | a).to_be_bytes());
    let mut file = b"\x89PNG\r\n\x1A\n".to_vec();
    file.extend(png_chunk(b"IHDR", &header));
    chunks.iter().for_each(|chunk| file.extend(chunk));
    file.extend(png_chunk(b"IDAT", &zlib));
    file.extend(png_chunk(b"IEND", &[]));
    file
}

/// Lossless WebP.
pub fn webp(picture: &Rgb8) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = WebPEncoder::new_lossless(&mut file);
    encoder
        .write_image(
            picture.data(),
            picture.width(),
            picture.height(),
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    file
}

/// A simple WebP as an extended one, with chunks behind its picture.
pub fn extended_webp(
    simple: &[u8],
    size: (u32, u32),
    flags: u8,
    chunks: &[(&[u8; 4], &[u8])],
) -> Vec<u8> {
    let mut canvas = vec![flags, 0, 0, 0];
    canvas.extend(&(size.0 - 1).to_le_bytes()[..3]);
    canvas.extend(&(size.1 - 1).to_le_bytes()[..3]);
    let mut content = b"WEBP".to_vec();
    let mut push = |kind: &[u8; 4], body: &[u8]| {
        content.extend(kind);
        content.extend((body.len() as u32).to_le_bytes());
        content.extend(body);
        content.extend(vec![0; body.len() % 2]);
    };
    push(b"VP8X", &canvas);
    let length = u32::from_le_bytes(simple[16..20].try_into().unwrap()) as usize;
    push(simple[12..16].try_into().unwrap(), &simple[20..20 + length]);
    chunks.iter().for_each(|(kind, body)| push(kind, body));
    [
        b"RIFF".as_slice(),
        &(content.len() as u32).to_le_bytes(),
        &content,
    ]
    .concat()
}

pub fn bmp(picture: &Rgb8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = BmpEncoder::new(&mut file);
    encoder
        .encode(
            picture.data(),
            picture.width(),
            picture.height(),
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    file
}

/// A file of `fixtures`: hexadecimal, any white space. `fixtures/README.md` says how they were made.
pub fn fixture(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
    digits
        .chunks(2)
        .map(|pair| value(pair[0]) << 4 | value(pair[1]))
        .collect()
}
