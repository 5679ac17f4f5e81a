//! The log of one replica in memory: what is retained, what of it is durable, what it links to.
//!
//! It decides nothing. It keeps the end of the log, the request table and the members in force
//! in step with the entries, also through a cut. Upholds *gap-free*.

use crate::chain::checkpoint;
use crate::chain::clients::{ClientLimits, Clients};
use crate::chain::entry::{Entry, EntryKind, LogPosition, Membership};
use crate::chain::order::{Checkpoint, Image, Slot};
use crate::id::{Epoch, Seq};
use crate::time::Wall;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use serde::{Deserialize, Serialize};

/// A log from its floor to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    checkpoint: Arc<Checkpoint>,
    slots: VecDeque<Slot>,
    tip: LogPosition,
    durable: LogPosition,
    /// Counts cuts and resets, so that a write that one of them overtook is known (D13b).
    truncations: u64,
    clients: Clients,
    membership: Arc<Membership>,
    membership_seq: Seq,
    unknown: u64,
    bytes: u64,
    /// How many bytes the file of a checkpoint may have at any position of the log.
    checkpoint_bytes: u64,
    limits: ClientLimits,
}

impl Hash for Log {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The tip's hash links over every entry, so the entries themselves need not be walked.
        self.checkpoint.floor.hash(state);
        self.tip.hash(state);
        self.durable.hash(state);
        self.truncations.hash(state);
        self.membership_seq.hash(state);
        if self.unknown > 0 {
            for (seq, slot) in (self.floor().get()..).zip(&self.slots) {
                if *slot == Slot::Unknown {
                    seq.hash(state);
                }
            }
        }
    }
}

impl Log {
    /// The log that recovery found; all of it is durable.
    pub(crate) fn new(image: Image, limits: ClientLimits) -> Self {
        let checkpoint = Arc::new(image.checkpoint);
        let mut log = Self {
            clients: checkpoint.clients.clone(),
            membership: checkpoint.membership.clone(),
            membership_seq: checkpoint.membership_seq,
            slots: image.slots.into(),
            tip: image.tip,
            durable: image.tip,
            truncations: 0,
            unknown: 0,
            bytes: 0,
            checkpoint_bytes: 0,
            checkpoint,
            limits,
        };
        log.refold();
        log
    }

    /// The first retained position.
    pub fn floor(&self) -> Seq {
        self.checkpoint.floor.end
    }

    /// What the entries below the floor had decided.
    pub fn checkpoint(&self) -> &Arc<Checkpoint> {
        &self.checkpoint
    }

    /// Position of the next entry.
    pub fn end(&self) -> Seq {
        self.tip.end
    }

    /// The end with what it links to.
    pub fn tip(&self) -> LogPosition {
        self.tip
    }

    /// The end of what is durable with what it links to.
    pub fn durable(&self) -> LogPosition {
        self.durable
    }

    /// Counts cuts and resets.
    pub fn truncations(&self) -> u64 {
        self.truncations
    }

    /// The members in force: the newest config entry counts as soon as it is appended (D19).
    pub fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// The request table at the end of the log.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// How many entries are unknown.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Payload bytes retained.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The stamp of the last entry, or of the last one before the floor when none is retained or
    /// the last one is unknown.
    pub fn stamp(&self) -> Wall {
        match self.slots.back() {
            Some(Slot::Known(entry)) => entry.stamp,
            Some(Slot::Unknown) | None => self.checkpoint.stamp,
        }
    }

    /// The slot at `seq`, if it is retained.
    pub fn slot(&self, seq: Seq) -> Option<&Slot> {
        let at = seq.get().checked_sub(self.floor().get())?;
        self.slots.get(usize::try_from(at).ok()?)
    }

    /// The entry at `seq`, if it is retained and known.
    pub fn entry(&self, seq: Seq) -> Option<&Arc<Entry>> {
        match self.slot(seq)? {
            Slot::Known(entry) => Some(entry),
            Slot::Unknown => None,
        }
    }

