//! Takes back the last order of a chain, when there was no space for it, and with it the bytes
//! that there was space for.

use super::chain::{ChainLayout, Mark, SegmentFile, Spot};
use super::checkpoint::CheckpointFiles;
use crate::chain::entry::LogPosition;
use crate::chain::store::{FileName, FileOp, VOTE_OPS, remove_draft};
use crate::id::Seq;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

/// What undoes the last order if there was no space for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Undo {
    /// There is no order to take back.
    #[default]
    Nothing,
    Vote,
    Append {
        tip: LogPosition,
        marks: usize,
        segment: u64,
        /// Length before; `None` when the segment is new.
        length: Option<u64>,
        checkpoints: CheckpointFiles,
        /// How many operations before the batch's own make room for checkpoints.
        grown: usize,
    },
    Retain {
        floor: LogPosition,
        segment_first: u64,
        marks: Vec<Mark>,
        segments: BTreeMap<u64, SegmentFile>,
        batches: Vec<Spot>,
        whole_to: Option<Spot>,
        repairs_length: Option<u64>,
        checkpoints: CheckpointFiles,
    },
    Cut {
        tip: LogPosition,
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

impl Undo {
    /// Whether the order can be taken back when its operation `at` found no space. Before the
    /// first sync nothing of it counts, so a write there can be; a sync that fails cannot.
    fn is_possible(&self, at: usize, checkpoints: &CheckpointFiles) -> bool {
        match self {
            // Each place of a vote record is overwritten as a whole, and the other one is intact
            // meanwhile, so the record may be written anew from either.
            Self::Vote => at == 0 || at == VOTE_OPS / 2,
            Self::Nothing => false,
            // What is behind a checkpoint means nothing, however much of it was written or synced.
            Self::Append { grown, .. } => at <= *grown && at.is_multiple_of(2),
            Self::Repair { .. } | Self::Cut { .. } => at == 0,
            Self::Retain { .. } | Self::Reset(_) => checkpoints.may_fail_at(at),
        }
    }
}

impl ChainLayout {
    pub(in crate::chain) fn revert(&mut self, at: usize) -> Option<Vec<FileOp>> {
        let undo = core::mem::take(&mut self.undo);
        if !undo.is_possible(at, &self.checkpoints) {
            return None;
        }
        self.checkpoints.found_no_space();
        Some(self.undo(undo, at))
    }

    fn undo(&mut self, undo: Undo, at: usize) -> Vec<FileOp> {
        match undo {
            Undo::Nothing | Undo::Vote => Vec::new(),
            Undo::Append {
                tip,
                marks,
                segment,
                length,
                checkpoints,
                grown,
            } => {
                let mut ops = Vec::new();
                if at < grown {
                    ops = self.checkpoints.shorten(&self.names, &checkpoints);
                    self.checkpoints = checkpoints;
                    self.checkpoints.found_no_space();
                }
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
                ops.extend(shorten(name, length));
                ops
            }
            Undo::Retain {
                floor,
                segment_first,
                marks,
                segments,
                batches,
                whole_to,
                repairs_length,
                checkpoints,
            } => {
                self.whole_to = whole_to;
                self.repairs_length = repairs_length;
                self.floor = floor;
                self.segment_first = segment_first;
                for mark in marks.into_iter().rev() {
                    self.marks.push_front(mark);
                }
                self.segments.extend(segments);
                for batch in batches.into_iter().rev() {
                    self.batches.push_front(batch);
                }
                self.checkpoints.back_to(checkpoints, &self.names)
            }
            Undo::Cut {
                tip,
                marks,
                segments,
                batches,
            } => {
                self.tip = tip;
                self.marks.extend(marks);
                let begun = self.segments.pop_last();
                self.segments.extend(segments);
                self.batches.pop_back();
                self.batches.extend(batches);
                self.is_open = false;
                let drafts = begun.iter().map(|(_, begun)| remove_draft(&begun.name));
                drafts.collect()
            }
            Undo::Reset(before) => {
                let checkpoints = self.checkpoints;
                *self = *before;
                let before = core::mem::replace(&mut self.checkpoints, checkpoints);
                self.checkpoints.back_to(before, &self.names)
            }
            Undo::Repair { length, marks } => {
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

fn shorten(file: FileName, length: Option<u64>) -> Vec<FileOp> {
    let Some(length) = length else {
        return vec![FileOp::Remove { file }, FileOp::SyncDir];
    };
    let sync = FileOp::Sync { file: file.clone() };
    vec![FileOp::Truncate { file, length }, sync]
}
