//! Takes back the last order of a chain, when there was no space for it.

use super::chain::{ChainLayout, Mark, SegmentFile, Spot};
use crate::chain::entry::Tip;
use crate::chain::store::{FileName, FileOp};
use crate::id::Seq;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

/// What undoes the last order if there was no space for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Undo {
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

impl ChainLayout {
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

fn shorten(file: FileName, length: Option<u64>) -> Vec<FileOp> {
    let Some(length) = length else {
        return vec![FileOp::Remove { file }, FileOp::SyncDir];
    };
    let sync = FileOp::Sync { file: file.clone() };
    vec![FileOp::Truncate { file, length }, sync]
}
