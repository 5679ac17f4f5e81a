//! Numbers for the crate, from the seed of the node.

use meshos_sim::prelude::*;
use rand::TryRng;
use std::convert::Infallible;

/// A generator that is a function of a seed and of how often it was asked.
#[derive(Copy, Clone, Debug)]
pub struct Dice {
    draw: Draw,
    asked: u64,
}

impl Dice {
    pub const fn new(seed: u64) -> Self {
        let draw = Draw::new(seed).of("dice");
        Self { draw, asked: 0 }
    }

    const fn next(&mut self) -> u64 {
        self.asked += 1;
        self.draw.nth(self.asked).any()
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
