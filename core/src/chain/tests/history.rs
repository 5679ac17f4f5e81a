//! Random histories of orders as a replica could issue them, and what has to be true after
//! each.

use crate::chain::clients::Clients;
use crate::chain::entry::{Entry, EntryKind, LogPosition, Membership, Request};
use crate::chain::order::{Checkpoint, Image, Order, Slot, Vote};
use crate::chain::payload::Payload;
use crate::chain::store::{Founding, Identity, StoreLimits};
use crate::id::{
    ChainId, ClientId, ClusterId, Epoch, FormatNonce, Gen, Incarnation, Member, NodeId, Replica,
    RequestNumber, RunNonce, Seq, StoreId,
};
use crate::time::Wall;
use alloc::sync::Arc;
use bytes::Bytes;
use std::vec;
use std::vec::Vec;

pub(super) const GENERATION: Gen = Gen::new(3);
pub(super) const FORMAT: FormatNonce = FormatNonce::new(0xf0);
/// The run for which stores are recovered.
pub(super) const RUN: RunNonce = RunNonce::new(1);

pub(super) const LIMITS: StoreLimits = StoreLimits {
    segment_bytes_max: 1_500,
};

pub(super) fn chain() -> ChainId {
    ChainId::of("orders")
}

pub(super) fn identity() -> Identity {
    Identity {
        cluster: ClusterId::new(7),
        node: NodeId::new(2),
        store: StoreId::new(0xabcdef),
    }
}

pub(super) fn member(node: u64) -> Member {
    let store = if node == 2 {
        0xabcdef
    } else {
        u128::from(node)
    };
    Member {
        node: NodeId::new(node),
        store: StoreId::new(store),
        replica: Replica::new(1),
    }
}

fn membership(learners: core::ops::Range<u64>) -> Arc<Membership> {
    Arc::new(Membership {
        voters: vec![member(1), member(2), member(3)],
        learners: learners.map(member).collect(),
    })
}

/// At some floors it is longer than the files of the others.
pub(super) fn checkpoint(floor: LogPosition) -> Checkpoint {
    let learners = if floor.end.get() % 8 == 7 { 1_300 } else { 0 };
    Checkpoint {
        floor,
        membership: membership(10..10 + learners),
        membership_seq: Seq::ZERO,
        clients: Clients::default(),
        stamp: Default::default(),
    }
}

pub(super) fn founding() -> Founding {
    Founding {
        chain: chain(),
        generation: GENERATION,
        checkpoint: checkpoint(LogPosition::default()),
    }
}

/// An entry behind `tip`; `salt` varies everything that may vary.
pub(super) fn entry(tip: LogPosition, epoch: Epoch, salt: u64) -> Arc<Entry> {
    let payload = |length: u64| Payload::new(Bytes::from(vec![salt as u8; length as usize]));
    let request = Request {
        client: ClientId(Seq::new(salt % 5)),
        number: RequestNumber::new(salt | 1),
    };
    let (kind, payload) = match salt % 5 {
        0 => (EntryKind::Empty, Payload::empty()),
        1 => (EntryKind::OpenClient, Payload::empty()),
        2 => (EntryKind::Data(None), payload(salt % 97)),
        3 => (EntryKind::Data(Some(request)), payload(salt % 41)),
        _ => (EntryKind::Config(membership(0..0)), Payload::empty()),
    };
    let entry = Entry {
        generation: GENERATION,
        seq: tip.end,
        epoch,
        store: member(epoch.node.get()).store,
        incarnation: Incarnation::new(salt % 7),
        stamp: Wall::from_ms(salt),
        kind,
        payload,
        hash: tip.hash,
    };
    Arc::new(entry.linked(tip.hash))
}

