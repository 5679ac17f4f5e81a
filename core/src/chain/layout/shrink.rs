//! Orders that drop entries: cuts, retention, resets.

use super::chain::{ChainLayout, Mark, Spot};
use super::undo::Undo;
use crate::chain::order::Checkpoint;
use crate::chain::segment;
use crate::chain::store::{FileName, FileOp, Identity};
use crate::id::Seq;
use alloc::boxed::Box;
use alloc::vec::Vec;

impl ChainLayout {
    /// Drops the log from `end` on. The header of a new segment says so in one durable step;
    /// then the bytes behind the cut go. On a full disk they go without.
    pub(in crate::chain) fn cut(&mut self, identity: &Identity, end: Seq) -> Vec<FileOp> {
        assert!(end >= self.floor.end, "a cut stays above the floor");
        if end >= self.tip.end {
            self.undo = Undo::Nothing;
            return Vec::new();
        }
        let tip = self.position_before(end);
        let tip = tip.expect("the entry before a cut is known");
        let index = self.index(end);
        let spot = self.marks[index].spot;
        let is_whole = self.is_whole_before(index);
        let before = core::mem::replace(&mut self.tip, tip);
        let marks = self.marks.split_off(index);
        let segments = self.segments.range(spot.segment..);
        let segments = segments.map(|(number, file)| (*number, file.clone()));
        let segments = segments.collect();
        let kept = self.batches.partition_point(|batch| *batch < spot);
        let batches = self.batches.split_off(kept);
        if self.checkpoints.is_full() && (is_whole || self.marks.is_empty()) {
            self.undo = Undo::Nothing;
            return self.cut_without_room(spot);
        }
        self.undo = Undo::Cut {
            tip: before,
            marks,
            segments,
            batches,
        };
        let number = self.segment_next;
        let mut ops = self.begin_segment(identity);
        self.drop_between(spot, number, &mut ops);
        ops
    }

    /// Whether all from the head of the batch that the mark `index` is in up to there reads, so that
    /// it needs no head behind it to be found.
    fn is_whole_before(&self, index: usize) -> bool {
        let Some(Mark { spot, .. }) = self.marks.get(index) else {
            return false;
        };
        let heads = self.batches.partition_point(|batch| batch < spot);
        let Some(head) = heads.checked_sub(1).map(|last| self.batches[last]) else {
            return false;
        };
        let dropped = self.whole_to.filter(|whole| *whole > head);
        let behind_head = head.offset + segment::head_bytes(head.offset);
        let begin = dropped.map_or(behind_head, |whole| whole.offset);
        let mut start = spot.offset;
        let batch = self.marks.range(..index).rev();
        let is_joined = batch.take_while(|mark| mark.spot > head).all(|mark| {
            let is_next = mark.length > 0 && mark.spot.offset + mark.length == start;
            start = mark.spot.offset;
            is_next
        });
        head.segment == spot.segment && is_joined && start == begin
    }

    /// Drops the bytes from `spot` on, from the end, where there is no space for the header of a new
    /// segment. A crash leaves some of them, and what is left of the last batch is sealed by the
    /// next.
    fn cut_without_room(&mut self, spot: Spot) -> Vec<FileOp> {
        self.is_open = false;
        let mut ops = Vec::new();
        for (_, file) in self
            .segments
            .split_off(&(spot.segment + 1))
            .into_iter()
            .rev()
        {
            // One after the other: a file that is missing between two would be a gap.
            ops.extend([FileOp::Remove { file: file.name }, FileOp::SyncDir]);
        }
        if let Some(file) = self.segments.get_mut(&spot.segment) {
            file.length = spot.offset;
            let file = file.name.clone();
            let sync = FileOp::Sync { file: file.clone() };
            let length = spot.offset;
            ops.extend([FileOp::Truncate { file, length }, sync]);
        }
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
        &mut self,
        identity: &Identity,
        checkpoint: &Checkpoint,
        segment_first: u64,
    ) -> Vec<FileOp> {
        let kept = (self.replica, segment_first, checkpoint);
        self.checkpoints.replace(identity, &self.names, kept)
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
        let is_whole = self.is_whole_before(dropped);
        let marks: Vec<Mark> = self.marks.drain(..dropped).collect();
        let whole_to = self.marks.front().filter(|_| is_whole);
        let whole_to = whole_to.map(|mark| mark.spot);
        let first = match self.marks.front() {
            // The record of the first entry is lost with its whole segment. Then the log begins
            // behind the floor, which only segments that are missing explain.
            Some(mark) if self.is_nowhere(mark) => self.segment_first,
            Some(mark) => mark.spot.segment,
            // The open segment goes, too: it may be all that a full disk can let go of.
            None => {
                self.is_open = false;
                self.segment_next
            }
        };
        let kept = self.segments.split_off(&first);
        let segments = core::mem::replace(&mut self.segments, kept);
        let stale = self
            .batches
            .iter()
            .take_while(|batch| batch.segment < first);
        let stale = stale.count();
        let batches = self.batches.drain(..stale).collect();
        let checkpoints = self.checkpoints;
        let mut ops = self.write_checkpoint(identity, checkpoint, first);
        let remove = |file: &FileName| FileOp::Remove { file: file.clone() };
        ops.extend(segments.values().map(|file| remove(&file.name)));
        let repairs_length = self.repairs_length;
        if repairs_length.is_some() && !self.needs_repairs() {
            self.repairs_length = None;
            ops.push(remove(&self.names.repairs));
        }
        self.undo = Undo::Retain {
            whole_to: core::mem::replace(&mut self.whole_to, whole_to),
            repairs_length,
            floor: core::mem::replace(&mut self.floor, floor),
            segment_first: core::mem::replace(&mut self.segment_first, first),
            marks,
            segments,
            batches,
            checkpoints,
        };
        ops
    }

    /// Whether the record of a mark is lost and no damage is there in its place: the mark names what
    /// was found next.
    fn is_nowhere(&self, lost: &Mark) -> bool {
        let is_record = |mark: &Mark| mark.length > 0 && mark.spot == lost.spot;
        lost.length == 0 && (self.batches.contains(&lost.spot) || self.marks.iter().any(is_record))
    }

    pub(in crate::chain) fn reset(
        &mut self,
        identity: &Identity,
        checkpoint: &Checkpoint,
    ) -> Vec<FileOp> {
        let mut fresh = Self::new(self.chain, self.generation, self.replica, checkpoint.floor);
        fresh.vote_counter = self.vote_counter;
        fresh.segment_first = self.segment_next;
        fresh.segment_next = self.segment_next;
        fresh.commit = self.commit;
        fresh.checkpoints = self.checkpoints;
        let mut ops = fresh.write_checkpoint(identity, checkpoint, self.segment_next);
        let segments = self.segments.values().map(|file| &file.name);
        let repairs = self.repairs_length.is_some().then_some(&self.names.repairs);
        let removed = segments.chain(repairs);
        ops.extend(removed.map(|file| FileOp::Remove { file: file.clone() }));
        let before = core::mem::replace(self, fresh);
        self.undo = Undo::Reset(Box::new(before));
        ops
    }
}
