//! Boxes, landmarks and their pure geometry.

/// Left eye, right eye, nose tip, left and right corner of the mouth (left of the image), `[x, y]`
/// in pixels.
pub type Landmarks = [[f32; 2]; 5];

/// An axis-parallel box in pixels of the picture; it may reach beyond the picture's edges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// Left edge.
    pub x1: f32,
    /// Upper edge.
    pub y1: f32,
    /// Right edge, not below `x1`.
    pub x2: f32,
    /// Lower edge, not below `y1`.
    pub y2: f32,
}

impl BoundingBox {
    /// Width in pixels, at least 0.
    #[must_use]
    pub fn width(&self) -> f32 {
        (self.x2 - self.x1).max(0.0)
    }

    /// Height in pixels, at least 0.
    #[must_use]
    pub fn height(&self) -> f32 {
        (self.y2 - self.y1).max(0.0)
    }

    /// Area in square pixels.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// Whether the point lies in it, edges included.
    #[must_use]
    pub fn contains(&self, [x, y]: [f32; 2]) -> bool {
        (self.x1..=self.x2).contains(&x) && (self.y1..=self.y2).contains(&y)
    }

    /// Middle, `[x, y]`.
    #[must_use]
    pub fn centre(&self) -> [f32; 2] {
        [(self.x1 + self.x2) / 2.0, (self.y1 + self.y2) / 2.0]
    }

    /// Area that both boxes cover, in square pixels.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> f32 {
        let width = self.x2.min(other.x2) - self.x1.max(other.x1);
        let height = self.y2.min(other.y2) - self.y1.max(other.y1);
        if width > 0.0 && height > 0.0 {
            width * height
        } else {
            0.0
        }
    }

    /// Intersection over union, 0 to 1; 0 for empty boxes.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        let shared = self.intersection(other);
        ratio(shared, self.area() + other.area() - shared)
    }

    /// Share of the smaller box that the larger one covers, 0 to 1; 0 for empty boxes.
    #[must_use]
    pub fn containment(&self, other: &Self) -> f32 {
        ratio(self.intersection(other), self.area().min(other.area()))
    }

    /// The part inside a picture of `width` x `height` pixels.
    #[must_use]
    pub fn clipped(&self, width: u32, height: u32) -> Self {
        let (width, height) = (width as f32, height as f32);
        Self {
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
            x2: self.x2.clamp(0.0, width),
            y2: self.y2.clamp(0.0, height),
        }
    }
}

fn ratio(part: f32, whole: f32) -> f32 {
    if whole > 0.0 {
        (part / whole).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// A face found in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Forehead to chin, in pixels of the picture.
    pub bbox: BoundingBox,
    /// Five points, in pixels of the picture.
    pub landmarks: Landmarks,
    /// Detection score, 0 to 1: how surely this is a face, not whose.
    pub score: f32,
}

impl Face {
    /// Roll in degrees, -180 to 180: the line from left to right eye against the horizontal,
    /// positive when the right eye (of the image) is lower.
    #[must_use]
    pub fn roll_degrees(&self) -> f32 {
        let [left, right, ..] = self.landmarks;
        (right[1] - left[1]).atan2(right[0] - left[0]).to_degrees()
    }
}

impl Face {
    /// The face in the mirror image of its picture, `width` pixels wide.
    #[must_use]
    pub fn mirrored(&self, width: f32) -> Self {
        let [left_eye, right_eye, nose, left_mouth, right_mouth] = self.landmarks;
        Self {
            bbox: BoundingBox {
                x1: width - self.bbox.x2,
                x2: width - self.bbox.x1,
                ..self.bbox
            },
            landmarks: [right_eye, left_eye, nose, right_mouth, left_mouth]
                .map(|[x, y]| [width - x, y]),
            score: self.score,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn square(x: f32, y: f32, side: f32) -> BoundingBox {
        BoundingBox {
            x1: x,
            y1: y,
            x2: x + side,
            y2: y + side,
        }
    }

    fn any_box() -> impl Strategy<Value = BoundingBox> {
        (
            -50.0f32..500.0,
            -50.0f32..500.0,
            0.0f32..300.0,
            0.0f32..300.0,
        )
            .prop_map(|(x, y, w, h)| BoundingBox {
                x1: x,
                y1: y,
                x2: x + w,
                y2: y + h,
            })
    }

    #[test]
    fn case_c07_has_the_figures_of_its_report() {
        let (small, large) = (square(30.0, 30.0, 78.0), square(0.0, 0.0, 136.0));
        assert!((small.iou(&large) - 0.329).abs() < 0.001);
        assert_eq!(small.containment(&large), 1.0);
    }

    #[test]
    fn roll_is_the_angle_of_the_eye_line() {
        let mut face = Face {
            bbox: square(0.0, 0.0, 10.0),
            landmarks: [[0.0, 0.0]; 5],
            score: 1.0,
        };
        face.landmarks[1] = [10.0, 10.0];
        assert!((face.roll_degrees() - 45.0).abs() < 1e-4);
        face.landmarks[1] = [-10.0, 0.0];
        assert!((face.roll_degrees().abs() - 180.0).abs() < 1e-4);
    }

    proptest! {
        #[test]
        fn overlap_is_symmetric_and_within_0_and_1(a in any_box(), b in any_box()) {
            prop_assert_eq!(a.iou(&b), b.iou(&a));
            prop_assert_eq!(a.containment(&b), b.containment(&a));
            prop_assert!((0.0..=1.0).contains(&a.iou(&b)));
            prop_assert!((0.0..=1.0).contains(&a.containment(&b)));
            prop_assert!(a.iou(&b) <= a.containment(&b) + 1e-5);
        }

        #[test]
        fn a_box_covers_itself(a in any_box()) {
            prop_assume!(a.area() > 1.0);
            prop_assert!(a.iou(&a) > 0.999);
        }

        #[test]
        fn clipping_never_grows_and_stays_inside(a in any_box()) {
            let inside = a.clipped(200, 100);
            prop_assert!(inside.area() <= a.area() * 1.0001);
            prop_assert!(inside.x1 >= 0.0 && inside.x2 <= 200.0 && inside.y1 >= 0.0 && inside.y2 <= 100.0);
        }
    }
}
