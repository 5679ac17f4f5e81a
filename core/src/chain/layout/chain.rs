//! The files of one chain, and what each order does to them.

use super::checkpoint::CheckpointFiles;
use super::undo::Undo;
use crate::chain::entry::{Entry, EntryHash, LogPosition};
use crate::chain::order::Vote;
use crate::chain::record::{RecordKind, Salt};
use crate::chain::segment::{self, Header};
use crate::chain::store::{FileName, FileOp, Identity, Names, StoreLimits, replace, write_vote};
use crate::chain::vote::{Ballot, Place};
use crate::id::{ChainId, Epoch, Gen, Replica, Seq};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A byte of some segment.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::chain) struct Spot {
    pub(in crate::chain) segment: u64,
    pub(in crate::chain) offset: u64,
}

/// Where one position of the log stands, and what stands there.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::chain) struct Mark {
    /// Where its record starts, or the damage that it is lost in.
    pub(in crate::chain) spot: Spot,
    /// Length of its record; zero when it is lost in damage.
    pub(in crate::chain) length: u64,
    /// Epoch and hash, unless unknown.
    pub(in crate::chain) link: Option<(Epoch, EntryHash)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::chain) struct SegmentFile {
    pub(in crate::chain) name: FileName,
    pub(in crate::chain) length: u64,
}

/// A segment always grows up to here, if the limits let it: files that are shorter cost more than
/// they free.
const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// The files of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::chain) struct ChainLayout {
    pub(in crate::chain) chain: ChainId,
    pub(in crate::chain) generation: Gen,
    pub(in crate::chain) replica: Replica,
    pub(in crate::chain) names: Names,
    pub(in crate::chain) vote_counter: u64,
    pub(in crate::chain) floor: LogPosition,
    pub(in crate::chain) tip: LogPosition,
    /// One for each position from the floor to the tip.
    pub(in crate::chain) marks: VecDeque<Mark>,
    pub(in crate::chain) segments: BTreeMap<u64, SegmentFile>,
    /// No segment below this number belongs to the log.
    pub(in crate::chain) segment_first: u64,
    /// Whether the last segment may be appended to.
    pub(in crate::chain) is_open: bool,
    /// No segment has this number or a higher one.
    pub(in crate::chain) segment_next: u64,
    /// Where each batch starts.
    pub(in crate::chain) batches: VecDeque<Spot>,
    /// Up to here all records of a batch read whose marks retention dropped, if it is in the midst
    /// of one.
    pub(in crate::chain) whole_to: Option<Spot>,
    pub(in crate::chain) repairs_length: Option<u64>,
    /// What is written down as committed with each batch and vote.
    pub(in crate::chain) commit: Seq,
    pub(in crate::chain) checkpoints: CheckpointFiles,
    pub(super) undo: Undo,
}

impl ChainLayout {
    /// A chain with an empty log at `floor`.
    pub(in crate::chain) fn new(
        chain: ChainId,
        generation: Gen,
        replica: Replica,
        floor: LogPosition,
    ) -> Self {
        Self {
            chain,
            generation,
            replica,
            names: Names::new(chain, generation),
            vote_counter: 0,
            floor,
            tip: floor,
            marks: VecDeque::new(),
            segments: BTreeMap::new(),
            segment_first: 1,
            is_open: false,
            segment_next: 1,
            batches: VecDeque::new(),
            whole_to: None,
            repairs_length: None,
            commit: Seq::ZERO,
            checkpoints: CheckpointFiles::default(),
            undo: Undo::Nothing,
        }
    }

    /// The state is what recovery found; there is nothing to undo.
    pub(in crate::chain) fn forget_undo(&mut self) {
        self.undo = Undo::Nothing;
    }

    /// Whether an entry of the log is in the file of repairs alone.
    pub(in crate::chain) fn needs_repairs(&self) -> bool {
        let is_repaired = |mark: &Mark| mark.length == 0 && mark.link.is_some();
        self.marks.iter().any(is_repaired)
    }

