//! Case C02: one match anywhere is not enough. Who is compared is chosen by size and place.

use image::RgbImage;
use shiren_contract::codes;
use shiren_schemas::records::{Decision, PictureRole};

use crate::chain::{Answer, Chain, chain};
use crate::files;
use crate::pictures::{corners, file, head, iou, paste, pixels, resized};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 960;
/// Width of the subject's face, pixels.
const SUBJECT_PX: f32 = 240.0;
/// Portraits of ten people who are large enough.
const PEOPLE: [&str; 10] = [
    "obama.jpg",
    "biden.jpg",
    "single_face.jpg",
    "feat_f1.jpg",
    "feat_f13.jpg",
    "astronaut.png",
    "franck_01829.jpg",
    "cage.jpg",
    "audrey.jpg",
    "connery.jpg",
];
/// Where the bystander's head begins.
const PLACES: [(u32, u32); 6] = [
    (20, 20),
    (1130, 30),
    (30, 800),
    (1120, 790),
    (40, 420),
    (1100, 400),
];

/// A selfie in a room: the head of `subject` in the middle. Gives the face's box too.
fn selfie(chain: &mut Chain, subject: &str) -> (RgbImage, [f32; 4]) {
    let mut room = resized(&pixels("coffee.png"), WIDTH, HEIGHT);
    let head = head(chain, subject, 1.8);
    let scale = SUBJECT_PX / (head.bbox[2] - head.bbox[0]);
    let start = |side: u32, length: u32| (side - (length as f32 * scale) as u32) / 2;
    let at = (
        start(WIDTH, head.pixels.width()),
        start(HEIGHT, head.pixels.height()),
    );
    let bbox = paste(&mut room, &head, SUBJECT_PX, at);
    (room, bbox)
}

/// The two heads, equally large, beside each other.
pub fn side_by_side(chain: &mut Chain, left: &str, right: &str) -> RgbImage {
    let mut room = resized(&pixels("coffee.png"), WIDTH, HEIGHT);
    for (name, x) in [(left, 120), (right, 720)] {
        let head = head(chain, name, 1.8);
        paste(&mut room, &head, SUBJECT_PX, (x, 200));
    }
    room
}

fn assert_subject(answer: &Answer, bbox: [f32; 4], what: &str) {
    let pictures = &answer.evidence.pictures;
    let probe = pictures
        .iter()
        .find(|picture| picture.role == PictureRole::Probe)
        .unwrap();
    let subject = &probe.faces[usize::try_from(probe.subject.unwrap()).unwrap()];
    let overlap = iou(corners(&subject.bounding_box), bbox);
    assert!(
        overlap > 0.4,
        "{what}: the subject is another face, IoU {overlap}"
    );
    assert!(
        probe
            .subject_rule
            .as_deref()
            .is_some_and(|rule| !rule.is_empty()),
        "{what}"
    );
    assert_eq!(probe.faces_found, 2, "{what}");
}

/// Each of ten people with three others behind them, whose reference it is.
#[test]
fn a_bystander_with_the_references_face_is_never_accepted() {
    let mut chain = chain();
    let mut places = PLACES.iter().cycle();
    let heads = PEOPLE.map(|name| head(&mut chain, name, 1.6));
    for (index, subject) in PEOPLE.iter().enumerate() {
        let (selfie, bbox) = selfie(&mut chain, subject);
        for step in [1, 3, 6] {
            let other = (index + step) % PEOPLE.len();
            let bystander = PEOPLE[other];
            let what = format!("{subject}, {bystander} behind");
            let mut probe = selfie.clone();
            paste(
                &mut probe,
                &heads[other],
                SUBJECT_PX / 4.0,
                *places.next().unwrap(),
            );
            let answer = chain.compare(&files::jpeg(&probe, 95), &file(bystander));
            let what = format!("{what}: {}", answer.summary());
            assert_eq!(answer.decision(), Decision::Reject, "{what}");
            assert!(answer.has_reason(codes::MULTIPLE_FACES.id), "{what}");
            assert_subject(&answer, bbox, &what);
        }
    }
}

/// The bystander would be accepted alone: it is the rule that keeps them out, not their size.
#[test]
fn the_bystander_alone_and_the_subject_before_a_bystander_are_accepted() {
    let mut chain = chain();
    let mut alone = 0;
    for name in PEOPLE {
        let mut room = resized(&pixels("coffee.png"), WIDTH, HEIGHT);
        let head = head(&mut chain, name, 1.6);
        paste(&mut room, &head, SUBJECT_PX / 4.0, PLACES[0]);
        let answer = chain.compare(&files::jpeg(&room, 95), &file(name));
        alone += usize::from(answer.decision() == Decision::Accept);
    }
    assert!(
        alone >= 8,
        "{alone} of {} are known at a quarter of the size",
        PEOPLE.len()
    );

    let (mut probe, bbox) = selfie(&mut chain, "obama.jpg");
    let biden = head(&mut chain, "biden.jpg", 1.6);
    paste(&mut probe, &biden, SUBJECT_PX / 4.0, PLACES[1]);
    let answer = chain.compare(&files::jpeg(&probe, 95), &file("obama2.jpg"));
    assert_eq!(answer.decision(), Decision::Accept, "{}", answer.summary());
    assert!(answer.has_reason(codes::MULTIPLE_FACES.id));
    assert_subject(&answer, bbox, "obama before biden");
}

#[test]
fn of_two_equal_faces_none_is_the_subject() {
    let mut chain = chain();
    for (index, left) in PEOPLE.iter().enumerate() {
        let right = PEOPLE[(index + 1) % PEOPLE.len()];
        let probe = files::jpeg(&side_by_side(&mut chain, left, right), 95);
        let reference = if index % 2 == 0 { left } else { right };
        let answer = chain.compare(&probe, &file(reference));
        let what = format!("{left} beside {right}: {}", answer.summary());
        assert_eq!(answer.decision(), Decision::Error, "{what}");
        assert_eq!(answer.reasons(), [codes::MULTIPLE_FACES.id], "{what}");
        assert_eq!(answer.evidence.pictures[0].subject, None, "{what}");
    }
}
