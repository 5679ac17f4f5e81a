//! Takes back the last order of a chain, when there was no space for it, and with it the bytes
//! that there was space for.

use super::chain::{ChainLayout, Mark, SegmentFile, Spot};
use crate::chain::entry::LogPosition;
use crate::chain::store::{DRAFT_OPS, FileName, FileOp, VOTE_OPS, draft};
use crate::chain::vote::Place;
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
    },
    Retain {
        floor: LogPosition,
        segment_first: u64,
        marks: Vec<Mark>,
        segments: BTreeMap<u64, SegmentFile>,
        batches: Vec<Spot>,
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
    const fn is_possible(&self, at: usize) -> bool {
        match self {
            // Each place of a vote record is overwritten as a whole, and the other one is intact
            // meanwhile, so the record may be written anew from either.
            Self::Vote => at == 0 || at == VOTE_OPS / 2,
            Self::Nothing => false,
            Self::Append { .. } | Self::Repair { .. } | Self::Cut { .. } => at == 0,
            // Both drafts are whole before one of them takes the place of a checkpoint.
            Self::Retain { .. } | Self::Reset(_) => at == 0 || at == DRAFT_OPS,
        }
    }
}

impl ChainLayout {
    pub(in crate::chain) fn revert(&mut self, at: usize) -> Option<Vec<FileOp>> {
        let undo = core::mem::take(&mut self.undo);
        undo.is_possible(at).then(|| self.undo(undo))
    }

    fn undo(&mut self, undo: Undo) -> Vec<FileOp> {
        match undo {
            Undo::Nothing | Undo::Vote => Vec::new(),
            Undo::Append {
                tip,
                marks,
                segment,
                length,
            } => {
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
            Undo::Retain {
                floor,
                segment_first,
                marks,
                segments,
                batches,
            } => {
                self.floor = floor;
                self.segment_first = segment_first;
                for mark in marks.into_iter().rev() {
                    self.marks.push_front(mark);
                }
                self.segments.extend(segments);
                for batch in batches.into_iter().rev() {
                    self.batches.push_front(batch);
                }
                self.remove_checkpoint_drafts()
            }
            Undo::Cut {
                tip,
                marks,
                segments,
                batches,
            } => {
                self.tip = tip;
                self.marks.extend(marks);
                let copy = self.segments.pop_last();
                self.segments.extend(segments);
                self.batches.pop_back();
                self.batches.extend(batches);
                self.is_open = false;
                let drafts = copy.iter().map(|(_, copy)| remove_draft(&copy.name));
                drafts.collect()
            }
            Undo::Reset(before) => {
                *self = *before;
                self.remove_checkpoint_drafts()
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

impl ChainLayout {
    fn remove_checkpoint_drafts(&self) -> Vec<FileOp> {
        let drafts = [Place::A, Place::B].map(|place| remove_draft(&self.names.checkpoint(place)));
        drafts.into()
    }
}

/// A draft that stays would take up the room that the next attempt needs.
fn remove_draft(file: &FileName) -> FileOp {
    let file = draft(file);
    FileOp::Remove { file }
}

fn shorten(file: FileName, length: Option<u64>) -> Vec<FileOp> {
    let Some(length) = length else {
        return vec![FileOp::Remove { file }, FileOp::SyncDir];
    };
    let sync = FileOp::Sync { file: file.clone() };
    vec![FileOp::Truncate { file, length }, sync]
}
