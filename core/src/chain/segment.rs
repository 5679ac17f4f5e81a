//! What the records of a log hold: segment headers, batch heads, entries.
//!
//! ```text
//! LogPosition      end u64, epoch n u64, epoch node u64, hash u128
//! Segment  cluster u128, node u64, store u128, chain u64, generation u64, replica u32,
//!          number u64, LogPosition before the first entry, committed end u64
//! Seal     LogPosition before the next entry, committed end u64
//! Entry    form u8 (0 empty, 1 open client, 2 data, 3 data of a request, 4 config; the top
//!          bit says that the hash before is not kept), generation u64, seq u64, epoch n u64,
//!          epoch node u64 (the author), author's store u128, author's incarnation u64,
//!          stamp u64 (ms), hash before u128, own hash u128,
//!          form 3: client u64, number u64,
//!          form 4: voters u32, learners u32, each member as node u64, store u128, replica u32,
//!          payload: the rest
//! Repair   as Entry
//! ```
//!
//! An entry repeats the hash before it, so it proves itself without its predecessor, and names
//! its predecessor when that one is damaged.

use super::entry::{Entry, EntryHash, EntryKind, LogPosition, Membership, Request};
use super::fields::{Fields, Put};
use super::identity::Identity;
use super::payload::Payload;
use super::record::{self, Frame, RecordKind, Salt, Unreadable};
use crate::id::{
    ChainId, ClientId, ClusterId, Gen, Incarnation, Member, NodeId, Replica, RequestNumber, Seq,
    StoreId,
};
use crate::time::Wall;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// Length of the shortest record of an entry.
pub const ENTRY_BYTES_MIN: u64 = (record::HEAD + 1 + 8 * 6 + 16 * 3) as u64;

/// Length of a batch head.
pub(super) const SEAL_BYTES: u64 = (record::HEAD + 8 * 4 + 16) as u64;

/// Length of a segment header.
pub(super) const HEADER_BYTES: u64 = (record::HEAD + 16 * 3 + 8 * 8 + 4) as u64;

/// Length of the head of a batch that starts there.
pub(super) fn head_bytes(offset: u64) -> u64 {
    if offset == 0 {
        HEADER_BYTES
    } else {
        SEAL_BYTES
    }
}

const LINK_NOT_KEPT: u8 = 0x80;

/// The first record of a segment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The store that the segment belongs to.
    pub identity: Identity,
    /// The chain.
    pub chain: ChainId,
    /// Which creation of it.
    pub generation: Gen,
    /// Which membership of the store.
    pub replica: Replica,
    /// Counts the segments of one chain on one store.
    pub number: u64,
    /// The end of everything before.
    pub base: LogPosition,
    /// The end of what was known to be committed then.
    pub commit: Seq,
}

/// An entry as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Hash of the entry before it; only a repair may do without.
    pub previous: Option<EntryHash>,
}

/// What one record of a log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The start of a segment, and of a batch.
    Header(Header),
    /// The start of a batch.
    Seal {
        /// The end of everything before.
        tip: LogPosition,
        /// The end of what was known to be committed then.
        commit: Seq,
    },
    /// An entry.
    Entry(Stored),
    /// An entry that replaces a damaged one.
    Repair(Stored),
}

fn put_tip(out: &mut Vec<u8>, tip: &LogPosition) {
    out.put_u64(tip.end.get());
    out.put_epoch(tip.epoch);
    out.put_u128(tip.hash.0);
}

fn take_tip(fields: &mut Fields<'_>) -> Option<LogPosition> {
    Some(LogPosition {
        end: fields.seq()?,
        epoch: fields.epoch()?,
        hash: EntryHash(fields.u128()?),
    })
}

