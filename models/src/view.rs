//! A face at a chosen size in the middle of a square.

use shiren_contract::raster::Rgb8;

use crate::geometry::{BoundingBox, Face};

/// A square view of a picture: scaled alike in both directions, without rounding, so that a face that lies
/// a hundredth of a pixel further moves by that much and no more; black beyond the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Side, pixels, a multiple of 32.
    pub side_px: u32,
    /// The picture's point in the middle, its pixels.
    pub centre: [f32; 2],
    /// View pixels a picture pixel, above 0.
    pub scale: f32,
}

/// A picture's packed RGB values, 0 to 255, as floats, so that views of it are not rounded, in a black border,
/// so that a view which reaches beyond the picture does not end at a whole pixel.
#[derive(Debug, Clone)]
pub struct FloatRaster {
    /// Sides with the border, pixels.
    pub(crate) width: u32,
    pub(crate) height: u32,
    border_px: u32,
    pub(crate) values: Vec<f32>,
}

impl FloatRaster {
    /// The picture for views of at least `min_scale`, a number above 0, view pixels a picture pixel.
    #[must_use]
    pub fn new(picture: &Rgb8, min_scale: f32) -> Self {
        // What a view's pixel at the edge may see of the picture: its own width and its filter's.
        let longest = picture.width().max(picture.height());
        let border_px = ((2.0 / min_scale).ceil() as u32).clamp(1, longest.max(1));
        let (width, height) = (
            picture.width() + 2 * border_px,
            picture.height() + 2 * border_px,
        );
        let row = width as usize * 3;
        let mut values = vec![0.0; row * height as usize];
        let inner = values
            .chunks_exact_mut(row)
            .skip(border_px as usize)
            .zip(picture.data().chunks_exact(picture.width() as usize * 3));
        for (into, from) in inner {
            let into = into[border_px as usize * 3..].iter_mut();
            for (into, &value) in into.zip(from) {
                *into = value.into();
            }
        }
        Self {
            width,
            height,
            border_px,
            values,
        }
    }
}

/// How the net sees a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// As it is.
    Upright,
    /// Mirrored left to right.
    Mirrored,
    /// Turned clockwise by so many quarters.
    Turned(u8),
}

/// Where the part of a picture that a view shows lies, in whole pixels of the view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Content {
    /// Left and upper edge in the view.
    pub offset: (u32, u32),
    /// Width and height in the view, at least 1.
    pub size: (u32, u32),
    /// Left, upper edge, width and height in the picture with its border, pixels.
    pub region: [f64; 4],
}

impl View {
    /// The view of `side_px` with `bbox` in its middle, its longer side `face_px` pixels.
    #[must_use]
    pub fn around(bbox: &BoundingBox, face_px: f32, side_px: u32) -> Self {
        Self {
            side_px,
            centre: bbox.centre(),
            scale: face_px / bbox.width().max(bbox.height()).max(1.0),
        }
    }

    /// A box of the picture in the view.
    #[must_use]
    pub fn box_to_view(&self, bbox: &BoundingBox) -> BoundingBox {
        let to_view = |value: f32, axis: usize| {
            (value - self.centre[axis]) * self.scale + self.side_px as f32 / 2.0
        };
        BoundingBox {
            x1: to_view(bbox.x1, 0),
            y1: to_view(bbox.y1, 1),
            x2: to_view(bbox.x2, 0),
            y2: to_view(bbox.y2, 1),
        }
    }

    /// A face of the view in the picture.
    #[must_use]
    pub fn face_to_picture(&self, face: &Face) -> Face {
        let point = |[x, y]: [f32; 2]| {
            let half = self.side_px as f32 / 2.0;
            [
                (x - half) / self.scale + self.centre[0],
                (y - half) / self.scale + self.centre[1],
            ]
        };
        let [x1, y1] = point([face.bbox.x1, face.bbox.y1]);
        let [x2, y2] = point([face.bbox.x2, face.bbox.y2]);
        Face {
            bbox: BoundingBox { x1, y1, x2, y2 },
            landmarks: face.landmarks.map(point),
            score: face.score,
        }
    }

