//! One face, one box.

use crate::geometry::{BoundingBox, Face};

/// Above this intersection over union, two boxes are one face.
pub const MAX_IOU: f32 = 0.3;
/// Above this containment, two boxes are one face.
///
/// A tight box inside a loose one passes any test of IoU, so what lies mostly inside another box is
/// the same face, or a part of it taken for a face. A second head cannot lie so: within the box of
/// the face behind it, it would hide that face. It may share a good part (a child before an adult's
/// chin, neighbours in a crowd), so the limit is well above a half; it is below 1, for boxes on parts
/// of a close face reach a little over its edge.
pub const MAX_CONTAINMENT: f32 = 0.7;
/// No more candidates than this are compared with each other; the best are kept.
const MAX_CANDIDATES: usize = 4096;

/// Whether two boxes are taken for one face.
#[must_use]
pub fn is_duplicate(a: &BoundingBox, b: &BoundingBox) -> bool {
    a.iou(b) > MAX_IOU || a.containment(b) > MAX_CONTAINMENT
}

/// The faces without duplicates, the surest of each kept, sorted by falling score. Equal scores are
/// ordered by place, so that the result does not depend on the order given.
#[must_use]
pub fn remove(mut faces: Vec<Face>) -> Vec<Face> {
    faces.sort_unstable_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(a.bbox.y1.total_cmp(&b.bbox.y1))
            .then(a.bbox.x1.total_cmp(&b.bbox.x1))
    });
    faces.truncate(MAX_CANDIDATES);
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        if !kept
            .iter()
            .any(|other| is_duplicate(&face.bbox, &other.bbox))
        {
            kept.push(face);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn face(x: f32, y: f32, side: f32, score: f32) -> Face {
        Face {
            bbox: BoundingBox {
                x1: x,
                y1: y,
                x2: x + side,
                y2: y + side,
            },
            landmarks: [[x, y]; 5],
            score,
        }
    }

    #[test]
    fn a_tight_box_in_a_loose_one_is_one_face() {
        let kept = remove(vec![
            face(30.0, 30.0, 78.0, 0.6),
            face(0.0, 0.0, 136.0, 0.9),
        ]);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].score, 0.9);
    }

    #[test]
    fn a_child_before_an_adult_is_a_second_face() {
        // Six tenths of the child's box lie in the adult's.
        let kept = remove(vec![
            face(0.0, 0.0, 136.0, 0.9),
            face(40.0, 100.0, 60.0, 0.8),
        ]);
        assert_eq!(kept.len(), 2);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_apart_and_sorted(
            boxes in prop::collection::vec((0.0f32..300.0, 0.0f32..300.0, 1.0f32..200.0, 0.5f32..1.0), 0..40),
        ) {
            let faces: Vec<Face> = boxes.iter().map(|&(x, y, side, score)| face(x, y, side, score)).collect();
            let kept = remove(faces.clone());
            prop_assert!(kept.len() <= faces.len());
            prop_assert!(kept.windows(2).all(|pair| pair[0].score >= pair[1].score));
            for (index, a) in kept.iter().enumerate() {
                prop_assert!(kept[index + 1..].iter().all(|b| !is_duplicate(&a.bbox, &b.bbox)));
            }
            for lost in faces.iter().filter(|face| !kept.contains(face)) {
                prop_assert!(kept.iter().any(|k| k.score >= lost.score && is_duplicate(&k.bbox, &lost.bbox)));
            }
        }
    }
}
