//! This node's own rows and what each peer still has to acknowledge of them.

use crate::hash::SummedMap;
use crate::id::{ChainId, Gen, NodeId, Replica};
use crate::message::{Row, RowState};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Which row: a node speaks for one membership per creation of a chain at a time.
pub(super) type Key = (ChainId, Gen);

/// The rows that this node says of itself, each with the version of its last change.
///
/// A gone row stays as such for the rest of the run: a peer that restarts may first meet an old
/// heartbeat, from when the row was still there, and has to be told again that it is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Own {
    /// The newest version given; counts from 1 in every incarnation.
    version: u64,
    rows: SummedMap<Key, Published>,
}

/// One own row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Published {
    row: Row,
    version: u64,
    audience: Vec<NodeId>,
}

/// When a change leaves.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// With the next regular heartbeat.
    Regular,
    /// At once: role, epoch or distance changed.
    AtOnce,
}

impl Own {
    /// The newest version given.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// When a new content of a row would have to leave; `None` if it is the present one.
    pub(super) fn change(
        &self,
        key: &Key,
        replica: Replica,
        state: Option<RowState>,
        audience: &[NodeId],
    ) -> Option<Urgency> {
        let Some(old) = self.rows.get(key) else {
            return state.map(|_| Urgency::AtOnce);
        };
        let gone = state.is_none() && old.row.state.is_none();
        let same = old.row.replica == replica && old.row.state == state;
        if gone || (same && old.audience == audience) {
            return None;
        }
        let said = |state: Option<RowState>| state.map(|row| (row.role, row.epoch, row.distance));
        let quiet = old.row.replica == replica && said(old.row.state) == said(state);
        Some(if quiet {
            Urgency::Regular
        } else {
            Urgency::AtOnce
        })
    }

    /// Writes a row and returns its new version.
    pub(super) fn write(
        &mut self,
        key: Key,
        replica: Replica,
        state: Option<RowState>,
        audience: &[NodeId],
    ) -> u64 {
        self.version += 1;
        let (chain, generation) = key;
        let row = Row {
            chain,
            generation,
            replica,
            state,
        };
        // Who was told of a row has to hear that it is gone, whoever shares the chain by then.
        let told = self.rows.remove(&key).map(|own| own.audience);
        let audience = match told {
            Some(told) if state.is_none() || told == audience => told,
            Some(_) | None => audience.to_vec(),
        };
        let version = self.version;
        self.rows.insert(
            key,
            Published {
                row,
                version,
                audience,
            },
        );
        version
    }

    /// The version of a row and who is told of it.
    pub(super) fn told(&self, key: &Key) -> Option<(u64, &[NodeId])> {
        self.rows
            .get(key)
            .map(|own| (own.version, own.audience.as_slice()))
    }

    /// The row of `key`, which some outbox still has to deliver.
    fn row(&self, key: &Key) -> &Row {
        let published = self.rows.get(key);
        &published.expect("a row stays, also as a gone one").row
    }
}

/// The part of the own rows that one peer, in its present incarnation, has to acknowledge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Outbox {
    /// The peer has every row up to this version.
    acknowledged: u64,
    /// Every row up to this version was sent at least once.
    sent: u64,
    /// Which page of the unacknowledged rows the next regular heartbeat begins with.
    rotation: usize,
    /// Whether a row above `sent` is to leave at once.
    urgent: bool,
    /// Whether a heartbeat is to leave at once, with or without rows.
    greets: bool,
    /// The unacknowledged rows by version.
    pending: BTreeMap<u64, Key>,
}

/// One page of rows: all whose version is in `after..=upto`, without the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) after: u64,
    pub(super) upto: u64,
    pub(super) rows: Vec<Row>,
}

impl Outbox {
    /// The outbox of a peer that just appeared in a new incarnation: it knows nothing.
    pub(super) fn anew(own: &Own, peer: NodeId) -> Self {
        let told = own
            .rows
            .iter()
            .filter(|(_, row)| row.audience.contains(&peer));
        Self {
            pending: told.map(|(&key, row)| (row.version, key)).collect(),
            urgent: true,
            ..Self::default()
        }
    }

    /// The version before this one no longer exists.
    pub(super) fn withdraw(&mut self, version: u64) {
        self.pending.remove(&version);
    }

    /// A row has a new version.
    pub(super) fn put(&mut self, version: u64, key: Key, urgency: Urgency) {
        self.pending.insert(version, key);
        self.urgent |= urgency == Urgency::AtOnce;
    }

    /// Whether the row that got `version` is not acknowledged yet.
    #[cfg(test)]
    pub(super) fn holds(&self, version: u64) -> bool {
        self.pending.contains_key(&version)
    }

    /// A heartbeat is to leave at once, with what was sent in vain before.
    pub(super) fn greet(&mut self) {
        self.sent = self.acknowledged;
        self.greets = true;
    }

    /// Whether a row, or a greeting, is to leave at once.
    pub(super) fn is_urgent(&self) -> bool {
        self.urgent || self.greets
    }

    /// The peer has every row up to `version`.
    pub(super) fn acknowledge(&mut self, version: u64) {
        if version > self.acknowledged {
            self.acknowledged = version;
            self.sent = self.sent.max(version);
            self.rotation = 0;
            self.pending = self.pending.split_off(&(version + 1));
        }
    }

    /// The pages of a regular heartbeat: what is unacknowledged, beginning with another page
    /// every time, so that a network that always loses the first one still delivers all.
    pub(super) fn regular(&mut self, own: &Own, rows_max: usize, mut send: impl FnMut(Page)) {
        let count = self.pending.len().div_ceil(rows_max).max(1);
        let first = self.rotation % count;
        let sent = count.min(PAGES_MAX);
        for index in first..first + sent {
            let index = index % count;
            let mut keys = self.pending.keys();
            let after = match index
                .checked_mul(rows_max)
                .and_then(|end| end.checked_sub(1))
            {
                Some(last) => *keys.nth(last).expect("every page but the last is full"),
                None => self.acknowledged,
            };
            send(self.page(own, after, rows_max));
        }
        // The page that goes first next time has just gone in another place.
        let step = if sent == count { 1 } else { sent - 1 };
        self.rotation = (first + step) % count;
        self.urgent &= self.sent < own.version;
        self.greets = false;
    }

    /// The pages of an urgent heartbeat: what was never sent.
    pub(super) fn urgent(&mut self, own: &Own, rows_max: usize, mut send: impl FnMut(Page)) {
        if core::mem::take(&mut self.greets) && self.sent >= own.version {
            send(self.page(own, self.sent, rows_max));
        }
        for _ in 0..PAGES_MAX {
            if self.sent >= own.version {
                break;
            }
            send(self.page(own, self.sent, rows_max));
        }
        self.urgent = self.sent < own.version;
    }

    fn page(&mut self, own: &Own, after: u64, rows_max: usize) -> Page {
        let mut rest = self.pending.range(after + 1..);
        let mut upto = after;
        let mut rows = Vec::new();
        for (&version, key) in rest.by_ref().take(rows_max) {
            upto = version;
            rows.push(own.row(key).clone());
        }
        if rest.next().is_none() {
            upto = own.version;
        }
        if after <= self.sent {
            self.sent = self.sent.max(upto);
        }
        Page { after, upto, rows }
    }
}

/// Pages that one peer gets at a time; the others take turns.
pub(super) const PAGES_MAX: usize = 8;
