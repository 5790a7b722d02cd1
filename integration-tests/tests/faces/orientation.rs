//! Case C11: every EXIF orientation gives the box, the points and the score of the upright picture.

use image::RgbImage;
use shiren_schemas::records::DetectedFace;

use crate::chain::chain;
use crate::files;
use crate::pictures::{file, pixels};

const PORTRAITS: [(&str, &str); 2] = [
    ("franck_02221.jpg", "franck_01829.jpg"),
    ("cage.jpg", "cage2.jpg"),
];
/// Largest difference of a box's corner or a point, pixels.
const AWAY_PX: f32 = 1.5;
/// Largest difference of a score.
const SCORE: f64 = 0.01;

type Oriented = fn(&RgbImage, u16) -> Vec<u8>;

const FORMATS: [(&str, Oriented); 3] = [
    ("JPEG", files::jpeg_oriented),
    ("PNG", files::png_oriented),
    ("WebP", files::webp_oriented),
];

/// The pixels as stored under `orientation`, by Exif 2.3: where its row 0 and column 0 lie in `upright`.
fn stored(upright: &RgbImage, orientation: u16) -> RgbImage {
    let (width, height) = upright.dimensions();
    let (right, bottom) = (width - 1, height - 1);
    let turned = (5..=8).contains(&orientation);
    let (stored_width, stored_height) = if turned {
        (height, width)
    } else {
        (width, height)
    };
    RgbImage::from_fn(stored_width, stored_height, |x, y| {
        let (from_x, from_y) = match orientation {
            2 => (right - x, y),
            3 => (right - x, bottom - y),
            4 => (x, bottom - y),
            5 => (y, x),
            6 => (right - y, x),
            7 => (right - y, bottom - x),
            8 => (y, bottom - x),
            _ => (x, y),
        };
        *upright.get_pixel(from_x, from_y)
    })
}

fn positions(face: &DetectedFace) -> Vec<f32> {
    let b = &face.bounding_box;
    let points = face.landmarks.iter().flat_map(|point| [point.x, point.y]);
    [b.x1, b.y1, b.x2, b.y2].into_iter().chain(points).collect()
}

#[test]
fn all_orientations_are_the_upright_picture() {
    let mut chain = chain();
    for (name, reference) in PORTRAITS {
        let (upright, reference) = (pixels(name), file(reference));
        for (format, write) in FORMATS {
            let plain = write(&upright, 1);
            let expected = positions(chain.detect(&plain).only_face(name));
            let expected_score = chain.score(name, &plain, &reference);
            for orientation in [0, 2, 3, 4, 5, 6, 7, 8, 9] {
                let what = format!("{name} as {format}, orientation {orientation}");
                let bytes = write(&stored(&upright, orientation), orientation);
                let answer = chain.detect(&bytes);
                let found = positions(answer.only_face(&what));
                let away = found
                    .iter()
                    .zip(&expected)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(away <= AWAY_PX, "{what}: {away} px away");
                let results = answer.results.unwrap();
                let size = (results.detections[0].width, results.detections[0].height);
                assert_eq!(
                    size,
                    (upright.width() as i32, upright.height() as i32),
                    "{what}"
                );
                let score = chain.score(&what, &bytes, &reference);
                assert!(
                    (score - expected_score).abs() <= SCORE,
                    "{what}: {score}, upright {expected_score}"
                );
            }
        }
    }
}