/// Appends a segment header, which starts its file.
pub(super) fn write_header(out: &mut Vec<u8>, salt: Salt, header: &Header) {
    record::write(out, salt, 0, RecordKind::Segment, |out| {
        out.put_u128(header.identity.cluster.get());
        out.put_u64(header.identity.node.get());
        out.put_u128(header.identity.store.get());
        out.put_u64(header.chain.get());
        out.put_u64(header.generation.get());
        out.put_u32(header.replica.get());
        out.put_u64(header.number);
        put_tip(out, &header.base);
        out.put_u64(header.commit.get());
    });
}

/// Appends a batch head.
pub(super) fn write_seal(
    out: &mut Vec<u8>,
    salt: Salt,
    offset: u64,
    tip: &LogPosition,
    commit: Seq,
) {
    record::write(out, salt, offset, RecordKind::Seal, |out| {
        put_tip(out, tip);
        out.put_u64(commit.get());
    });
}

/// Length of the record of `entry`.
pub(super) fn entry_bytes(entry: &Entry) -> u64 {
    let extra = match &entry.kind {
        EntryKind::Empty | EntryKind::OpenClient | EntryKind::Data(None) => 0,
        EntryKind::Data(Some(_)) => 16,
        EntryKind::Config(membership) => {
            8 + 28 * (membership.voters.len() + membership.learners.len()) as u64
        }
    };
    ENTRY_BYTES_MIN + extra + u64::from(entry.payload.length())
}

/// Appends an entry.
///
/// # Panics
/// If the payload's bytes were left out: they are of recordings only, and a store never sees
/// them.
pub(super) fn write_entry(
    out: &mut Vec<u8>,
    salt: Salt,
    offset: u64,
    kind: RecordKind,
    entry: &Entry,
    previous: Option<EntryHash>,
) {
    let payload = entry.payload.bytes();
    let payload = payload.expect("only entries with all their bytes are stored");
    let form = match &entry.kind {
        EntryKind::Empty => 0,
        EntryKind::OpenClient => 1,
        EntryKind::Data(None) => 2,
        EntryKind::Data(Some(_)) => 3,
        EntryKind::Config(_) => 4,
    };
    let kept = if previous.is_some() { 0 } else { LINK_NOT_KEPT };
    record::write(out, salt, offset, kind, |out| {
        out.put_u8(form | kept);
        out.put_u64(entry.generation.get());
        out.put_u64(entry.seq.get());
        out.put_epoch(entry.epoch);
        out.put_u128(entry.store.get());
        out.put_u64(entry.incarnation.get());
        out.put_u64(entry.stamp.as_ms());
        out.put_u128(previous.unwrap_or_default().0);
        out.put_u128(entry.hash.0);
        match &entry.kind {
            EntryKind::Empty | EntryKind::OpenClient | EntryKind::Data(None) => {}
            EntryKind::Data(Some(request)) => {
                out.put_u64(request.client.0.get());
                out.put_u64(request.number.get());
            }
            EntryKind::Config(membership) => put_membership(out, membership),
        }
        out.extend_from_slice(payload);
    });
}

fn put_membership(out: &mut Vec<u8>, membership: &Membership) {
    let groups = [&membership.voters, &membership.learners];
    for group in groups {
        out.put_u32(u32::try_from(group.len()).expect("a chain has few members"));
    }
    for member in groups.into_iter().flatten() {
        out.put_u64(member.node.get());
        out.put_u128(member.store.get());
        out.put_u32(member.replica.get());
    }
}

fn take_members(fields: &mut Fields<'_>, count: u32) -> Option<Vec<Member>> {
    let one = |fields: &mut Fields<'_>| {
        Some(Member {
            node: NodeId::new(fields.u64()?),
            store: StoreId::new(fields.u128()?),
            replica: Replica::new(fields.u32()?),
        })
    };
    (0..count).map(|_| one(fields)).collect()
}

fn take_membership(fields: &mut Fields<'_>) -> Option<Membership> {
    let (voters, learners) = (fields.u32()?, fields.u32()?);
    Some(Membership {
        voters: take_members(fields, voters)?,
        learners: take_members(fields, learners)?,
    })
}

