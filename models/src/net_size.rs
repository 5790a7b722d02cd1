//! How large a picture is shown to the detector.
//!
//! The input's size is the largest lever on a compare's cost, so it follows from the smallest face
//! that the scene wants and from nothing else.

use shiren_contract::raster::Rgb8;

use crate::geometry::{BoundingBox, Face};

/// Width a face needs on the net to be found, in net pixels (measured: docs/accuracy.md).
pub const FACE_NET_PX: u32 = 24;
/// The net's sides are multiples of this.
pub const NET_STEP_PX: u32 = 32;
/// No net side is shorter than this unless the picture is: below it, five landmarks are guesswork.
pub const MIN_NET_SIDE_PX: u32 = 64;

/// Where a picture lies on the net: scaled alike in both directions and put into the middle; what
/// is left over is black.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NetFrame {
    /// Net width and height in pixels, multiples of 32.
    pub net: (u32, u32),
    /// Width and height of the scaled picture on the net, in pixels.
    pub content: (u32, u32),
    /// Left and upper edge of the scaled picture on the net, in pixels.
    pub offset: (u32, u32),
}

impl NetFrame {
    /// For a picture of `width` x `height` pixels (at least 1), so that a face of `min_face_px`
    /// (at least 1) is [`FACE_NET_PX`] wide. The long side is at most `max_net_side_px` (at least
    /// 32) and at most the picture's own, each rounded to a multiple of 32.
    #[must_use]
    pub fn for_smallest_face(
        width: u32,
        height: u32,
        min_face_px: u32,
        max_net_side_px: u32,
    ) -> Self {
        let long = width.max(height);
        let wanted =
            (u64::from(long) * u64::from(FACE_NET_PX)).div_ceil(u64::from(min_face_px.max(1)));
        let wanted = u32::try_from(wanted)
            .unwrap_or(u32::MAX - NET_STEP_PX)
            .max(MIN_NET_SIDE_PX);
        let bound = (max_net_side_px / NET_STEP_PX * NET_STEP_PX).max(NET_STEP_PX);
        let net_long = step_up(wanted).min(step_up(long)).min(bound);
        // Never enlarged: a net pixel is at least a picture pixel.
        Self::scaled(
            width,
            height,
            f64::from(net_long.min(long)) / f64::from(long),
        )
    }

    /// For a face that fills the picture: the picture shrunk to a long side of `content_px` in the
    /// middle of a square net of `net_px`, so that the face's surroundings exist.
    #[must_use]
    pub fn surrounded(width: u32, height: u32, content_px: u32, net_px: u32) -> Self {
        let scale = f64::from(content_px) / f64::from(width.max(height));
        let content = (side(width, scale), side(height, scale));
        let net = step_up(net_px);
        let net = (net.max(step_up(content.0)), net.max(step_up(content.1)));
        Self {
            net,
            content,
            offset: ((net.0 - content.0) / 2, (net.1 - content.1) / 2),
        }
    }

    fn scaled(width: u32, height: u32, scale: f64) -> Self {
        let content = (side(width, scale), side(height, scale));
        let net = (step_up(content.0), step_up(content.1));
        Self {
            net,
            content,
            offset: ((net.0 - content.0) / 2, (net.1 - content.1) / 2),
        }
    }

    /// The longer side of the face's box on the net, in net pixels.
    #[must_use]
    pub fn net_length(&self, picture: &Rgb8, face: &Face) -> f32 {
        let x = face.bbox.width() * self.content.0 as f32 / picture.width() as f32;
        let y = face.bbox.height() * self.content.1 as f32 / picture.height() as f32;
        x.max(y)
    }

    /// A face in net pixels as a face of `picture`.
    #[must_use]
    pub fn face_to_picture(&self, picture: &Rgb8, face: &Face) -> Face {
        let b = face.bbox;
        let [x1, y1] = self.to_picture(picture, b.x1, b.y1);
        let [x2, y2] = self.to_picture(picture, b.x2, b.y2);
        Face {
            bbox: BoundingBox { x1, y1, x2, y2 },
            landmarks: face.landmarks.map(|[x, y]| self.to_picture(picture, x, y)),
            score: face.score,
        }
    }

    /// A point on the net as a point of `picture`.
    #[must_use]
    pub fn to_picture(&self, picture: &Rgb8, x: f32, y: f32) -> [f32; 2] {
        [
            (x - self.offset.0 as f32) * picture.width() as f32 / self.content.0 as f32,
            (y - self.offset.1 as f32) * picture.height() as f32 / self.content.1 as f32,
        ]
    }
}

fn side(picture_px: u32, scale: f64) -> u32 {
    ((f64::from(picture_px) * scale).round() as u32).max(1)
}

fn step_up(px: u32) -> u32 {
    px.div_ceil(NET_STEP_PX) * NET_STEP_PX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_of_the_measured_table() {
        let net = |w, h, face| NetFrame::for_smallest_face(w, h, face, 4096).net;
        assert_eq!(net(1920, 1080, 100), (480, 288));
        assert_eq!(net(1920, 1080, 40), (1152, 672));
        assert_eq!(net(1080, 1920, 40), (672, 1152));
        assert_eq!(net(1920, 1080, 10), (1920, 1088));
        assert_eq!(net(1920, 1080, 1000), (64, 64));
        assert_eq!(net(40, 30, 40), (64, 32));
    }

    #[test]
    fn the_operator_bounds_the_long_side() {
        assert_eq!(
            NetFrame::for_smallest_face(8000, 6000, 20, 1300).net,
            (1280, 960)
        );
        assert_eq!(NetFrame::for_smallest_face(8000, 1, 1, 1).net, (32, 32));
    }

    proptest! {
        #[test]
        fn a_frame_is_sound(w in 1u32..9000, h in 1u32..9000, face in 1u32..2000, max in 32u32..4096) {
            let frame = NetFrame::for_smallest_face(w, h, face, max);
            prop_assert!(frame.net.0.is_multiple_of(32) && frame.net.1.is_multiple_of(32));
            prop_assert!(frame.net.0.max(frame.net.1) <= max.max(32));
            prop_assert!(frame.content.0 <= w && frame.content.1 <= h);
            prop_assert!(frame.offset.0 + frame.content.0 <= frame.net.0);
            prop_assert!(frame.offset.1 + frame.content.1 <= frame.net.1);
        }

        #[test]
        fn corners_map_to_corners(w in 1u32..400, h in 1u32..400, face in 1u32..300) {
            let picture = Rgb8::new(w, h, vec![0; (w * h * 3) as usize]).unwrap();
            let frame = NetFrame::for_smallest_face(w, h, face, 640);
            let (x, y) = (frame.offset.0 as f32, frame.offset.1 as f32);
            prop_assert_eq!(frame.to_picture(&picture, x, y), [0.0, 0.0]);
            let [x, y] = frame.to_picture(&picture, x + frame.content.0 as f32, y + frame.content.1 as f32);
            prop_assert!((x - w as f32).abs() < 0.01 && (y - h as f32).abs() < 0.01);
        }
    }
}
