//! One chain: its vote, its checkpoint, and what of its log belongs to that checkpoint.

use super::log::{self, Batch, Bounds, Found, Log, Source};
use super::{Damage, Parts};
use crate::chain::checkpoint::{self, Kept};
use crate::chain::clients::Clients;
use crate::chain::entry::{Entry, EntryHash, Membership, Tip};
use crate::chain::layout::{ChainLayout, Mark, SegmentFile, Spot};
use crate::chain::order::{Checkpoint, Image, Slot};
use crate::chain::record::{Fault, Salt, Scan, Stretch};
use crate::chain::segment::{self, Item, Stored};
use crate::chain::store::{FileName, FileOp, Identity, Limits, Named, Names, Part, write_vote};
use crate::chain::vote::{self, Ballot, Counted, Place};
use crate::id::{ChainId, Gen, Replica, Seq};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// What is the same for all parts of one chain.
#[derive(Copy, Clone, Debug)]
pub(super) struct Cx<'a> {
    pub(super) identity: &'a Identity,
    pub(super) limits: &'a Limits,
    pub(super) chain: ChainId,
    pub(super) generation: Gen,
}

/// One chain as recovery found it.
#[derive(Clone, Debug)]
pub(super) struct Recovered {
    pub(super) image: Image,
    pub(super) layout: ChainLayout,
    pub(super) repairs: Vec<FileOp>,
}

type Entries = Vec<Arc<Entry>>;

/// The log above the checkpoint's floor.
struct Assembled {
    slots: Vec<Slot>,
    /// One for each sealed slot; the unsealed ones are written anew.
    marks: Vec<Mark>,
    /// End of the part that stays where it is.
    base: Tip,
    /// The entries to write anew, behind `base`; absent when nothing is unsealed.
    unsealed: Option<Entries>,
}

