//! One 64-bit state over everything that happened in a run.
//!
//! Integers only, fixed width, no platform hasher: the digest of a plan is the same in debug and
//! release and in every process. It tells runs apart; it is no defence against an adversary.

/// A running digest.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    state: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Digest {
    /// The digest of nothing.
    pub(crate) const fn new() -> Self {
        Self {
            state: 0x243f_6a88_85a3_08d3,
        }
    }

    /// Takes in two words.
    #[inline]
    pub(crate) const fn fold(&mut self, a: u64, b: u64) {
        let product = (self.state ^ a) as u128 * (b ^ 0x1319_8a2e_0370_7344 | 1 << 63) as u128;
        // The rotated state keeps the past even where the product is zero.
        self.state = self.state.rotate_left(29) ^ product as u64 ^ (product >> 64) as u64 ^ b;
    }

    /// Takes in a byte string and its length.
    pub(crate) fn fold_bytes(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<16>();
        for pair in pairs {
            let both = u128::from_le_bytes(*pair);
            self.fold(both as u64, (both >> 64) as u64);
        }
        let (low, high) = rest.split_at(rest.len().min(8));
        self.fold(word(low), word(high));
        self.fold(bytes.len() as u64, 0);
    }

    /// The digest so far.
    pub(crate) const fn value(&self) -> u64 {
        crate::draw::mix(self.state)
    }
}

/// Digest of a byte string.
pub(crate) fn digest_bytes(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.fold_bytes(bytes);
    digest.value()
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

    #[test]
    fn order_and_length_matter() {
        let mut one = Digest::new();
        one.fold(1, 2);
        one.fold(3, 4);
        let mut two = Digest::new();
        two.fold(3, 4);
        two.fold(1, 2);
        assert_ne!(one, two);
        assert_ne!(digest_bytes(b""), digest_bytes(b"\0"));
        assert_ne!(digest_bytes(&[0; 16]), digest_bytes(&[0; 17]));
    }

    #[test]
    fn no_short_collisions() {
        let mut seen = std::collections::BTreeSet::new();
        for a in 0..200 {
            for b in 0..200 {
                let mut digest = Digest::new();
                digest.fold(a, b);
                assert!(seen.insert(digest.value()), "{a} {b}");
            }
        }
    }
}
