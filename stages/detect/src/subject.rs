//! Which face of a picture is the one that a question is about.

use shiren_models::Face;

/// Name of the rule, as evidence carries it.
pub const RULE: &str =
    "most prominent: area of the box x (1 - half the distance of its middle from the picture's)";
/// Name of the rule where there is no choice.
pub const RULE_ONLY_FACE: &str = "only face";

/// The subject, or why none can be named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// Index of the subject and the rule it was chosen by.
    Subject(usize, &'static str),
    /// There is no face.
    None,
    /// The two most prominent faces are too close together: their ratio.
    Ambiguous(f32),
}

/// Chooses by size and position, never by likeness: a bystander who looks like the reference must
/// not become the subject. `min_margin` (at least 1) is the ratio by which the first must lead.
#[must_use]
pub fn choose(faces: &[Face], width: u32, height: u32, min_margin: f32) -> Choice {
    let mut ranked: Vec<(usize, f32)> = faces
        .iter()
        .map(|face| prominence(face, width, height))
        .enumerate()
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    match ranked.as_slice() {
        [] => Choice::None,
        [(only, _)] => Choice::Subject(*only, RULE_ONLY_FACE),
        [(first, prominent), (_, next), ..] => {
            let lead = prominent / next.max(f32::MIN_POSITIVE);
            if lead >= min_margin {
                Choice::Subject(*first, RULE)
            } else {
                Choice::Ambiguous(lead)
            }
        }
    }
}

/// Area in pixels, halved at the picture's corners.
fn prominence(face: &Face, width: u32, height: u32) -> f32 {
    let (width, height) = (width as f32, height as f32);
    let [x, y] = face.bbox.centre();
    let from_middle = [(x / width - 0.5) * 2.0, (y / height - 0.5) * 2.0];
    let distance =
        (from_middle[0].powi(2) + from_middle[1].powi(2)).sqrt() / std::f32::consts::SQRT_2;
    face.bbox.area() * (1.0 - 0.5 * distance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shiren_models::BoundingBox;

    use super::*;

    fn face(x: f32, y: f32, side: f32) -> Face {
        let bbox = BoundingBox {
            x1: x,
            y1: y,
            x2: x + side,
            y2: y + side,
        };
        Face {
            bbox,
            landmarks: [[0.0; 2]; 5],
            score: 0.9,
        }
    }

    #[test]
    fn the_large_face_in_the_middle_is_the_subject() {
        let faces = [face(0.0, 0.0, 50.0), face(150.0, 150.0, 200.0)];
        assert_eq!(choose(&faces, 500, 500, 1.5), Choice::Subject(1, RULE));
    }

    #[test]
    fn two_alike_have_no_subject() {
        let faces = [face(50.0, 150.0, 150.0), face(300.0, 150.0, 150.0)];
        assert!(matches!(choose(&faces, 500, 450, 1.5), Choice::Ambiguous(lead) if lead < 1.1));
    }

    #[test]
    fn one_or_none() {
        assert_eq!(
            choose(&[face(0.0, 0.0, 9.0)], 500, 500, 1.5),
            Choice::Subject(0, RULE_ONLY_FACE)
        );
        assert_eq!(choose(&[], 500, 500, 1.5), Choice::None);
    }

    proptest! {
        #[test]
        fn order_does_not_matter(boxes in proptest::collection::vec((0.0_f32..400.0, 0.0_f32..400.0, 5.0_f32..200.0), 1..6)) {
            let faces: Vec<Face> = boxes.iter().map(|(x, y, s)| face(*x, *y, *s)).collect();
            let reversed: Vec<Face> = faces.iter().rev().copied().collect();
            let chosen = |faces: &[Face]| match choose(faces, 600, 600, 1.2) {
                Choice::Subject(i, _) => Some(faces[i].bbox),
                _ => None,
            };
            prop_assert_eq!(chosen(&faces), chosen(&reversed));
        }
    }
}