impl Cx<'_> {
    pub(super) fn recover(
        &self,
        parts: &Parts<'_>,
        damage: &mut Vec<Damage>,
        torn: &mut Vec<Damage>,
    ) -> Recovered {
        let names = Names::new(self.chain, self.generation);
        let vote = self.vote(&names, parts, damage);
        let Some(kept) = self.checkpoint(&names, parts, damage) else {
            return self.lost(None, parts, vote.map(|(_, vote)| vote));
        };
        let sources = self.sources(&kept, parts);
        let bounds = Bounds {
            chain: self.chain,
            generation: self.generation,
            floor: kept.checkpoint.floor.end,
            segment_first: kept.segment_first,
            segment_bytes_max: self.limits.segment_bytes_max,
        };
        let mut in_log = Vec::new();
        let log = match log::read(bounds, &sources, &mut in_log) {
            Ok(log) => log,
            Err(misplaced) => {
                damage.append(&mut in_log);
                damage.push(misplaced);
                return self.lost(Some(kept), parts, vote.map(|(_, vote)| vote));
            }
        };
        let end = unsealed_from(&log, false);
        let (behind, before) = in_log
            .into_iter()
            .partition(|damage| is_behind(damage, end));
        damage.extend::<Vec<_>>(before);
        torn.extend::<Vec<_>>(behind);
        let repaired = self.repaired(&names, parts, damage);
        let mut layout = self.layout(&kept, parts, &names);
        let mut repairs = Vec::new();
        if let Some((place, counted)) = &vote {
            layout.vote_counter = counted.counter;
            // The place that holds the newest record is overwritten last.
            for place in [place.other(), *place] {
                let (counter, ballot) = (counted.counter, &counted.value);
                write_vote(&mut repairs, self.identity, &names, place, counter, ballot);
            }
        }
        let slots = match assemble(&log, &kept.checkpoint, &repaired) {
            Some(assembled) => self.settle(&log, assembled, &mut layout, &mut repairs),
            None => {
                // The log is not the checkpoint's (D18). Replacing the checkpoint disowns all
                // segments in one step; then they may go in any order.
                repairs.extend(layout.reset(self.identity, &kept.checkpoint));
                Vec::new()
            }
        };
        layout.forget_undo();
        let stale = parts.segments.range(..kept.segment_first);
        let stale = stale.map(|(_, (name, _))| (*name).clone());
        let stale = stale.chain(parts.drafts.iter().cloned());
        repairs.extend(stale.map(|file| FileOp::Remove { file }));
        Recovered {
            image: Image {
                chain: self.chain,
                generation: self.generation,
                replica: kept.replica,
                vote: vote.map(|(_, counted)| counted.value.vote),
                checkpoint: kept.checkpoint,
                slots,
                tip: layout.tip,
            },
            layout,
            repairs,
        }
    }

    fn vote(
        &self,
        names: &Names,
        parts: &Parts<'_>,
        damage: &mut Vec<Damage>,
    ) -> Option<(Place, Counted<Ballot>)> {
        let mut read = |place, bytes: Option<&Bytes>| {
            let file = names.vote(place);
            let bytes = bytes.map(|bytes| &**bytes).unwrap_or_default();
            let ballot = vote::read_ballot(bytes, Salt::of_store(self.identity, &file));
            if let Err(fault) = &ballot {
                damage.push(whole(file, bytes, *fault));
            }
            ballot
        };
        let a = read(Place::A, parts.votes[0]);
        let b = read(Place::B, parts.votes[1]);
        vote::newest(&a, &b)
    }

    fn checkpoint(
        &self,
        names: &Names,
        parts: &Parts<'_>,
        damage: &mut Vec<Damage>,
    ) -> Option<Kept> {
        let bytes = parts.checkpoint.map(|bytes| &**bytes).unwrap_or_default();
        let salt = Salt::of_store(self.identity, &names.checkpoint);
        checkpoint::read_file(bytes, salt)
            .map_err(|fault| damage.push(whole(names.checkpoint.clone(), bytes, fault)))
            .ok()
    }

    fn sources<'p>(&self, kept: &Kept, parts: &Parts<'p>) -> Vec<Source<'p>> {
        let segments = parts.segments.range(kept.segment_first..);
        let source = |(number, (name, bytes)): (&u64, &(&'p FileName, &'p Bytes))| Source {
            number: *number,
            name,
            bytes,
            salt: Salt::of_store(self.identity, name),
        };
        segments.map(source).collect()
    }

    fn layout(&self, kept: &Kept, parts: &Parts<'_>, names: &Names) -> ChainLayout {
        let floor = kept.checkpoint.floor;
        let mut layout = ChainLayout::new(self.chain, self.generation, kept.replica, floor);
        debug_assert_eq!(
            layout.names, *names,
            "names follow from chain and generation"
        );
        for (number, (name, bytes)) in parts.segments.range(kept.segment_first..) {
            let file = SegmentFile {
                name: (*name).clone(),
                length: bytes.len() as u64,
            };
            layout.segments.insert(*number, file);
        }
        let last = parts.segments.last_key_value();
        let behind = last.map_or(1, |(number, _)| number + 1);
        layout.segment_next = behind.max(kept.segment_first);
        layout.repairs_length = parts.repairs.map(|bytes| bytes.len() as u64);
        layout
    }

    /// A chain of which nothing may be used: it counts as wiped, and its files stay as they are.
    fn lost(
        &self,
        kept: Option<Kept>,
        parts: &Parts<'_>,
        vote: Option<Counted<Ballot>>,
    ) -> Recovered {
        let replica = vote.map_or(Replica::default(), |counted| counted.value.replica);
        let kept = kept.unwrap_or_else(|| Kept {
            replica,
            segment_first: 0,
            checkpoint: Checkpoint {
                floor: Tip::default(),
                membership: Arc::new(Membership::default()),
                membership_seq: Seq::ZERO,
                clients: Clients::default(),
            },
        });
        let names = Names::new(self.chain, self.generation);
        let mut layout = self.layout(&kept, parts, &names);
        layout.vote_counter = vote.map_or(0, |counted| counted.counter);
        Recovered {
            image: Image {
                chain: self.chain,
                generation: self.generation,
                replica: kept.replica,
                vote: None,
                tip: kept.checkpoint.floor,
                checkpoint: kept.checkpoint,
                slots: Vec::new(),
            },
            layout,
            repairs: Vec::new(),
        }
    }

    fn repaired(
        &self,
        names: &Names,
        parts: &Parts<'_>,
        damage: &mut Vec<Damage>,
    ) -> BTreeMap<Seq, Vec<Stored>> {
        let mut repaired: BTreeMap<_, Vec<Stored>> = BTreeMap::new();
        let bytes = parts.repairs.map(|bytes| &**bytes).unwrap_or_default();
        let salt = Salt::of_store(self.identity, &names.repairs);
        for stretch in Scan::new(bytes, salt) {
            let (range, fault) = match stretch {
                Stretch::Damaged { range, fault } => (range, fault),
                Stretch::Intact(frame) => match segment::decode(&frame) {
                    Ok(Item::Repair(stored)) => {
                        repaired.entry(stored.entry.seq).or_default().push(stored);
                        continue;
                    }
                    Ok(Item::Header(_) | Item::Seal(_) | Item::Entry(_)) => {
                        let found = frame.kind;
                        (frame.start..frame.end(), Fault::Misplaced { found })
                    }
                    Err(fault) => (frame.start..frame.end(), fault),
                },
            };
            damage.push(Damage {
                file: names.repairs.clone(),
                offset: range.start as u64,
                length: (range.end - range.start) as u64,
                fault,
            });
        }
        repaired
    }

    /// Brings the files to the state that the next batch continues, and the layout with them.
    fn settle(
        &self,
        log: &Log,
        assembled: Assembled,
        layout: &mut ChainLayout,
        repairs: &mut Vec<FileOp>,
    ) -> Vec<Slot> {
        let Assembled {
            mut slots,
            marks,
            base,
            unsealed,
        } = assembled;
        layout.marks = marks.into();
        layout.tip = base;
        layout.batches = log.batches.iter().map(|batch| batch.spot).collect();
        let is_copied = unsealed.is_some();
        let upto = if is_copied {
            layout.segment_next
        } else {
            u64::MAX
        };
        if let Some(unsealed) = unsealed {
            // The copy comes first and appears in one step. From then on it replaces what it
            // copies, whether that is still there or not.
            repairs.extend(layout.copy(self.identity, &unsealed));
            slots.extend(unsealed.into_iter().map(Slot::Known));
        }
        let end = unsealed_from(log, is_copied);
        if layout
            .segments
            .range(..upto)
            .any(|(number, file)| (*number, file.length) > (end.segment, end.offset))
        {
            layout.drop_between(end, upto, repairs);
        }
        layout
            .batches
            .retain(|spot| *spot < end || spot.segment >= upto);
        // When only the process died, what was cut or repaired may not be durable yet.
        let last = layout.segments.values().next_back();
        let repaired = layout.repairs_length.map(|_| &layout.names.repairs);
        let unsynced = last.map(|file| &file.name).into_iter().chain(repaired);
        repairs.extend(unsynced.map(|file| FileOp::Sync { file: file.clone() }));
        slots
    }
}

