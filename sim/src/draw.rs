//! Randomness without a stream: every draw is a function of (seed, site, lane, counter).
//!
//! A site is the place in the engine that draws, a lane the link or node it draws for. Nothing is
//! shared between two draws, so a fault that is added to a plan or removed from it leaves every
//! other draw as it was. Site numbers and the meaning of their bits never change.

/// Places that draw. The numbers are part of what a plan means.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Site {
    /// Latency of a message.
    Latency = 1,
    /// Loss (low half) and duplication (high half) of a message.
    Loss = 2,
    /// Whether a message is delayed out of order (low half) and by how much (high half).
    Reorder = 3,
    /// Latency of a second copy.
    Duplicate = 4,
    /// Time that a disk takes for a batch.
    Disk = 5,
    /// How much of a batch in service is performed when the node crashes.
    Prefix = 6,
    /// Which unsynced bytes survive a crash.
    Unsynced = 7,
    /// Which unsynced bytes survive a failed sync.
    SyncError = 8,
    /// Which bit of a disk flips.
    Flip = 9,
    /// The seed that a machine is given when it boots.
    Boot = 10,
    /// Where a node's monotonic clock starts.
    Origin = 11,
    /// Whether a message is damaged (low half), and how (high half).
    Corrupt = 20,
    /// How often a message of a connection is sent in vain, and when one that stalled goes on.
    Resend = 21,
    /// Latency (high half) and loss (low half) of what is said about a connection.
    Dial = 22,
    /// Where a write lands that missed its place.
    Misdirect = 30,
}

/// A source of draws for one seed.
#[derive(Copy, Clone, Debug)]
pub struct Draws {
    key: u64,
}

impl Draws {
    /// The draws of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self {
            key: mix(seed ^ 0x9e37_79b9_7f4a_7c15),
        }
    }

    /// 64 uniform bits for one (site, lane, counter).
    #[inline]
    pub const fn bits(&self, site: Site, lane: u64, counter: u64) -> u64 {
        let a = self.key ^ (site as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
        let b = lane.wrapping_mul(0x8cb9_2ba7_2f3d_8dd7) ^ counter;
        mix(a.wrapping_add(b.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number below `bound`, or zero when `bound` is zero.
    #[inline]
    pub const fn below(&self, site: Site, lane: u64, counter: u64, bound: u64) -> u64 {
        scale(self.bits(site, lane, counter), bound)
    }
}

/// Maps uniform bits to a number below `bound`; zero when `bound` is zero.
#[inline]
pub const fn scale(bits: u64, bound: u64) -> u64 {
    ((bits as u128 * bound as u128) >> 64) as u64
}

/// Whether 32 uniform bits fall into `ppm` parts of a million.
#[inline]
pub const fn hits(bits: u32, ppm: u32) -> bool {
    ((bits as u64 * 1_000_000) >> 32) < ppm as u64
}

/// Spreads every bit of `word` over the whole word; a bijection.
#[inline]
pub const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_each_coordinate_and_on_nothing_else() {
        let draw = Draws::new(7);
        let base = draw.bits(Site::Latency, 3, 4);
        assert_eq!(base, Draws::new(7).bits(Site::Latency, 3, 4));
        assert_ne!(base, Draws::new(8).bits(Site::Latency, 3, 4));
        assert_ne!(base, draw.bits(Site::Loss, 3, 4));
        assert_ne!(base, draw.bits(Site::Latency, 4, 4));
        assert_ne!(base, draw.bits(Site::Latency, 3, 5));
    }

    #[test]
    fn draws_are_uniform_enough() {
        let draw = Draws::new(1);
        let mut buckets = [0u32; 16];
        for lane in 0..100 {
            for counter in 0..1_000 {
                buckets[draw.below(Site::Latency, lane, counter, 16) as usize] += 1;
            }
        }
        for count in buckets {
            assert!((5_900..6_600).contains(&count), "{buckets:?}");
        }
    }

    #[test]
    fn parts_per_million_are_exact_at_the_ends() {
        assert!(!hits(0, 0));
        assert!(hits(u32::MAX, 1_000_000));
        assert!(!hits(u32::MAX, 999_999));
    }

    #[test]
    fn the_meaning_of_a_draw_is_pinned() {
        // Computed by another implementation.
        assert_eq!(
            Draws::new(0).bits(Site::Latency, 0, 0),
            0x927a_7c57_dc01_6e42
        );
        assert_eq!(
            Draws::new(7).bits(Site::Duplicate, 65_538, 9),
            0x4ddc_9020_2d7d_e113
        );
    }
}
