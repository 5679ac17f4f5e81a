//! One chain: its vote, its checkpoint, and what of its log belongs to that checkpoint.

use super::assemble::{assemble, sealed_end};
use super::log::{self, Bounds, Source};
use super::{Damage, Parts};
use crate::chain::checkpoint::{self, Kept};
use crate::chain::clients::Clients;
use crate::chain::entry::{LogPosition, Membership};
use crate::chain::layout::{ChainLayout, CheckpointFiles, SegmentFile, Spot};
use crate::chain::order::{Checkpoint, Image};
use crate::chain::record::{Salt, Scan, Stretch, Unreadable};
use crate::chain::segment::{self, Item, Stored};
use crate::chain::store::{
    FileName, FileOp, Identity, Named, Names, Part, StoreLimits, write_vote,
};
use crate::chain::vote::{self, Ballot, Counted, Place};
use crate::id::{ChainId, Gen, Replica, Seq};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// What is the same for all parts of one chain.
#[derive(Copy, Clone, Debug)]
pub(super) struct ChainFiles<'a> {
    pub(super) identity: &'a Identity,
    pub(super) limits: &'a StoreLimits,
    pub(super) chain: ChainId,
    pub(super) generation: Gen,
}

/// One chain as recovery found it.
#[derive(Clone, Debug)]
pub(super) struct Recovered {
    pub(super) image: Image,
    pub(super) layout: ChainLayout,
    /// What takes no room, and makes some.
    pub(super) clearing: Vec<FileOp>,
    /// What comes behind that, for all chains.
    pub(super) repairs: Vec<FileOp>,
}