/// What a store has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) vote: Vote,
    pub(super) floor: LogPosition,
    pub(super) entries: Vec<Arc<Entry>>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            vote: Vote::default(),
            floor: LogPosition::default(),
            entries: Vec::new(),
        }
    }

    pub(super) fn position_at(&self, index: usize) -> LogPosition {
        let Some(last) = index.checked_sub(1) else {
            return self.floor;
        };
        let entry = &self.entries[last];
        LogPosition {
            end: entry.seq.next(),
            epoch: entry.epoch,
            hash: entry.hash,
        }
    }

    pub(super) fn tip(&self) -> LogPosition {
        self.position_at(self.entries.len())
    }

    /// The order that `step` stands for here.
    pub(super) fn order(&self, step: Step) -> Order {
        let Step { what, salt } = step;
        let pick = |count: usize| salt as usize % (count + 1);
        match what {
            What::Vote => Order::Vote(Vote {
                epoch: Epoch {
                    n: self.vote.epoch.n + 1,
                    node: NodeId::new(salt % 4),
                },
                granted: (!salt.is_multiple_of(3)).then(|| NodeId::new(salt % 4)),
            }),
            What::Append => {
                let mut tip = self.tip();
                let epoch = Epoch {
                    n: tip.epoch.n.max(self.vote.epoch.n),
                    node: self.vote.epoch.node,
                };
                let mut batch = Vec::new();
                for number in 0..salt % 4 {
                    let entry = entry(tip, epoch, salt.wrapping_mul(31) + number);
                    tip = LogPosition {
                        end: tip.end.next(),
                        epoch,
                        hash: entry.hash,
                    };
                    batch.push(entry);
                }
                Order::Append(batch.into())
            }
            What::Cut => Order::Cut(self.position_at(pick(self.entries.len())).end),
            What::Retain => {
                let floor = self.position_at(pick(self.entries.len()));
                Order::Retain(Arc::new(checkpoint(floor)))
            }
            What::Reset => {
                // Below the tip, at it, or above it; never a place of this very log.
                let end = self.floor.end.get() + salt % (self.entries.len() as u64 + 5);
                let epoch = Epoch {
                    n: self.tip().epoch.n + 1,
                    node: NodeId::new(1),
                };
                let hash = entry(self.floor, epoch, salt).hash;
                let end = Seq::new(end + 1);
                Order::Reset(Arc::new(checkpoint(LogPosition { end, epoch, hash })))
            }
            What::Repair => {
                let index = pick(self.entries.len().saturating_sub(1));
                let upto = self.entries.len().min(index + 1 + (salt % 2) as usize);
                Order::Repair(self.entries[index.min(upto)..upto].into())
            }
        }
    }

    pub(super) fn apply(&mut self, order: &Order) {
        match order {
            Order::Vote(vote) => self.vote = *vote,
            Order::Append(batch) => self.entries.extend(batch.iter().cloned()),
            Order::Cut(end) => self.entries.retain(|entry| entry.seq < *end),
            Order::Retain(checkpoint) => {
                self.floor = checkpoint.floor;
                self.entries
                    .retain(|entry| entry.seq >= checkpoint.floor.end);
            }
            Order::Reset(checkpoint) => {
                self.floor = checkpoint.floor;
                self.entries.clear();
            }
            Order::Repair(_) => {}
        }
    }

    /// The image of this state.
    pub(super) fn image(&self) -> Image {
        Image {
            chain: chain(),
            generation: GENERATION,
            replica: Replica::new(1),
            vote: Some(self.vote),
            checkpoint: checkpoint(self.floor),
            slots: self.entries.iter().cloned().map(Slot::Known).collect(),
            tip: self.tip(),
            commit: Seq::ZERO,
        }
    }

    /// The images that a crash within `order` may leave.
    pub(super) fn between(&self, order: &Order) -> Vec<Image> {
        let mut images = vec![self.image()];
        if let Order::Append(batch) = order {
            let mut state = self.clone();
            for entry in batch.iter() {
                state.entries.push(entry.clone());
                images.push(state.image());
            }
        } else if let Order::Cut(end) = order {
            // Where there is no room for a header the end goes in parts.
            let mut state = self.clone();
            while state.entries.last().is_some_and(|last| last.seq >= *end) {
                state.entries.pop();
                images.push(state.image());
            }
        } else {
            let mut after = self.clone();
            after.apply(order);
            images.push(after.image());
        }
        images
    }
}

/// What kind of order comes next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Vote,
    Append,
    Cut,
    Retain,
    Reset,
    Repair,
}

/// One step of a history.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) what: What,
    pub(super) salt: u64,
}

/// Random histories, mostly of appends.
pub(super) fn steps(
    count: core::ops::Range<usize>,
) -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    use proptest::prelude::*;
    let what = prop_oneof![
        6 => Just(What::Append),
        2 => Just(What::Vote),
        2 => Just(What::Cut),
        1 => Just(What::Retain),
        1 => Just(What::Reset),
        1 => Just(What::Repair),
    ];
    let step = (what, any::<u32>()).prop_map(|(what, salt)| Step {
        what,
        salt: u64::from(salt),
    });
    proptest::collection::vec(step, count)
}