    pub(in crate::chain) fn holds(&self, seq: Seq) -> bool {
        self.floor.end <= seq && seq < self.tip.end
    }

    pub(super) fn index(&self, seq: Seq) -> usize {
        seq.distance(self.floor.end) as usize
    }

    /// The end of the log in front of `seq`; `None` when what is there is unknown.
    pub(super) fn position_before(&self, seq: Seq) -> Option<LogPosition> {
        if seq == self.floor.end {
            return Some(self.floor);
        }
        if seq == self.tip.end {
            return Some(self.tip);
        }
        let (epoch, hash) = self.marks.get(self.index(seq).checked_sub(1)?)?.link?;
        Some(LogPosition {
            end: seq,
            epoch,
            hash,
        })
    }

    fn header(&self, identity: &Identity, number: u64, base: LogPosition) -> Header {
        Header {
            identity: *identity,
            chain: self.chain,
            generation: self.generation,
            replica: self.replica,
            number,
            base,
            commit: self.commit.min(base.end),
        }
    }

    pub(in crate::chain) fn vote(&mut self, identity: &Identity, vote: Vote) -> Vec<FileOp> {
        self.undo = Undo::Vote;
        self.vote_counter += 1;
        let ballot = self.ballot(vote);
        let mut ops = Vec::new();
        for place in [Place::A, Place::B] {
            let counter = self.vote_counter;
            write_vote(&mut ops, identity, &self.names, place, counter, &ballot);
        }
        ops
    }

    pub(in crate::chain) fn ballot(&self, vote: Vote) -> Ballot {
        Ballot {
            chain: self.chain,
            generation: self.generation,
            replica: self.replica,
            vote,
            commit: self.commit,
        }
    }

    pub(in crate::chain) fn append(
        &mut self,
        identity: &Identity,
        limits: &StoreLimits,
        batches: &[Arc<[Arc<Entry>]>],
    ) -> Vec<FileOp> {
        let entries = || batches.iter().flat_map(|batch| batch.iter());
        let size = entries()
            .map(|entry| segment::entry_bytes(entry))
            .sum::<u64>();
        let (tip, marks, checkpoints) = (self.tip, self.marks.len(), self.checkpoints);
        let mut ops = self.checkpoints.grow(&self.names);
        let grown = ops.len();
        let open = match self.segments.last_key_value() {
            Some((number, file))
                if self.is_open
                    && self.may_grow(file.length + segment::SEAL_BYTES + size, limits) =>
            {
                Some((*number, file.length))
            }
            Some(_) | None => None,
        };
        let (segment, start) = open.unwrap_or((self.segment_next, 0));
        let (name, bytes) = self.write_batch(identity, segment, start, size, entries());
        self.undo = Undo::Append {
            tip,
            marks,
            segment,
            length: open.map(|(_, length)| length),
            checkpoints,
            grown,
        };
        ops.extend(append_synced(name, bytes));
        if open.is_none() {
            ops.push(FileOp::SyncDir);
        }
        ops
    }

    /// Whether the open segment may become as long as that. What retention drops leaves the disk by
    /// whole segments, so one holds at most a quarter of what is retained: a chain that keeps little
    /// would otherwise fill its disk with a segment that never ends.
    fn may_grow(&self, length: u64, limits: &StoreLimits) -> bool {
        length <= limits.segment_bytes_max
            && (length <= SEGMENT_BYTES_MIN || self.retains(length.saturating_mul(4)))
    }

    /// Whether what is retained takes as many bytes on the disk.
    fn retains(&self, least: u64) -> bool {
        let first = self.marks.front().map(|mark| mark.spot);
        let mut bytes = 0;
        for (number, file) in self.segments.iter().rev() {
            let dropped = match first {
                Some(spot) if spot.segment > *number => file.length,
                Some(spot) if spot.segment == *number => spot.offset,
                Some(_) => 0,
                None => file.length,
            };
            bytes += file.length - dropped.min(file.length);
            if bytes >= least {
                return true;
            }
        }
        false
    }

