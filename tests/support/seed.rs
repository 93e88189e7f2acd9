//! Numbers that are drawn, and drawn again in the same way.

use super::random;

/// Repeats a run: `ORDERFLOW_TEST_SEED=<what it printed>`.
pub(crate) fn seed() -> u64 {
    let said = std::env::var("ORDERFLOW_TEST_SEED").ok();
    let seed = said.map_or_else(random, |text| text.parse().expect("ORDERFLOW_TEST_SEED is a number"));
    eprintln!("ORDERFLOW_TEST_SEED={seed}");
    seed
}

/// Draws the same numbers from the same seed (`SplitMix64`).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from zero to below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a small number");
        usize::try_from(self.next() % bound).expect("below a small number")
    }
}
