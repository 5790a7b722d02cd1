//! Files of every kind, written here so that each byte is known.

use image::codecs::bmp::BmpEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, Luma, Rgb, RgbImage};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

/// JPEG, no chroma subsampling.
pub fn jpeg(image: &RgbImage, quality: i32) -> Vec<u8> {
    turbojpeg(
        image,
        image.width(),
        image.height(),
        PixelFormat::RGB,
        quality,
    )
}

fn turbojpeg(pixels: &[u8], width: u32, height: u32, format: PixelFormat, quality: i32) -> Vec<u8> {
    let (width, height) = (width as usize, height as usize);
    let mut compressor = Compressor::new().unwrap();
    let grey = format == PixelFormat::GRAY;
    compressor.set_quality(quality).unwrap();
    compressor
        .set_subsamp(if grey { Subsamp::Gray } else { Subsamp::None })
        .unwrap();
    let image = Image {
        pixels,
        width,
        height,
        pitch: width * format.size(),
        format,
    };
    compressor.compress_to_vec(image).unwrap()
}

/// PNG.
pub fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new(&mut bytes);
    encoder
        .write_image(
            image,
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    bytes
}

/// BMP.
pub fn bmp(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = BmpEncoder::new(&mut bytes);
    encoder
        .write_image(
            image,
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    bytes
}

/// Lossless WebP.
pub fn webp(image: &RgbImage) -> Vec<u8> {
    encode_webp(image, None)
}

fn encode_webp(image: &RgbImage, exif: Option<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut bytes);
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif).unwrap();
    }
    encoder
        .write_image(
            image,
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    bytes
}

/// An Exif block whose only entry is the orientation.
fn exif(orientation: u16) -> Vec<u8> {
    let mut block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    block.extend(orientation.to_be_bytes());
    block.extend([0; 6]);
    block
}

/// JPEG with an Exif segment.
pub fn jpeg_oriented(image: &RgbImage, orientation: u16) -> Vec<u8> {
    let mut body = b"Exif\0\0".to_vec();
    body.extend(exif(orientation));
    let plain = jpeg(image, 95);
    [&plain[..2], &segment(0xE1, &body), &plain[2..]].concat()
}

/// PNG with an eXIf chunk before the pixels.
pub fn png_oriented(image: &RgbImage, orientation: u16) -> Vec<u8> {
    with_chunk(&png(image), b"eXIf", &exif(orientation))
}

/// WebP with an EXIF chunk.
pub fn webp_oriented(image: &RgbImage, orientation: u16) -> Vec<u8> {
    encode_webp(image, Some(exif(orientation)))
}

/// A PNG with one more chunk behind IHDR.
pub fn with_chunk(png: &[u8], kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let behind_header = 8 + 25;
    [
        &png[..behind_header],
        &chunk(kind, body),
        &png[behind_header..],
    ]
    .concat()
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let content = [kind.as_slice(), body].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [
        &length[..],
        &content,
        &crc32fast::hash(&content).to_be_bytes(),
    ]
    .concat()
}

/// A PNG of a few bytes that declares `side` x `side` pixels.
pub fn bomb(side: u32) -> Vec<u8> {
    let [a, b, c, d] = side.to_be_bytes();
    let header = [a, b, c, d, a, b, c, d, 8, 2, 0, 0, 0];
    let signature = b"\x89PNG\r\n\x1A\n".to_vec();
    [
        signature,
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &[0x78, 0x9C, 3, 0, 0, 0, 0, 1]),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

/// An animated PNG: one frame in the pixels, and one behind them.
pub fn apng(image: &RgbImage) -> Vec<u8> {
    with_chunk(&png(image), b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0])
}

/// An animated WebP of one frame, which is the lossless picture.
pub fn animated_webp(image: &RgbImage) -> Vec<u8> {
    let still = webp(image);
    let le24 = |v: u32| v.to_le_bytes()[..3].to_vec();
    let riff = |kind: &[u8; 4], body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [&kind[..], &length, body, &[0][..body.len() % 2]].concat()
    };
    let size = [le24(image.width() - 1), le24(image.height() - 1)].concat();
    let canvas = [&[0b10, 0, 0, 0][..], &size].concat();
    let frame = [&[0; 6][..], &size, &le24(100), &[0], &still[12..]].concat();
    let chunks = [
        riff(b"VP8X", &canvas),
        riff(b"ANIM", &[0; 6]),
        riff(b"ANMF", &frame),
    ]
    .concat();
    riff(b"RIFF", &[b"WEBP", &chunks[..]].concat())
}