    /// Begins a segment without entries that is there as a whole or not at all.
    pub(super) fn begin_segment(&mut self, identity: &Identity) -> Vec<FileOp> {
        let (name, bytes) = self.write_batch(identity, self.segment_next, 0, 0, [].iter());
        replace(&name, bytes)
    }

    fn write_batch<'a>(
        &mut self,
        identity: &Identity,
        number: u64,
        start: u64,
        size: u64,
        entries: impl Iterator<Item = &'a Arc<Entry>>,
    ) -> (FileName, Vec<u8>) {
        let name = match self.segments.get(&number) {
            Some(file) => file.name.clone(),
            None => self.names.segment(number),
        };
        let salt = Salt::of_store(identity, &name);
        let mut bytes = Vec::with_capacity((segment::HEADER_BYTES + size) as usize);
        if start > 0 {
            segment::write_seal(&mut bytes, salt, start, &self.tip, self.commit);
        } else {
            segment::write_header(&mut bytes, salt, &self.header(identity, number, self.tip));
            self.segment_next = number + 1;
            self.is_open = true;
        }
        for entry in entries {
            self.append_one(entry, salt, number, start, &mut bytes);
        }
        let length = start + bytes.len() as u64;
        let file = SegmentFile {
            name: name.clone(),
            length,
        };
        self.segments.insert(number, file);
        self.batches.push_back(Spot {
            segment: number,
            offset: start,
        });
        (name, bytes)
    }

    fn append_one(
        &mut self,
        entry: &Entry,
        salt: Salt,
        number: u64,
        start: u64,
        bytes: &mut Vec<u8>,
    ) {
        assert_eq!(entry.seq, self.tip.end, "appends are contiguous");
        assert_eq!(
            entry.generation, self.generation,
            "an entry is of its chain's generation"
        );
        debug_assert!(
            entry.follows(self.tip.hash),
            "an entry links to its predecessor"
        );
        let offset = start + bytes.len() as u64;
        let previous = Some(self.tip.hash);
        segment::write_entry(bytes, salt, offset, RecordKind::Entry, entry, previous);
        self.marks.push_back(Mark {
            spot: Spot {
                segment: number,
                offset,
            },
            length: start + bytes.len() as u64 - offset,
            link: Some((entry.epoch, entry.hash)),
        });
        self.tip = LogPosition {
            end: entry.seq.next(),
            epoch: entry.epoch,
            hash: entry.hash,
        };
    }

    pub(in crate::chain) fn repair(
        &mut self,
        identity: &Identity,
        entries: &[Arc<Entry>],
    ) -> Vec<FileOp> {
        let salt = Salt::of_store(identity, &self.names.repairs);
        let before = self.repairs_length;
        let start = before.unwrap_or(0);
        let mut bytes = Vec::new();
        let mut marks = Vec::new();
        for entry in entries {
            assert!(self.holds(entry.seq), "a repair stays within the log");
            assert_eq!(
                entry.generation, self.generation,
                "an entry is of its chain's generation"
            );
            let offset = start + bytes.len() as u64;
            let previous = self.position_before(entry.seq).map(|tip| tip.hash);
            segment::write_entry(
                &mut bytes,
                salt,
                offset,
                RecordKind::Repair,
                entry,
                previous,
            );
            let index = self.index(entry.seq);
            marks.push((entry.seq, self.marks[index]));
            self.marks[index].link = Some((entry.epoch, entry.hash));
        }
        self.repairs_length = Some(start + bytes.len() as u64);
        let file = self.names.repairs.clone();
        let mut ops = Vec::from(append_synced(file, bytes));
        if before.is_none() {
            ops.push(FileOp::SyncDir);
        }
        self.undo = Undo::Repair {
            length: before,
            marks,
        };
        ops
    }
}

fn append_synced(file: FileName, bytes: Vec<u8>) -> [FileOp; 2] {
    let append = FileOp::Append {
        file: file.clone(),
        bytes: bytes.into(),
    };
    [append, FileOp::Sync { file }]
}
