//! How far a face was coarsened by block coding: the steps of luma across a grid of 8 picture pixels against those
//! elsewhere (after Wang, Sheikh and Bovik, "No-reference perceptual quality assessment of JPEG compressed images",
//! ICIP 2002), on crops of any scale.

use shiren_contract::raster::Rgb8;

/// Side of a block of JPEG and of most video, pixels of the picture.
const BLOCK_PX: f64 = 8.0;
/// Largest side that is looked at, pixels, around the middle: enough lines of the grid for a mean.
const MAX_SIDE_PX: u32 = 512;
/// Blocks, in pixels of the crop: below, the grid is blurred away; above, a crop that was enlarged eightfold.
const PERIOD_PX: std::ops::RangeInclusive<f64> = 3.0..=64.0;
/// A mean step below this, levels, is rounding: an even picture has no blocks.
const ROUNDING: f64 = 0.1;

/// Excess of the mean step across the lines of the strongest grid of blocks over that of the next strongest, which is
/// no grid (0: none stands out), times a block's share of the side of the square: as many blocks over a larger face hide
/// less of it. The square begins at `corner` and has `side` pixels of the crop; `scale` is crop pixels a picture pixel
/// in x and y. 0 for a square that lies not in the crop or holds fewer than two blocks, and for blocks of fewer than
/// 3 or more than 64 crop pixels.
///
/// The grid is that of the picture as it was sent: one that was resized after it was compressed shows none.
pub(crate) fn blockiness(crop: &Rgb8, [x, y]: [u32; 2], side: u32, scale: [f64; 2]) -> f64 {
    let looked_at = side.min(MAX_SIDE_PX);
    let shift = (side - looked_at) / 2;
    let periods = scale.map(|scale| BLOCK_PX * scale);
    let resolved = periods
        .iter()
        .all(|period| PERIOD_PX.contains(period) && 2.0 * period <= f64::from(looked_at));
    let side_px = looked_at as usize;
    let luma = luma(crop, [x + shift, y + shift], side_px).filter(|_| resolved);
    let Some(luma) = luma else {
        return 0.0;
    };
    let across = Grid::of(
        &steps(side_px, |line, at| luma[line * side_px + at]),
        periods[0],
    );
    let down = Grid::of(
        &steps(side_px, |line, at| luma[at * side_px + line]),
        periods[1],
    );
    let (strongest, next) = (across.strongest + down.strongest, across.next + down.next);
    let excess = (strongest / next.max(2.0 * ROUNDING) - 1.0).max(0.0);
    excess * (periods[0] + periods[1]) / 2.0 / f64::from(side)
}

/// Mean step from each of `side` pixels to the one behind it, over as many lines.
fn steps(side: usize, luma: impl Fn(usize, usize) -> i32) -> Vec<f64> {
    let mean = |at: usize| {
        let steps = (0..side).map(|line| luma(line, at).abs_diff(luma(line, at - 1)));
        f64::from(steps.sum::<u32>()) / side as f64
    };
    (1..side).map(mean).collect()
}

/// Mean steps across the lines of two grids, levels.
struct Grid {
    strongest: f64,
    next: f64,
}

