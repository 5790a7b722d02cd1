//! Weights and pictures of the cache folder, and pictures made from them.

use std::path::{Path, PathBuf};

use image::RgbImage;
use image::imageops::{self, FilterType};
use shiren_contract::raster::Rgb8;
use shiren_models::crop::context_crop;
use shiren_models::{BoundingBox, DetectorOptions, Face, FaceDetector, Manifest};

pub const FETCH: &str = "run scripts/setup --tests";

/// The cache folder: SHIREN_HOME, or `.shiren` beside this crate.
pub fn home() -> PathBuf {
    std::env::var_os("SHIREN_HOME").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.shiren"),
        PathBuf::from,
    )
}

pub fn manifest() -> Manifest {
    Manifest::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("manifest.toml")).unwrap()
}

pub fn detector() -> FaceDetector {
    FaceDetector::open(
        &manifest(),
        &home(),
        "centerface",
        DetectorOptions::default(),
    )
    .unwrap_or_else(|error| panic!("{error}: {FETCH}"))
}

/// The registry picture of this file name, wherever it lies under `pictures/`.
pub fn picture(name: &str) -> Rgb8 {
    let mut folders = vec![home().join("pictures")];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}: {FETCH}", folder.display()));
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|file| file == name) {
                // Our own test pictures, checked by hash when they are fetched.
                #[allow(clippy::disallowed_methods)]
                return from_image(&image::open(&path).unwrap().to_rgb8());
            }
        }
    }
    panic!("{name} is not among the pictures: {FETCH}");
}

pub fn from_image(image: &RgbImage) -> Rgb8 {
    Rgb8::new(image.width(), image.height(), image.as_raw().clone()).unwrap()
}

pub fn to_image(picture: &Rgb8) -> RgbImage {
    RgbImage::from_raw(picture.width(), picture.height(), picture.data().to_vec()).unwrap()
}

pub fn resized(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    imageops::resize(image, width, height, FilterType::Triangle)
}

/// The one face of a portrait.
pub fn only_face(detector: &mut FaceDetector, picture: &Rgb8) -> Face {
    let faces = detector.detect(picture, 60).unwrap().faces;
    assert_eq!(faces.len(), 1, "{faces:?}");
    faces[0]
}

/// A square of 1200 px with the face, which fills `share` of it, and the face's box there. `None` when
/// the picture is too small for such a square.
pub fn selfie(picture: &Rgb8, face: &Face, share: f32) -> Option<(Rgb8, BoundingBox)> {
    let side = face.bbox.width().max(face.bbox.height()) / share;
    let [x, y] = face.bbox.centre();
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    if side > width.min(height) {
        return None;
    }
    // Moved no further from the face than the picture's edge asks.
    let (x, y) = (
        (x - side / 2.0).clamp(0.0, width - side),
        (y - side / 2.0).clamp(0.0, height - side),
    );
    let cut = imageops::crop_imm(
        &to_image(picture),
        x as u32,
        y as u32,
        side as u32,
        side as u32,
    )
    .to_image();
    let scale = 1200.0 / side;
    let place = |value: f32, start: f32| (value - start.floor()) * scale;
    let bbox = BoundingBox {
        x1: place(face.bbox.x1, x),
        y1: place(face.bbox.y1, y),
        x2: place(face.bbox.x2, x),
        y2: place(face.bbox.y2, y),
    };
    Some((from_image(&resized(&cut, 1200, 1200)), bbox))
}

/// `canvas` with the face and some of its surroundings at `(x, y)`, the face's box `face_px` wide;
/// gives the box there.
pub fn paste(
    canvas: &mut RgbImage,
    picture: &Rgb8,
    face: &Face,
    face_px: f32,
    (x, y): (u32, u32),
) -> BoundingBox {
    let crop = context_crop(picture, face, 1.6, u32::MAX).unwrap();
    let scale = face_px / face.bbox.width();
    let side = |px: u32| (px as f32 * scale).round() as u32;
    let small = resized(
        &to_image(&crop.pixels),
        side(crop.pixels.width()),
        side(crop.pixels.height()),
    );
    imageops::replace(canvas, &small, x.into(), y.into());
    let place = |point: [f32; 2]| {
        let [cx, cy] = crop.transform.to_crop(point);
        [x as f32 + cx * scale, y as f32 + cy * scale]
    };
    let ([x1, y1], [x2, y2]) = (
        place([face.bbox.x1, face.bbox.y1]),
        place([face.bbox.x2, face.bbox.y2]),
    );
    BoundingBox { x1, y1, x2, y2 }
}
