//! Faces found, and found once.

use image::{Rgb, RgbImage};
use shiren_models::FaceDetector;

use crate::support::{detector, from_image, only_face, paste, picture, selfie};

const GROUPS: [(&str, usize); 6] = [
    ("group1.jpg", 3),
    ("group2.jpg", 3),
    ("group3.jpg", 3),
    ("group4.jpg", 4),
    ("group5.jpg", 5),
    ("group6.jpg", 4),
];

const PORTRAITS: [&str; 11] = [
    "astronaut.png",
    "feat_f1.jpg",
    "feat_m7.jpg",
    "obama.jpg",
    "obama2.jpg",
    "obama3.jpg",
    "biden.jpg",
    "connery.jpg",
    "audrey.jpg",
    "franck_01829.jpg",
    "franck_02221.jpg",
];

#[test]
fn every_face_of_a_group_is_found_once_at_every_size() {
    let mut detector = detector();
    for (name, people) in GROUPS {
        let group = picture(name);
        for min_face_px in [40, 60, 100] {
            let found = detector.detect(&group, min_face_px).unwrap();
            assert_eq!(
                found.faces.len(),
                people,
                "{name} at {min_face_px}: {found:?}"
            );
            assert!(
                found
                    .faces
                    .windows(2)
                    .all(|pair| pair[0].score >= pair[1].score)
            );
        }
    }
}

#[test]
fn landmarks_lie_where_a_face_has_them() {
    let mut detector = detector();
    for name in PORTRAITS {
        let face = only_face(&mut detector, &picture(name));
        let [left_eye, right_eye, nose, left_mouth, right_mouth] = face.landmarks;
        assert!(
            left_eye[0] < right_eye[0] && left_mouth[0] < right_mouth[0],
            "{name}: {face:?}"
        );
        assert!(
            left_eye[1].max(right_eye[1]) < nose[1] && nose[1] < left_mouth[1].min(right_mouth[1])
        );
        let inside = |[x, y]: [f32; 2]| {
            (face.bbox.x1..face.bbox.x2).contains(&x) && (face.bbox.y1..face.bbox.y2).contains(&y)
        };
        assert!(face.landmarks.into_iter().all(inside), "{name}: {face:?}");
        assert!(face.roll_degrees().abs() < 20.0, "{name}: {face:?}");
    }
}

/// Case C05: a face that fills the picture, whatever size the scene asks for.
#[test]
fn a_face_that_fills_the_picture_is_found_once_and_whole() {
    let mut detector = detector();
    for share in [0.4, 0.6, 0.8, 0.95] {
        let mut made = 0;
        for name in PORTRAITS {
            let portrait = picture(name);
            let face = only_face(&mut detector, &portrait);
            let Some((close, bbox)) = selfie(&portrait, &face, share) else {
                continue;
            };
            made += 1;
            for min_face_px in [20, 40, 100, 400] {
                let found = detector.detect(&close, min_face_px).unwrap();
                assert_eq!(
                    found.faces.len(),
                    1,
                    "{name}, {share} of the picture, {min_face_px}: {found:?}"
                );
                let iou = found.faces[0].bbox.iou(&bbox);
                assert!(
                    iou > 0.7,
                    "{name}, {share} of the picture, {min_face_px}: IoU {iou}"
                );
            }
        }
        assert!(
            made >= 3,
            "only {made} portraits reach far enough for {share}"
        );
    }
}

/// 24 faces of 40 px in a picture of 1920x1080 pixels.
#[test]
fn small_faces_are_found_at_the_size_asked_for() {
    let mut detector = detector();
    let faces = two_dozen_faces(&mut detector);
    let mut canvas = RgbImage::from_fn(1920, 1080, |x, y| {
        let shade = (90 + (x / 24 + y / 18) % 60) as u8;
        Rgb([shade, shade, shade.saturating_add(12)])
    });
    let mut boxes = Vec::new();
    for (index, (picture, face)) in (0..).zip(&faces) {
        let at = (
            60 + index % 6 * 300 + index * 7 % 13,
            60 + index / 6 * 250 + index * 5 % 11,
        );
        boxes.push(paste(&mut canvas, picture, face, 40.0, at));
    }
    let found = detector.detect(&from_image(&canvas), 40).unwrap();
    assert_eq!(found.net_size, (1152, 672));
    let hits = boxes
        .iter()
        .filter(|bbox| found.faces.iter().any(|face| face.bbox.iou(bbox) > 0.4))
        .count();
    assert!(hits >= 23, "{hits} of 24 found");
    assert!(
        found.faces.len() <= 24,
        "{} faces where there are 24",
        found.faces.len()
    );
}

fn two_dozen_faces(
    detector: &mut FaceDetector,
) -> Vec<(shiren_contract::raster::Rgb8, shiren_models::Face)> {
    let mut faces = Vec::new();
    for name in GROUPS.map(|(name, _)| name).into_iter().chain(PORTRAITS) {
        let picture = picture(name);
        for face in detector.detect(&picture, 80).unwrap().faces {
            faces.push((picture.clone(), face));
        }
    }
    faces.truncate(24);
    assert_eq!(faces.len(), 24);
    faces
}

/// Case C07: one close face, seen as often as it may.
#[test]
fn a_close_face_is_no_crowd_at_any_size() {
    let mut detector = detector();
    let portrait = picture("obama.jpg");
    let face = only_face(&mut detector, &portrait);
    let (close, _) = selfie(&portrait, &face, 0.8).unwrap();
    for min_face_px in [20, 25, 30, 40, 60, 80, 120, 200, 300, 600] {
        let found = detector.detect(&close, min_face_px).unwrap();
        assert_eq!(found.faces.len(), 1, "{min_face_px}: {found:?}");
    }
}

#[test]
fn no_face_is_found_where_there_is_none() {
    let mut detector = detector();
    let noise = RgbImage::from_fn(640, 480, |x, y| {
        let hash =
            (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(2_246_822_519);
        Rgb([(hash >> 24) as u8, (hash >> 16) as u8, (hash >> 8) as u8])
    });
    let gradient = RgbImage::from_fn(640, 480, |x, y| Rgb([(x / 3) as u8, (y / 2) as u8, 128]));
    for empty in [noise, gradient, RgbImage::new(1, 1), RgbImage::new(3000, 2)] {
        let found = detector.detect(&from_image(&empty), 40).unwrap();
        assert!(found.faces.is_empty() && !found.close_look, "{found:?}");
    }
}

#[test]
fn the_same_picture_gives_the_same_bits() {
    let (first, second) = (picture("group5.jpg"), picture("obama.jpg"));
    let mut detector = detector();
    let before = detector.detect(&first, 60).unwrap();
    detector.detect(&second, 40).unwrap();
    assert_eq!(detector.detect(&first, 60).unwrap(), before);
    assert_eq!(self::detector().detect(&first, 60).unwrap(), before);
}
