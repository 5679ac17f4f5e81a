//! The bytes of a checkpoint: in its file, and on the wire while a peer starts anew from it.
//!
//! ```text
//! encoded checkpoint   version u8 (2), postcard of `Checkpoint`
//! record in the file   replica u32, first segment u64, encoded checkpoint
//! ```
//!
//! The file names the first segment that belongs to the log of this checkpoint. One rename thus
//! replaces checkpoint *and* log: older segments that a crash left behind are of another log,
//! however well they seem to fit (D18).
//!
//! Behind its record the file has room for a longer one, of which nothing is read: on a full disk a
//! checkpoint is written over the one before it.

use super::clients::ClientLimits;
use super::entry::{EntryHash, Membership};
use super::fields::{Fields, Put};
use super::order::Checkpoint;
use super::payload::leading;
use super::record::{self, Frame, RecordKind, Salt, Unreadable};
use crate::id::Replica;
use alloc::vec::Vec;

/// No store ever writes as many segments of one chain.
pub(super) const SEGMENTS_MAX: u64 = 1 << 48;

const VERSION: u8 = 2;

/// Largest encoded checkpoint that is taken from a peer, and so the largest that a config allows.
pub(crate) const BYTES_MAX: u32 = 256 << 20;

/// The most bytes that an encoded checkpoint takes under these bounds of its request table.
pub(crate) fn bytes_max(limits: ClientLimits) -> u64 {
    // The longest encoding of a number of 64 bits, and of what is there beside the request table:
    // the floor, and the members with their ids.
    const NUMBER: u64 = 10;
    const REST: u64 = 64 << 10;
    // A number with its sequence and its epoch, which is a number and a node.
    let recent = 4 * NUMBER;
    // The client, its low mark, its last use, and how many numbers follow.
    let row = 4 * NUMBER + u64::from(limits.window) * recent;
    REST + u64::from(limits.clients_max) * row
}

/// The most bytes that the file of a checkpoint takes without its room: with these members, and a
/// request table that takes `clients_bytes`.
pub(crate) fn file_bytes_max(membership: &Membership, clients_bytes: u64) -> u64 {
    // All that is there once: heads, the floor, positions, counts.
    const ONCE: u64 = 160;
    // A node, a store and a replica.
    const MEMBER: u64 = 34;
    let members = membership.voters.len() + membership.learners.len();
    ONCE + MEMBER * members as u64 + clients_bytes
}

/// How long the file of a checkpoint of so many bytes is: what is taken to be there already seldom
/// has to grow, and files take whole blocks anyway.
pub(super) fn file_length(bytes: u64) -> u64 {
    const BLOCK: u64 = 4 << 10;
    (bytes + bytes / 4).next_multiple_of(BLOCK)
}

/// Why bytes are no checkpoint.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// A version that this build does not know.
    #[error("expected checkpoint version 2, found {found:?}")]
    Version {
        /// What is there, if anything is.
        found: Option<u8>,
    },
    /// They do not decode.
    #[error("expected an encoded checkpoint")]
    Malformed,
    /// Bytes are left over.
    #[error("expected the end of the checkpoint, found {found} more bytes")]
    Trailing {
        /// How many.
        found: usize,
    },
}

/// The checkpoint as bytes, equal on every replica that has the same one.
pub fn encode(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.push(VERSION);
    encode_into(checkpoint, out)
}

fn encode_into(checkpoint: &Checkpoint, out: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(checkpoint, out).expect("a checkpoint always encodes into memory")
}

/// The checkpoint in `bytes`, all of them.
pub fn decode(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let Some((&VERSION, body)) = bytes.split_first() else {
        return Err(CheckpointError::Version {
            found: bytes.first().copied(),
        });
    };
    let (checkpoint, rest): (Checkpoint, _) =
        postcard::take_from_bytes(body).map_err(|_| CheckpointError::Malformed)?;
    match rest {
        [] => Ok(checkpoint),
        _ => Err(CheckpointError::Trailing { found: rest.len() }),
    }
}

/// The hash by which parts of an encoded checkpoint are told to be of the same one.
pub fn digest(encoded: &[u8]) -> EntryHash {
    EntryHash(leading(&blake3::hash(encoded)))
}

/// What the file of a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which membership of the store in the chain.
    pub replica: Replica,
    /// The first segment that may hold entries of this checkpoint's log.
    pub segment_first: u64,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
}

/// What the file of a checkpoint says, in both places.
pub(super) fn file_body(replica: Replica, first: u64, kept: &Checkpoint) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.put_u32(replica.get());
    out.put_u64(first);
    out.put_u8(VERSION);
    encode_into(kept, out)
}

/// The record of a checkpoint in one place.
pub(super) fn write_record(salt: Salt, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record::HEAD + body.len());
    record::write(&mut out, salt, 0, RecordKind::Checkpoint, |out| {
        out.extend_from_slice(body);
    });
    out
}

/// Reads the record of a checkpoint, whatever is behind it.
pub fn read_file(file: &[u8], salt: Salt) -> Result<Kept, Unreadable> {
    take(&record::read(file, salt, 0)?)
}

/// How many bytes at the beginning of the file of a checkpoint mean anything: those of its record,
/// or all where none begins.
pub fn record_bytes(file: &[u8]) -> u64 {
    let length = file.first_chunk::<{ record::HEAD }>().map(record::length);
    let whole = file.len() as u64;
    length.map_or(whole, |length| whole.min(length))
}

fn take(frame: &Frame<'_>) -> Result<Kept, Unreadable> {
    if frame.kind != RecordKind::Checkpoint {
        return Err(Unreadable::Misplaced { found: frame.kind });
    }
    let expected = "a checkpoint";
    let malformed = Unreadable::Body { expected };
    let mut fields = Fields(frame.body);
    let replica = Replica::new(fields.u32().ok_or(malformed)?);
    let segment_first = fields.u64().ok_or(malformed)?;
    let checkpoint = decode(fields.rest()).map_err(|_| malformed)?;
    // No log reaches the last position, and no store writes as many segments.
    if checkpoint.floor.end.get() == u64::MAX || segment_first >= SEGMENTS_MAX {
        return Err(malformed);
    }
    Ok(Kept {
        replica,
        segment_first,
        checkpoint,
    })
}
