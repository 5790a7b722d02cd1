//! A face with its surroundings at a small, fixed size, as nets of the MiniFASNet kind want it.
//!
//! The geometry is upstream's (Silent-Face-Anti-Spoofing, `CropImage`): the crop is the box scaled by
//! `s = min((H-1)/h, (W-1)/w, context)`, shifted into the picture instead of padded, and resized bilinearly
//! without antialiasing, a pixel's middle at its half.

use shiren_contract::raster::Rgb8;

use crate::geometry::BoundingBox;

/// Largest side of a view, pixels.
pub const MAX_SIDE_PX: u32 = 512;

/// A view, and where it lies in its picture: `view = (picture - origin) * scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceView {
    /// The pixels, a square.
    pub pixels: Rgb8,
    /// Left and upper edge in the picture, pixels.
    pub origin: [f32; 2],
    /// View pixels a picture pixel in x and y.
    pub scale: [f32; 2],
}

/// The face in `bbox` (pixels of `picture`) with `context` (at least 1) sides of its box around its middle,
/// at `side_px` x `side_px`. `None` for a box without extent, a picture below 2 x 2 pixels, or a side that is 0
/// or above [`MAX_SIDE_PX`].
#[must_use]
pub fn face_view(
    picture: &Rgb8,
    bbox: &BoundingBox,
    context: f32,
    side_px: u32,
) -> Option<FaceView> {
    if !(1..=MAX_SIDE_PX).contains(&side_px) {
        return None;
    }
    let region = region(picture.width(), picture.height(), bbox, context)?;
    let [x, y, width, height] = region;
    let side = side_px as f32;
    Some(FaceView {
        pixels: Rgb8::new(side_px, side_px, resized(picture, region, side_px))?,
        origin: [x as f32, y as f32],
        scale: [side / width as f32, side / height as f32],
    })
}

/// Left and upper edge, width and height, in whole pixels inside a picture of `width` x `height`.
#[must_use]
pub fn region(width: u32, height: u32, bbox: &BoundingBox, context: f32) -> Option<[u32; 4]> {
    let sides = [bbox.x1, bbox.y1, bbox.x2, bbox.y2]
        .iter()
        .all(|v| v.is_finite());
    if !sides || context.is_nan() || context < 1.0 || width < 2 || height < 2 {
        return None;
    }
    // Upstream counts the box's last pixel in.
    let (w, h) = (bbox.x2 - bbox.x1 + 1.0, bbox.y2 - bbox.y1 + 1.0);
    if w <= 1.0 || h <= 1.0 {
        return None;
    }
    let (right, bottom) = ((width - 1) as f32, (height - 1) as f32);
    let s = (bottom / h).min(right / w).min(context);
    let (x, across) = shifted(bbox.x1 + w / 2.0, w * s, right)?;
    let (y, down) = shifted(bbox.y1 + h / 2.0, h * s, bottom)?;
    Some([x, y, across, down])
}

/// First whole pixel and length of a span of `length` around `middle`, moved to lie in 0 to `last`.
fn shifted(middle: f32, length: f32, last: f32) -> Option<(u32, u32)> {
    let (mut from, mut to) = (middle - length / 2.0, middle + length / 2.0);
    if from < 0.0 {
        (from, to) = (0.0, to - from);
    }
    if to > last {
        (from, to) = (from - (to - last), last);
    }
    // A span as long as the picture can miss its ends by a rounding error.
    let (from, to) = (from.clamp(0.0, last) as u32, to.clamp(0.0, last) as u32);
    (to >= from).then_some((from, to - from + 1))
}

/// The region at `side` x `side`, packed RGB.
fn resized(picture: &Rgb8, [x, y, width, height]: [u32; 4], side: u32) -> Vec<u8> {
    let (columns, rows) = (taps(width, side), taps(height, side));
    let stride = picture.width() as usize * 3;
    let (data, mut out) = (
        picture.data(),
        Vec::with_capacity((side * side * 3) as usize),
    );
    for &(top, bottom, down) in &rows {
        let (top, bottom) = ((y + top) as usize * stride, (y + bottom) as usize * stride);
        for &(left, right, across) in &columns {
            let (left, right) = ((x + left) as usize * 3, (x + right) as usize * 3);
            for plane in 0..3 {
                let at = |row: usize, column: usize| f32::from(data[row + column + plane]);
                let upper = at(top, left) + (at(top, right) - at(top, left)) * across;
                let lower = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * across;
                out.push((upper + (lower - upper) * down).round() as u8);
            }
        }
    }
    out
}