/// 16-bit grey PNG of the picture's brightness, 0..=255 scaled to 0..=`top`.
pub fn grey_16(image: &RgbImage, top: u32) -> Vec<u8> {
    let grey = image::imageops::grayscale(image);
    let samples = grey
        .pixels()
        .flat_map(|&Luma([v])| ((u32::from(v) * top / 255) as u16).to_ne_bytes());
    let samples: Vec<u8> = samples.collect();
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new(&mut bytes);
    encoder
        .write_image(
            &samples,
            image.width(),
            image.height(),
            ExtendedColorType::L16,
        )
        .unwrap();
    bytes
}

/// A JPEG of four ink components as Adobe stores them, inverted: each plane a scan of its own.
pub fn cmyk_jpeg(image: &RgbImage) -> Vec<u8> {
    four_components(image, 0, |ink| ink)
}

/// The same in YCCK: luma and chroma of 255 - ink, and the key as it is.
pub fn ycck_jpeg(image: &RgbImage) -> Vec<u8> {
    four_components(image, 2, |[c, m, y, k]| {
        let [r, g, b] = [c, m, y].map(|ink| f64::from(255 - ink));
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        let cb = 128.0 + (b - y) / 1.772;
        let cr = 128.0 + (r - y) / 1.402;
        [y.round() as u8, cb.round() as u8, cr.round() as u8, k]
    })
}

/// Four components of which nothing says whether they are inverted: no Adobe segment.
pub fn cmyk_jpeg_undeclared(image: &RgbImage) -> Vec<u8> {
    let mut file = cmyk_jpeg(image);
    file.drain(2..2 + 16);
    file
}

/// The first bytes of a HEIC file from a phone.
pub fn heic() -> Vec<u8> {
    let mut file = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\x0F\xFFmeta\0\0\0\0".to_vec();
    file.resize(8192, 0x55);
    file
}

fn four_components(
    image: &RgbImage,
    transform: u8,
    stored: impl Fn([u8; 4]) -> [u8; 4],
) -> Vec<u8> {
    let inks: Vec<[u8; 4]> = image
        .pixels()
        .map(|pixel| stored(inverted_inks(pixel)))
        .collect();
    let planes: Vec<Vec<u8>> = (0..4)
        .map(|n| {
            let grey: Vec<u8> = inks.iter().map(|ink| ink[n]).collect();
            turbojpeg(&grey, image.width(), image.height(), PixelFormat::GRAY, 95)
        })
        .collect();
    let size = [image.height(), image.width()]
        .map(|side| u16::try_from(side).unwrap().to_be_bytes())
        .concat();
    let components = (1..=4).flat_map(|id| [id, 0x11, 0]);
    let frame: Vec<u8> = [8]
        .into_iter()
        .chain(size)
        .chain([4])
        .chain(components)
        .collect();
    let mut file = vec![0xFF, 0xD8];
    file.extend(segment(
        0xEE,
        &[b'A', b'd', b'o', b'b', b'e', 0, 100, 0, 0, 0, 0, transform],
    ));
    let tables = |marker| {
        segments(&planes[0])
            .into_iter()
            .filter(move |s| s[1] == marker)
    };
    tables(0xDB).for_each(|table| file.extend(table));
    file.extend(segment(0xC0, &frame));
    tables(0xC4).for_each(|table| file.extend(table));
    for (plane, id) in planes.iter().zip(1..) {
        file.extend(segment(0xDA, &[1, id, 0, 0, 63, 0]));
        let scan = segments(plane).iter().map(Vec::len).sum::<usize>() + 2;
        file.extend(&plane[scan..plane.len() - 2]);
    }
    file.extend([0xFF, 0xD9]);
    file
}

/// Inks as Adobe stores them, 255 for none, with all the black there can be in the key.
fn inverted_inks(&Rgb([r, g, b]): &Rgb<u8>) -> [u8; 4] {
    let key = r.max(g).max(b);
    let of = |v: u8| {
        if key == 0 {
            255
        } else {
            (u32::from(v) * 255 / u32::from(key)) as u8
        }
    };
    [of(r), of(g), of(b), key]
}

/// A JPEG without its Huffman tables, as some cameras send it. It must use the standard ones.
pub fn without_huffman_tables(jpeg: &[u8]) -> Vec<u8> {
    let head = segments(jpeg);
    let scan = head.iter().map(Vec::len).sum::<usize>() + 2;
    let kept = head.iter().filter(|segment| segment[1] != 0xC4).flatten();
    [0xFF, 0xD8]
        .iter()
        .chain(kept)
        .chain(&jpeg[scan..])
        .copied()
        .collect()
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xFF, marker], &length[..], body].concat()
}

/// The segments behind SOI, up to the first scan's header, whole.
fn segments(jpeg: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut at = 2;
    loop {
        let length = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]])) + 2;
        all.push(jpeg[at..at + length].to_vec());
        if jpeg[at + 1] == 0xDA {
            return all;
        }
        at += length;
    }
}