fn take_entry(fields: &mut Fields<'_>) -> Option<Stored> {
    let code = fields.u8()?;
    let generation = Gen::new(fields.u64()?);
    let seq = fields.seq()?;
    let epoch = fields.epoch()?;
    let store = StoreId::new(fields.u128()?);
    let incarnation = Incarnation::new(fields.u64()?);
    let stamp = Wall::from_ms(fields.u64()?);
    let previous = EntryHash(fields.u128()?);
    let hash = EntryHash(fields.u128()?);
    let kind = match code & !LINK_NOT_KEPT {
        0 => EntryKind::Empty,
        1 => EntryKind::OpenClient,
        2 => EntryKind::Data(None),
        3 => EntryKind::Data(Some(Request {
            client: ClientId(Seq::new(fields.u64()?)),
            number: RequestNumber::new(fields.u64()?),
        })),
        4 => EntryKind::Config(Arc::new(take_membership(fields)?)),
        _ => return None,
    };
    let entry = Entry {
        generation,
        seq,
        epoch,
        store,
        incarnation,
        stamp,
        kind,
        // Copied, so that one entry that is kept does not keep its whole segment in memory.
        payload: Payload::new(Bytes::copy_from_slice(fields.clone().rest())),
        hash,
    };
    let previous = (code & LINK_NOT_KEPT == 0).then_some(previous);
    Some(Stored {
        entry: Arc::new(entry),
        previous,
    })
}

fn take_header(fields: &mut Fields<'_>) -> Option<Header> {
    Some(Header {
        identity: Identity {
            cluster: ClusterId::new(fields.u128()?),
            node: NodeId::new(fields.u64()?),
            store: StoreId::new(fields.u128()?),
        },
        chain: ChainId::from_raw(fields.u64()?),
        generation: Gen::new(fields.u64()?),
        replica: Replica::new(fields.u32()?),
        number: fields.u64()?,
        base: take_tip(fields)?,
        commit: fields.seq()?,
    })
}

/// Reads what a record of a log says; an entry has to be the one that its hash names.
pub fn decode(frame: &Frame<'_>) -> Result<Item, Unreadable> {
    let mut fields = Fields(frame.body);
    let whole = |expected, fields: &Fields<'_>| match fields.0 {
        [] => Ok(()),
        _ => Err(Unreadable::Body { expected }),
    };
    match frame.kind {
        RecordKind::Segment => {
            let expected = "a segment header";
            let header = take_header(&mut fields).ok_or(Unreadable::Body { expected })?;
            whole(expected, &fields)?;
            Ok(Item::Header(header))
        }
        RecordKind::Seal => {
            let expected = "a batch head";
            let malformed = Unreadable::Body { expected };
            let tip = take_tip(&mut fields).ok_or(malformed)?;
            let commit = fields.seq().ok_or(malformed)?;
            whole(expected, &fields)?;
            Ok(Item::Seal { tip, commit })
        }
        RecordKind::Entry => stored(&mut fields, false).map(Item::Entry),
        RecordKind::Repair => stored(&mut fields, true).map(Item::Repair),
        found @ (RecordKind::Checkpoint
        | RecordKind::Vote
        | RecordKind::Identity
        | RecordKind::Peers
        | RecordKind::Recording
        | RecordKind::Event
        | RecordKind::Outcome
        | RecordKind::End) => Err(Unreadable::Misplaced { found }),
    }
}

fn stored(fields: &mut Fields<'_>, is_repair: bool) -> Result<Stored, Unreadable> {
    let expected = "an entry";
    let stored = take_entry(fields).ok_or(Unreadable::Body { expected })?;
    let expected = "an entry that matches its own hash";
    match stored.previous {
        Some(previous) if !stored.entry.follows(previous) => Err(Unreadable::Body { expected }),
        None if !is_repair => Err(Unreadable::Body { expected }),
        Some(_) | None => Ok(stored),
    }
}