/// For each of `side` pixels the two of `length` that it lies between, and the second one's share.
fn taps(length: u32, side: u32) -> Vec<(u32, u32, f32)> {
    let step = length as f32 / side as f32;
    (0..side)
        .map(|pixel| {
            let at = ((pixel as f32 + 0.5) * step - 0.5).clamp(0.0, (length - 1) as f32);
            let first = at as u32;
            (first, (first + 1).min(length - 1), at - first as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bbox(x: f32, y: f32, w: f32, h: f32) -> BoundingBox {
        BoundingBox {
            x1: x,
            y1: y,
            x2: x + w,
            y2: y + h,
        }
    }

    #[test]
    fn inside_the_picture_the_crop_lies_around_the_middle() {
        // 21 x 41 px with the last pixel; s = 2: 42 x 82 around (60.5, 80.5).
        assert_eq!(
            region(400, 400, &bbox(50.0, 60.0, 20.0, 40.0), 2.0),
            Some([39, 39, 43, 83])
        );
    }

    #[test]
    fn at_the_edge_it_is_shifted_and_where_it_does_not_fit_it_is_smaller() {
        assert_eq!(
            region(400, 400, &bbox(0.0, 0.0, 20.0, 20.0), 4.0),
            Some([0, 0, 85, 85])
        );
        assert_eq!(
            region(400, 400, &bbox(379.0, 379.0, 20.0, 20.0), 4.0),
            Some([315, 315, 85, 85])
        );
        // s = 99 / 51 by the height.
        assert_eq!(
            region(400, 100, &bbox(100.0, 20.0, 50.0, 50.0), 4.0),
            Some([76, 0, 100, 100])
        );
    }

    #[test]
    fn a_view_of_its_own_size_is_the_pixels_and_a_half_is_their_mean() {
        let data = (0..100 * 100)
            .flat_map(|i| [(i % 100) as u8, (i / 100) as u8, 7])
            .collect();
        let picture = Rgb8::new(100, 100, data).unwrap();
        let wanted = bbox(20.0, 30.0, 9.0, 9.0);
        let view = face_view(&picture, &wanted, 1.0, 11).unwrap();
        assert_eq!((view.origin, view.scale), ([20.0, 30.0], [1.0, 1.0]));
        assert_eq!(view.pixels.pixel(4, 5), Some([24, 35, 7]));
        let half = face_view(&picture, &bbox(20.0, 30.0, 18.0, 18.0), 1.0, 10).unwrap();
        assert_eq!(half.pixels.pixel(0, 0), Some([21, 31, 7]));
    }

    #[test]
    fn what_has_no_extent_has_no_view() {
        let picture = Rgb8::new(8, 8, vec![0; 192]).unwrap();
        for (bbox, context, side) in [
            (bbox(1.0, 1.0, 0.0, 4.0), 2.7, 80),
            (bbox(f32::NAN, 1.0, 4.0, 4.0), 2.7, 80),
            (bbox(1.0, 1.0, 4.0, 4.0), f32::NAN, 80),
            (bbox(1.0, 1.0, 4.0, 4.0), 2.7, 0),
            (bbox(1.0, 1.0, 4.0, 4.0), 2.7, MAX_SIDE_PX + 1),
        ] {
            assert_eq!(face_view(&picture, &bbox, context, side), None);
        }
    }

    proptest! {
        #[test]
        fn the_region_lies_in_the_picture_and_has_the_formula_s_size(
            width in 2_u32..600, height in 2_u32..600, x in -50.0_f32..600.0, y in -50.0_f32..600.0,
            w in 1.0_f32..400.0, h in 1.0_f32..400.0, context in 1.0_f32..5.0,
        ) {
            let [left, top, across, down] = region(width, height, &bbox(x, y, w, h), context).unwrap();
            prop_assert!(left + across <= width && top + down <= height && across > 0 && down > 0);
            let s = ((height - 1) as f32 / (h + 1.0)).min((width - 1) as f32 / (w + 1.0)).min(context);
            prop_assert!((across as f32 - (w + 1.0) * s - 0.5).abs() <= 1.51, "{across} {}", (w + 1.0) * s);
            prop_assert!((down as f32 - (h + 1.0) * s - 0.5).abs() <= 1.51, "{down} {}", (h + 1.0) * s);
        }
    }
}
