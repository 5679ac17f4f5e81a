//! What a machine sends: onto its link, and from there to its receivers.

use super::{Letter, World};
use crate::machine::{Machine, Message};
use crate::network::Route;
use crate::node::NodeIndex;
use crate::queue::{Entry, Tie};

/// What the digest takes in beside the content of a message.
const SENT: u64 = 1 << 32;
const BROADCAST: u64 = 2 << 32;

impl<M: Machine> World<M> {
    #[inline]
    pub(super) fn send(&mut self, from: NodeIndex, to: NodeIndex, message: M::Message) {
        assert!(
            to.at() < self.hosts.len(),
            "{from} sends to {to}, which is not a node"
        );
        self.digest
            .fold(SENT | u64::from(to.0), message.fingerprint());
        let what = (message.kind(), message.size());
        let message = if self.codec {
            message.decoded()
        } else {
            message
        };
        let handle = self.letters.insert(Letter { message, copies: 1 });
        self.record_sent(handle);
        let copies = self.post(from, to, what, handle);
        self.set_copies(handle, copies);
    }

    /// Sends one message to all others; its content is stored once.
    #[inline]
    pub(super) fn broadcast(&mut self, from: NodeIndex, message: M::Message) {
        self.digest.fold(BROADCAST, message.fingerprint());
        let what = (message.kind(), message.size());
        let message = if self.codec {
            message.decoded()
        } else {
            message
        };
        let handle = self.letters.insert(Letter { message, copies: 0 });
        self.record_sent(handle);
        let mut copies = 0;
        for to in 0..self.hosts.len() as u16 {
            if to != from.0 {
                copies += self.post(from, NodeIndex(to), what, handle);
            }
        }
        self.set_copies(handle, copies);
    }

    #[inline]
    pub(super) fn set_copies(&mut self, handle: u32, copies: u32) {
        if copies == 0 {
            self.letters.take(handle);
        } else {
            self.letters.get_mut(handle).copies = copies;
        }
    }

    /// Puts a message on its link and returns how often it will arrive.
    #[inline(always)]
    fn post(&mut self, from: NodeIndex, to: NodeIndex, what: (u16, u32), handle: u32) -> u32 {
        let now = self.now.as_nanos();
        match self.network.route(&self.draw, now, (from, to), what) {
            Route::Once(at, tie) => {
                self.queue.push(Entry { at, tie, handle });
                1
            }
            Route::Twice(arrivals) => {
                for (at, tie) in arrivals {
                    self.queue.push(Entry { at, tie, handle });
                }
                2
            }
            Route::Damaged(at, tie, bits) => {
                self.post_damaged(at, tie, bits, handle);
                0
            }
            Route::Held(tie) => {
                self.held.push((tie, handle));
                1
            }
            Route::Streamed(counter) => self.post_stream((from, to), what, counter, handle),
            Route::Lost => {
                self.record_lost(from, to, handle);
                0
            }
        }
    }

    /// Lets what a receiver makes of damaged bytes arrive, if it can make anything of them.
    #[cold]
    fn post_damaged(&mut self, at: u64, tie: Tie, bits: u64, handle: u32) {
        let message = self.letters.get_mut(handle).message.corrupt(bits);
        match message {
            Some(message) => {
                let damaged = self.letters.insert(Letter { message, copies: 1 });
                if let Some(trace) = &mut self.trace {
                    trace.copied(handle, damaged);
                }
                let handle = damaged;
                self.queue.push(Entry { at, tie, handle });
            }
            None => self.record_lost(tie.sender(), tie.receiver(), handle),
        }
    }

    #[inline(always)]
    pub(super) fn take_letter(&mut self, handle: u32) -> M::Message {
        if let Some(trace) = &mut self.trace {
            trace.take_up(handle);
        }
        let letter = self.letters.get_mut(handle);
        if letter.copies > 1 {
            letter.copies -= 1;
            letter.message.clone()
        } else {
            self.letters.take(handle).message
        }
    }
}
