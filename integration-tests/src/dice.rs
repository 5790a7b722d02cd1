//! Random choices that can be had again.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A source of random numbers (SplitMix64).
pub struct Dice(u64);

impl Dice {
    /// Of the seed in `SHIREN_TEST_SEED`, else of a fresh one; it is printed either way, for a
    /// test that fails.
    ///
    /// # Panics
    /// When the variable holds no number.
    #[must_use]
    pub fn seeded() -> Self {
        let seed = std::env::var("SHIREN_TEST_SEED").map_or_else(
            |_| RandomState::new().build_hasher().finish(),
            |text| text.parse().expect("SHIREN_TEST_SEED: a number"),
        );
        println!("SHIREN_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number of `from..=to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        from + (z ^ (z >> 31)) % (to - from + 1)
    }
}