impl ChainFiles<'_> {
    pub(super) fn recover(
        &self,
        parts: &Parts<'_>,
        damage: &mut Vec<Damage>,
        torn: &mut Vec<Damage>,
    ) -> Recovered {
        let names = Names::new(self.chain, self.generation);
        let vote = self.vote(&names, parts, damage);
        let Some((place, kept, is_doubled)) = self.checkpoint(&names, parts, damage) else {
            return self.lost(None, parts, vote.map(|(_, vote)| vote));
        };
        let sources = self.sources(&kept, parts);
        let mut in_log = Vec::new();
        let log = match log::read(self.bounds(&kept), &sources, &mut in_log) {
            Ok(log) => log,
            Err(misplaced) => {
                damage.append(&mut in_log);
                damage.push(misplaced);
                return self.lost(Some(kept), parts, vote.map(|(_, vote)| vote));
            }
        };
        let end = sealed_end(&log);
        // What was replaced belongs to the log no more: a crash may come before it is cut.
        let replaced = &log.replaced;
        let (behind, before) = in_log.into_iter().partition(|damage| {
            spot(damage).is_some_and(|spot| {
                let is_replaced =
                    |(first, upto): &(Spot, u64)| spot >= *first && spot.segment < *upto;
                spot >= end || replaced.iter().any(is_replaced)
            })
        });
        damage.extend::<Vec<_>>(before);
        torn.extend::<Vec<_>>(behind);
        let repaired = self.repaired(&names, parts, damage);
        let mut layout = self.layout(&kept, parts, &names);
        let stored = vote.map_or(Seq::ZERO, |(_, counted)| counted.value.commit);
        layout.commit = log.commit.max(stored);
        let remove = |file: FileName| FileOp::Remove { file };
        let mut clearing: Vec<_> = parts.drafts.iter().cloned().map(remove).collect();
        self.rewrite_vote(vote.as_ref(), &mut layout, &mut clearing);
        let checkpoints = &mut layout.checkpoints;
        if is_doubled {
            clearing.extend(CheckpointFiles::sync(&names));
        } else {
            let whole = (kept.replica, kept.segment_first, &kept.checkpoint);
            clearing.extend(checkpoints.double(self.identity, &names, (place, whole)));
        }
        // Both places name the first segment durably now.
        let stale = parts.segments.range(..kept.segment_first);
        let stale = stale.map(|(_, (name, _))| (*name).clone());
        clearing.extend(stale.map(remove));
        let mut repairs = Vec::new();
        let slots = match assemble(&log, &kept.checkpoint, &repaired) {
            Some(assembled) => {
                let ops = (&mut clearing, &mut repairs);
                self.settle(&log, assembled, &sources, &mut layout, ops)
            }
            None => {
                // The log is not the checkpoint's (D18). Replacing the checkpoint disowns all
                // segments in one step; then they may go in any order.
                repairs.extend(layout.reset(self.identity, &kept.checkpoint));
                Vec::new()
            }
        };
        layout.forget_undo();
        if layout.commit > layout.tip.end {
            // What was durable is gone, so nothing that is left is touched.
            clearing.clear();
            repairs.clear();
        }
        Recovered {
            image: Image {
                chain: self.chain,
                generation: self.generation,
                replica: kept.replica,
                vote: vote.map(|(_, counted)| counted.value.vote),
                checkpoint: kept.checkpoint,
                slots,
                tip: layout.tip,
                commit: layout.commit,
            },
            layout,
            clearing,
            repairs,
        }
    }

    fn bounds(&self, kept: &Kept) -> Bounds {
        Bounds {
            chain: self.chain,
            generation: self.generation,
            floor: kept.checkpoint.floor.end,
            segment_first: kept.segment_first,
            segment_bytes_max: self.limits.segment_bytes_max,
        }
    }

    /// Makes both places of the vote record the same, durably (D13e).
    fn rewrite_vote(
        &self,
        vote: Option<&(Place, Counted<Ballot>)>,
        layout: &mut ChainLayout,
        repairs: &mut Vec<FileOp>,
    ) {
        let Some((place, counted)) = vote else { return };
        layout.vote_counter = counted.counter;
        // The place that holds the newest record is overwritten last, and nothing before that
        // record is durable: it may only be in memory yet.
        let newest = layout.names.vote(*place);
        repairs.push(FileOp::Sync { file: newest });
        for place in [place.other(), *place] {
            let (counter, ballot) = (counted.counter, &counted.value);
            write_vote(
                repairs,
                self.identity,
                &layout.names,
                place,
                counter,
                ballot,
            );
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

    /// The newest readable checkpoint, where it is, and whether the other place holds it, too.
    fn checkpoint(
        &self,
        names: &Names,
        parts: &Parts<'_>,
        damage: &mut Vec<Damage>,
    ) -> Option<(Place, Kept, bool)> {
        let mut read = |place, bytes: Option<&Bytes>| {
            let file = names.checkpoint(place);
            let bytes = bytes.map(|bytes| &**bytes).unwrap_or_default();
            checkpoint::read_file(bytes, Salt::of_store(self.identity, &file))
                .map_err(|fault| damage.push(whole(file, bytes, fault)))
                .ok()
        };
        let a = read(Place::A, parts.checkpoints[0]);
        let b = read(Place::B, parts.checkpoints[1]);
        let is_doubled = a == b;
        // Floors and first segments only ever rise.
        let places = [(Place::A, a), (Place::B, b)];
        let there = places
            .into_iter()
            .filter_map(|(place, kept)| Some((place, kept?)));
        let (place, newest) =
            there.max_by_key(|(_, kept)| (kept.checkpoint.floor.end, kept.segment_first))?;
        Some((place, newest, is_doubled))
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
        layout.segment_first = kept.segment_first;
        let length = |bytes: Option<&Bytes>| bytes.map_or(0, |bytes| bytes.len() as u64);
        layout.checkpoints = CheckpointFiles::found(parts.checkpoints.map(length));
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
                floor: LogPosition::default(),
                membership: Arc::new(Membership::default()),
                membership_seq: Seq::ZERO,
                clients: Clients::default(),
                stamp: Default::default(),
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
                commit: Seq::ZERO,
            },
            layout,
            clearing: Vec::new(),
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
                    Ok(Item::Header(_) | Item::Seal { .. } | Item::Entry(_)) => {
                        let found = frame.kind;
                        (frame.start..frame.end(), Unreadable::Misplaced { found })
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
}

fn whole(file: FileName, bytes: &[u8], fault: Unreadable) -> Damage {
    Damage {
        file,
        offset: 0,
        length: bytes.len() as u64,
        fault,
    }
}

/// Where damage of a segment begins.
fn spot(damage: &Damage) -> Option<Spot> {
    match Named::of(&damage.file)? {
        Named::Chain {
            part: Part::Segment(segment),
            ..
        } => Some(Spot {
            segment,
            offset: damage.offset,
        }),
        Named::Chain { .. } | Named::Identity(_) | Named::Peers(_) => None,
    }
}
