//! A timing wheel over a heap.
//!
//! Events of the open slot, and whatever is earlier, lie in a small heap; those within the
//! horizon in unordered lists, one per slot; those beyond it in a second heap, from which they
//! come when their slot opens. Lists are chains in one shared pool, so a clone copies three flat
//! arrays and a run of any length keeps no more than it had in flight at once.

use super::{Entry, Heap};

const SLOT_BITS: u32 = 15;
const SLOTS: usize = 2048;
const WORDS: usize = SLOTS / 64;
const NIL: u32 = u32::MAX;

#[derive(Copy, Clone, Debug)]
struct Node {
    entry: Entry,
    next: u32,
}

/// Events, bucketed by when they happen.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    /// Everything in slots up to `open`.
    ready: Heap,
    open: u64,
    heads: Vec<u32>,
    /// One bit per slot that is not empty.
    used: [u64; WORDS],
    pool: Vec<Node>,
    free: u32,
    /// Entries in slots.
    listed: usize,
    far: Heap,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            ready: Heap::new(),
            open: 0,
            heads: vec![NIL; SLOTS],
            used: [0; WORDS],
            pool: Vec::new(),
            free: NIL,
            listed: 0,
            far: Heap::new(),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        let slot = entry.at >> SLOT_BITS;
        let ahead = slot.wrapping_sub(self.open);
        if ahead.wrapping_sub(1) < SLOTS as u64 - 1 {
            self.list(entry, slot as usize % SLOTS);
        } else if slot <= self.open {
            self.ready.push(entry);
        } else {
            self.far.push(entry);
        }
    }

    #[inline]
    fn list(&mut self, entry: Entry, place: usize) {
        let next = self.heads[place];
        let node = Node { entry, next };
        let index = self.free;
        if index == NIL {
            self.heads[place] = self.pool.len() as u32;
            self.pool.push(node);
        } else {
            self.free = self.pool[index as usize].next;
            self.pool[index as usize] = node;
            self.heads[place] = index;
        }
        self.used[place / 64] |= 1 << (place % 64);
        self.listed += 1;
    }

    #[inline]
    pub(crate) fn next_at(&mut self) -> u64 {
        if self.ready.len() == 0 {
            self.advance();
        }
        self.ready.next_at()
    }

    /// Opens the next slot that holds anything.
    fn advance(&mut self) {
        let listed = if self.listed == 0 {
            u64::MAX
        } else {
            self.next_used()
        };
        let far = self.far.next_at() >> SLOT_BITS;
        let far = if self.far.len() == 0 { u64::MAX } else { far };
        let slot = listed.min(far);
        if slot == u64::MAX {
            return;
        }
        self.open = slot;
        if slot == listed {
            self.unlist(slot as usize % SLOTS);
        }
        while self.far.len() > 0 && self.far.next_at() >> SLOT_BITS == slot {
            if let Some(entry) = self.far.pop() {
                self.ready.push(entry);
            }
        }
    }

    fn unlist(&mut self, place: usize) {
        let mut index = self.heads[place];
        self.heads[place] = NIL;
        self.used[place / 64] &= !(1 << (place % 64));
        while index != NIL {
            let node = &mut self.pool[index as usize];
            let next = node.next;
            self.ready.push(node.entry);
            node.next = self.free;
            self.free = index;
            index = next;
            self.listed -= 1;
        }
    }

    /// The first slot after the open one that is not empty; there is one.
    fn next_used(&self) -> u64 {
        let start = (self.open as usize + 1) % SLOTS;
        let mut word = start / 64;
        let mut bits = self.used[word] & (u64::MAX << (start % 64));
        loop {
            if bits != 0 {
                let place = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (place + SLOTS - start) % SLOTS;
                return self.open + 1 + ahead as u64;
            }
            word = (word + 1) % WORDS;
            bits = self.used[word];
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.ready.pop()
    }

    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.listed + self.far.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.ready.capacity() + self.pool.capacity() + self.far.capacity()
    }
}
