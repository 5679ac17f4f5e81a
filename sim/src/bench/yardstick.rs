//! The bare loop: workload W1 written by hand over a timing wheel, as fast as we can make it.
//!
//! No machine abstraction, no digest, no faults, no checks. As in the engine, a message carries
//! its 64 bytes, and events come in the order of their time.

use crate::draw::{mix, scale};
use crate::machines::heartbeat::{BEAT, MISSED, TICK, stagger};

const SLOT_BITS: u32 = 17;
const SLOTS: usize = 4_096;
const WORDS: usize = SLOTS / 64;
const NIL: u32 = u32::MAX;
const LATENCY_MIN: u64 = 1_000_000;
const LATENCY_SPAN: u64 = 9_000_001;

/// What the bare loop did.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) events: u64,
    pub(super) messages: u64,
    pub(super) misses: u64,
}

#[derive(Copy, Clone)]
enum Happening {
    Tick,
    Beat,
    Message { from: u16, content: [u64; 8] },
}

#[derive(Copy, Clone)]
struct Event {
    at: u64,
    to: u16,
    kind: Happening,
}

#[derive(Copy, Clone)]
struct Place {
    event: Event,
    next: u32,
}

/// One ring that is longer than the longest wait, so nothing ever cascades.
struct Ring {
    heads: Vec<u32>,
    used: [u64; WORDS],
    pool: Vec<Place>,
    free: u32,
    slot: usize,
}

impl Ring {
    fn new() -> Self {
        Self {
            heads: vec![NIL; SLOTS],
            used: [0; WORDS],
            pool: Vec::with_capacity(4_096),
            free: NIL,
            slot: 0,
        }
    }

    #[inline(always)]
    fn push(&mut self, event: Event) {
        let slot = (event.at >> SLOT_BITS) as usize % SLOTS;
        let place = Place {
            event,
            next: self.heads[slot],
        };
        let index = self.free;
        if index == NIL {
            self.heads[slot] = self.pool.len() as u32;
            self.pool.push(place);
        } else {
            self.free = self.pool[index as usize].next;
            self.pool[index as usize] = place;
            self.heads[slot] = index;
        }
        self.used[slot / 64] |= 1 << (slot % 64);
    }

    /// Moves the events of the next slot that has any to `ready`, the last one first.
    #[inline(always)]
    fn open(&mut self, ready: &mut Vec<Event>) {
        let mut word = self.slot / 64;
        let mut bits = self.used[word] & (u64::MAX << (self.slot % 64));
        while bits == 0 {
            word = (word + 1) % WORDS;
            bits = self.used[word];
        }
        self.slot = word * 64 + bits.trailing_zeros() as usize;
        self.used[word] &= !(1 << (self.slot % 64));
        let mut index = self.heads[self.slot];
        self.heads[self.slot] = NIL;
        while index != NIL {
            let place = &mut self.pool[index as usize];
            let next = place.next;
            let event = place.event;
            place.next = self.free;
            self.free = index;
            index = next;
            // Insertion keeps the few events of a slot in order.
            let mut hole = ready.len();
            ready.push(event);
            while hole > 0 && ready[hole - 1].at < event.at {
                ready[hole] = ready[hole - 1];
                hole -= 1;
            }
            ready[hole] = event;
        }
    }
}

/// Runs W1 without the engine.
#[inline(never)]
pub(super) fn bare_w1(seed: u64, nodes: u16, seconds: u64) -> Done {
    let count = usize::from(nodes);
    let end = seconds * 1_000_000_000;
    let (tick, beat) = (TICK.as_nanos() as u64, BEAT.as_nanos() as u64);
    let missed = MISSED.as_nanos() as u64;
    let mut ring = Ring::new();
    let mut ready: Vec<Event> = Vec::with_capacity(256);
    let mut heard_at = vec![0; count * count];
    let mut numbers = vec![0; count];
    let mut done = Done {
        events: 0,
        messages: 0,
        misses: 0,
    };
    let mut random = seed;
    for to in 0..nodes {
        let first = stagger(to, nodes).as_nanos() as u64;
        let (at, kind) = (first, Happening::Beat);
        ring.push(Event { at, to, kind });
        let (at, kind) = (tick, Happening::Tick);
        ring.push(Event { at, to, kind });
    }
    loop {
        let Some(event) = ready.pop() else {
            ring.open(&mut ready);
            continue;
        };
        let Event { at, to, kind } = event;
        if at > end {
            return done;
        }
        done.events += 1;
        let row = usize::from(to) * count;
        match kind {
            Happening::Message { from, content } => {
                heard_at[row + usize::from(from)] = at;
                done.messages += u64::from(content[0] > 0);
            }
            Happening::Tick => {
                heard_at[row + usize::from(to)] = at;
                for heard_at in &heard_at[row..row + count] {
                    done.misses += u64::from(at - heard_at > missed);
                }
                let (at, kind) = (at + tick, Happening::Tick);
                ring.push(Event { at, to, kind });
            }
            Happening::Beat => {
                numbers[usize::from(to)] += 1;
                let (from, content) = (to, [numbers[usize::from(to)], 0, 0, 0, 0, 0, 0, 0]);
                for to in (0..nodes).filter(|peer| *peer != from) {
                    random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let at = at + LATENCY_MIN + scale(mix(random), LATENCY_SPAN);
                    let kind = Happening::Message { from, content };
                    ring.push(Event { at, to, kind });
                }
                let (at, kind) = (at + beat, Happening::Beat);
                ring.push(Event { at, to, kind });
            }
        }
    }
}
