//! Power spectra of small square tiles: what a screen's stripes and a print's dots leave.

use std::f32::consts::PI;

/// Side of a tile, pixels; a power of two.
pub const TILE_PX: usize = 64;

/// Tables of one size of transform, made once.
#[derive(Debug, Clone)]
pub struct Transform {
    /// `exp(-2 pi i k / TILE_PX)` for the first half of k: real and imaginary part.
    twiddles: Vec<(f32, f32)>,
    /// Place of each sample in bit-reversed order.
    order: Vec<usize>,
    /// Hann window of a tile's side.
    window: Vec<f32>,
}

impl Default for Transform {
    fn default() -> Self {
        let turn = |k: usize| -2.0 * PI * k as f32 / TILE_PX as f32;
        let bits = TILE_PX.trailing_zeros();
        Self {
            twiddles: (0..TILE_PX / 2)
                .map(|k| (turn(k).cos(), turn(k).sin()))
                .collect(),
            order: (0..TILE_PX)
                .map(|k| k.reverse_bits() >> (usize::BITS - bits))
                .collect(),
            window: (0..TILE_PX).map(|k| 0.5 - 0.5 * turn(k).cos()).collect(),
        }
    }
}

impl Transform {
    /// Sum of the squared window over a tile: the power that white noise of variance 1 has at each frequency.
    #[must_use]
    pub fn noise_power(&self) -> f32 {
        self.window.iter().map(|w| w * w).sum::<f32>().powi(2)
    }

    /// Adds to `power` (`TILE_PX` x `TILE_PX`, frequency 0 first) the power spectra of two tiles, each without its
    /// mean and windowed. Two real tiles go through one complex transform.
    pub fn add_powers(&self, tiles: [&[f32]; 2], power: &mut [f32]) {
        let mut values: Vec<(f32, f32)> = self.windowed(tiles);
        for row in values.chunks_exact_mut(TILE_PX) {
            self.run(row);
        }
        let mut column = [(0.0, 0.0); TILE_PX];
        for x in 0..TILE_PX {
            for (y, value) in column.iter_mut().enumerate() {
                *value = values[y * TILE_PX + x];
            }
            self.run(&mut column);
            for (y, value) in column.iter().enumerate() {
                values[y * TILE_PX + x] = *value;
            }
        }
        let square = |at: usize| values[at].0.powi(2) + values[at].1.powi(2);
        for y in 0..TILE_PX {
            for x in 0..TILE_PX {
                // The two tiles' powers at a frequency sum to the mean of the transform's at it and at its negative.
                let mirrored = (TILE_PX - y) % TILE_PX * TILE_PX + (TILE_PX - x) % TILE_PX;
                let at = y * TILE_PX + x;
                power[at] += (square(at) + square(mirrored)) / 2.0;
            }
        }
    }

    fn windowed(&self, [a, b]: [&[f32]; 2]) -> Vec<(f32, f32)> {
        let mean = |tile: &[f32]| tile.iter().sum::<f32>() / tile.len().max(1) as f32;
        let (mean_a, mean_b) = (mean(a), mean(b));
        let pairs = a.iter().zip(b).enumerate();
        pairs
            .map(|(place, (a, b))| {
                let window = self.window[place / TILE_PX] * self.window[place % TILE_PX];
                ((a - mean_a) * window, (b - mean_b) * window)
            })
            .collect()
    }

    /// Cooley and Tukey's transform of `TILE_PX` values in place (radix 2, decimation in time).
    fn run(&self, values: &mut [(f32, f32)]) {
        for (place, &other) in self.order.iter().enumerate() {
            if place < other {
                values.swap(place, other);
            }
        }
        let mut half = 1;
        while half < TILE_PX {
            let step = TILE_PX / (2 * half);
            for block in values.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let (c, s) = self.twiddles[k * step];
                    let turned = (b.0 * c - b.1 * s, b.0 * s + b.1 * c);
                    *b = (a.0 - turned.0, a.1 - turned.1);
                    *a = (a.0 + turned.0, a.1 + turned.1);
                }
            }
            half *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wave_has_its_power_at_its_frequency() {
        let wave = |fx: f32, fy: f32| -> Vec<f32> {
            let at = |i: usize| {
                let (x, y) = ((i % TILE_PX) as f32, (i / TILE_PX) as f32);
                100.0 + (2.0 * PI * (fx * x + fy * y) / TILE_PX as f32).cos()
            };
            (0..TILE_PX * TILE_PX).map(at).collect()
        };
        let mut power = vec![0.0; TILE_PX * TILE_PX];
        let (a, b) = (wave(10.0, 4.0), wave(20.0, 0.0));
        Transform::default().add_powers([&a, &b], &mut power);
        let mut places: Vec<usize> = (0..power.len()).collect();
        places.sort_by(|&i, &j| power[j].total_cmp(&power[i]));
        let negative = (TILE_PX - 4) * TILE_PX + TILE_PX - 10;
        let mut highest = places[..4].to_vec();
        highest.sort_unstable();
        assert_eq!(highest, [20, TILE_PX - 20, 4 * TILE_PX + 10, negative]);
    }

    proptest! {
        #[test]
        fn power_is_kept(values in proptest::collection::vec(-128.0_f32..128.0, TILE_PX * TILE_PX)) {
            let transform = Transform::default();
            let mut power = vec![0.0; values.len()];
            let nothing = vec![0.0; values.len()];
            transform.add_powers([&values, &nothing], &mut power);
            let windowed = transform.windowed([&values, &nothing]);
            let before: f32 = windowed.iter().map(|value| value.0.powi(2)).sum();
            let after = power.iter().sum::<f32>() / (TILE_PX * TILE_PX) as f32;
            prop_assert!((before - after).abs() <= before * 1e-3, "{before} {after}");
        }
    }
}
