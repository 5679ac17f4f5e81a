//! Hashes that are the same in every process, for fingerprints and state hashes.
//!
//! [`stable_hash`] takes whatever derives `Hash`. Its result depends on the value alone, not on
//! the process, the build profile or the width of a pointer; an unordered map has no such hash,
//! and none of its type in the standard library offers one.

use crate::digest::Digest;
use core::hash::{Hash, Hasher};

/// Hash of `value`, the same wherever it is taken.
///
/// ```
/// use meshos_sim::hash::stable_hash;
/// assert_eq!(stable_hash(&(7u64, "seven")), stable_hash(&(7u64, "seven")));
/// assert_ne!(stable_hash(&(7u64, "seven")), stable_hash(&(7u64, "eight")));
/// ```
#[must_use]
pub fn stable_hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = StableHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A [`Hasher`] without a secret: equal words give equal hashes in every process.
///
/// For what cannot derive `Hash`, word by word. No defence against an adversary.
#[derive(Clone, Debug)]
pub struct StableHasher(Digest);

impl Default for StableHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl StableHasher {
    /// The hash of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Digest::new())
    }
}

macro_rules! as_words {
    ($($name:ident: $int:ty),*) => {
        $(
            #[inline]
            fn $name(&mut self, value: $int) {
                self.0.fold(value as u64, 0);
            }
        )*
    };
}

impl Hasher for StableHasher {
    fn finish(&self) -> u64 {
        self.0.value()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.fold_bytes(bytes);
    }

    as_words!(
        write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_usize: usize,
        write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_isize: isize
    );

    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.0.fold(value as u64, (value >> 64) as u64);
    }

    #[inline]
    fn write_i128(&mut self, value: i128) {
        self.write_u128(value as u128);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Hash)]
    struct Mixed {
        number: u32,
        text: &'static str,
        list: Vec<Option<i8>>,
    }

    const fn mixed(list: Vec<Option<i8>>) -> Mixed {
        let (number, text) = (7, "seven");
        Mixed { number, text, list }
    }

    #[test]
    fn the_hash_of_a_value_is_pinned() {
        let value = mixed(vec![Some(-1), None]);
        assert_eq!(stable_hash(&value), PINNED);
    }

    #[test]
    fn every_part_matters() {
        let hashes = [vec![], vec![None], vec![Some(0)], vec![Some(0), None]];
        let hashes: Vec<_> = hashes
            .map(|list| stable_hash(&mixed(list)))
            .into_iter()
            .collect();
        let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
        assert_ne!(stable_hash(&(1u8, 2u8)), stable_hash(&(2u8, 1u8)));
        assert_ne!(stable_hash("ab"), stable_hash("a"));
    }

    const PINNED: u64 = 10_276_464_501_149_921_844;
}
