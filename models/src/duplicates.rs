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
/// Candidates of one face above this intersection over union with the surest have a say in where it is.
const MIN_VOTER_IOU: f32 = 0.5;
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

/// The faces that [`remove`] keeps, each with the box and points that are the mean of its candidates'
/// (box voting: Gidaris and Komodakis, 2015): which of two neighbouring candidates is the surer hangs on a
/// shade of grey, their mean does not. A candidate's weight is its score above `min_score`, the least of
/// any, times its overlap above a half: none enters or leaves at a stroke.
#[must_use]
pub fn merge(candidates: &[Face], min_score: f32) -> Vec<Face> {
    let mut kept = remove(candidates.to_vec());
    for face in &mut kept {
        *face = mean(face, candidates, min_score);
    }
    kept
}

/// `face` where its candidates are on average; as it is where none has a weight.
fn mean(face: &Face, candidates: &[Face], min_score: f32) -> Face {
    let (mut sum, mut whole) = ([0.0_f32; 14], 0.0_f32);
    for other in candidates {
        let overlap = other.bbox.iou(&face.bbox) - MIN_VOTER_IOU;
        let weight = overlap.max(0.0) * (other.score - min_score).max(0.0);
        for (into, value) in sum.iter_mut().zip(positions(other)) {
            *into += value * weight;
        }
        whole += weight;
    }
    if whole <= f32::EPSILON {
        return *face;
    }
    let [x1, y1, x2, y2, points @ ..] = sum.map(|value| value / whole);
    let mut landmarks = face.landmarks;
    for (point, &[x, y]) in landmarks.iter_mut().zip(points.as_chunks::<2>().0) {
        *point = [x, y];
    }
    Face {
        bbox: BoundingBox { x1, y1, x2, y2 },
        landmarks,
        score: face.score,
    }
}

/// Corners of the box, then the points: x and y in turn.
fn positions(face: &Face) -> [f32; 14] {
    let b = face.bbox;
    let [[ax, ay], [bx, by], [cx, cy], [dx, dy], [ex, ey]] = face.landmarks;
    [
        b.x1, b.y1, b.x2, b.y2, ax, ay, bx, by, cx, cy, dx, dy, ex, ey,
    ]
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

    #[test]
    fn a_face_is_where_its_candidates_are_on_average() {
        // Of 100 pixels 80 are in both, of 120 in either: an overlap of 2/3. The third has too little.
        let merged = merge(
            &[
                face(20.0, 0.0, 100.0, 0.8),
                face(0.0, 0.0, 100.0, 0.9),
                face(60.0, 0.0, 100.0, 0.8),
                face(300.0, 0.0, 80.0, 0.3),
            ],
            0.3,
        );
        assert_eq!(merged.len(), 3);
        let wanted = 20.0 * (0.5 * (2.0 / 3.0 - 0.5)) / (0.5 * (2.0 / 3.0 - 0.5) + 0.6 * 0.5);
        assert!((merged[0].bbox.x1 - wanted).abs() < 1e-4);
        assert!((merged[0].landmarks[4][0] - wanted).abs() < 1e-4);
        assert_eq!((merged[0].bbox.y1, merged[0].score), (0.0, 0.9));
        assert_eq!(merged[2], face(300.0, 0.0, 80.0, 0.3));
    }

    proptest! {
        #[test]
        fn merging_moves_a_face_no_further_than_its_candidates(
            boxes in prop::collection::vec((0.0f32..300.0, 0.0f32..300.0, 1.0f32..200.0, 0.5f32..1.0), 0..40),
        ) {
            let faces: Vec<Face> = boxes.iter().map(|&(x, y, side, score)| face(x, y, side, score)).collect();
            let (kept, merged) = (remove(faces.clone()), merge(&faces, 0.5));
            prop_assert_eq!(kept.len(), merged.len());
            for (before, after) in kept.iter().zip(&merged) {
                prop_assert_eq!(before.score, after.score);
                prop_assert!(after.bbox.iou(&before.bbox) >= 0.5, "{:?} {:?}", before, after);
            }
        }

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
