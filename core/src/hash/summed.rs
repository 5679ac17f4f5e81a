//! A map whose hash costs nothing: the sum over its pairs is kept in step with them.

use super::stable_hash;
use alloc::collections::{BTreeMap, btree_map};
use core::hash::{Hash, Hasher};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map that adds up the digests of its pairs as they come and go, so that hashing it walks over
/// none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SummedMap<K, V> {
    map: BTreeMap<K, V>,
    sum: u64,
}

impl<K, V> Default for SummedMap<K, V> {
    fn default() -> Self {
        Self {
            map: BTreeMap::new(),
            sum: 0,
        }
    }
}

impl<K: Copy + Ord + Hash, V: Hash> SummedMap<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn iter(&self) -> btree_map::Iter<'_, K, V> {
        self.map.iter()
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.sum = self.sum.wrapping_add(digest(&key, &value));
        let old = self.map.insert(key, value);
        if let Some(old) = &old {
            self.sum = self.sum.wrapping_sub(digest(&key, old));
        }
        old
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.map.remove(key)?;
        self.sum = self.sum.wrapping_sub(digest(key, &old));
        Some(old)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn digest<K: Hash, V: Hash>(key: &K, value: &V) -> u64 {
    stable_hash(&(key, value)).0
}

impl<K, V> Hash for SummedMap<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.map.len(), self.sum).hash(state);
    }
}

impl<K: Copy + Ord + Hash, V: Hash> FromIterator<(K, V)> for SummedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut map = Self::default();
        for (key, value) in pairs {
            map.insert(key, value);
        }
        map
    }
}

impl<K: Serialize, V: Serialize> Serialize for SummedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.map.serialize(serializer)
    }
}

impl<'de, K, V> Deserialize<'de> for SummedMap<K, V>
where
    K: Copy + Ord + Hash + Deserialize<'de>,
    V: Hash + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = BTreeMap::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}
