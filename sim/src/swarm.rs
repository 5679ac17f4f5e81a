//! Draws for plan generators.
//!
//! A generator turns a seed into a plan. Its draws are keyed by name and index and come from no
//! stream, so adding one leaves all the others as they were, and a generator may ask in any order:
//! `draw.of("crash").nth(3).below(10)` is one number for ever.

use std::ops::RangeInclusive;

/// A source of numbers at one place of a generator.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Draw(u64);

impl Draw {
    /// The root of all draws of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5157_4152_4d44_5257))
    }

    /// The source for everything called `name`.
    pub const fn of(self, name: &str) -> Self {
        let bytes = name.as_bytes();
        let mut state = self.0;
        let mut index = 0;
        while index < bytes.len() {
            state = mix(state ^ bytes[index] as u64);
            index += 1;
        }
        Self(mix(state ^ 0xff00 ^ bytes.len() as u64))
    }

    /// The source for item `index`.
    pub const fn nth(self, index: u64) -> Self {
        Self(mix(self.0 ^ mix(index.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// Any number.
    pub const fn any(self) -> u64 {
        mix(self.0)
    }

    /// A number below `bound`, which must not be zero.
    pub const fn below(self, bound: u64) -> u64 {
        assert!(bound > 0, "a draw needs at least one choice");
        ((self.any() as u128 * bound as u128) >> 64) as u64
    }

    /// A number in `range`, which must not be empty.
    pub const fn within(self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = (*range.start(), *range.end());
        assert!(low <= high, "a draw needs at least one choice");
        match (high - low).checked_add(1) {
            Some(bound) => low + self.below(bound),
            None => self.any(),
        }
    }

    /// True `ppm` times in a million.
    pub const fn chance(self, ppm: u32) -> bool {
        self.below(1_000_000) < ppm as u64
    }

    /// One of `choices`, which must not be empty.
    pub const fn pick<T>(self, choices: &[T]) -> &T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// `items` in a drawn order.
    pub fn shuffled<T>(self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut items: Vec<T> = items.into_iter().collect();
        for end in (1..items.len()).rev() {
            let other = self.nth(end as u64).below(end as u64 + 1) as usize;
            items.swap(end, other);
        }
        items
    }
}

/// Which families of faults a seed switches on.
///
/// A run in which everything goes wrong at once hides the bugs that need one fault and quiet
/// around it, so every seed takes its own subset; one seed in eight takes none, and with few
/// families on there is little that could mask a finding.
#[derive(Copy, Clone, Debug)]
pub struct Swarm {
    draw: Draw,
    calm: bool,
}

impl Swarm {
    /// The choice of `seed`.
    pub const fn new(seed: u64) -> Self {
        let draw = Draw::new(seed).of("swarm");
        Self {
            draw,
            calm: draw.of("calm").below(8) == 0,
        }
    }

    /// True when this seed has `family` switched on.
    pub const fn on(&self, family: &str) -> bool {
        !self.calm && self.draw.of(family).below(2) == 0
    }

    /// Draws for the details of `family`.
    pub const fn draw(&self, family: &str) -> Draw {
        self.draw.of("details").of(family)
    }
}

/// A bijection of 64-bit numbers without visible structure (the finaliser of splitmix64).
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_fixed_for_ever() {
        // A plan generator that starts to draw other numbers changes every sweep.
        assert_eq!(Draw::new(7).of("crash").nth(3).below(1000), 157);
    }

    #[test]
    fn draws_stay_within_their_bounds_and_use_them() {
        let draw = Draw::new(1);
        let mut seen = [0u32; 5];
        for index in 0..1000 {
            let value = draw.nth(index).within(10..=14);
            seen[(value - 10) as usize] += 1;
        }
        assert!(
            seen.iter().all(|count| (120..280).contains(count)),
            "{seen:?}"
        );
        assert_eq!(draw.within(u64::MAX..=u64::MAX), u64::MAX);
        draw.within(0..=u64::MAX);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items = Draw::new(3).shuffled(0..50);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn seeds_choose_different_subsets() {
        let families = ["crash", "partition", "loss", "disk", "clock"];
        let subset = |seed| families.map(|family| Swarm::new(seed).on(family));
        let subsets: std::collections::BTreeSet<_> = (0..200).map(subset).collect();
        assert!(subsets.len() > 25, "{}", subsets.len());
        assert!(subsets.contains(&[false; 5]));
    }
}
