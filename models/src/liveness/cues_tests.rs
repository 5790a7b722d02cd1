//! The cues on drawn pictures: what they answer to, and what they must not answer to.

use proptest::prelude::*;

use super::*;

const SIDE: u32 = 256;

fn face() -> BoundingBox {
    BoundingBox {
        x1: 80.0,
        y1: 80.0,
        x2: 176.0,
        y2: 176.0,
    }
}

/// A soft blob on an even ground with noise from a fixed sequence, changed by `change` (x, y, value).
fn drawn(change: impl Fn(f32, f32, f32) -> f32) -> Rgb8 {
    let mut state = 7_u32;
    let mut data = Vec::new();
    for i in 0..SIDE * SIDE {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 24) as f32 / 64.0 - 2.0;
        let (x, y) = ((i % SIDE) as f32, (i / SIDE) as f32);
        let apart = ((x - 128.0).powi(2) + (y - 128.0).powi(2)) / 3000.0;
        let value = change(x, y, 90.0 + 90.0 * (-apart).exp()) + noise;
        data.extend([value.clamp(0.0, 255.0) as u8; 3]);
    }
    Rgb8::new(SIDE, SIDE, data).unwrap()
}

fn pattern(picture: &Rgb8) -> f64 {
    periodic_pattern(picture, &face(), &Transform::default()).unwrap()
}

fn edges(picture: &Rgb8) -> [f64; 4] {
    straight_edges(picture, &face()).unwrap()
}

fn dots(x: f32, y: f32, value: f32) -> f32 {
    value + 8.0 * (1.9 * x + 0.4 * y).cos() * (1.9 * y - 0.4 * x).cos()
}

fn framed(x: f32, y: f32, value: f32) -> f32 {
    let inside = (40.0..216.0).contains(&(x + y * 0.05)) && y < 220.0;
    if inside { value } else { 20.0 }
}

#[test]
fn dots_stand_out_and_a_plain_face_does_not() {
    let (plain, dotted) = (pattern(&drawn(|_, _, v| v)), pattern(&drawn(dots)));
    assert!(plain < 1.5 && dotted > plain + 1.5, "{plain} {dotted}");
}

#[test]
fn a_frame_s_edges_stand_out_and_a_plain_face_has_none() {
    let (plain, frame) = (edges(&drawn(|_, _, v| v)), edges(&drawn(framed)));
    assert!(
        frame[1] > 2.0 * plain[0] && frame[1] > 0.8,
        "{plain:?} {frame:?}"
    );
}

#[test]
fn what_is_too_small_has_no_cue() {
    let tiny = Rgb8::new(40, 40, vec![9; 4800]).unwrap();
    assert_eq!(
        periodic_pattern(&tiny, &face(), &Transform::default()),
        None
    );
    let none = BoundingBox {
        x1: 5.0,
        y1: 5.0,
        x2: 5.0,
        y2: 5.0,
    };
    assert_eq!(straight_edges(&tiny, &none), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// A dim or flat picture of a plain face must not look like an attack by that alone.
    #[test]
    fn light_and_contrast_do_not_raise_the_cues(gain in 0.25_f32..1.0, lift in 0.0_f32..60.0) {
        let changed = drawn(|_, _, v| v * gain + lift);
        let plain = drawn(|_, _, v| v);
        prop_assert!(pattern(&changed) < pattern(&plain) + 0.5);
        prop_assert!(edges(&changed)[0] < edges(&plain)[0] + 0.15);
    }

    /// Any picture gives finite cues within their range.
    #[test]
    fn cues_are_finite(
        width in 1_u32..120, height in 1_u32..120, seed in any::<u8>(),
        x in -20.0_f32..120.0, y in -20.0_f32..120.0, side in 1.0_f32..90.0,
    ) {
        let data = (0..width * height * 3).map(|i| (i as u8).wrapping_mul(seed | 1)).collect();
        let picture = Rgb8::new(width, height, data).unwrap();
        let face = BoundingBox { x1: x, y1: y, x2: x + side, y2: y + side };
        let pattern = periodic_pattern(&picture, &face, &Transform::default());
        prop_assert_eq!(pattern.is_some(), width >= 64 && height >= 64);
        prop_assert!(pattern.is_none_or(f64::is_finite));
        for edge in straight_edges(&picture, &face).unwrap() {
            prop_assert!((0.0..=3.0).contains(&edge), "{}", edge);
        }
    }
}
