//! Small records that are replaced in place: votes, and who a store is.
//!
//! Each is kept in two places that are written and synced one after the other, each with a
//! count, so at every moment one of them is whole (D13e). The place that does not hold the
//! newest record is always written first.
//!
//! ```text
//! Vote      counter u64, chain u64, generation u64, replica u32,
//!           epoch n u64, epoch node u64, granted u8 (0 or 1), granted to u64, committed end u64
//! Identity  counter u64, cluster u128, node u64, store u128, format nonce u64, incarnation u64,
//!           then 256 times: run nonce u64, of the newest boots in ascending order, then zeros, so
//!           that a boot needs no more space than the one before
//! ```

use super::boots::{Boots, REMEMBERED_MAX};
use super::fields::{Fields, Put};
use super::identity::Identity;
use super::order::Vote;
use super::record::{self, RecordKind, Salt, Unreadable};
use crate::id::{
    ChainId, ClusterId, FormatNonce, Gen, Incarnation, NodeId, Replica, RunNonce, Seq, StoreId,
};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// One of the two places.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The one read first.
    A,
    /// The other one.
    B,
}

impl Place {
    /// The other place.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// What one place holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Counted<T> {
    /// How many records were written before, over all times.
    pub counter: u64,
    /// The record.
    pub value: T,
}

/// The newest of two places, and which one holds it; `None` when neither is readable.
pub fn newest<T: Clone, E>(
    a: &Result<Counted<T>, E>,
    b: &Result<Counted<T>, E>,
) -> Option<(Place, Counted<T>)> {
    match (a, b) {
        (Ok(a), Ok(b)) if b.counter > a.counter => Some((Place::B, b.clone())),
        (Ok(a), Ok(_) | Err(_)) => Some((Place::A, a.clone())),
        (Err(_), Ok(b)) => Some((Place::B, b.clone())),
        (Err(_), Err(_)) => None,
    }
}

/// Length of one place of an identity.
pub(super) const IDENTITY_BYTES: u64 = (record::HEAD + 16 * 2 + 8 * 4 + 8 * REMEMBERED_MAX) as u64;

/// The vote record of one chain.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// The chain.
    pub chain: ChainId,
    /// Which creation of it.
    pub generation: Gen,
    /// Which membership of the store.
    pub replica: Replica,
    /// The vote.
    pub vote: Vote,
    /// The end of what was known to be committed then.
    pub commit: Seq,
}

pub(super) fn write_ballot(salt: Salt, counter: u64, ballot: &Ballot) -> Vec<u8> {
    let mut out = Vec::with_capacity(record::HEAD + 69);
    record::write(&mut out, salt, 0, RecordKind::Vote, |out| {
        out.put_u64(counter);
        out.put_u64(ballot.chain.get());
        out.put_u64(ballot.generation.get());
        out.put_u32(ballot.replica.get());
        out.put_epoch(ballot.vote.epoch);
        out.put_u8(u8::from(ballot.vote.granted.is_some()));
        out.put_u64(ballot.vote.granted.unwrap_or_default().get());
        out.put_u64(ballot.commit.get());
    });
    out
}

/// Reads one place of a vote record.
pub fn read_ballot(file: &[u8], salt: Salt) -> Result<Counted<Ballot>, Unreadable> {
    let take = |fields: &mut Fields<'_>| {
        let counter = fields.u64()?;
        let chain = ChainId::from_raw(fields.u64()?);
        let generation = Gen::new(fields.u64()?);
        let replica = Replica::new(fields.u32()?);
        let epoch = fields.epoch()?;
        let granted = match (fields.u8()?, fields.u64()?) {
            (0, 0) => None,
            (1, node) => Some(NodeId::new(node)),
            _ => return None,
        };
        let value = Ballot {
            chain,
            generation,
            replica,
            vote: Vote { epoch, granted },
            commit: fields.seq()?,
        };
        Some(Counted { counter, value })
    };
    read(file, salt, RecordKind::Vote, "a vote record", take)
}

/// Who a store is, and how it was booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booted {
    /// Who it is.
    pub identity: Identity,
    /// Which formatting of the store it is.
    pub format: FormatNonce,
    /// Its boots.
    pub boots: Boots,
}

pub(super) fn write_identity(salt: Salt, counter: u64, booted: &Booted) -> Vec<u8> {
    let mut out = Vec::with_capacity(IDENTITY_BYTES as usize);
    record::write(&mut out, salt, 0, RecordKind::Identity, |out| {
        out.put_u64(counter);
        out.put_u128(booted.identity.cluster.get());
        out.put_u64(booted.identity.node.get());
        out.put_u128(booted.identity.store.get());
        out.put_u64(booted.format.get());
        out.put_u64(booted.boots.newest().get());
        let unused = core::iter::repeat(RunNonce::default());
        for run in booted.boots.runs().chain(unused).take(REMEMBERED_MAX) {
            out.put_u64(run.get());
        }
    });
    out
}

/// Reads one place of a store's identity.
pub fn read_identity(file: &[u8], salt: Salt) -> Result<Counted<Booted>, Unreadable> {
    let take = |fields: &mut Fields<'_>| {
        let counter = fields.u64()?;
        let identity = Identity {
            cluster: ClusterId::new(fields.u128()?),
            node: NodeId::new(fields.u64()?),
            store: StoreId::new(fields.u128()?),
        };
        let format = FormatNonce::new(fields.u64()?);
        // A count at its end could never be raised.
        let incarnation = fields.u64().filter(|&boots| boots < u64::MAX)?;
        let mut runs = VecDeque::new();
        for _ in 0..REMEMBERED_MAX {
            let run = RunNonce::new(fields.u64()?);
            if run != RunNonce::default() {
                runs.push_back(run);
            }
        }
        let value = Booted {
            identity,
            format,
            boots: Boots::read(Incarnation::new(incarnation), runs)?,
        };
        Some(Counted { counter, value })
    };
    read(file, salt, RecordKind::Identity, "a store identity", take)
}

pub(super) fn read<T>(
    file: &[u8],
    salt: Salt,
    kind: RecordKind,
    expected: &'static str,
    take: impl FnOnce(&mut Fields<'_>) -> Option<Counted<T>>,
) -> Result<Counted<T>, Unreadable> {
    let frame = record::read(file, salt, 0)?;
    if frame.kind != kind {
        return Err(Unreadable::Misplaced { found: frame.kind });
    }
    let mut fields = Fields(frame.body);
    match take(&mut fields) {
        // A count at its end could never be followed by a newer one.
        Some(counted) if fields.0.is_empty() && counted.counter < u64::MAX => Ok(counted),
        Some(_) | None => Err(Unreadable::Body { expected }),
    }
}
