//! The chains of a node, with a digest that costs only what changed since it was last asked for.

use crate::hash::stable_hash;
use crate::replica::Chain;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::ops::Deref;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Every chain, in ascending order of the ids.
///
/// The digest is a sum over the chains. A chain that is lent out to be changed leaves the sum; it
/// comes back once many have left, with the digest that it has by then.
#[derive(Clone, Debug)]
pub(super) struct Chains {
    list: Vec<Chain>,
    /// For each chain its part of the sum, or `None` when it left.
    parts: Vec<Option<u64>>,
    sum: u64,
    /// Places of the chains that left.
    changed: Vec<usize>,
}

impl Chains {
    pub(super) fn new(list: Vec<Chain>) -> Self {
        let mut chains = Self {
            parts: alloc::vec![None; list.len()],
            sum: 0,
            changed: (0..list.len()).collect(),
            list,
        };
        chains.take_back();
        chains
    }

    /// Lends out a chain to be changed.
    pub(super) fn lend(&mut self, at: usize) -> &mut Chain {
        if let Some(part) = self.parts[at].take() {
            if self.changed.len() >= CHANGED_MAX {
                self.take_back();
            }
            self.sum = self.sum.wrapping_sub(part);
            self.changed.push(at);
        }
        &mut self.list[at]
    }

    /// Lends out all of them.
    pub(super) fn lend_all(&mut self) -> impl Iterator<Item = &mut Chain> {
        self.sum = 0;
        self.parts.fill(None);
        self.changed = (0..self.list.len()).collect();
        self.list.iter_mut()
    }

    fn take_back(&mut self) {
        for at in self.changed.drain(..) {
            let part = stable_hash(&self.list[at]).0;
            self.sum = self.sum.wrapping_add(part);
            self.parts[at] = Some(part);
        }
    }
}

impl Deref for Chains {
    type Target = [Chain];

    fn deref(&self) -> &[Chain] {
        &self.list
    }
}

impl Hash for Chains {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let changed = self.changed.iter().map(|&at| stable_hash(&self.list[at]).0);
        let sum = changed.fold(self.sum, u64::wrapping_add);
        (self.list.len(), sum).hash(state);
    }
}

impl Serialize for Chains {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Chains {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}

/// So many chains may be out of the sum before their digests are taken.
const CHANGED_MAX: usize = 64;
