//! A second look at the subject, at one size whatever the picture's: where its points lie, and whether
//! it stands upright.
//!
//! Points depend on the size at which a face is seen; with one size a picture's template does not
//! depend on the scene's smallest face. And a detector may give a face that is turned by a quarter or a
//! half upright landmarks; its template then misses its owner and resembles other turned people.

use shiren_contract::raster::Rgb8;
use shiren_models::view::{FloatRaster, Seen, View};
use shiren_models::{BoundingBox, Face, FaceDetector, Landmarks, ModelError};

/// For the points, which are the mean of this view's and its mirror image's, so that neither side is
/// favoured (docs/accuracy.md): side of the view and longer side of the face in it, pixels. A face that
/// fills its picture so keeps a margin: without one it is as often found better upside down.
const CLOSE: (u32, f32) = (160, 59.0);
/// For the turn: on a coarse view turned faces and upright ones score furthest apart.
const COARSE: (u32, f32) = (128, 40.0);
/// A face with this score in the coarse view stands upright, and no turn is looked at
/// (docs/decisions/0006: of 196 turned faces the best scored 0.707).
const SURE: f32 = 0.75;
/// Score by which a turned view must beat the upright one (as above: a turned face leads by 0.109 or more,
/// of 70 upright ones none by more than -0.065).
const MARGIN: f32 = 0.05;
/// Least intersection over union of the subject's box and of the face that is taken for it.
const MIN_IOU: f32 = 0.3;

/// What the second look saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CloseLook {
    /// The face stands upright; its points in the crop.
    Upright(Landmarks),
    /// It is found better when the crop is turned by 90, 180 or 270 degrees.
    Turned,
}

/// Looks at `crop`, in which the subject is `face`, in the crop's pixels. Where it is not found
/// again its points stay as they are.
///
/// # Errors
/// The detector cannot be run.
pub fn look(
    detector: &mut FaceDetector,
    crop: &Rgb8,
    face: &Face,
) -> Result<CloseLook, ModelError> {
    let mut bbox = face.bbox;
    let view = around(&bbox, COARSE);
    // The box changes little: half the scale is on the safe side.
    let crop = &FloatRaster::new(crop, view.scale / 2.0);
    let [found] = detector.detect_in_view(crop, &view, [Seen::Upright])?;
    let score = best_score(&found);
    if score < SURE && is_turned(detector, crop, &view, score)? {
        return Ok(CloseLook::Turned);
    }
    // The box as it is at one size places the close view: it differs less than the first look's.
    if let Some(again) = nearest(&found, &view.box_to_view(&bbox)) {
        bbox = view.face_to_picture(again).bbox;
    }
    let view = around(&bbox, CLOSE);
    let wanted = view.box_to_view(&bbox);
    let mut again = Vec::with_capacity(2);
    for found in detector.detect_in_view(crop, &view, [Seen::Upright, Seen::Mirrored])? {
        again.extend(nearest(&found, &wanted).map(|face| view.face_to_picture(face)));
    }
    Ok(CloseLook::Upright(match again.as_slice() {
        [] => face.landmarks,
        [one] => one.landmarks,
        [one, other, ..] => mean(&one.landmarks, &other.landmarks),
    }))
}

/// Whether the face in the middle of the view is found better when that is turned; upright it scored
/// `upright`.
fn is_turned(
    detector: &mut FaceDetector,
    crop: &FloatRaster,
    view: &View,
    upright: f32,
) -> Result<bool, ModelError> {
    for quarters in 1..4 {
        let [found] = detector.detect_in_view(crop, view, [Seen::Turned(quarters)])?;
        if best_score(&found) > upright + MARGIN {
            return Ok(true);
        }
    }
    Ok(false)
}

fn around(bbox: &BoundingBox, (side_px, face_px): (u32, f32)) -> View {
    View::around(bbox, face_px, side_px)
}

fn mean(a: &Landmarks, b: &Landmarks) -> Landmarks {
    let middle = |a: [f32; 2], b: [f32; 2]| [f32::midpoint(a[0], b[0]), f32::midpoint(a[1], b[1])];
    std::array::from_fn(|index| middle(a[index], b[index]))
}

/// The face that lies where one is wanted.
fn nearest<'a>(found: &'a [Face], wanted: &BoundingBox) -> Option<&'a Face> {
    let overlap = |face: &Face| face.bbox.iou(wanted);
    found
        .iter()
        .filter(|face| overlap(face) >= MIN_IOU)
        .max_by(|a, b| overlap(a).total_cmp(&overlap(b)))
}

/// Score of the largest face; 0 without one. A crop lies around its subject, so others are smaller.
fn best_score(found: &[Face]) -> f32 {
    let largest = found
        .iter()
        .max_by(|a, b| a.bbox.area().total_cmp(&b.bbox.area()));
    largest.map_or(0.0, |face| face.score)
}
