//! The store of a node as files: names, file operations, and how a fresh store is written.
//!
//! Everything here is pure. A host performs [`FileOp`]s in order, on a simulated disk or a real
//! one, and gives the bytes of all files back to [`super::recover::recover`] at boot. One
//! directory holds all files of a store:
//!
//! ```text
//! identity.a identity.b            who the store is, its boots
//! peers.a    peers.b               what is remembered of the stores of peers
//! CHAIN-GEN.vote.a  .vote.b        the vote record
//! CHAIN-GEN.checkpoint.a  .checkpoint.b    the checkpoint at the floor
//! CHAIN-GEN.segment-NNNNNNNN       the log, by number
//! CHAIN-GEN.repairs                entries that replace damaged ones
//! *.tmp                            being written; removed at boot
//! ```
//!
//! CHAIN is the chain's id as 16 hex digits, GEN its generation in decimal.

use super::boots::Boots;
use super::checkpoint::SEGMENTS_MAX;
use super::layout::CheckpointFiles;
use super::order::{Checkpoint, Vote};
use super::record::Salt;
use super::vote::{self, Ballot, Booted, Place};
use crate::id::{ChainId, FormatNonce, Gen, Replica, Seq};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::{self, Write as _};

pub use super::identity::Identity;
pub use super::layout::{Layout, SealedRange};

/// Name of a file in the store's directory.
pub type FileName = Arc<str>;

/// One operation on a file of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FileOp {
    /// Adds bytes at the end of a file, which is created if it is not there.
    Append {
        /// The file.
        file: FileName,
        /// The bytes.
        bytes: Bytes,
    },
    /// Puts bytes into a file, which is created if it is not there.
    Write {
        /// The file.
        file: FileName,
        /// Where the first byte goes.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Drops the bytes of a file from `length` on; never makes it longer.
    Truncate {
        /// The file.
        file: FileName,
        /// How many bytes stay.
        length: u64,
    },
    /// Makes the bytes of a file durable, and its length.
    Sync {
        /// The file.
        file: FileName,
    },
    /// Gives a file another name, in the place of whatever has that name.
    Rename {
        /// The present name.
        from: FileName,
        /// The new name.
        to: FileName,
    },
    /// Removes a file; one that is not there is no error.
    Remove {
        /// The file.
        file: FileName,
    },
    /// Makes creations, renames and removals durable.
    SyncDir,
}

/// A chain that a store holds from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founding {
    /// The chain.
    pub chain: ChainId,
    /// Which creation of it.
    pub generation: Gen,
    /// Its founding checkpoint.
    pub checkpoint: Checkpoint,
}

/// StoreLimits of a store.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreLimits {
    /// A batch that would make a segment longer goes to a new one.
    pub segment_bytes_max: u64,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            segment_bytes_max: 64 << 20,
        }
    }
}

/// The operations that make an empty directory the store of `identity`; `nonce` is drawn for this
/// formatting alone.
///
/// The identity comes last: a directory without it is not a store, and may be formatted again
/// over whatever an interrupted attempt left.
pub fn format(identity: &Identity, nonce: FormatNonce, chains: &[Founding]) -> Vec<FileOp> {
    let mut ops = Vec::new();
    for founding in chains {
        let names = Names::new(founding.chain, founding.generation);
        let replica = replica_of(identity, &founding.checkpoint);
        let kept = (replica, 1, &founding.checkpoint);
        ops.extend(CheckpointFiles::default().replace(identity, &names, kept));
        let ballot = Ballot {
            chain: founding.chain,
            generation: founding.generation,
            replica,
            vote: Vote::default(),
            commit: Seq::ZERO,
        };
        for place in [Place::A, Place::B] {
            write_vote(&mut ops, identity, &names, place, 1, &ballot);
        }
    }
    ops.push(FileOp::SyncDir);
    let booted = Booted {
        identity: *identity,
        format: nonce,
        boots: Boots::default(),
    };
    for place in [Place::A, Place::B] {
        write_identity(&mut ops, place, 1, &booted);
    }
    ops.push(FileOp::SyncDir);
    ops
}

/// The membership number under which a founding member takes part (D1).
fn replica_of(identity: &Identity, checkpoint: &Checkpoint) -> Replica {
    let membership = &checkpoint.membership;
    let mut members = membership.voters.iter().chain(&membership.learners);
    members
        .find(|member| member.node == identity.node && member.store == identity.store)
        .map_or(Replica::new(1), |member| member.replica)
}

/// Writes one place of a vote record and syncs it.
pub(super) fn write_vote(
    ops: &mut Vec<FileOp>,
    identity: &Identity,
    names: &Names,
    place: Place,
    counter: u64,
    ballot: &Ballot,
) {
    let file = names.vote(place);
    let bytes = vote::write_ballot(Salt::of_store(identity, &file), counter, ballot);
    overwrite(ops, file, bytes);
}

/// Writes one place of the identity and syncs it.
pub(super) fn write_identity(ops: &mut Vec<FileOp>, place: Place, counter: u64, booted: &Booted) {
    let file = identity_name(place);
    let bytes = vote::write_identity(Salt::of_file(&file), counter, booted);
    overwrite(ops, file, bytes);
}

pub(super) fn overwrite(ops: &mut Vec<FileOp>, file: FileName, bytes: Vec<u8>) {
    ops.push(FileOp::Write {
        file: file.clone(),
        offset: 0,
        bytes: bytes.into(),
    });
    ops.push(FileOp::Sync { file });
}

