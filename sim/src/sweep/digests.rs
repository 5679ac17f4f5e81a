//! The digests of many seeds as one number.
//!
//! A sum takes its terms in any order, so seeds may end in any order, on any machine, and be
//! added up later; and it needs no memory for a seed. Each term is a word of 128 bits that is
//! mixed from a seed and its digest, so that two seeds that change places change the sum.

use crate::digest::Digest;
use crate::draw::mix;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The digests of the seeds of a sweep, or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(crate) struct Digests {
    sum: u128,
    /// Each of them by seed, where a sweep is small enough for that.
    list: Option<BTreeMap<u64, u64>>,
}

/// A sweep of more seeds lists no digest for each.
const LISTED_MAX: u64 = 1_000;

impl Digests {
    /// None yet, of a sweep of so many seeds.
    pub(crate) fn new(seeds: u64) -> Self {
        Self {
            sum: 0,
            list: (seeds <= LISTED_MAX).then(BTreeMap::new),
        }
    }

    /// Takes in the digest of a seed that was not taken in before.
    pub(crate) fn add(&mut self, seed: u64, digest: u64) {
        self.sum = self.sum.wrapping_add(word(seed, digest));
        if let Some(list) = &mut self.list {
            list.insert(seed, digest);
        }
    }

    /// Takes in the digests of other seeds.
    pub(crate) fn join(&mut self, other: &Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        match (&mut self.list, &other.list) {
            (Some(list), Some(other)) => list.extend(other),
            (list, _) => *list = None,
        }
    }

    /// All seeds as one number.
    pub(crate) const fn value(&self) -> u64 {
        mix(self.sum as u64 ^ mix((self.sum >> 64) as u64))
    }

    /// The digests by seed; `None` where there are too many.
    pub(crate) const fn list(&self) -> Option<&BTreeMap<u64, u64>> {
        self.list.as_ref()
    }
}

/// Digests in a file, as the hexadecimal digits that people read.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sum: String,
    list: Option<BTreeMap<u64, String>>,
}

impl From<Digests> for Written {
    fn from(digests: Digests) -> Self {
        let hex = |(seed, digest)| (seed, format!("{digest:016x}"));
        let list = digests.list;
        Self {
            sum: format!("{:032x}", digests.sum),
            list: list.map(|list| list.into_iter().map(hex).collect()),
        }
    }
}

impl TryFrom<Written> for Digests {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let problem = |digits: &str| format!("found `{digits}`, expected a hexadecimal number");
        let sum = u128::from_str_radix(&written.sum, 16).map_err(|_| problem(&written.sum))?;
        let digest = |(seed, digits): (u64, String)| {
            let digest = u64::from_str_radix(&digits, 16).map_err(|_| problem(&digits))?;
            Ok::<_, String>((seed, digest))
        };
        let list = written.list;
        let list = list.map(|list| list.into_iter().map(digest).collect::<Result<_, _>>());
        Ok(Self {
            sum,
            list: list.transpose()?,
        })
    }
}

fn word(seed: u64, digest: u64) -> u128 {
    let mut state = Digest::new();
    state.fold(seed, digest);
    let low = state.value();
    state.fold(digest, seed);
    u128::from(low) | u128::from(state.value()) << 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digests(of: &[(u64, u64)], seeds: u64) -> Digests {
        let mut all = Digests::new(seeds);
        of.iter().for_each(|(seed, digest)| all.add(*seed, *digest));
        all
    }

    #[test]
    fn what_a_seed_did_and_which_it_was_matters() {
        let value = |of: &[(u64, u64)]| digests(of, 2).value();
        let one = value(&[(0, 5), (1, 6)]);
        assert_ne!(one, value(&[(0, 6), (1, 5)]));
        assert_ne!(one, value(&[(0, 5)]));
        assert_ne!(one, value(&[(0, 5), (1, 7)]));
        assert_ne!(value(&[]), value(&[(0, 0)]));
    }

    #[test]
    fn many_seeds_are_not_listed() {
        let few = digests(&[(3, 9)], LISTED_MAX);
        assert_eq!(few.list(), Some(&BTreeMap::from([(3, 9)])));
        let many = digests(&[(3, 9)], LISTED_MAX + 1);
        assert_eq!(many.list(), None);
        assert_eq!(few.value(), many.value());
    }

    #[test]
    fn what_was_written_is_read() {
        for all in [
            digests(&[(3, u64::MAX), (5, 0)], 2),
            digests(&[(3, 9)], 2_000),
        ] {
            let text = serde_json::to_string(&all).expect("it can be written");
            let read: Digests = serde_json::from_str(&text).expect("it can be read");
            assert_eq!(read, all, "{text}");
        }
        let odd = serde_json::from_str::<Digests>("{\"sum\":\"x\",\"list\":null}");
        let told = odd.expect_err("no number").to_string();
        assert!(told.starts_with("found `x`, expected a hex"), "{told}");
    }

    proptest! {
        #[test]
        fn order_does_not_matter(
            (all, other) in prop::collection::btree_map(any::<u64>(), any::<u64>(), 0..40)
                .prop_map(|all| all.into_iter().collect::<Vec<_>>())
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let whole = digests(&all, 40);
            prop_assert_eq!(&whole, &digests(&other, 40));
            let (left, right) = other.split_at(other.len() / 3);
            let mut parts = digests(right, 40);
            parts.join(&digests(left, 40));
            prop_assert_eq!(whole, parts);
        }
    }
}
