//! Orientation, applied once.

use crate::rgb8;
use shiren_contract::raster::Rgb8;
use shiren_contract::still::StillError;

/// Side of the square pieces that a picture is turned in: their rows stay in the cache.
const PIECE_PX: usize = 32;

/// Whether `orientation` (1..=8) makes the stored width the upright height.
pub(crate) fn swaps_sides(orientation: u8) -> bool {
    (5..=8).contains(&orientation)
}

/// Turns stored pixels upright. `orientation` is 1..=8, anything else is 1.
pub(crate) fn turn(stored: Rgb8, orientation: u8) -> Result<Rgb8, StillError> {
    if !(2..=8).contains(&orientation) {
        return Ok(stored);
    }
    let (stored_width, stored_height) = (stored.width() as usize, stored.height() as usize);
    let (right, bottom) = (stored_width - 1, stored_height - 1);
    // The stored column and row of the upright pixel (0, 0), and whether they run backwards.
    let (mirrored, flipped) = (
        matches!(orientation, 2 | 3 | 7 | 8),
        matches!(orientation, 3 | 4 | 6 | 7),
    );
    let column = |n: usize| if mirrored { right - n } else { n };
    let row = |n: usize| if flipped { bottom - n } else { n };
    let swaps = swaps_sides(orientation);
    let (width, height) = if swaps {
        (stored_height, stored_width)
    } else {
        (stored_width, stored_height)
    };
    let from = stored.data();
    let mut data = vec![0; from.len()];
    for top in (0..height).step_by(PIECE_PX) {
        for left in (0..width).step_by(PIECE_PX) {
            for y in top..(top + PIECE_PX).min(height) {
                let end = (left + PIECE_PX).min(width);
                let target = &mut data[(y * width + left) * 3..(y * width + end) * 3];
                for (pixel, x) in target.as_chunks_mut::<3>().0.iter_mut().zip(left..end) {
                    let (c, r) = if swaps { (y, x) } else { (x, y) };
                    let at = (row(r) * stored_width + column(c)) * 3;
                    pixel.copy_from_slice(&from[at..at + 3]);
                }
            }
        }
    }
    let side = |px: usize| u32::try_from(px).unwrap_or(u32::MAX);
    rgb8(side(width), side(height), data)
}
