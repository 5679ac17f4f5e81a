//! From readable records to a log: what is sealed, what is unknown, what is torn.

use super::log::{Batch, Found, Log};
use crate::chain::entry::{EntryHash, LogPosition};
use crate::chain::layout::{Mark, Spot};
use crate::chain::order::{Checkpoint, Slot};
use crate::chain::segment::Stored;
use crate::id::Seq;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The log above the checkpoint's floor.
pub(super) struct Assembled {
    pub(super) slots: Vec<Slot>,
    /// One for each slot.
    pub(super) marks: Vec<Mark>,
    pub(super) tip: LogPosition,
    /// Where the last batch ends that is read, and where its head starts if entries of it are kept.
    pub(super) end: Spot,
    pub(super) unsealed: Option<Spot>,
}

/// Puts the log together; `None` when it is not the log of this checkpoint.
pub(super) fn assemble(
    log: &Log,
    checkpoint: &Checkpoint,
    repaired: &BTreeMap<Seq, Vec<Stored>>,
) -> Option<Assembled> {
    let floor = checkpoint.floor;
    let Some(sealed) = log.batches.last().copied() else {
        return Some(Assembled {
            slots: Vec::new(),
            marks: Vec::new(),
            tip: floor,
            end: sealed_end(log),
            unsealed: None,
        });
    };
    let border = log.found.partition_point(|found| found.spot < sealed.spot);
    let (settled, behind) = log.found.split_at(border);
    let behind = linked(behind, sealed.tip, log.torn);
    let tip = behind.last().map_or(sealed.tip, Found::tip);
    if tip.end < floor.end || contradicts(log, &floor) {
        return None;
    }
    let (mut slots, mut marks, link) = fill(log, settled, &sealed, floor.end, repaired);
    if link.is_some_and(|link| link != floor.hash) {
        return None;
    }
    let end = behind.last().map_or_else(|| sealed_end(log), Found::end);
    for found in behind.iter().filter(|found| found.seq() >= floor.end) {
        slots.push(Slot::Known(found.stored.entry.clone()));
        marks.push(Mark {
            link: Some((found.stored.entry.epoch, found.stored.entry.hash)),
            ..found.mark()
        });
    }
    Some(Assembled {
        slots,
        marks,
        tip,
        end,
        unsealed: (!behind.is_empty()).then_some(sealed.spot),
    })
}

/// The unsealed entries: whole, contiguous and linked, up to the first that is not.
fn linked(found: &[Found], sealed: LogPosition, torn: Option<Spot>) -> &[Found] {
    let mut tip = sealed;
    let whole = found.iter().take_while(|found| {
        let follows = torn.is_none_or(|torn| found.spot < torn)
            && found.seq() == tip.end
            && found.stored.previous == Some(tip.hash);
        tip = found.tip();
        follows
    });
    let whole = whole.count();
    &found[..whole]
}

/// Whether something in the log says of the floor what the checkpoint does not.
fn contradicts(log: &Log, floor: &LogPosition) -> bool {
    let batches = log.batches.iter().map(|batch| batch.tip);
    let entries = log.found.iter().map(Found::tip);
    let mut tips = batches.chain(entries);
    tips.any(|tip| tip.end == floor.end && tip != *floor && floor.end > Seq::ZERO)
}

/// The sealed slots from the floor on with their marks, and the hash that the first of them
/// names as its predecessor's. Every entry has to be the one that the next one names.
fn fill(
    log: &Log,
    settled: &[Found],
    sealed: &Batch,
    floor: Seq,
    repaired: &BTreeMap<Seq, Vec<Stored>>,
) -> (Vec<Slot>, Vec<Mark>, Option<EntryHash>) {
    let count = sealed.tip.end.distance(floor) as usize;
    let nowhere = Mark {
        spot: sealed.spot,
        length: 0,
        link: None,
    };
    let mut marks = alloc::vec![nowhere; count];
    let mut slots: Vec<Option<&Stored>> = alloc::vec![None; count];
    for gap in &log.gaps {
        let from = (gap.lost.start.distance(floor) as usize).min(count);
        let upto = (gap.lost.end.distance(floor) as usize).min(count);
        marks[from..upto]
            .iter_mut()
            .for_each(|mark| mark.spot = gap.spot);
    }
    for found in settled.iter().filter(|found| found.seq() >= floor) {
        let index = found.seq().distance(floor) as usize;
        slots[index] = Some(&found.stored);
        marks[index] = found.mark();
    }
    let heads: BTreeMap<Seq, EntryHash> = log
        .batches
        .iter()
        .map(|batch| (batch.tip.end, batch.tip.hash))
        .collect();
    let mut link = None;
    let mut next: Option<&Stored> = None;
    for (index, slot) in slots.iter_mut().enumerate().rev() {
        let seq = Seq::new(floor.get() + index as u64);
        let named = link.or_else(|| heads.get(&seq.next()).copied());
        // A record that was written while the entry before was unknown names none, but the hash of
        // its entry is of that one's, too.
        let is_named = |stored: &Stored| match (named, next) {
            (Some(hash), _) => Some(stored.entry.hash == hash),
            (None, Some(next)) => Some(next.entry.follows(stored.entry.hash)),
            (None, None) => None,
        };
        *slot = slot.filter(|stored| is_named(stored) != Some(false));
        if slot.is_none() {
            let mut candidates = repaired.get(&seq).into_iter().flatten();
            *slot = candidates.find(|stored| is_named(stored) == Some(true));
            // What may be in its place is another record.
            marks[index].length = 0;
        }
        next = *slot;
        link = slot.and_then(|stored| stored.previous);
        if let Some(stored) = slot {
            marks[index].link = Some((stored.entry.epoch, stored.entry.hash));
        }
    }
    let known = |slot: Option<&Stored>| match slot {
        Some(stored) => Slot::Known(stored.entry.clone()),
        None => Slot::Unknown,
    };
    if count == 0 {
        link = heads.get(&floor).copied();
    }
    (slots.into_iter().map(known).collect(), marks, link)
}

/// Where the part ends that is sealed: with the head of the last batch.
pub(super) fn sealed_end(log: &Log) -> Spot {
    log.batches.last().map_or(Spot::default(), |last| Spot {
        segment: last.spot.segment,
        offset: last.end,
    })
}
