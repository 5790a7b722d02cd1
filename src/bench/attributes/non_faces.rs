//! Pictures without a face: squares of pictures away from their faces, and textures made from numbers.

use image::{Rgb, RgbImage, imageops};
use shiren_schemas::records::BoundingBox;

use super::labels::NonFaces;

/// Squares on a grid that touch no face, at most so many, evenly over the grid.
pub(super) fn tiles(picture: &RgbImage, faces: &[BoundingBox], how: &NonFaces) -> Vec<RgbImage> {
    let starts = |length: u32| (0..=length.saturating_sub(how.tile_px)).step_by(how.step_px.max(1));
    let fits = picture.width() >= how.tile_px && picture.height() >= how.tile_px;
    let free: Vec<(u32, u32)> = starts(picture.height())
        .flat_map(|y| starts(picture.width()).map(move |x| (x, y)))
        .filter(|(x, y)| fits && !faces.iter().any(|face| touches(face, (*x, *y), how)))
        .collect();
    let step = free.len().div_ceil(how.most_per_picture.max(1)).max(1);
    let chosen = free.into_iter().step_by(step);
    chosen
        .map(|(x, y)| imageops::crop_imm(picture, x, y, how.tile_px, how.tile_px).to_image())
        .collect()
}

fn touches(face: &BoundingBox, (x, y): (u32, u32), how: &NonFaces) -> bool {
    let half = |from: f32, to: f32| (to - from) * how.face_margin / 2.0;
    let near = |from: f32, to: f32, start: u32| {
        let (middle, half) = ((from + to) / 2.0, half(from, to));
        middle + half > start as f32 && middle - half < (start + how.tile_px) as f32
    };
    near(face.x1, face.x2, x) && near(face.y1, face.y2, y)
}

/// Noise, waves, checks and gradients, so many of each.
pub(super) fn textures(how: &NonFaces) -> Vec<RgbImage> {
    (0..how.textures_each)
        .flat_map(|number| sorts(number, how.tile_px))
        .collect()
}

fn sorts(number: u32, side: u32) -> [RgbImage; 4] {
    let tint = |level: f32| {
        let part = |channel: u32| 0.4 + 0.6 * ((number * 7 + channel * 3) % 10) as f32 / 9.0;
        Rgb([0, 1, 2].map(|channel| (level.clamp(0.0, 1.0) * 255.0 * part(channel)) as u8))
    };
    let period = 6.0 + 5.0 * number as f32;
    let noise = |x: u32, y: u32| {
        let cell = 1 + number;
        let mixed =
            ((x / cell).wrapping_mul(0x9E37_79B1) ^ (y / cell).wrapping_mul(0x85EB_CA77) ^ number)
                .wrapping_mul(0xC2B2_AE3D);
        (mixed >> 24) as f32 / 255.0
    };
    let wave = |x: u32, y: u32| {
        let [x, y] = [x, y].map(|v| v as f32 * std::f32::consts::TAU / period);
        0.5 + 0.25 * (x.sin() + (y * 0.7 + x * 0.3).sin())
    };
    let check = |x: u32, y: u32| {
        if ((x as f32 / period) as u32 + (y as f32 / period) as u32).is_multiple_of(2) {
            0.1
        } else {
            0.9
        }
    };
    let gradient = |x: u32, y: u32| {
        (x as f32 + number as f32 * y as f32) / (side as f32 * (1.0 + number as f32))
    };
    [
        RgbImage::from_fn(side, side, |x, y| tint(noise(x, y))),
        RgbImage::from_fn(side, side, |x, y| tint(wave(x, y))),
        RgbImage::from_fn(side, side, |x, y| tint(check(x, y))),
        RgbImage::from_fn(side, side, |x, y| tint(gradient(x, y))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: NonFaces = NonFaces {
        tile_px: 100,
        step_px: 100,
        face_margin: 1.0,
        most_per_picture: 100,
        textures_each: 2,
    };

    #[test]
    fn no_square_touches_a_face() {
        let face = BoundingBox {
            x1: 150.0,
            y1: 10.0,
            x2: 250.0,
            y2: 90.0,
        };
        let picture = RgbImage::new(400, 200);
        assert_eq!(tiles(&picture, &[], &HOW).len(), 8);
        assert_eq!(tiles(&picture, &[face], &HOW).len(), 6);
        assert_eq!(tiles(&RgbImage::new(99, 400), &[], &HOW).len(), 0);
    }

    #[test]
    fn a_picture_gives_no_more_than_its_share() {
        let few = NonFaces {
            most_per_picture: 3,
            ..HOW
        };
        assert_eq!(tiles(&RgbImage::new(400, 200), &[], &few).len(), 3);
        assert_eq!(textures(&HOW).len(), 8);
    }
}
