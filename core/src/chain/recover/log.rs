//! The segments of one log, read from the first to the last, over damage where there is any.
//!
//! A record is believed where it stands only if its position can follow what was read before:
//! at once, or behind as many lost entries as the damaged bytes in between can have held.

use super::Damage;
use crate::chain::entry::LogPosition;
use crate::chain::layout::{Mark, Spot};
use crate::chain::record::{Frame, Salt, Scan, Stretch, Unreadable};
use crate::chain::segment::{self, ENTRY_BYTES_MIN, Header, Item, Stored};
use crate::chain::store::FileName;
use crate::id::{ChainId, Gen, Seq};
use alloc::vec::Vec;
use core::ops::Range;

/// One segment.
#[derive(Copy, Clone, Debug)]
pub(super) struct Source<'a> {
    pub(super) number: u64,
    pub(super) name: &'a FileName,
    pub(super) bytes: &'a [u8],
    pub(super) salt: Salt,
}

/// An intact entry.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) spot: Spot,
    pub(super) length: u64,
    pub(super) stored: Stored,
}

impl Found {
    /// Where it is.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            spot: self.spot,
            length: self.length,
            link: None,
        }
    }

    /// What is behind it.
    pub(super) fn end(&self) -> Spot {
        Spot {
            offset: self.spot.offset + self.length,
            ..self.spot
        }
    }

    pub(super) fn seq(&self) -> Seq {
        self.stored.entry.seq
    }

    pub(super) fn tip(&self) -> LogPosition {
        let entry = &self.stored.entry;
        LogPosition {
            end: entry.seq.next(),
            epoch: entry.epoch,
            hash: entry.hash,
        }
    }
}

/// The head of a batch; everything before it is sealed.
#[derive(Copy, Clone, Debug)]
pub(super) struct Batch {
    pub(super) spot: Spot,
    /// Offset behind the head.
    pub(super) end: u64,
    pub(super) tip: LogPosition,
}

/// Positions lost in damage.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) lost: Range<Seq>,
    pub(super) spot: Spot,
}

/// Everything readable in the segments of one log, in file order.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) found: Vec<Found>,
    pub(super) batches: Vec<Batch>,
    pub(super) gaps: Vec<Gap>,
    /// The first damage behind the last batch head.
    pub(super) torn: Option<Spot>,
    /// From where up to which segment the log is replaced by that segment.
    pub(super) replaced: Vec<(Spot, u64)>,
    /// The highest end that a batch head says was committed. A cut never goes below it, so it
    /// holds whatever of the log was replaced since.
    pub(super) commit: Seq,
}

/// The limits of what one log may claim.
#[derive(Copy, Clone, Debug)]
pub(super) struct Bounds {
    pub(super) chain: ChainId,
    pub(super) generation: Gen,
    pub(super) floor: Seq,
    /// The first segment that may belong to the log.
    pub(super) segment_first: u64,
    pub(super) segment_bytes_max: u64,
}

/// How many entries a lost file, or the lost end of one, may account for at most: more would
/// be an allocation without bytes to show for it.
const LOST_MAX: u64 = 1 << 20;

/// How many missing files in a row are believed.
const MISSING_MAX: u64 = 16;

struct Reader<'d> {
    bounds: Bounds,
    log: Log,
    next: Option<Seq>,
    /// Bytes skipped, and entries possibly lost with whole files, since the last record.
    skipped: u64,
    lost: u64,
    damaged: Option<Spot>,
    damage: &'d mut Vec<Damage>,
}