    /// The first unknown position at or above `from`.
    pub fn first_unknown(&self, from: Seq) -> Option<Seq> {
        if self.unknown == 0 {
            return None;
        }
        let skip = from.distance(self.floor());
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let at = self
            .slots
            .iter()
            .skip(skip)
            .position(|slot| *slot == Slot::Unknown)?;
        Some(Seq::new(self.floor().get() + (skip + at) as u64))
    }

    /// What the entry at `end` would link to; `None` outside of floor..=end, or where the entry
    /// before is unknown.
    pub fn position_at(&self, end: Seq) -> Option<LogPosition> {
        if end == self.tip.end {
            return Some(self.tip);
        }
        if end == self.floor() {
            return Some(self.checkpoint.floor);
        }
        let entry = self.entry(end.before()?)?;
        Some(LogPosition {
            end,
            epoch: entry.epoch,
            hash: entry.hash,
        })
    }

    /// The epoch of the entry before `end`, as far as it is known.
    pub(crate) fn epoch_before(&self, end: Seq) -> Option<Epoch> {
        self.position_at(end).map(|tip| tip.epoch)
    }

    /// How many bytes the file of a checkpoint may have at any position of the log.
    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes
    }

    /// Appends the next entry; it is not durable yet.
    pub(crate) fn append(&mut self, entry: Arc<Entry>) {
        assert!(
            entry.seq == self.tip.end,
            "an entry goes to the end of the log"
        );
        assert!(
            entry.epoch.n >= self.tip.epoch.n,
            "epochs never go down inside a log"
        );
        self.tip = LogPosition {
            end: entry.seq.next(),
            epoch: entry.epoch,
            hash: entry.hash,
        };
        self.fold(&entry);
        self.slots.push_back(Slot::Known(entry));
    }

    /// Drops every entry from `end` on, and what is durable of them.
    pub(crate) fn cut(&mut self, end: Seq) {
        assert!(
            end >= self.floor() && end < self.tip.end,
            "a cut drops retained entries"
        );
        let tip = self
            .position_at(end)
            .expect("a cut is made behind a known entry");
        self.slots.truncate(end.distance(self.floor()) as usize);
        self.tip = tip;
        if self.durable.end > end {
            self.durable = tip;
        }
        self.truncations += 1;
        self.refold();
    }

    /// Takes `end` of the log as it is as durable.
    pub(crate) fn raise_durable(&mut self, end: Seq) {
        if end > self.durable.end {
            self.durable = self
                .position_at(end)
                .expect("only what was appended becomes durable");
        }
    }

    /// The checkpoint at `floor`, which lies inside the log.
    pub(crate) fn checkpoint_at(&self, floor: Seq) -> Option<Checkpoint> {
        let mut checkpoint = (*self.checkpoint).clone();
        for slot in self
            .slots
            .iter()
            .take(floor.distance(self.floor()) as usize)
        {
            let Slot::Known(entry) = slot else {
                return None;
            };
            checkpoint.clients.apply(entry, self.limits);
            checkpoint.stamp = entry.stamp;
            if let EntryKind::Config(membership) = &entry.kind {
                checkpoint.membership = membership.clone();
                checkpoint.membership_seq = entry.seq;
            }
        }
        checkpoint.floor = self.position_at(floor)?;
        Some(checkpoint)
    }

    /// Drops the prefix below a durable checkpoint's floor.
    pub(crate) fn retain(&mut self, checkpoint: Arc<Checkpoint>) {
        let floor = checkpoint.floor.end;
        assert!(
            floor >= self.floor() && floor <= self.tip.end,
            "a floor rises inside the log"
        );
        let had_unknown = self.unknown > 0;
        for slot in self
            .slots
            .drain(..floor.distance(self.checkpoint.floor.end) as usize)
        {
            match slot {
                Slot::Known(entry) => self.bytes -= u64::from(entry.payload.length()),
                Slot::Unknown => self.unknown -= 1,
            }
        }
        self.checkpoint = checkpoint;
        if had_unknown && self.unknown == 0 {
            self.refold();
        }
    }

    /// Starts anew from a durable checkpoint (D17).
    pub(crate) fn reset(&mut self, checkpoint: Arc<Checkpoint>) {
        self.slots.clear();
        self.tip = checkpoint.floor;
        self.durable = checkpoint.floor;
        self.checkpoint = checkpoint;
        self.truncations += 1;
        self.refold();
    }

    /// Puts an entry in the place of an unknown one.
    pub(crate) fn repair(&mut self, entry: Arc<Entry>) {
        let at = entry.seq.distance(self.floor()) as usize;
        assert!(
            self.slots[at] == Slot::Unknown,
            "only an unknown entry is repaired"
        );
        self.bytes += u64::from(entry.payload.length());
        self.slots[at] = Slot::Known(entry);
        self.unknown -= 1;
        if self.unknown == 0 {
            self.refold();
        }
    }

    /// Known entries from `from` on, until the first unknown one or `bytes_max` of payload; one
    /// in any case.
    pub(crate) fn read(&self, from: Seq, end: Seq, bytes_max: u64) -> Arc<[Arc<Entry>]> {
        let mut bytes = 0;
        let mut entries = Vec::new();
        let skip = from.distance(self.floor()) as usize;
        let count = end.distance(from) as usize;
        for slot in self.slots.iter().skip(skip).take(count) {
            let Slot::Known(entry) = slot else { break };
            bytes += u64::from(entry.payload.length()) + ENTRY_OVERHEAD;
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        entries.into()
    }

    /// Known entries up to `end` that follow a known position, as many as fit `bytes_max` of
    /// payload, but none below `from`; one in any case, if there is one. None if this log ends
    /// before `end`: without the last one nothing proves the others to who asks.
    pub(crate) fn read_back(&self, from: Seq, end: Seq, bytes_max: u64) -> Arc<[Arc<Entry>]> {
        let from = from.max(self.floor());
        if end > self.end() {
            return Arc::from([]);
        }
        let (mut start, mut bytes) = (end, 0);
        while start > from
            && let Some(entry) = start.before().and_then(|last| self.entry(last))
        {
            bytes += u64::from(entry.payload.length()) + ENTRY_OVERHEAD;
            if bytes > bytes_max && start < end {
                break;
            }
            start = entry.seq;
        }
        if self.position_at(start).is_none() {
            start = start.next();
        }
        self.read(start, end, u64::MAX)
    }

    /// Leaves the payload bytes out.
    pub(crate) fn redact(&mut self) {
        for slot in &mut self.slots {
            if let Slot::Known(entry) = slot {
                *entry = Arc::new(entry.redacted());
            }
        }
    }

    fn fold(&mut self, entry: &Entry) {
        self.bytes += u64::from(entry.payload.length());
        self.clients.apply(entry, self.limits);
        if let EntryKind::Config(membership) = &entry.kind {
            self.membership = membership.clone();
            self.membership_seq = entry.seq;
        }
        self.fit_checkpoint();
    }

    /// Takes the end of the log into account as a floor that may come.
    fn fit_checkpoint(&mut self) {
        let clients = self.clients.encoded_bytes();
        let bytes = checkpoint::file_bytes_max(&self.membership, clients);
        self.checkpoint_bytes = self.checkpoint_bytes.max(bytes);
    }

    /// Folds request table, members and sums anew from checkpoint and entries. Unknown entries
    /// leave gaps in them; a replica that has one does not lead.
    fn refold(&mut self) {
        self.clients = self.checkpoint.clients.clone();
        self.membership = self.checkpoint.membership.clone();
        self.membership_seq = self.checkpoint.membership_seq;
        self.bytes = 0;
        self.unknown = 0;
        self.checkpoint_bytes = 0;
        self.fit_checkpoint();
        let slots = core::mem::take(&mut self.slots);
        for slot in &slots {
            match slot {
                Slot::Known(entry) => self.fold(entry),
                Slot::Unknown => self.unknown += 1,
            }
        }
        self.slots = slots;
    }
}

/// What an entry costs in a message or a batch besides its payload, rounded up.
pub(crate) const ENTRY_OVERHEAD: u64 = 160;
