//! The bytes of one file and what of them is not synced.
//!
//! The file holds what the machine sees, plus one record per unsynced operation with enough to
//! take it back; what is durable is the file with all of them taken back. So a sync only forgets
//! records, and an append-only file costs no second copy.

use crate::draw::{Draws, Site, scale};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// An operation that a crash may undo.
#[derive(Clone, Debug, Hash)]
struct Pending {
    change: Change,
    /// Bytes that the operation replaced or cut off, from its offset on.
    replaced: Vec<u8>,
    /// Length of the file before it.
    length: usize,
}

#[derive(Clone, Debug, Hash)]
enum Change {
    Write { offset: usize, bytes: Bytes },
    Truncate { length: usize },
}

/// One file.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct File {
    bytes: Arc<Vec<u8>>,
    pending: Vec<Pending>,
    unreadable: Range<u64>,
}

/// What becomes of one unsynced operation.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    Kept,
    /// The first bytes of it.
    Head(u64),
    /// The last bytes of it; a gap before them reads as zeros.
    Tail(u64),
}

impl File {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) const fn unsynced(&self) -> usize {
        self.pending.len()
    }

    /// Bytes at the start that no unsynced operation touches.
    pub(super) fn synced(&self) -> u64 {
        let touched = self.pending.iter().map(|pending| match pending.change {
            Change::Write { offset, .. } => offset.min(pending.length),
            Change::Truncate { length } => length,
        });
        touched
            .min()
            .unwrap_or(self.bytes.len())
            .min(self.bytes.len()) as u64
    }

    /// Whether an unsynced operation made the file longer.
    pub(super) fn has_grown(&self) -> bool {
        self.pending.iter().any(|pending| match &pending.change {
            Change::Write { offset, bytes } => offset + bytes.len() > pending.length,
            Change::Truncate { .. } => false,
        })
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &Bytes) {
        let written = offset as u64..(offset + bytes.len()) as u64;
        if written.start < self.unreadable.end && self.unreadable.start < written.end {
            self.unreadable = 0..0;
        }
        let length = self.bytes.len();
        let end = (offset + bytes.len()).min(length);
        let replaced = self.bytes.get(offset..end).unwrap_or_default().to_vec();
        self.apply_write(offset, bytes);
        let bytes = bytes.clone();
        self.pending.push(Pending {
            change: Change::Write { offset, bytes },
            replaced,
            length,
        });
    }

    pub(super) fn truncate(&mut self, length: usize) {
        let before = self.bytes.len();
        if length >= before {
            return;
        }
        let replaced = self.bytes[length..].to_vec();
        Arc::make_mut(&mut self.bytes).truncate(length);
        self.pending.push(Pending {
            change: Change::Truncate { length },
            replaced,
            length: before,
        });
    }

    pub(super) fn sync(&mut self) {
        self.pending.clear();
    }

    /// Replaces synced bytes.
    pub(super) fn replace(&mut self, offset: usize, bytes: &[u8]) {
        Arc::make_mut(&mut self.bytes)[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn damage(&mut self, range: Range<u64>) {
        self.unreadable = range;
    }

    /// The bytes that cannot be read, as far as the file goes.
    pub(super) fn unreadable(&self) -> Option<Range<u64>> {
        let end = self.unreadable.end.min(self.bytes.len() as u64);
        (self.unreadable.start < end).then_some(self.unreadable.start..end)
    }

    pub(super) fn flip(&mut self, offset: usize, bit: u8) {
        Arc::make_mut(&mut self.bytes)[offset] ^= 1 << (bit % 8);
    }

    fn apply_write(&mut self, offset: usize, bytes: &[u8]) {
        let file = Arc::make_mut(&mut self.bytes);
        if offset == file.len() {
            file.extend_from_slice(bytes);
            return;
        }
        let end = offset + bytes.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[offset..end].copy_from_slice(bytes);
    }

    /// Takes back every unsynced operation and performs again what `fate` says of each.
    pub(super) fn settle(&mut self, fate: impl Fn(usize, usize) -> Fate) {
        let pending = core::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        for undone in pending.iter().rev() {
            undone.undo(Arc::make_mut(&mut self.bytes));
        }
        for (index, redone) in pending.iter().enumerate() {
            self.redo(redone, fate(index, redone.size()));
        }
    }

    fn redo(&mut self, pending: &Pending, fate: Fate) {
        match &pending.change {
            Change::Write { offset, bytes } => {
                let size = bytes.len();
                let (skip, take) = match fate {
                    Fate::Lost => return,
                    Fate::Kept => (0, size),
                    Fate::Head(count) => (0, (count as usize).min(size)),
                    Fate::Tail(count) => (size - (count as usize).min(size), size),
                };
                if skip < take {
                    self.apply_write(offset + skip, &bytes[skip..take]);
                }
            }
            // A length changes as a whole.
            Change::Truncate { length } => match fate {
                Fate::Kept => Arc::make_mut(&mut self.bytes).truncate(*length),
                Fate::Lost | Fate::Head(_) | Fate::Tail(_) => {}
            },
        }
    }

    /// The cache forgets that its pages are dirty: each write stays or is gone, but the length
    /// of the file stays as the machine believes it to be.
    pub(super) fn fail_sync(&mut self, draw: &Draws, lane: u64, counter: u64) {
        let length = self.bytes.len();
        let lane = lane << 32;
        self.settle(|index, size| {
            let bits = draw.bits(Site::SyncError, lane | index as u64, counter);
            match bits % 3 {
                0 => Fate::Lost,
                1 => Fate::Kept,
                _ => Fate::Head(scale(crate::draw::mix(bits), size as u64 + 1)),
            }
        });
        Arc::make_mut(&mut self.bytes).resize(length, 0);
    }

    /// Sizes of the unsynced operations, in order.
    pub(super) fn pending_sizes(&self) -> impl Iterator<Item = usize> + Clone {
        self.pending.iter().map(Pending::size)
    }
}

impl Pending {
    /// Bytes that can be torn apart.
    fn size(&self) -> usize {
        match &self.change {
            Change::Write { bytes, .. } => bytes.len(),
            Change::Truncate { .. } => 0,
        }
    }

    fn undo(&self, file: &mut Vec<u8>) {
        match self.change {
            Change::Write { offset, .. } => {
                file.truncate(self.length);
                let end = offset + self.replaced.len();
                if !self.replaced.is_empty() {
                    file[offset..end].copy_from_slice(&self.replaced);
                }
            }
            Change::Truncate { .. } => file.extend_from_slice(&self.replaced),
        }
    }
}
