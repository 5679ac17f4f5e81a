//! What the bytes choose: numbers that are near the real ones, and whatever is made of them.

use super::{ALONE, SHARED};
use bytes::Bytes;
use meshos_core::chain::entry::{Entry, EntryHash, EntryKind, LogPosition, Membership, Request};
use meshos_core::chain::payload::Payload;
use meshos_core::client::Level;
use meshos_core::id::{
    Attempt, AttemptNumber, ChainId, ClientId, Epoch, Gen, Incarnation, Member, NodeId, Replica,
    RequestNumber, Seq, StoreId,
};
use meshos_core::message::Confirm;
use meshos_core::time::Wall;
use std::sync::Arc;

/// The bytes that are left; zeros behind their end.
pub(super) struct Source<'a>(pub(super) &'a [u8]);

impl Source<'_> {
    pub(super) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    pub(super) fn either<T>(&mut self, one: T, other: T) -> T {
        if self.byte() < 128 { one } else { other }
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// A number that is near another one, small, or huge.
    pub(super) fn near(&mut self, other: u64) -> u64 {
        match self.byte() {
            0..=99 => other,
            100..=139 => other.saturating_add(1),
            140..=179 => other.saturating_sub(1),
            180..=199 => u64::from(self.byte()),
            200..=214 => other.saturating_add(u64::from(self.byte())),
            215..=229 => other.saturating_sub(u64::from(self.byte())),
            230..=239 => u64::MAX,
            240..=245 => u64::MAX - 1,
            246..=255 => 0,
        }
    }

    pub(super) fn seq(&mut self, other: Seq) -> Seq {
        Seq::new(self.near(other.get()))
    }
}

/// Linked entries behind `tip` of epochs that do not go down.
pub(super) fn entries(
    source: &mut Source<'_>,
    mut tip: LogPosition,
    epoch: Epoch,
) -> Arc<[Arc<Entry>]> {
    let mut list = Vec::new();
    for _ in 0..source.below(5) {
        let n = source.near(tip.epoch.n).max(tip.epoch.n).min(epoch.n);
        let kind = match source.below(8) {
            0 => EntryKind::Empty,
            1 => EntryKind::OpenClient,
            2 => EntryKind::Config(membership(source)),
            _ => EntryKind::Data(request(source)),
        };
        let payload = match kind {
            EntryKind::Data(_) => payload(source),
            EntryKind::Empty | EntryKind::OpenClient | EntryKind::Config(_) => Payload::empty(),
        };
        let entry = Entry {
            generation: Gen::default(),
            seq: tip.end,
            epoch: Epoch { n, ..epoch },
            store: StoreId::new(1),
            incarnation: Incarnation::new(1),
            stamp: Wall::from_ms(source.near(0)),
            kind,
            payload,
            hash: EntryHash::default(),
        };
        let entry = entry.linked(tip.hash);
        let Some(end) = tip.end.get().checked_add(1) else {
            break;
        };
        tip = LogPosition {
            end: Seq::new(end),
            epoch: entry.epoch,
            hash: entry.hash,
        };
        list.push(Arc::new(entry));
    }
    list.into()
}

pub(super) fn membership(source: &mut Source<'_>) -> Arc<Membership> {
    let mut group = |count| {
        let member = |node: usize| Member {
            node: NodeId::new(node as u64),
            store: StoreId::new(node as u128),
            replica: Replica::new(1),
        };
        let mut members: Vec<Member> = (0..count).map(|_| member(source.below(5))).collect();
        members.sort();
        members.dedup();
        members
    };
    let (voters, learners) = (group(4), group(1));
    Arc::new(Membership { voters, learners })
}

pub(super) fn confirm(source: &mut Source<'_>, chain: ChainId, epoch: Epoch) -> Confirm {
    Confirm {
        chain,
        generation: Gen::default(),
        leader: Replica::new(1),
        voter: Replica::new(1),
        epoch,
        attempt: any_attempt(source),
    }
}

pub(super) fn any_attempt(source: &mut Source<'_>) -> Attempt {
    Attempt {
        incarnation: Incarnation::new(source.near(1)),
        number: AttemptNumber::new(source.near(4).max(1)),
    }
}

pub(super) fn near_epoch(source: &mut Source<'_>, epoch: Epoch) -> Epoch {
    Epoch {
        n: source.near(epoch.n),
        node: NodeId::new(source.near(epoch.node.get())),
    }
}

pub(super) fn level(source: &mut Source<'_>) -> Level {
    if source.byte() < 64 {
        Level::Local
    } else {
        Level::Committed
    }
}

pub(super) fn request(source: &mut Source<'_>) -> Option<Request> {
    (source.byte() < 128).then(|| Request {
        client: ClientId(source.seq(Seq::new(1))),
        number: RequestNumber::new(source.near(1)),
    })
}

pub(super) fn payload(source: &mut Source<'_>) -> Payload {
    Payload::new(Bytes::from(vec![source.byte(); source.below(80)]))
}

pub(super) fn target(source: &mut Source<'_>) -> Option<NodeId> {
    (source.byte() < 128).then(|| NodeId::new(source.near(2)))
}

pub(super) fn chain_of(source: &mut Source<'_>) -> ChainId {
    match source.byte() {
        0..=219 => ChainId::of(SHARED),
        220..=249 => ChainId::of(ALONE),
        250..=255 => ChainId::of("unknown"),
    }
}
