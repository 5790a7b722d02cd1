//! Case C06: a face that does not stand upright is not compared, whoever it is compared with.

use image::{RgbImage, imageops};
use shiren_contract::codes;
use shiren_schemas::records::Decision;

use crate::chain::chain;
use crate::files;
use crate::pictures::{file, pixels, portraits};

const PEOPLE: [&str; 6] = [
    "obama2.jpg",
    "biden.jpg",
    "feat_f1.jpg",
    "astronaut.png",
    "franck_02045.jpg",
    "audrey.jpg",
];
const TURNS: [u32; 3] = [90, 180, 270];

fn turned(name: &str, degrees: u32) -> Vec<u8> {
    let upright = pixels(name);
    let turned = match degrees {
        90 => imageops::rotate90(&upright),
        180 => imageops::rotate180(&upright),
        270 => imageops::rotate270(&upright),
        _ => panic!("{degrees} is no quarter turn"),
    };
    files::jpeg(&turned, 95)
}

/// Rolled around the middle; beyond the edges the last pixels go on.
fn rolled(name: &str, degrees: f32) -> Vec<u8> {
    let upright = pixels(name);
    let (right, bottom) = ((upright.width() - 1) as f32, (upright.height() - 1) as f32);
    let (sin, cos) = degrees.to_radians().sin_cos();
    let rolled = RgbImage::from_fn(upright.width(), upright.height(), |x, y| {
        let (dx, dy) = (x as f32 - right / 2.0, y as f32 - bottom / 2.0);
        let from_x = (cos * dx + sin * dy + right / 2.0).clamp(0.0, right);
        let from_y = (cos * dy - sin * dx + bottom / 2.0).clamp(0.0, bottom);
        *upright.get_pixel(from_x as u32, from_y as u32)
    });
    files::jpeg(&rolled, 95)
}

#[test]
fn no_two_turned_people_are_accepted() {
    let mut chain = chain();
    let all: Vec<(&str, u32, Vec<u8>)> = PEOPLE
        .iter()
        .flat_map(|name| TURNS.map(|degrees| (*name, degrees, turned(name, degrees))))
        .collect();
    for (index, (name, degrees, probe)) in all.iter().enumerate() {
        for (other, other_degrees, reference) in &all[index + 1..] {
            if name == other {
                continue;
            }
            let answer = chain.compare(probe, reference);
            let what = format!(
                "{name} by {degrees}, {other} by {other_degrees}: {}",
                answer.summary()
            );
            assert_eq!(answer.decision(), Decision::Error, "{what}");
        }
    }
}

#[test]
fn a_turned_face_is_refused_even_for_its_owner() {
    let mut chain = chain();
    let (mut rotated, mut unseen) = (0, 0);
    for portrait in portraits() {
        let upright = file(&portrait.name);
        for degrees in TURNS {
            let turned = turned(&portrait.name, degrees);
            let mut answers = vec![chain.compare(&turned, &upright)];
            if PEOPLE.contains(&portrait.name.as_str()) {
                answers.push(chain.compare(&upright, &turned));
            }
            for answer in answers {
                let what = format!("{} by {degrees}: {}", portrait.name, answer.summary());
                assert_eq!(answer.decision(), Decision::Error, "{what}");
                match answer.reasons() {
                    [code] if code == codes::FACE_ROTATED.id => rotated += 1,
                    [code] if code == codes::NO_FACE.id => unseen += 1,
                    _ => panic!("{what}"),
                }
            }
        }
    }
    assert!(
        rotated >= 115,
        "{rotated} are said to be turned, {unseen} are not seen"
    );
}

#[test]
fn upright_faces_are_compared_though_the_head_leans() {
    let mut chain = chain();
    let all = portraits();
    let mut refused = Vec::new();
    for portrait in &all {
        let upright = file(&portrait.name);
        let answer = chain.compare(&upright, &upright);
        assert!(
            answer.evidence.comparison.is_some(),
            "{}: {}",
            portrait.name,
            answer.summary()
        );
        for degrees in [-25.0, 25.0] {
            let answer = chain.compare(&rolled(&portrait.name, degrees), &upright);
            if answer.evidence.comparison.is_none() {
                refused.push(format!(
                    "{} by {degrees}: {}",
                    portrait.name,
                    answer.summary()
                ));
            }
        }
    }
    assert!(refused.len() <= 1, "of {}: {refused:#?}", all.len() * 2);
}
