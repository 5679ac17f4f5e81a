//! The files of one chain, and what each order does to them.

use crate::chain::checkpoint;
use crate::chain::entry::{Entry, EntryHash, Tip};
use crate::chain::order::{Checkpoint, Vote};
use crate::chain::record::{Kind, Salt};
use crate::chain::segment::{self, Header};
use crate::chain::store::{FileName, FileOp, Identity, Limits, Names, replace, write_vote};
use crate::chain::vote::{Ballot, Place};
use crate::id::{ChainId, Epoch, Gen, Replica, Seq};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// A byte of some segment.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// What undoes the last order if there was no space for it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Undo {
    Append {
        tip: Tip,
        marks: usize,
        segment: u64,
        /// Length before; `None` when the segment is new.
        length: Option<u64>,
    },
    Retain {
        floor: Tip,
        marks: Vec<Mark>,
        segments: BTreeMap<u64, SegmentFile>,
        batches: Vec<Spot>,
    },
    Cut {
        tip: Tip,
        marks: VecDeque<Mark>,
        segments: BTreeMap<u64, SegmentFile>,
        batches: VecDeque<Spot>,
    },
    Reset(Box<ChainLayout>),
    Repair {
        length: Option<u64>,
        marks: Vec<(Seq, Mark)>,
    },
}

/// The files of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::chain) struct ChainLayout {
    pub(in crate::chain) chain: ChainId,
    pub(in crate::chain) generation: Gen,
    pub(in crate::chain) replica: Replica,
    pub(in crate::chain) names: Names,
    pub(in crate::chain) vote_counter: u64,
    pub(in crate::chain) floor: Tip,
    pub(in crate::chain) tip: Tip,
    /// One for each position from the floor to the tip.
    pub(in crate::chain) marks: VecDeque<Mark>,
    pub(in crate::chain) segments: BTreeMap<u64, SegmentFile>,
    /// Whether the last segment may be appended to.
    pub(in crate::chain) is_open: bool,
    /// No segment has this number or a higher one.
    pub(in crate::chain) segment_next: u64,
    /// Where each batch starts.
    pub(in crate::chain) batches: VecDeque<Spot>,
    pub(in crate::chain) repairs_length: Option<u64>,
    undo: Option<Undo>,
}