/// Reads all segments. An intact record in an impossible place is an error: such a log was not
/// written by this code, or lost more than it can tell.
pub(super) fn read(
    bounds: Bounds,
    sources: &[Source<'_>],
    damage: &mut Vec<Damage>,
) -> Result<Log, Damage> {
    let mut reader = Reader {
        bounds,
        log: Log::default(),
        next: None,
        skipped: 0,
        lost: 0,
        damaged: None,
        damage,
    };
    let mut expected = bounds.segment_first;
    let mut behind = None;
    for source in sources {
        reader.segment_border(source.number - expected, behind);
        reader.segment(source)?;
        expected = source.number + 1;
        behind = Some(Spot {
            segment: source.number,
            offset: source.bytes.len() as u64,
        });
    }
    Ok(reader.log)
}

impl Reader<'_> {
    /// Files may be missing, and the last one may have lost its end: nothing in between tells.
    fn segment_border(&mut self, missing: u64, behind: Option<Spot>) {
        let files = missing.min(MISSING_MAX) + u64::from(behind.is_some());
        let each = self.bounds.segment_bytes_max / ENTRY_BYTES_MIN + 1;
        self.lost = files.saturating_mul(each).min(LOST_MAX);
        if self.damaged.is_none() {
            self.damaged = behind;
        }
    }

    fn segment(&mut self, source: &Source<'_>) -> Result<(), Damage> {
        for stretch in Scan::new(source.bytes, source.salt) {
            match stretch {
                Stretch::Damaged { range, fault } => self.skip(source, range, fault),
                Stretch::Intact(frame) => self.frame(source, &frame)?,
            }
        }
        Ok(())
    }

    fn frame(&mut self, source: &Source<'_>, frame: &Frame<'_>) -> Result<(), Damage> {
        let item = segment::decode(frame).and_then(|item| self.check(source, frame, item));
        let spot = spot(source, frame.start);
        match item {
            Err(fault) => self.skip(source, frame.start..frame.end(), fault),
            Ok(Item::Header(Header { base, commit, .. })) => {
                self.turn_back(source.number, base.end);
                self.batch(source, frame, base)?;
                self.log.commit = self.log.commit.max(commit);
            }
            Ok(Item::Seal { tip, commit }) => {
                self.batch(source, frame, tip)?;
                self.log.commit = self.log.commit.max(commit);
            }
            Ok(Item::Entry(stored) | Item::Repair(stored)) => {
                self.advance(source, spot, stored.entry.seq)?;
                self.next = Some(stored.entry.seq.next());
                let length = (frame.end() - frame.start) as u64;
                self.log.found.push(Found {
                    spot,
                    length,
                    stored,
                });
            }
        }
        Ok(())
    }

    fn check(
        &self,
        source: &Source<'_>,
        frame: &Frame<'_>,
        item: Item,
    ) -> Result<Item, Unreadable> {
        let bounds = &self.bounds;
        let (is_right, expected) = match &item {
            Item::Header(header) => (
                frame.start == 0
                    && header.chain == bounds.chain
                    && header.generation == bounds.generation
                    && header.number == source.number
                    && header.commit <= header.base.end,
                "the header of this segment",
            ),
            Item::Seal { tip, commit } => (*commit <= tip.end, "a batch head"),
            Item::Entry(stored) => (
                stored.entry.generation == bounds.generation,
                "an entry of this generation",
            ),
            Item::Repair(_) => (false, "no repair in a segment"),
        };
        if is_right {
            Ok(item)
        } else {
            Err(Unreadable::Body { expected })
        }
    }

    fn skip(&mut self, source: &Source<'_>, range: Range<usize>, fault: Unreadable) {
        let length = (range.end - range.start) as u64;
        let spot = spot(source, range.start);
        self.skipped += length;
        self.damaged.get_or_insert(spot);
        self.log.torn.get_or_insert(spot);
        self.damage.push(Damage {
            file: source.name.clone(),
            offset: range.start as u64,
            length,
            fault,
        });
    }

    /// A segment that starts before the end of what was read replaces it from there on: a cut
    /// made it, and it is complete. What cannot be read behind the last record that stays is
    /// replaced with the rest, for nothing in between is missing. That may be what was cut, or the
    /// head of a batch that was damaged in its place: nothing tells them apart, and nothing is lost
    /// with either.
    fn turn_back(&mut self, segment: u64, end: Seq) {
        let next = self.next.unwrap_or(self.bounds.floor.min(end));
        if next == end {
            let torn = self.damaged.map(|torn| (torn, segment));
            self.log.replaced.extend(torn);
        }
        if end >= next {
            return;
        }
        let log = &mut self.log;
        let kept = log.found.partition_point(|found| found.seq() < end);
        let entry = log.found.get(kept).map(|found| found.spot);
        log.found.truncate(kept);
        let kept = log.batches.partition_point(|batch| batch.tip.end <= end);
        let head = log.batches.get(kept).map(|batch| batch.spot);
        log.batches.truncate(kept);
        log.gaps.retain_mut(|gap| {
            gap.lost.end = gap.lost.end.min(end);
            gap.lost.start < gap.lost.end
        });
        let first = entry.into_iter().chain(head).min();
        let behind = self.kept_until(end).into_iter();
        let from = behind.chain(first).min();
        self.log.replaced.extend(from.map(|from| (from, segment)));
        self.next = Some(end);
        self.skipped = 0;
        self.lost = 0;
        self.damaged = None;
    }

    /// Where what was read and is kept ends, if it reaches position `end`.
    fn kept_until(&self, end: Seq) -> Option<Spot> {
        let Log {
            found,
            batches,
            gaps,
            ..
        } = &self.log;
        if found.is_empty() && batches.is_empty() && gaps.is_empty() {
            return Some(Spot {
                segment: self.bounds.segment_first,
                offset: 0,
            });
        }
        let entry = found.last().filter(|found| found.tip().end == end);
        let entry = entry.map(Found::end);
        let head = batches.last().filter(|batch| batch.tip.end == end);
        let head = head.map(|batch| Spot {
            offset: batch.end,
            ..batch.spot
        });
        entry.max(head)
    }

    fn batch(
        &mut self,
        source: &Source<'_>,
        frame: &Frame<'_>,
        tip: LogPosition,
    ) -> Result<(), Damage> {
        let spot = spot(source, frame.start);
        self.advance(source, spot, tip.end)?;
        self.next = Some(tip.end);
        self.log.torn = None;
        self.log.batches.push(Batch {
            spot,
            end: frame.end() as u64,
            tip,
        });
        Ok(())
    }

    /// The next intact record is at position `seq`.
    fn advance(&mut self, source: &Source<'_>, spot: Spot, seq: Seq) -> Result<(), Damage> {
        let floor = self.bounds.floor;
        // Nothing below the floor is missed.
        let next = self.next.unwrap_or(seq.min(floor));
        let lost_max = self.lost + self.skipped / ENTRY_BYTES_MIN;
        if seq < next || seq.distance(next) > lost_max {
            return Err(Damage {
                file: source.name.clone(),
                offset: spot.offset,
                length: 0,
                fault: Unreadable::Body {
                    expected: "a record that continues the log",
                },
            });
        }
        if next < seq {
            let spot = self.damaged.unwrap_or(spot);
            self.log.gaps.push(Gap {
                lost: next..seq,
                spot,
            });
            self.log.torn.get_or_insert(spot);
        }
        self.skipped = 0;
        self.lost = 0;
        self.damaged = None;
        Ok(())
    }
}

fn spot(source: &Source<'_>, offset: usize) -> Spot {
    Spot {
        segment: source.number,
        offset: offset as u64,
    }
}
