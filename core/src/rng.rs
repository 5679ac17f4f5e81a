//! Randomness as a value: every draw is a function of the seed and of how many came before.

use crate::event::Seed;
use core::time::Duration;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};
use serde::{Deserialize, Serialize};

/// A seeded source of draws.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Rng {
    seed: Seed,
    drawn: u64,
}

impl Rng {
    pub(crate) const fn new(seed: Seed) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A span in `[low, high)`, or `low` when that is empty.
    pub(crate) fn span(&mut self, low: Duration, high: Duration) -> Duration {
        let mut block = ChaCha8Rng::from_seed(self.seed.0);
        block.set_stream(self.drawn);
        self.drawn = self.drawn.wrapping_add(1);
        let width = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
        let part = (u128::from(block.next_u64()) * u128::from(width)) >> 64;
        low.saturating_add(Duration::from_nanos(part as u64))
    }
}
