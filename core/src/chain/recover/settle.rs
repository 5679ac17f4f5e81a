//! What a boot does to the files of one chain before the next batch may be written.
//!
//! It reads what is there, not what is durable: an earlier process may have been killed, in a boot
//! or in an order, between a change and its sync. So everything that is read and not written anew
//! is synced, wherever such a change may have been left.

use super::assemble::Assembled;
use super::chain::ChainFiles;
use super::log::{Log, Source};
use crate::chain::layout::{ChainLayout, Mark, Spot};
use crate::chain::order::Slot;
use crate::chain::store::{FileName, FileOp};
use alloc::vec::Vec;
use bytes::Bytes;

impl ChainFiles<'_> {
    /// Brings the files to the state that the next batch continues, and the layout with them.
    pub(super) fn settle(
        &self,
        log: &Log,
        assembled: Assembled,
        sources: &[Source<'_>],
        layout: &mut ChainLayout,
        (clearing, repairs): (&mut Vec<FileOp>, &mut Vec<FileOp>),
    ) -> Vec<Slot> {
        let Assembled {
            slots,
            marks,
            tip,
            end,
            unsealed,
        } = assembled;
        layout.marks = marks.into();
        layout.tip = tip;
        layout.batches = log.batches.iter().map(|batch| batch.spot).collect();
        layout.whole_to = layout.marks.front().and_then(|first| whole_to(log, first));
        if layout
            .segments
            .last_key_value()
            .is_some_and(|(number, file)| (*number, file.length) > (end.segment, end.offset))
        {
            layout.drop_between(end, u64::MAX, repairs);
        }
        let of = |segment: u64| sources.iter().find(|source| source.number == segment);
        if let Some(head) = unsealed
            && let Some(source) = of(head.segment)
        {
            // It may have been read from a cache that a failed sync never emptied, and no later
            // sync would. These are the bytes that are there, so a crash in the middle changes none.
            let bytes = &source.bytes[head.offset as usize..end.offset as usize];
            let file = source.name.clone();
            repairs.push(FileOp::Write {
                file: file.clone(),
                offset: head.offset,
                bytes: Bytes::copy_from_slice(bytes),
            });
            repairs.push(FileOp::Sync { file });
        } else if let Some(last) = layout.segments.values().next_back() {
            // When only the process died, the head that seals the last entries may not be durable
            // yet.
            sync_once(&last.name, repairs);
        }
        // What a cut replaced may still be there, and would contradict the log if the
        // header that replaced it were damaged.
        for (first, upto) in &log.replaced {
            layout.drop_between(*first, *upto, repairs);
        }
        // Nor may that be durable which a cut or an earlier boot took from the segment before the
        // last one, and when it comes back it contradicts the log likewise. A second head in the
        // last segment proves that it is: who writes one is done with what came before.
        if layout.batches.back().is_some_and(|head| head.offset == 0)
            && let Some(before) = layout.segments.values().nth_back(1)
        {
            sync_once(&before.name, repairs);
        }
        if layout.repairs_length.is_some() {
            let file = layout.names.repairs.clone();
            if layout.needs_repairs() {
                // A repair that was read may not be durable either.
                repairs.push(FileOp::Sync { file });
            } else {
                // Retention dropped all of it, and was interrupted.
                layout.repairs_length = None;
                clearing.push(FileOp::Remove { file });
            }
        }
        slots
    }
}

/// The spot of the first entry of the log if all records of its batch that are before it read.
fn whole_to(log: &Log, first: &Mark) -> Option<Spot> {
    let heads = log.batches.partition_point(|batch| batch.spot < first.spot);
    let head = log.batches[..heads].last()?;
    let from = log.found.partition_point(|found| found.spot < head.spot);
    let upto = log.found.partition_point(|found| found.spot < first.spot);
    let mut end = Spot {
        offset: head.end,
        ..head.spot
    };
    let is_joined = log.found[from..upto].iter().all(|found| {
        let is_next = found.spot == end;
        end = found.end();
        is_next
    });
    (is_joined && end == first.spot).then_some(end)
}

/// Syncs a file unless something did since it was cut, which is the only change that a boot makes
/// to a segment that stays.
fn sync_once(file: &FileName, repairs: &mut Vec<FileOp>) {
    let sync = FileOp::Sync { file: file.clone() };
    if !repairs.contains(&sync) {
        repairs.push(sync);
    }
}
