//! Workload W1: every node tells every other one that it is alive, and counts misses.
//!
//! Each node sends a 64-byte heartbeat to all others every 500 ms and checks every 100 ms which
//! of them it has not heard for three periods. The same work is done by the bare loop of
//! [`crate::bench`].

use crate::draw::mix;
use crate::machine::{Boot, Input, Machine, Message, Outbox};
use crate::time::{Instant, Now};
use core::time::Duration;

/// Time between two heartbeats.
pub const BEAT: Duration = Duration::from_millis(500);
/// Time between two checks.
pub const TICK: Duration = Duration::from_millis(100);
/// Silence after which a peer is missed.
pub const MISSED: Duration = Duration::from_millis(1_500);

/// A sign of life: 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Its number.
    pub number: u64,
    /// The rest of it.
    pub filler: [u64; 7],
}

impl Message for Beat {
    #[inline]
    fn fingerprint(&self) -> u64 {
        mix(self.number)
    }

    #[inline]
    fn size(&self) -> u32 {
        64
    }
}

/// What a node knows about its peers.
#[derive(Clone, Debug)]
pub struct Heart {
    node: u16,
    number: u64,
    beat_at: Instant,
    tick_at: Instant,
    heard_at: Vec<Instant>,
    /// Peers that were found silent, summed over all checks.
    pub misses: u64,
}

impl Heart {
    #[inline(always)]
    fn check(&mut self, now: Instant) {
        for heard_at in &self.heard_at {
            if heard_at.after(MISSED) < now {
                self.misses += 1;
            }
        }
    }
}

impl Machine for Heart {
    type Config = ();
    type Message = Beat;
    type Op = ();
    type Output = ();

    fn boot(_: &(), boot: Boot<'_>, _: &mut Outbox<Self>) -> Self {
        let now = boot.now.instant;
        Self {
            node: boot.node.0,
            number: 0,
            // Nodes are out of step with each other, and beats with checks.
            beat_at: now.after(stagger(boot.node.0, boot.nodes)),
            tick_at: now.after(TICK),
            heard_at: vec![now; usize::from(boot.nodes)],
            misses: 0,
        }
    }

    #[inline(always)]
    fn step(&mut self, now: Now, input: Input<Self>, out: &mut Outbox<Self>) {
        let now = now.instant;
        match input {
            Input::Message { from, .. } => self.heard_at[from.at()] = now,
            Input::Wake => {
                if now >= self.tick_at {
                    self.heard_at[usize::from(self.node)] = now;
                    self.check(now);
                    self.tick_at = self.tick_at.after(TICK);
                }
                if now >= self.beat_at {
                    self.number += 1;
                    out.broadcast(Beat {
                        number: self.number,
                        filler: [0; 7],
                    });
                    self.beat_at = self.beat_at.after(BEAT);
                }
            }
            Input::Link(_) | Input::Op(()) | Input::Disk { .. } => {}
        }
    }

    #[inline(always)]
    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.beat_at.min(self.tick_at))
    }

    fn state_hash(&self) -> u64 {
        let state = [self.number, self.misses, self.tick_at.as_nanos()];
        let heard = self.heard_at.iter().map(|at| at.as_nanos());
        state
            .into_iter()
            .chain(heard)
            .fold(0, |hash, word| mix(hash ^ word))
    }
}

/// When a node sends its first heartbeat: between two checks, each node at another time.
pub const fn stagger(node: u16, nodes: u16) -> Duration {
    let share = BEAT.as_nanos() as u64 / nodes as u64;
    Duration::from_nanos(share * node as u64 + 1_234_567)
}