/// Whether damage lies in a segment, and there behind `end`.
fn is_behind(damage: &Damage, end: Spot) -> bool {
    match Named::of(&damage.file) {
        Some(Named::Chain {
            part: Part::Segment(number),
            ..
        }) => (number, damage.offset) >= (end.segment, end.offset),
        Some(Named::Chain { .. } | Named::Identity(_)) | None => false,
    }
}

/// Where the unsealed part starts: behind the first batch head that names its start, or with it
/// when that is all its segment would keep, for the header of the copy says the same.
fn unsealed_from(log: &Log, is_copied: bool) -> Spot {
    let Some(last) = log.batches.last() else {
        return Spot {
            segment: 0,
            offset: 0,
        };
    };
    let head = if is_copied {
        let same = log
            .batches
            .iter()
            .find(|batch| batch.tip.end == last.tip.end);
        same.unwrap_or(last)
    } else {
        last
    };
    if is_copied && head.spot.offset == 0 {
        return head.spot;
    }
    Spot {
        segment: head.spot.segment,
        offset: head.end,
    }
}

fn whole(file: FileName, bytes: &[u8], fault: Fault) -> Damage {
    Damage {
        file,
        offset: 0,
        length: bytes.len() as u64,
        fault,
    }
}

/// Puts the log together; `None` when it is not the log of this checkpoint.
fn assemble(
    log: &Log,
    checkpoint: &Checkpoint,
    repaired: &BTreeMap<Seq, Vec<Stored>>,
) -> Option<Assembled> {
    let floor = checkpoint.floor;
    let Some(sealed) = log.batches.last().copied() else {
        return Some(Assembled {
            slots: Vec::new(),
            marks: Vec::new(),
            base: floor,
            unsealed: None,
        });
    };
    let border = log.found.partition_point(|found| found.spot < sealed.spot);
    let (settled, behind) = log.found.split_at(border);
    let behind = linked(behind, sealed.tip, log.torn);
    let end = behind.last().map_or(sealed.tip, Found::tip);
    if end.end < floor.end || contradicts(log, &floor) {
        return None;
    }
    let (slots, marks, link) = fill(log, settled, &sealed, floor.end, repaired);
    if link.is_some_and(|link| link != floor.hash) {
        return None;
    }
    let base = if sealed.tip.end < floor.end {
        floor
    } else {
        sealed.tip
    };
    let unsealed = (!behind.is_empty()).then(|| {
        let above = behind.iter().filter(|found| found.seq() >= base.end);
        above.map(|found| found.stored.entry.clone()).collect()
    });
    Some(Assembled {
        slots,
        marks,
        base,
        unsealed,
    })
}

/// The unsealed entries: whole, contiguous and linked, up to the first that is not.
fn linked(found: &[Found], sealed: Tip, torn: Option<Spot>) -> &[Found] {
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
fn contradicts(log: &Log, floor: &Tip) -> bool {
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
        marks[index] = Mark {
            spot: found.spot,
            length: found.length,
            link: None,
        };
    }
    let heads: BTreeMap<Seq, EntryHash> = log
        .batches
        .iter()
        .map(|batch| (batch.tip.end, batch.tip.hash))
        .collect();
    let mut link = None;
    for (index, slot) in slots.iter_mut().enumerate().rev() {
        let seq = Seq::new(floor.get() + index as u64);
        let named = link.or_else(|| heads.get(&seq.next()).copied());
        *slot = slot.filter(|stored| named.is_none_or(|hash| stored.entry.hash == hash));
        if slot.is_none()
            && let Some(hash) = named
        {
            let candidates = repaired.get(&seq);
            *slot = candidates
                .and_then(|stored| stored.iter().find(|stored| stored.entry.hash == hash));
        }
        link = slot.and_then(|stored| stored.previous);
        if let Some(stored) = slot {
            marks[index].link = Some((stored.entry.epoch, stored.entry.hash));
        } else {
            marks[index].length = 0;
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
