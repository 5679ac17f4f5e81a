//! What happens next: a total order that no container decides.
//!
//! The key of an event is (at, tie), and no two events have the same key. The tie holds the
//! class of the event and what makes it unique within its class, so two queues of different
//! shape, or one queue filled in a different order, agree on what comes first. Deadlines are not
//! in the queue (see `timers`); at one instant they come after everything that is.

mod heap;
mod wheel;

pub(crate) use heap::Heap;
pub(crate) use wheel::Wheel;

use crate::node::NodeIndex;

/// Which container holds the events; runs are equal whatever it is.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum QueueKind {
    /// A heap for small clusters, a wheel for large ones.
    #[default]
    Auto,
    /// A 4-ary heap.
    Heap,
    /// A timing wheel.
    Wheel,
}

/// What kind of event it is; at one instant, lower classes come first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
pub(crate) enum EventClass {
    Boot = 0,
    Fault = 1,
    Disk = 2,
    Op = 3,
    Message = 4,
    Alarm = 5,
    Link = 6,
}

/// The second half of a key: 3 bits of class, 61 bits that are unique in the class.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tie(pub(crate) u64);

const COUNTER_MASK: u64 = (1 << 28) - 1;
const MESSAGE: u64 = (EventClass::Message as u64) << 61;

impl Tie {
    /// A numbered event of a class.
    pub(crate) const fn numbered(class: EventClass, number: u64) -> Self {
        Self((class as u64) << 61 | number & ((1 << 61) - 1))
    }

    /// A message: the count of its link, the link, and whether it is a second copy.
    #[inline]
    pub(crate) const fn message(counter: u32, from: NodeIndex, to: NodeIndex, copy: bool) -> Self {
        let counter = counter as u64 & COUNTER_MASK;
        let link = (from.0 as u64) << 16 | to.0 as u64;
        Self(MESSAGE | counter << 33 | link << 1 | copy as u64)
    }

    #[inline]
    pub(crate) const fn is_message(self) -> bool {
        self.0 >> 61 == EventClass::Message as u64
    }

    #[inline]
    pub(crate) const fn class(self) -> EventClass {
        match self.0 >> 61 {
            0 => EventClass::Boot,
            1 => EventClass::Fault,
            2 => EventClass::Disk,
            3 => EventClass::Op,
            4 => EventClass::Message,
            5 => EventClass::Alarm,
            _ => EventClass::Link,
        }
    }

    #[inline]
    pub(crate) const fn sender(self) -> NodeIndex {
        NodeIndex((self.0 >> 17) as u16)
    }

    #[inline]
    pub(crate) const fn receiver(self) -> NodeIndex {
        NodeIndex((self.0 >> 1) as u16)
    }

    /// The number of a numbered event.
    pub(crate) const fn number(self) -> u64 {
        self.0 & ((1 << 61) - 1)
    }
}

/// An event in the queue; what it carries lies in a slab.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: u64,
    pub(crate) tie: Tie,
    pub(crate) handle: u32,
}

impl Entry {
    #[inline]
    pub(crate) const fn key(&self) -> u128 {
        (self.at as u128) << 64 | self.tie.0 as u128
    }

    #[inline]
    pub(crate) const fn before(&self, other: &Self) -> bool {
        self.key() < other.key()
    }
}

/// The queue of a world.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a world has one queue")]
pub(crate) enum Queue {
    Heap(Heap),
    Wheel(Wheel),
}

/// From this many nodes on a wheel is faster than a heap.
const WHEEL_NODES_MIN: usize = 12;

impl Queue {
    pub(crate) fn new(kind: QueueKind, nodes: usize) -> Self {
        match kind {
            QueueKind::Auto if nodes >= WHEEL_NODES_MIN => Self::Wheel(Wheel::new()),
            QueueKind::Auto | QueueKind::Heap => Self::Heap(Heap::new()),
            QueueKind::Wheel => Self::Wheel(Wheel::new()),
        }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, entry: Entry) {
        match self {
            Self::Heap(heap) => heap.push(entry),
            Self::Wheel(wheel) => wheel.push(entry),
        }
    }

    /// When the first event happens; `u64::MAX` when there is none.
    #[inline(always)]
    pub(crate) fn next_at(&mut self) -> u64 {
        match self {
            Self::Heap(heap) => heap.next_at(),
            Self::Wheel(wheel) => wheel.next_at(),
        }
    }

    /// Takes the first event out; to be called after `next_at` showed one.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        match self {
            Self::Heap(heap) => heap.pop(),
            Self::Wheel(wheel) => wheel.pop(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Heap(heap) => heap.len(),
            Self::Wheel(wheel) => wheel.len(),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        match self {
            Self::Heap(heap) => heap.capacity(),
            Self::Wheel(wheel) => wheel.capacity(),
        }
    }
}

#[cfg(test)]
mod tests;