impl Grid {
    /// Of all grids with this period, half a pixel apart; the next strongest lies 2 pixels or a quarter of the period
    /// away or further, where the strongest's own lines do not reach.
    fn of(steps: &[f64], period: f64) -> Self {
        let away = |at: f64, grid: f64| {
            let from = (at - grid).rem_euclid(period);
            from.min(period - from)
        };
        let phases = (0..)
            .map(|half| f64::from(half) / 2.0)
            .take_while(|phase| *phase < period);
        let mean = |phase: f64| {
            // Step i lies between the pixels i and i + 1.
            let on = steps.iter().enumerate();
            let on = on.filter(|(at, _)| away(*at as f64 + 1.0, phase) <= 0.5);
            let (count, sum) = on.fold((0.0, 0.0), |(n, sum), (_, step)| (n + 1.0, sum + step));
            sum / f64::max(count, 1.0)
        };
        let grids: Vec<(f64, f64)> = phases.map(|phase| (phase, mean(phase))).collect();
        let strongest = grids.iter().copied();
        let strongest = strongest.fold((0.0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
        let reach = f64::min(2.0, period / 4.0);
        let others = grids.iter().filter(|g| away(g.0, strongest.0) >= reach);
        Self {
            strongest: strongest.1,
            next: others.map(|grid| grid.1).fold(0.0, f64::max),
        }
    }
}

/// Rounded luma of a square; `None` when it does not lie in the picture.
fn luma(picture: &Rgb8, [x, y]: [u32; 2], side: usize) -> Option<Vec<i32>> {
    let (x, y, width) = (x as usize, y as usize, picture.width() as usize);
    if x + side > width || y + side > picture.height() as usize {
        return None;
    }
    let rows = picture.data().chunks_exact(width * 3).skip(y).take(side);
    // BT.601, in 1/1000.
    let of = |p: &[u8]| {
        (299 * i32::from(p[0]) + 587 * i32::from(p[1]) + 114 * i32::from(p[2]) + 500) / 1000
    };
    let pixels = rows.flat_map(|row| row[x * 3..(x + side) * 3].chunks_exact(3).map(of));
    Some(pixels.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: [f64; 2] = [1.0, 1.0];

    fn picture(side: u32, level: impl Fn(u32, u32) -> u32) -> Rgb8 {
        let data = (0..side * side)
            .flat_map(|i| [level(i % side, i / side).min(255) as u8; 3])
            .collect();
        Rgb8::new(side, side, data).unwrap()
    }

    /// Blocks of `block` pixels that differ by `step`, over a ramp of a level in four pixels.
    fn blocks(side: u32, block: u32, step: u32, phase: u32) -> Rgb8 {
        picture(side, |x, y| {
            (x + y) / 4 + step * (((x + phase) / block + (y + phase) / block) % 2)
        })
    }

    #[test]
    fn even_and_smooth_pictures_have_no_blocks() {
        for level in [0, 90, 255] {
            let even = picture(64, |_, _| level);
            assert_eq!(blockiness(&even, [0, 0], 64, WHOLE), 0.0);
        }
        assert!(blockiness(&blocks(128, 8, 0, 0), [0, 0], 128, WHOLE) < 0.01);
    }

    #[test]
    fn higher_steps_count_more_and_a_larger_face_less() {
        let of = |side, step| blockiness(&blocks(side, 8, step, 0), [0, 0], side, WHOLE);
        assert!(of(160, 4) > of(160, 2) && of(160, 2) > of(160, 1));
        let (small, large) = (of(160, 4), of(320, 4));
        assert!((small / large - 2.0).abs() < 0.1, "{small} {large}");
    }

    #[test]
    fn a_crop_of_another_scale_is_looked_at_by_its_own_grid() {
        let whole = blockiness(&blocks(160, 8, 6, 0), [0, 0], 160, WHOLE);
        let half = blockiness(&blocks(80, 4, 6, 0), [0, 0], 80, [0.5, 0.5]);
        assert!((half / whole - 1.0).abs() < 0.2, "{half} {whole}");
        let stranger = blockiness(&blocks(160, 11, 6, 0), [0, 0], 160, WHOLE);
        assert!(stranger < whole / 10.0, "{stranger} {whole}");
    }

    #[test]
    fn what_holds_no_grid_has_none() {
        let picture = blocks(64, 8, 9, 0);
        for (at, side, scale) in [
            ([0, 0], 15, 1.0),
            ([1, 0], 64, 1.0),
            ([40, 40], 25, 1.0),
            ([0, 0], 0, 1.0),
            ([0, 0], 64, 0.3),
            ([0, 0], 64, 9.0),
            ([0, 0], 64, f64::NAN),
        ] {
            assert_eq!(blockiness(&picture, at, side, [scale, scale]), 0.0);
        }
    }

    proptest! {
        #[test]
        fn where_the_grid_begins_does_not_matter(phase in 0_u32..8, x in 0_u32..40, y in 0_u32..40) {
            let found = blockiness(&blocks(200, 8, 6, phase), [x, y], 160, WHOLE);
            let wanted = blockiness(&blocks(200, 8, 6, 0), [0, 0], 160, WHOLE);
            prop_assert!((found / wanted - 1.0).abs() < 0.1, "{found} {wanted}");
        }
    }
}
