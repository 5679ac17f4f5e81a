//! Fixed-width little-endian values in the bodies of records.

use crate::id::{Epoch, NodeId, Seq};
use alloc::vec::Vec;

/// Takes fixed-width little-endian values off the front of a body.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    pub(super) fn seq(&mut self) -> Option<Seq> {
        // The last position has no successor; no log reaches it.
        self.u64().filter(|&raw| raw < u64::MAX).map(Seq::new)
    }

    pub(super) fn epoch(&mut self) -> Option<Epoch> {
        let n = self.u64()?;
        let node = NodeId::new(self.u64()?);
        Some(Epoch { n, node })
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Appends fixed-width little-endian values to a body.
pub(super) trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    fn put_u128(&mut self, value: u128);
    fn put_epoch(&mut self, value: Epoch);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u128(&mut self, value: u128) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_epoch(&mut self, value: Epoch) {
        self.put_u64(value.n);
        self.put_u64(value.node.get());
    }
}
