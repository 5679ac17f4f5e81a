//! The one hasher of the core: equal state gives an equal digest on every machine and build.

use core::hash::{Hash, Hasher};
use serde::{Deserialize, Serialize};

mod summed;
#[cfg(test)]
mod tests;

pub(crate) use summed::SummedMap;

/// Digest of everything that can influence a future action of a node.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StateHash(pub u64);

/// Digests `value` with [`StableHasher`].
pub fn stable_hash<T: Hash + ?Sized>(value: &T) -> StateHash {
    let mut hasher = StableHasher::new();
    value.hash(&mut hasher);
    StateHash(hasher.finish())
}

/// A [`Hasher`] that takes every integer as fixed-width little-endian words.
#[derive(Clone, Debug)]
pub struct StableHasher {
    state: u64,
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl StableHasher {
    /// A hasher in its initial state.
    pub const fn new() -> Self {
        Self {
            state: 0x243f_6a88_85a3_08d3,
        }
    }

    #[inline]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(MULTIPLIER);
        self.state = (product as u64) ^ ((product >> 64) as u64) ^ self.state.rotate_left(23);
    }
}

impl Default for StableHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher for StableHasher {
    fn finish(&self) -> u64 {
        let mut last = self.clone();
        last.fold(0x1319_8a2e_0370_7344);
        last.state
    }

    fn write(&mut self, bytes: &[u8]) {
        self.fold(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.fold(u64::from(value));
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.fold(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.fold(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.fold(value);
    }

    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.fold(value as u64);
        self.fold((value >> 64) as u64);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.fold(value as u64);
    }

    #[inline]
    fn write_i8(&mut self, value: i8) {
        self.fold(i64::from(value) as u64);
    }

    #[inline]
    fn write_i16(&mut self, value: i16) {
        self.fold(i64::from(value) as u64);
    }

    #[inline]
    fn write_i32(&mut self, value: i32) {
        self.fold(i64::from(value) as u64);
    }

    #[inline]
    fn write_i64(&mut self, value: i64) {
        self.fold(value as u64);
    }

    #[inline]
    fn write_i128(&mut self, value: i128) {
        self.write_u128(value as u128);
    }

    #[inline]
    fn write_isize(&mut self, value: isize) {
        self.fold(value as i64 as u64);
    }
}