    /// What it shows of a picture: the view's pixels that lie wholly in it or its border. `None`: nothing.
    pub(crate) fn content(&self, picture: &FloatRaster) -> Option<Content> {
        let border = f64::from(picture.border_px);
        let (scale, side) = (f64::from(self.scale), f64::from(self.side_px));
        let span = |centre: f32, length: u32| {
            let origin = side / 2.0 - (f64::from(centre) + border) * scale;
            let from = origin.max(0.0).ceil();
            let to = (origin + f64::from(length) * scale).min(side).floor();
            let start = ((from - origin) / scale).max(0.0);
            let long = ((to - from) / scale).min(f64::from(length) - start);
            (to > from && long > 0.0).then_some((from as u32, (to - from) as u32, start, long))
        };
        let (left, columns, x, region_width) = span(self.centre[0], picture.width)?;
        let (top, rows, y, region_height) = span(self.centre[1], picture.height)?;
        Some(Content {
            offset: (left, top),
            size: (columns, rows),
            region: [x, y, region_width, region_height],
        })
    }
}

/// Turns a square plane of `side` values a row as the net is to see it.
pub(crate) fn turn(plane: &mut [f32], side: usize, seen: Seen) {
    match seen {
        Seen::Upright => {}
        Seen::Mirrored => plane.chunks_exact_mut(side).for_each(<[f32]>::reverse),
        Seen::Turned(quarters) => match quarters % 4 {
            1 => {
                transpose(plane, side);
                plane.chunks_exact_mut(side).for_each(<[f32]>::reverse);
            }
            2 => plane.reverse(),
            3 => {
                plane.chunks_exact_mut(side).for_each(<[f32]>::reverse);
                transpose(plane, side);
            }
            _ => {}
        },
    }
}

fn transpose(plane: &mut [f32], side: usize) {
    for row in 0..side {
        for column in row + 1..side {
            plane.swap(row * side + column, column * side + row);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bbox(x: f32, y: f32, width: f32, height: f32) -> BoundingBox {
        BoundingBox {
            x1: x,
            y1: y,
            x2: x + width,
            y2: y + height,
        }
    }

    #[test]
    fn the_face_lies_in_the_middle_at_its_size() {
        let face = bbox(100.0, 50.0, 40.0, 59.0);
        let view = View::around(&face, 59.0, 160);
        assert_eq!(view.box_to_view(&face), bbox(60.0, 50.5, 40.0, 59.0));
    }

    #[test]
    fn turns_are_clockwise() {
        let turned = |seen| {
            let mut plane = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
            turn(&mut plane, 3, seen);
            plane
        };
        let wanted = [7.0, 4.0, 1.0, 8.0, 5.0, 2.0, 9.0, 6.0, 3.0];
        assert_eq!(turned(Seen::Turned(1)), wanted);
        let wanted = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
        assert_eq!(turned(Seen::Turned(2)), wanted);
        let wanted = [3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0];
        assert_eq!(turned(Seen::Turned(3)), wanted);
        let wanted = [3.0, 2.0, 1.0, 6.0, 5.0, 4.0, 9.0, 8.0, 7.0];
        assert_eq!(turned(Seen::Mirrored), wanted);
    }

    proptest! {
        #[test]
        fn what_a_view_shows_lies_in_view_and_picture(
            (width, height) in (1u32..90, 1u32..90),
            (x, y, w, h) in (-50f32..150.0, -50f32..150.0, 0f32..200.0, 0f32..200.0),
        ) {
            let view = View::around(&bbox(x, y, w, h), 59.0, 160);
            let picture = Rgb8::new(width, height, vec![9; (width * height * 3) as usize]).unwrap();
            let picture = FloatRaster::new(&picture, view.scale);
            let (width, height) = (picture.width, picture.height);
            if let Some(content) = view.content(&picture) {
                let [left, top, across, down] = content.region;
                prop_assert!(left >= 0.0 && left + across <= f64::from(width) + 1e-9);
                prop_assert!(top >= 0.0 && top + down <= f64::from(height) + 1e-9);
                prop_assert!(content.offset.0 + content.size.0 <= 160 && content.size.0 > 0);
                prop_assert!(content.offset.1 + content.size.1 <= 160 && content.size.1 > 0);
            }
        }

        #[test]
        fn there_and_back(x in 0f32..300.0, y in 0f32..300.0, side in 5f32..300.0) {
            let face = bbox(x, y, side, side);
            let view = View::around(&bbox(20.0, 30.0, 90.0, 120.0), 40.0, 128);
            let there = Face { bbox: view.box_to_view(&face), landmarks: [[64.0, 64.0]; 5], score: 0.5 };
            let back = view.face_to_picture(&there);
            prop_assert!((back.bbox.x1 - x).abs() < 1e-2 && (back.bbox.y2 - face.y2).abs() < 1e-2);
            prop_assert!((back.landmarks[0][0] - 65.0).abs() < 1e-3 && (back.landmarks[0][1] - 90.0).abs() < 1e-3);
        }
    }
}
