//! The registry's pictures, and pictures made from them.

use image::RgbImage;
use image::imageops::{self, FilterType};
use serde::Deserialize;
use shiren_schemas::records::{BoundingBox, DetectedFace};
use turbojpeg::PixelFormat;

use crate::chain::{Chain, SETUP, home};

/// A picture as pictures.toml lists it.
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    pub name: String,
    pub identity: String,
    pub kind: String,
}

#[derive(Deserialize)]
struct List {
    picture: Vec<Listed>,
}

/// Portraits of one person each, in the list's order.
pub fn portraits() -> Vec<Listed> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/pictures.toml");
    let list: List = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    list.picture
        .into_iter()
        .filter(|picture| picture.kind == "portrait")
        .collect()
}

/// The first portrait of every person.
pub fn people() -> Vec<Listed> {
    let mut people: Vec<Listed> = Vec::new();
    for portrait in portraits() {
        if people
            .iter()
            .all(|known| known.identity != portrait.identity)
        {
            people.push(portrait);
        }
    }
    people
}

/// The file, as it is.
pub fn file(name: &str) -> Vec<u8> {
    let path = home().join("pictures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "the test picture {} cannot be read ({error}): {SETUP}",
            path.display()
        )
    })
}

/// Its pixels, by the codecs themselves: none of the chain's checks.
pub fn pixels(name: &str) -> RgbImage {
    let bytes = file(name);
    if bytes.starts_with(&[0xFF, 0xD8]) {
        let decoded = turbojpeg::decompress(&bytes, PixelFormat::RGB).unwrap();
        let (width, height) = (decoded.width as u32, decoded.height as u32);
        return RgbImage::from_raw(width, height, decoded.pixels).unwrap();
    }
    // Our own test pictures, checked by hash when they are fetched.
    #[allow(clippy::disallowed_methods)]
    image::load_from_memory(&bytes).unwrap().to_rgb8()
}

/// Of another size.
pub fn resized(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    imageops::resize(image, width.max(1), height.max(1), FilterType::Triangle)
}

/// Scaled so that it fits into a square of `side` pixels.
pub fn fitted(image: &RgbImage, side: u32) -> RgbImage {
    let scale = f64::from(side) / f64::from(image.width().max(image.height()));
    let of = |length: u32| (f64::from(length) * scale).round() as u32;
    resized(image, of(image.width()), of(image.height()))
}

/// The portrait without its surroundings: a square of `factor` times the face's box, cut at the edges.
pub struct Head {
    pub pixels: RgbImage,
    /// The face's box in `pixels`.
    pub bbox: [f32; 4],
}

/// The head of the one face of a portrait.
pub fn head(chain: &mut Chain, name: &str, factor: f32) -> Head {
    let pixels = pixels(name);
    let answer = chain.detect(&file(name));
    around(&pixels, answer.only_face(name), factor)
}

/// A square of `factor` times the face's box around it, cut at the picture's edges.
pub fn around(picture: &RgbImage, face: &DetectedFace, factor: f32) -> Head {
    let b = &face.bounding_box;
    let half = (b.x2 - b.x1).max(b.y2 - b.y1) * factor / 2.0;
    let span = |from: f32, to: f32, length: u32| {
        let middle = (from + to) / 2.0;
        let start = (middle - half).clamp(0.0, length as f32) as u32;
        let end = (middle + half).clamp(0.0, length as f32) as u32;
        (start, end - start)
    };
    let (x, width) = span(b.x1, b.x2, picture.width());
    let (y, height) = span(b.y1, b.y2, picture.height());
    let (left, top) = (x as f32, y as f32);
    Head {
        pixels: imageops::crop_imm(picture, x, y, width, height).to_image(),
        bbox: [b.x1 - left, b.y1 - top, b.x2 - left, b.y2 - top],
    }
}

/// Draws `head` with its face `face_px` wide and its upper left corner at `(x, y)`; gives the face's box there.
pub fn paste(canvas: &mut RgbImage, head: &Head, face_px: f32, (x, y): (u32, u32)) -> [f32; 4] {
    let scale = face_px / (head.bbox[2] - head.bbox[0]);
    let side = |length: u32| (length as f32 * scale).round() as u32;
    let (width, height) = (side(head.pixels.width()), side(head.pixels.height()));
    imageops::replace(
        canvas,
        &resized(&head.pixels, width, height),
        x.into(),
        y.into(),
    );
    let [x1, y1, x2, y2] = head.bbox.map(|v| v * scale);
    let (x, y) = (x as f32, y as f32);
    [x1 + x, y1 + y, x2 + x, y2 + y]
}

/// Corners of a box.
pub fn corners(b: &BoundingBox) -> [f32; 4] {
    [b.x1, b.y1, b.x2, b.y2]
}

/// Intersection over union.
pub fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |n: usize| (a[n + 2].min(b[n + 2]) - a[n].max(b[n])).max(0.0);
    let area = |c: [f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let shared = side(0) * side(1);
    shared / (area(a) + area(b) - shared)
}
