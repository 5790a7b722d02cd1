//! Where a face looks, from the points of its mesh.
//!
//! Angles are Euler angles in the order roll, pitch, yaw of the axes that the mesh itself spans: from one side of the
//! face to the other, and from the top of the forehead to the chin. No generic head is fitted: on the same pictures that
//! biased pitch by 20 to 37 degrees.

/// A point of a mesh: x, y and depth (larger is further away) in one unit.
pub type Point = [f32; 3];

/// Index in the mesh of the point before the ear at the left of the image (the person's right).
pub const LEFT_SIDE: usize = 234;
/// Index of the one at the right of the image.
pub const RIGHT_SIDE: usize = 454;
/// Index of the top of the forehead.
pub const FOREHEAD: usize = 10;
/// Index of the chin's lowest point.
pub const CHIN: usize = 152;

/// Angles in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// -180 to 180; above 0: turned towards the picture's right side.
    pub yaw: f64,
    /// -90 to 90; above 0: turned up.
    pub pitch: f64,
    /// -180 to 180; above 0: clockwise as seen.
    pub roll: f64,
}

/// The four points of a mesh that span the face's axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axes {
    /// Left and right side (of the image).
    pub sides: [Point; 2],
    /// Forehead and chin.
    pub ends: [Point; 2],
}

impl Axes {
    /// Of a mesh of 468 points; `None` of fewer.
    #[must_use]
    pub fn of(mesh: &[Point]) -> Option<Self> {
        let point = |index: usize| mesh.get(index).copied();
        Some(Self {
            sides: [point(LEFT_SIDE)?, point(RIGHT_SIDE)?],
            ends: [point(FOREHEAD)?, point(CHIN)?],
        })
    }

    /// The pose; `None` when the points span no plane or are not finite.
    #[must_use]
    pub fn pose(&self) -> Option<Pose> {
        let [x, y] = [self.sides, self.ends].map(|[from, to]| {
            let [from, to] = [from, to].map(|point| point.map(f64::from));
            [to[0] - from[0], to[1] - from[1], to[2] - from[2]]
        });
        let roll = x[1].atan2(x[0]);
        // Both axes turned back to level: what is left of the normal is yaw and pitch.
        let (sin, cos) = roll.sin_cos();
        let [x, y] = [x, y].map(|[a, b, c]| [a * cos + b * sin, b * cos - a * sin, c]);
        let away = cross(x, y);
        let length = away.iter().map(|part| part * part).sum::<f64>().sqrt();
        if !length.is_finite() || length < f64::EPSILON {
            return None;
        }
        let looks = away.map(|part| -part / length);
        Some(Pose {
            yaw: looks[0].atan2(-looks[2]).to_degrees(),
            pitch: (-looks[1]).clamp(-1.0, 1.0).asin().to_degrees(),
            roll: roll.to_degrees(),
        })
    }
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A face that looks straight ahead, turned by yaw, then pitch, then roll.
    fn turned(yaw: f64, pitch: f64, roll: f64) -> Axes {
        let turn = |[x, y, z]: [f64; 3]| {
            let (sin, cos) = yaw.to_radians().sin_cos();
            let [x, z] = [x * cos - z * sin, x * sin + z * cos];
            let (sin, cos) = pitch.to_radians().sin_cos();
            // Up: the forehead goes back, the chin comes forward.
            let [y, z] = [y * cos + z * sin, z * cos - y * sin];
            let (sin, cos) = roll.to_radians().sin_cos();
            [x * cos - y * sin, x * sin + y * cos, z].map(|v| v as f32)
        };
        Axes {
            sides: [turn([-70.0, 0.0, 0.0]), turn([70.0, 0.0, 0.0])],
            ends: [turn([0.0, -90.0, 0.0]), turn([0.0, 90.0, 0.0])],
        }
    }

    fn mirrored(axes: &Axes) -> Axes {
        let mirror = |[x, y, z]: Point| [-x, y, z];
        Axes {
            sides: [mirror(axes.sides[1]), mirror(axes.sides[0])],
            ends: axes.ends.map(mirror),
        }
    }

    #[test]
    fn signs_are_those_of_the_record() {
        let close = |found: f64, wanted: f64| (found - wanted).abs() < 0.01;
        let right = turned(20.0, 0.0, 0.0).pose().unwrap();
        assert!(close(right.yaw, 20.0) && close(right.pitch, 0.0) && close(right.roll, 0.0));
        let up = turned(0.0, 15.0, 0.0).pose().unwrap();
        assert!(close(up.pitch, 15.0) && close(up.yaw, 0.0), "{up:?}");
        let clockwise = turned(0.0, 0.0, 30.0).pose().unwrap();
        assert!(close(clockwise.roll, 30.0), "{clockwise:?}");
        // Its side at the picture's right is further away.
        assert!(turned(20.0, 0.0, 0.0).sides[1][2] > 0.0);
    }

    #[test]
    fn points_that_span_nothing_have_no_pose() {
        let flat = Axes {
            sides: [[1.0, 2.0, 3.0]; 2],
            ends: [[1.0, 2.0, 3.0]; 2],
        };
        assert_eq!(flat.pose(), None);
        let nan = Axes {
            sides: [[f32::NAN; 3]; 2],
            ..turned(0.0, 0.0, 0.0)
        };
        assert_eq!(nan.pose(), None);
        assert_eq!(Axes::of(&[[0.0; 3]; 100]), None);
    }

    proptest! {
        #[test]
        fn a_mirrored_face_has_yaw_and_roll_with_other_signs(
            yaw in -60.0f64..60.0, pitch in -40.0f64..40.0, roll in -60.0f64..60.0,
        ) {
            let axes = turned(yaw, pitch, roll);
            let (one, other) = (axes.pose().unwrap(), mirrored(&axes).pose().unwrap());
            prop_assert!((one.yaw + other.yaw).abs() < 0.01, "{one:?} {other:?}");
            prop_assert!((one.pitch - other.pitch).abs() < 0.01);
            prop_assert!((one.roll + other.roll).abs() < 0.01);
        }

        #[test]
        fn a_turn_in_the_pictures_plane_changes_roll_alone(
            yaw in -60.0f64..60.0, pitch in -40.0f64..40.0, roll in -60.0f64..60.0, more in -60.0f64..60.0,
        ) {
            let (one, other) = (turned(yaw, pitch, roll).pose().unwrap(), turned(yaw, pitch, roll + more).pose().unwrap());
            prop_assert!((one.yaw - other.yaw).abs() < 0.01);
            prop_assert!((one.pitch - other.pitch).abs() < 0.01);
            prop_assert!((other.roll - one.roll - more).abs() < 0.01);
        }

        #[test]
        fn size_and_place_do_not_matter(
            yaw in -60.0f64..60.0, pitch in -40.0f64..40.0, scale in 0.1f32..20.0, dx in -300.0f32..300.0, dy in -300.0f32..300.0,
        ) {
            let axes = turned(yaw, pitch, 0.0);
            let moved = |[x, y, z]: Point| [x * scale + dx, y * scale + dy, z * scale];
            let other = Axes { sides: axes.sides.map(moved), ends: axes.ends.map(moved) };
            let (one, other) = (axes.pose().unwrap(), other.pose().unwrap());
            prop_assert!((one.yaw - other.yaw).abs() < 0.05 && (one.pitch - other.pitch).abs() < 0.05);
        }
    }
}
