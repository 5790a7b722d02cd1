//! Large faces (C05), small ones, and every face once (C07).

use image::{Rgb, RgbImage};
use shiren_contract::codes;
use shiren_schemas::records::Decision;

use crate::chain::{Chain, chain};
use crate::files;
use crate::pictures::{
    self, Head, around, corners, file, iou, paste, people, pixels, portraits, resized,
};

/// Portraits made into close-ups.
const PORTRAITS: usize = 12;
/// Side of the square selfie, pixels.
const SIDE: u32 = 1200;

/// The square around the face, which fills `share` of it, with the face's box. Beyond the portrait's edges its
/// last pixels go on.
fn close_up(portrait: &RgbImage, [x1, y1, x2, y2]: [f32; 4], share: f32) -> (RgbImage, [f32; 4]) {
    let side = (x2 - x1).max(y2 - y1) / share;
    let (x, y) = (
        ((x1 + x2 - side) / 2.0).floor(),
        ((y1 + y2 - side) / 2.0).floor(),
    );
    let (right, bottom) = (
        (portrait.width() - 1) as f32,
        (portrait.height() - 1) as f32,
    );
    let cut = RgbImage::from_fn(side as u32, side as u32, |dx, dy| {
        let (px, py) = (
            (x + dx as f32).clamp(0.0, right),
            (y + dy as f32).clamp(0.0, bottom),
        );
        *portrait.get_pixel(px as u32, py as u32)
    });
    let scale = SIDE as f32 / side;
    let bbox = [
        (x1 - x) * scale,
        (y1 - y) * scale,
        (x2 - x) * scale,
        (y2 - y) * scale,
    ];
    (resized(&cut, SIDE, SIDE), bbox)
}

#[test]
fn a_face_that_fills_the_picture_is_found_once_or_too_close() {
    let mut chain = chain();
    let names = every_portrait_once();
    let mut odd = Vec::new();
    for name in &names[..PORTRAITS] {
        let (original, portrait) = (file(name), pixels(name));
        let bbox = corners(&chain.detect(&original).only_face(name).bounding_box);
        for share in [0.4, 0.6, 0.8, 0.95] {
            let (picture, bbox) = close_up(&portrait, bbox, share);
            let close = files::jpeg(&picture, 95);
            let detected = chain.detect(&close);
            let overlaps = detected
                .faces()
                .iter()
                .map(|face| iou(corners(&face.bounding_box), bbox));
            let overlaps: Vec<f32> = overlaps.collect();
            let compared = chain.compare(&close, &original);
            let too_close = compared.has_reason(codes::FACE_TOO_CLOSE.id) && share > 0.9;
            let found = matches!(overlaps.as_slice(), [overlap] if *overlap > 0.6);
            if !(found && (too_close || compared.decision() == Decision::Accept)) {
                odd.push(format!(
                    "{name} fills {share}: IoU {overlaps:?}, {}",
                    compared.summary()
                ));
            }
        }
    }
    assert!(odd.is_empty(), "{odd:#?}");
}

/// 24 heads of different photographs: one of each person, then faces of groups, then more portraits. Only heads
/// that are shown whole and shrunk to 40 px: those are what a camera sees from further away.
fn two_dozen_heads(chain: &mut Chain) -> Vec<Head> {
    let mut people = every_portrait_once();
    let others = people.split_off(pictures::people().len());
    let groups = (1..=6).map(|n| format!("group{n}.jpg"));
    let mut heads = Vec::new();
    for name in people.into_iter().chain(groups).chain(others) {
        let picture = pixels(&name);
        let answer = chain.detect(&file(&name));
        let large = answer
            .faces()
            .iter()
            .filter(|face| face.bounding_box.x2 - face.bounding_box.x1 >= 80.0);
        let whole = large.map(|face| around(&picture, face, 1.6));
        heads.extend(whole.filter(|head| head.pixels.width().abs_diff(head.pixels.height()) <= 2));
    }
    heads.truncate(24);
    assert_eq!(heads.len(), 24);
    heads
}

/// One portrait of each person, then the others.
fn every_portrait_once() -> Vec<String> {
    let first: Vec<String> = people().into_iter().map(|portrait| portrait.name).collect();
    let others = portraits().into_iter().map(|portrait| portrait.name);
    let others: Vec<String> = others.filter(|name| !first.contains(name)).collect();
    [first, others].concat()
}

#[test]
fn faces_of_40_px_in_a_full_hd_scene_are_found() {
    let mut chain = chain();
    let heads = two_dozen_heads(&mut chain);
    let grey = RgbImage::from_fn(1920, 1080, |x, y| {
        let shade = (90 + (x / 24 + y / 18) % 60) as u8;
        Rgb([shade, shade, shade.saturating_add(12)])
    });
    let scenes = ["coffee.png", "rocket.jpg", "mountain_drawing.jpg"]
        .map(|name| (name, resized(&pixels(name), 1920, 1080)));
    let mut outcome = Vec::new();
    for (name, mut scene) in scenes.into_iter().chain([("grey", grey)]) {
        let mut boxes = Vec::new();
        for (index, head) in (0..).zip(&heads) {
            let at = (
                60 + index % 6 * 300 + index * 7 % 13,
                60 + index / 6 * 250 + index * 5 % 11,
            );
            boxes.push(paste(&mut scene, head, 40.0, at));
        }
        let answer = chain.detect(&files::jpeg(&scene, 95));
        let found: Vec<[f32; 4]> = answer
            .faces()
            .iter()
            .map(|face| corners(&face.bounding_box))
            .collect();
        let hits = boxes
            .iter()
            .filter(|bbox| found.iter().any(|face| iou(*face, **bbox) >= 0.4))
            .count();
        outcome.push((name, hits, found.len()));
    }
    let enough = |(_, hits, found): &(&str, usize, usize)| *hits >= 23 && *found <= 24;
    assert!(
        outcome.iter().all(enough),
        "scene, of 24 found, faces in all: {outcome:?}"
    );
}

/// Case C07, as a picture: nobody is seen twice.
#[test]
fn a_portrait_has_one_face() {
    let mut chain = chain();
    let mut others = Vec::new();
    for portrait in portraits() {
        let answer = chain.detect(&file(&portrait.name));
        let found = answer.results.unwrap().detections[0].faces_found;
        if found != 1 {
            others.push((portrait.name, found));
        }
    }
    assert!(others.is_empty(), "{others:?}");
}
