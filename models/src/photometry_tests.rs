//! Figures of pictures whose figures are known.

use proptest::prelude::*;

use super::*;

const SIDE: u32 = 200;

fn picture(pixel: impl Fn(u32, u32) -> [u8; 3]) -> Rgb8 {
    let data = (0..SIDE * SIDE)
        .flat_map(|at| pixel(at % SIDE, at / SIDE))
        .collect();
    Rgb8::new(SIDE, SIDE, data).unwrap()
}

fn square(x: f32, y: f32, side: f32) -> BoundingBox {
    BoundingBox {
        x1: x,
        y1: y,
        x2: x + side,
        y2: y + side,
    }
}

fn measure(picture: &Rgb8, face: &BoundingBox) -> Photometry {
    Photometer::default()
        .measure(picture, face, [1.0, 1.0])
        .unwrap()
}

#[test]
fn an_even_square_has_its_brightness_and_nothing_else() {
    let found = measure(&picture(|_, _| [90, 90, 90]), &square(30.0, 30.0, 100.0));
    assert!((found.brightness - 90.0).abs() < 0.01, "{found:?}");
    assert!(found.contrast < 0.01 && found.sharpness < 0.01);
    assert_eq!((found.dark_share, found.bright_share), (0.0, 0.0));
    assert!(found.monochrome);
}

#[test]
fn halves_of_black_and_white_are_counted() {
    let halves = picture(|x, _| if x < SIDE / 2 { [0; 3] } else { [255; 3] });
    let found = measure(&halves, &square(36.0, 36.0, 128.0));
    assert_eq!((found.dark_share, found.bright_share), (0.5, 0.5));
    assert!((found.brightness - 127.5).abs() < 0.01 && (found.contrast - 127.5).abs() < 0.01);
}

#[test]
fn colour_is_seen() {
    let skin = picture(|_, _| [200, 150, 130]);
    assert!(!measure(&skin, &square(30.0, 30.0, 100.0)).monochrome);
}

#[test]
fn what_lies_outside_the_crop_is_not_measured() {
    let even = picture(|_, _| [90, 90, 90]);
    for face in [
        square(-60.0, 40.0, 100.0),
        square(150.0, 150.0, 100.0),
        square(-100.0, -100.0, 400.0),
    ] {
        let found = measure(&even, &face);
        assert!(
            found.sharpness < 0.01 && found.dark_share == 0.0,
            "{face:?}"
        );
    }
    let mut meter = Photometer::default();
    assert_eq!(
        meter.measure(&even, &square(300.0, 0.0, 50.0), [1.0, 1.0]),
        None
    );
    assert_eq!(
        meter.measure(&even, &square(f32::NAN, 0.0, 50.0), [1.0, 1.0]),
        None
    );
}

#[test]
fn the_laplacian_of_a_checkerboard_by_hand() {
    // Every inner pixel differs from its four neighbours by 10: the Laplacian is 40 or -40, its variance 1600.
    let luma: Vec<f32> = (0..64)
        .map(|at| {
            if (at % 8 + at / 8) % 2 == 0 {
                0.0
            } else {
                10.0
            }
        })
        .collect();
    assert!((sharpness(&luma, 8) - 1600.0).abs() < 1e-6);
}

/// As the strongest compression leaves a picture: blocks of one level each.
#[test]
fn edges_of_even_blocks_are_no_detail() {
    let level = |block: usize| ((block * 37) % 11) as f32 * 20.0;
    let luma: Vec<f32> = (0..128 * 128)
        .map(|at| level(at / 128 / 8 * 16 + at % 128 / 8))
        .collect();
    assert_eq!(sharpness(&luma, 128), 0.0);
}

/// Means over squares of `2 * radius + 1` pixels.
fn blurred(source: &Rgb8, radius: u32) -> Rgb8 {
    picture(|x, y| {
        let (mut sum, mut count) = (0_u32, 0);
        for row in y.saturating_sub(radius)..=(y + radius).min(SIDE - 1) {
            for column in x.saturating_sub(radius)..=(x + radius).min(SIDE - 1) {
                sum += u32::from(source.pixel(column, row).unwrap()[0]);
                count += 1;
            }
        }
        [(sum / count) as u8; 3]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn blur_lowers_sharpness(seed in any::<u32>()) {
        let noise = picture(|x, y| {
            let mixed = (x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ seed).wrapping_mul(0xC2B2_AE3D);
            [(mixed >> 24) as u8; 3]
        });
        let face = square(36.0, 36.0, 128.0);
        let figures: Vec<f64> = [0, 1, 3].map(|radius| measure(&blurred(&noise, radius), &face).sharpness).to_vec();
        prop_assert!(figures[0] > 2.0 * figures[1] && figures[1] > 2.0 * figures[2], "{figures:?}");
    }

    #[test]
    fn shares_lie_between_0_and_1(
        x in -150.0f32..250.0, y in -150.0f32..250.0, side in 1.0f32..300.0, level in any::<u8>(),
    ) {
        let face = square(x, y, side);
        let share = inside_share(&face, SIDE, SIDE);
        prop_assert!((0.0..=1.0).contains(&share));
        if let Some(found) = Photometer::default().measure(&picture(|x, _| [level, x as u8, 7]), &face, [1.0, 1.0]) {
            prop_assert!(share > 0.0);
            prop_assert!((0.0..=255.0).contains(&found.brightness) && (0.0..=127.6).contains(&found.contrast));
            prop_assert!((0.0..=1.0).contains(&found.dark_share) && (0.0..=1.0).contains(&found.bright_share));
        }
    }
}
