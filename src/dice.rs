//! Random numbers that can be had again: of a seed, the same for ever.

/// Steele, Lea and Flood's SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Of a seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end` (1 or more). Its bias of `end` / 2^64 is beyond notice.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        (wide >> 64) as u64
    }

    /// Above 0, and 1 at most.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Two numbers of the standard normal distribution (Box and Muller).
    pub fn normals(&mut self) -> [f64; 2] {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.unit()).sin_cos();
        [radius * cos, radius * sin]
    }

    /// `count` different numbers below `end`, rising; all of them where there are no more (Floyd).
    pub fn sample(&mut self, count: u64, end: u64) -> Vec<u64> {
        let mut chosen = std::collections::BTreeSet::new();
        for last in end.saturating_sub(count)..end {
            let drawn = self.below(last + 1);
            if !chosen.insert(drawn) {
                chosen.insert(last);
            }
        }
        chosen.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn normal_numbers_have_their_moments() {
        let mut dice = Dice::of(7);
        let numbers: Vec<f64> = (0..20_000).flat_map(|_| dice.normals()).collect();
        let mean =
            |power: i32| numbers.iter().map(|x| x.powi(power)).sum::<f64>() / numbers.len() as f64;
        assert!(mean(1).abs() < 0.02, "{}", mean(1));
        assert!((mean(2) - 1.0).abs() < 0.03, "{}", mean(2));
        assert!((mean(4) - 3.0).abs() < 0.3, "{}", mean(4));
    }

    proptest! {
        #[test]
        fn a_sample_has_its_size_and_nothing_twice(seed in any::<u64>(), count in 0_u64..40, end in 0_u64..40) {
            let sample = Dice::of(seed).sample(count, end);
            prop_assert_eq!(sample.len() as u64, count.min(end));
            prop_assert!(sample.is_sorted_by(|a, b| a < b) && sample.iter().all(|n| *n < end));
            prop_assert_eq!(&sample, &Dice::of(seed).sample(count, end));
        }
    }
}