impl ChainLayout {
    /// A chain with an empty log at `floor`.
    pub(in crate::chain) fn new(
        chain: ChainId,
        generation: Gen,
        replica: Replica,
        floor: Tip,
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
            is_open: false,
            segment_next: 1,
            batches: VecDeque::new(),
            repairs_length: None,
            undo: None,
        }
    }

    /// The state is what recovery found; there is nothing to undo.
    pub(in crate::chain) fn forget_undo(&mut self) {
        self.undo = None;
    }

    pub(in crate::chain) fn holds(&self, seq: Seq) -> bool {
        self.floor.end <= seq && seq < self.tip.end
    }

    fn index(&self, seq: Seq) -> usize {
        seq.distance(self.floor.end) as usize
    }

    /// The end of the log in front of `seq`; `None` when what is there is unknown.
    fn tip_before(&self, seq: Seq) -> Option<Tip> {
        if seq == self.floor.end {
            return Some(self.floor);
        }
        if seq == self.tip.end {
            return Some(self.tip);
        }
        let (epoch, hash) = self.marks.get(self.index(seq).checked_sub(1)?)?.link?;
        Some(Tip {
            end: seq,
            epoch,
            hash,
        })
    }

    fn header(&self, identity: &Identity, number: u64, base: Tip) -> Header {
        Header {
            identity: *identity,
            chain: self.chain,
            generation: self.generation,
            replica: self.replica,
            number,
            base,
        }
    }

    pub(in crate::chain) fn vote(&mut self, identity: &Identity, vote: Vote) -> Vec<FileOp> {
        self.undo = None;
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
        }
    }

    pub(in crate::chain) fn append(
        &mut self,
        identity: &Identity,
        limits: &Limits,
        batches: &[Arc<[Arc<Entry>]>],
    ) -> Vec<FileOp> {
        let entries = || batches.iter().flat_map(|batch| batch.iter());
        let size = entries()
            .map(|entry| segment::entry_bytes(entry))
            .sum::<u64>();
        let (tip, marks) = (self.tip, self.marks.len());
        let open = match self.segments.last_key_value() {
            Some((number, file))
                if self.is_open
                    && file.length + segment::SEAL_BYTES + size <= limits.segment_bytes_max =>
            {
                Some((*number, file.length))
            }
            Some(_) | None => None,
        };
        let (segment, start) = open.unwrap_or((self.segment_next, 0));
        let (name, bytes) = self.write_batch(identity, segment, start, size, entries());
        self.undo = Some(Undo::Append {
            tip,
            marks,
            segment,
            length: open.map(|(_, length)| length),
        });
        let mut ops = append_synced(name, bytes);
        if open.is_none() {
            ops.push(FileOp::SyncDir);
        }
        ops
    }

    /// Puts entries into a segment of their own that is there as a whole or not at all.
    pub(in crate::chain) fn copy(
        &mut self,
        identity: &Identity,
        entries: &[Arc<Entry>],
    ) -> Vec<FileOp> {
        let size = entries
            .iter()
            .map(|entry| segment::entry_bytes(entry))
            .sum::<u64>();
        let (name, bytes) = self.write_batch(identity, self.segment_next, 0, size, entries.iter());
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
        let name = self.names.segment(number);
        let salt = Salt::of_store(identity, &name);
        let mut bytes = Vec::with_capacity((segment::HEADER_BYTES + size) as usize);
        if start > 0 {
            segment::write_seal(&mut bytes, salt, start, &self.tip);
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
        segment::write_entry(bytes, salt, offset, Kind::Entry, entry, previous);
        self.marks.push_back(Mark {
            spot: Spot {
                segment: number,
                offset,
            },
            length: start + bytes.len() as u64 - offset,
            link: Some((entry.epoch, entry.hash)),
        });
        self.tip = Tip {
            end: entry.seq.next(),
            epoch: entry.epoch,
            hash: entry.hash,
        };
    }

    /// Drops the log from `end` on. The header of a new segment says so in one durable step;
    /// then the bytes behind the cut go.
    pub(in crate::chain) fn cut(&mut self, identity: &Identity, end: Seq) -> Vec<FileOp> {
        assert!(end >= self.floor.end, "a cut stays above the floor");
        if end >= self.tip.end {
            self.undo = None;
            return Vec::new();
        }
        let tip = self.tip_before(end);
        let tip = tip.expect("the entry before a cut is known");
        let index = self.index(end);
        let spot = self.marks[index].spot;
        let before = core::mem::replace(&mut self.tip, tip);
        let marks = self.marks.split_off(index);
        let segments = self.segments.range(spot.segment..);
        let segments = segments.map(|(number, file)| (*number, file.clone()));
        let segments = segments.collect();
        let kept = self.batches.partition_point(|batch| *batch < spot);
        let batches = self.batches.split_off(kept);
        self.undo = Some(Undo::Cut {
            tip: before,
            marks,
            segments,
            batches,
        });
        let number = self.segment_next;
        let mut ops = self.copy(identity, &[]);
        self.drop_between(spot, number, &mut ops);
        ops
    }

    /// Drops the bytes from `spot` up to the segment `upto`, whose header disowns them already.
    pub(in crate::chain) fn drop_between(&mut self, spot: Spot, upto: u64, ops: &mut Vec<FileOp>) {
        let whole = spot.segment + u64::from(spot.offset > 0);
        let behind = self.segments.range(whole..upto);
        let behind: Vec<u64> = behind.map(|(number, _)| *number).collect();
        for number in behind.into_iter().rev() {
            if let Some(file) = self.segments.remove(&number) {
                ops.push(FileOp::Remove { file: file.name });
            }
        }
        if let Some(file) = self.segments.get_mut(&spot.segment)
            && file.length > spot.offset
        {
            file.length = spot.offset;
            let file = file.name.clone();
            let sync = FileOp::Sync { file: file.clone() };
            let length = spot.offset;
            ops.extend([FileOp::Truncate { file, length }, sync]);
        }
        ops.push(FileOp::SyncDir);
    }

    /// The operations that replace the checkpoint and name the first segment of its log.
    fn write_checkpoint(
        &self,
        identity: &Identity,
        checkpoint: &Checkpoint,
        segment_first: u64,
    ) -> Vec<FileOp> {
        let salt = Salt::of_store(identity, &self.names.checkpoint);
        let bytes = checkpoint::write_file(salt, self.replica, segment_first, checkpoint);
        replace(&self.names.checkpoint, bytes)
    }

    pub(in crate::chain) fn retain(
        &mut self,
        identity: &Identity,
        checkpoint: &Checkpoint,
    ) -> Vec<FileOp> {
        let floor = checkpoint.floor;
        assert!(floor.end <= self.tip.end, "retention stays within the log");
        assert!(floor.end >= self.floor.end, "the floor never goes down");
        let dropped = self.index(floor.end);
        let marks: Vec<Mark> = self.marks.drain(..dropped).collect();
        // The last segment stays, however little of it is still wanted: it may be open.
        let last = self.segments.last_key_value().map(|(number, _)| *number);
        let first = self.marks.front().map(|mark| mark.spot.segment).or(last);
        let first = first.unwrap_or(self.segment_next);
        let kept = self.segments.split_off(&first);
        let segments = core::mem::replace(&mut self.segments, kept);
        let stale = self
            .batches
            .iter()
            .take_while(|batch| batch.segment < first);
        let stale = stale.count();
        let batches = self.batches.drain(..stale).collect();
        let mut ops = self.write_checkpoint(identity, checkpoint, first);
        let remove = |file: &SegmentFile| FileOp::Remove {
            file: file.name.clone(),
        };
        ops.extend(segments.values().map(remove));
        self.undo = Some(Undo::Retain {
            floor: core::mem::replace(&mut self.floor, floor),
            marks,
            segments,
            batches,
        });
        ops
    }

    pub(in crate::chain) fn reset(
        &mut self,
        identity: &Identity,
        checkpoint: &Checkpoint,
    ) -> Vec<FileOp> {
        let mut fresh = Self::new(self.chain, self.generation, self.replica, checkpoint.floor);
        fresh.vote_counter = self.vote_counter;
        fresh.segment_next = self.segment_next;
        let mut ops = self.write_checkpoint(identity, checkpoint, self.segment_next);
        let segments = self.segments.values().map(|file| &file.name);
        let repairs = self.repairs_length.is_some().then_some(&self.names.repairs);
        let removed = segments.chain(repairs);
        ops.extend(removed.map(|file| FileOp::Remove { file: file.clone() }));
        let before = core::mem::replace(self, fresh);
        self.undo = Some(Undo::Reset(Box::new(before)));
        ops
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
            let previous = self.tip_before(entry.seq).map(|tip| tip.hash);
            segment::write_entry(&mut bytes, salt, offset, Kind::Repair, entry, previous);
            let index = self.index(entry.seq);
            marks.push((entry.seq, self.marks[index]));
            self.marks[index].link = Some((entry.epoch, entry.hash));
        }
        self.repairs_length = Some(start + bytes.len() as u64);
        let file = self.names.repairs.clone();
        let mut ops = append_synced(file, bytes);
        if before.is_none() {
            ops.push(FileOp::SyncDir);
        }
        self.undo = Some(Undo::Repair {
            length: before,
            marks,
        });
        ops
    }

    pub(in crate::chain) fn revert(&mut self) -> Vec<FileOp> {
        match self.undo.take() {
            None => Vec::new(),
            Some(Undo::Append {
                tip,
                marks,
                segment,
                length,
            }) => {
                self.tip = tip;
                self.marks.truncate(marks);
                self.batches.pop_back();
                self.is_open = false;
                let name = self.names.segment(segment);
                if let Some(length) = length {
                    let name = name.clone();
                    self.segments.insert(segment, SegmentFile { name, length });
                } else {
                    self.segments.remove(&segment);
                }
                shorten(name, length)
            }
            Some(Undo::Retain {
                floor,
                marks,
                segments,
                batches,
            }) => {
                self.floor = floor;
                for mark in marks.into_iter().rev() {
                    self.marks.push_front(mark);
                }
                self.segments.extend(segments);
                for batch in batches.into_iter().rev() {
                    self.batches.push_front(batch);
                }
                Vec::new()
            }
            Some(Undo::Cut {
                tip,
                marks,
                segments,
                batches,
            }) => {
                self.tip = tip;
                self.marks.extend(marks);
                self.segments.pop_last();
                self.segments.extend(segments);
                self.batches.pop_back();
                self.batches.extend(batches);
                self.is_open = false;
                Vec::new()
            }
            Some(Undo::Reset(before)) => {
                *self = *before;
                Vec::new()
            }
            Some(Undo::Repair { length, marks }) => {
                for (seq, mark) in marks {
                    let index = self.index(seq);
                    self.marks[index] = mark;
                }
                self.repairs_length = length;
                shorten(self.names.repairs.clone(), length)
            }
        }
    }
}

fn append_synced(file: FileName, bytes: Vec<u8>) -> Vec<FileOp> {
    let append = FileOp::Append {
        file: file.clone(),
        bytes: bytes.into(),
    };
    vec![append, FileOp::Sync { file }]
}

fn shorten(file: FileName, length: Option<u64>) -> Vec<FileOp> {
    let Some(length) = length else {
        return vec![FileOp::Remove { file }, FileOp::SyncDir];
    };
    let sync = FileOp::Sync { file: file.clone() };
    vec![FileOp::Truncate { file, length }, sync]
}