/// Puts a whole file in the place of another in one durable step.
pub(super) fn replace(file: &FileName, bytes: Vec<u8>) -> Vec<FileOp> {
    let mut ops = Vec::from(write_draft(file, bytes));
    ops.extend([rename_draft(file), FileOp::SyncDir]);
    ops
}

pub(super) fn write_draft(file: &FileName, bytes: Vec<u8>) -> [FileOp; DRAFT_OPS] {
    let draft = draft(file);
    let length = bytes.len() as u64;
    let write = FileOp::Write {
        file: draft.clone(),
        offset: 0,
        bytes: bytes.into(),
    };
    // A draft that an interrupted attempt left may be longer.
    let truncate = FileOp::Truncate {
        file: draft.clone(),
        length,
    };
    [write, truncate, FileOp::Sync { file: draft }]
}

/// A draft that stays would take up the room that the next attempt needs.
pub(super) fn remove_draft(file: &FileName) -> FileOp {
    let file = draft(file);
    FileOp::Remove { file }
}

pub(super) fn rename_draft(file: &FileName) -> FileOp {
    let (from, to) = (draft(file), file.clone());
    FileOp::Rename { from, to }
}

/// How many operations write and sync a draft.
pub(super) const DRAFT_OPS: usize = 3;

/// Where a file is written before it takes the place of another.
fn draft(file: &FileName) -> FileName {
    format!("{file}{DRAFT}").into()
}

const DRAFT: &str = ".tmp";

/// How many operations replace a vote record: a write and a sync of each place.
pub(super) const VOTE_OPS: usize = 4;

/// Name of one place of the identity.
pub fn identity_name(place: Place) -> FileName {
    match place {
        Place::A => "identity.a".into(),
        Place::B => "identity.b".into(),
    }
}

/// Name of one place of what is remembered of peers.
pub fn peers_name(place: Place) -> FileName {
    match place {
        Place::A => "peers.a".into(),
        Place::B => "peers.b".into(),
    }
}

/// Names of the files of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    prefix: FileName,
    votes: [FileName; 2],
    checkpoints: [FileName; 2],
    pub(super) repairs: FileName,
}

impl Names {
    pub(super) fn new(chain: ChainId, generation: Gen) -> Self {
        let prefix = format!("{chain}-{generation}");
        let both = |part| {
            let places = [Place::A, Place::B];
            places.map(|place| format!("{prefix}.{part}.{}", place.suffix()).into())
        };
        Self {
            votes: both("vote"),
            checkpoints: both("checkpoint"),
            repairs: format!("{prefix}.repairs").into(),
            prefix: prefix.into(),
        }
    }

    pub(super) fn vote(&self, place: Place) -> FileName {
        of_place(&self.votes, place)
    }

    pub(super) fn checkpoint(&self, place: Place) -> FileName {
        of_place(&self.checkpoints, place)
    }

    pub(super) fn segment(&self, number: u64) -> FileName {
        format!("{}.segment-{number:08}", self.prefix).into()
    }
}

fn of_place([a, b]: &[FileName; 2], place: Place) -> FileName {
    match place {
        Place::A => a.clone(),
        Place::B => b.clone(),
    }
}

/// What the name of a file says about it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A place of the identity.
    Identity(Place),
    /// A place of what is remembered of peers.
    Peers(Place),
    /// A file of a chain.
    Chain {
        /// The chain.
        chain: ChainId,
        /// Which creation of it.
        generation: Gen,
        /// Which of its files.
        part: Part,
    },
}

/// Which file of a chain.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A place of the vote record.
    Vote(Place),
    /// A place of the checkpoint.
    Checkpoint(Place),
    /// A segment of the log.
    Segment(u64),
    /// The repairs.
    Repairs,
    /// A file that was never finished.
    Draft,
}

impl Named {
    /// What `name` says; `None` for a file that is not the store's.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "identity.a" => return Some(Self::Identity(Place::A)),
            "identity.b" => return Some(Self::Identity(Place::B)),
            "peers.a" => return Some(Self::Peers(Place::A)),
            "peers.b" => return Some(Self::Peers(Place::B)),
            _ => {}
        }
        let (prefix, part) = name.split_once('.')?;
        let (id, generation) = prefix.split_once('-')?;
        let chain = ChainId::from_raw(u64::from_str_radix(id, 16).ok()?);
        let generation = Gen::new(generation.parse().ok()?);
        // Only the spelling that this module writes: no file is ever known by two names.
        if !is_spelled(prefix, format_args!("{chain}-{generation}")) {
            return None;
        }
        let part = match part {
            "vote.a" => Part::Vote(Place::A),
            "vote.b" => Part::Vote(Place::B),
            "checkpoint.a" => Part::Checkpoint(Place::A),
            "checkpoint.b" => Part::Checkpoint(Place::B),
            "repairs" => Part::Repairs,
            _ if part.ends_with(DRAFT) => Part::Draft,
            _ => {
                let digits = part.strip_prefix("segment-")?;
                let number = digits.parse().ok()?;
                if number >= SEGMENTS_MAX || !is_spelled(digits, format_args!("{number:08}")) {
                    return None;
                }
                Part::Segment(number)
            }
        };
        Some(Self::Chain {
            chain,
            generation,
            part,
        })
    }
}

/// Whether `text` is what `parts` are written as.
fn is_spelled(text: &str, parts: fmt::Arguments<'_>) -> bool {
    /// What is not written yet of a text.
    struct Rest<'a>(&'a str);

    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    let mut rest = Rest(text);
    rest.write_fmt(parts).is_ok() && rest.0.is_empty()
}
