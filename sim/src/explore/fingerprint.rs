//! 128 bits that stand for a state.
//!
//! Two lanes of 64 bits, each mixed by multiplication with constants of its own. A search that
//! sees a billion states takes two of them for one with a chance of 1 in 10^21 or so; an adversary
//! could do better, and there is none.

use crate::draw::mix;
use core::hash::Hasher;

/// A running fingerprint; whatever implements [`Hash`](core::hash::Hash) can be put into it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    low: u64,
    high: u64,
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}

impl Fingerprint {
    /// The fingerprint of nothing.
    pub const fn new() -> Self {
        Self {
            low: 0x243f_6a88_85a3_08d3,
            high: 0x1319_8a2e_0370_7344,
        }
    }

    /// Takes in a number.
    #[inline]
    pub const fn word(&mut self, word: u64) {
        self.low = fold(self.low, word, 0x9e37_79b9_7f4a_7c15);
        self.high = fold(self.high, word, 0xd1b5_4a32_d192_ed03);
    }

    /// Takes in 128 bits.
    #[inline]
    pub const fn wide(&mut self, wide: u128) {
        self.word(wide as u64);
        self.word((wide >> 64) as u64);
    }

    /// The fingerprint so far.
    #[inline]
    pub const fn value(&self) -> u128 {
        (mix(self.high) as u128) << 64 | mix(self.low) as u128
    }
}

/// The state stays part of the result even where the product says nothing.
#[inline]
const fn fold(state: u64, word: u64, key: u64) -> u64 {
    let product = (state ^ word) as u128 * (key ^ word.rotate_left(32) | 1) as u128;
    state.rotate_left(27) ^ product as u64 ^ (product >> 64) as u64 ^ word.wrapping_mul(key)
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(word(chunk));
        }
        if !chunks.remainder().is_empty() {
            self.word(word(chunks.remainder()));
        }
        self.word(bytes.len() as u64);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.word(number.into());
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.word(number.into());
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.word(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }

    #[inline]
    fn write_u128(&mut self, number: u128) {
        self.wide(number);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.word(number as u64);
    }

    /// Half of it, for whoever asks for a hash of 64 bits.
    fn finish(&self) -> u64 {
        mix(self.low)
    }
}

/// At most eight bytes as a little-endian word.
fn word(bytes: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hash::Hash;
    use std::collections::BTreeSet;

    fn of(value: impl Hash) -> u128 {
        let mut print = Fingerprint::new();
        value.hash(&mut print);
        print.value()
    }

    #[test]
    fn order_length_and_each_half_tell_values_apart() {
        assert_ne!(of((1u64, 2u64)), of((2u64, 1u64)));
        assert_ne!(of([0u8; 8].as_slice()), of([0u8; 9].as_slice()));
        let mut seen = [BTreeSet::new(), BTreeSet::new()];
        for a in 0..300u64 {
            for b in 0..300u64 {
                let value = of((a, b));
                assert!(seen[0].insert(value as u64), "{a} {b}");
                assert!(seen[1].insert((value >> 64) as u64), "{a} {b}");
            }
        }
    }
}
