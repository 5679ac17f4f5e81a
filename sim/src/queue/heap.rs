//! A 4-ary heap: shallow, and the four children of a place lie side by side.

use super::Entry;

const ARITY: usize = 4;

/// Events with the first one at the front.
#[derive(Clone, Debug)]
pub(crate) struct Heap {
    entries: Vec<Entry>,
}

impl Heap {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    #[inline(always)]
    pub(crate) fn next_at(&self) -> u64 {
        self.entries.first().map_or(u64::MAX, |entry| entry.at)
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, entry: Entry) {
        let mut place = self.entries.len();
        self.entries.push(entry);
        let entries = &mut self.entries[..];
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if !entry.before(&entries[parent]) {
                break;
            }
            entries[place] = entries[parent];
            place = parent;
        }
        entries[place] = entry;
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let last = self.entries.pop()?;
        let entries = &mut self.entries[..];
        let Some(first) = entries.first().copied() else {
            return Some(last);
        };
        let mut place = 0;
        loop {
            let child = place * ARITY + 1;
            if child >= entries.len() {
                break;
            }
            let mut least = child;
            let end = (child + ARITY).min(entries.len());
            for other in child + 1..end {
                if entries[other].before(&entries[least]) {
                    least = other;
                }
            }
            if !entries[least].before(&last) {
                break;
            }
            entries[place] = entries[least];
            place = least;
        }
        entries[place] = last;
        Some(first)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.entries.capacity()
    }
}
