//! Which peers are heard, and what they said of their replicas (D21).
//!
//! There is one heartbeat per peer, whatever number of chains the two share. It repeats the own
//! rows that the peer has not acknowledged, in this incarnation of either end, so it carries
//! none when nothing changes and an idle chain costs nothing. A message that is not newer than
//! the last one of its sender changes nothing.
//!
//! Silence for [`Timing::window`] makes a peer suspected. That is a hint and never more: no
//! safety property depends on it. A wake-up that comes much later than its deadline excuses the
//! silence once, for a node that was not listening has no evidence.
//!
//! This module never decides who leads and never reads a clock. It upholds *bounded* and
//! *quiesce*, and *amnesia* as far as rows and acknowledgements go.

mod peer;
mod rows;

#[cfg(test)]
mod tests;

use crate::id::{ChainId, Gen, Incarnation, NodeId, Replica};
use crate::message::{Heartbeat, Row, RowState};
use crate::time::{Instant, Sample, Wall};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;
use peer::{Peer, Verdict};
use rows::{Own, Page, Urgency};
use serde::{Deserialize, Serialize};

/// The pace of heartbeats.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timing {
    /// Time between two heartbeats to a peer.
    pub heartbeat: Duration,
    /// Heartbeats missed before a peer is suspected; 0 counts as 1.
    pub misses: u32,
    /// Rows in one heartbeat; 0 counts as 1.
    pub rows_per_page_max: u32,
}

impl Timing {
    /// How long a peer may be silent before it is suspected.
    pub const fn window(&self) -> Duration {
        let misses = if self.misses == 0 { 1 } else { self.misses };
        self.heartbeat.saturating_mul(misses)
    }

    fn rows_max(&self) -> usize {
        self.rows_per_page_max.max(1) as usize
    }
}

/// The peers of one node, as it hears them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Liveness {
    me: Incarnation,
    timing: Timing,
    own: Own,
    peers: BTreeMap<NodeId, Peer>,
    heartbeat_due: Instant,
    /// The earliest deadline of a peer that is not suspected, so that asking costs nothing.
    suspicion_due: Option<(Instant, NodeId)>,
    /// Whether some peer may have to be told something at once.
    urgent: bool,
}

/// What a heartbeat that was newer than the last one meant.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its incarnation is newer than the one heard before, whose rows were forgotten.
    pub restarted: bool,
    /// The peer was suspected until now.
    pub recovered: bool,
    /// It echoed a newer heartbeat of our present incarnation than any before.
    pub echoed: bool,
}

impl Liveness {
    /// Every peer counts as live and has one window from `now` to be heard; heartbeats are due
    /// at once.
    pub fn new(
        me: Incarnation,
        peers: impl IntoIterator<Item = NodeId>,
        timing: Timing,
        now: Instant,
    ) -> Self {
        let peers = peers
            .into_iter()
            .map(|peer| (peer, Peer::new(now)))
            .collect();
        let mut liveness = Self {
            me,
            timing,
            own: Own::default(),
            peers,
            heartbeat_due: now,
            suspicion_due: None,
            urgent: false,
        };
        liveness.seek_suspicion_due();
        liveness
    }

    /// Sets this node's own row of a chain for the peers that share the chain; a `state` of
    /// `None` says that the replica is gone. Its version changes only if the row or `audience`
    /// does.
    ///
    /// Returns whether the change is urgent (the row is new or gone, or its membership, role,
    /// epoch or distance changed): the caller then asks for [`Self::urgent_heartbeats`]. Who was
    /// told of a row is told when it is gone, whatever `audience` says; peers that are not known
    /// are told nothing, and a peer that left the audience keeps what it heard last.
    ///
    /// A caller whose rows change faster than heartbeats leave may publish a change that is not
    /// urgent as late as just before it asks for the heartbeats.
    pub fn publish(
        &mut self,
        chain: ChainId,
        generation: Gen,
        replica: Replica,
        state: Option<RowState>,
        audience: &[NodeId],
    ) -> bool {
        let key = (chain, generation);
        let Some(urgency) = self.own.change(&key, replica, state, audience) else {
            return false;
        };
        if let Some((version, told)) = self.own.told(&key) {
            for peer in told {
                if let Some(peer) = self.peers.get_mut(peer) {
                    peer.outbox.withdraw(version);
                }
            }
        }
        let version = self.own.write(key, replica, state, audience);
        let (_, told) = self.own.told(&key).expect("the row was just written");
        for peer in told {
            if let Some(peer) = self.peers.get_mut(peer) {
                peer.outbox.put(version, key, urgency);
            }
        }
        self.urgent |= urgency == Urgency::AtOnce;
        urgency == Urgency::AtOnce
    }

    /// Takes a heartbeat; `None` if its sender is no peer or it is not newer, in (incarnation,
    /// number), than the newest of its sender.
    pub fn on_heartbeat(
        &mut self,
        from: NodeId,
        incarnation: Incarnation,
        heartbeat: &Heartbeat,
        now: Instant,
    ) -> Option<Heard> {
        let peer = self.peers.get_mut(&from)?;
        let mut heard = peer.on_heartbeat(from, incarnation, heartbeat, &self.own, now)?;
        self.urgent |= peer.outbox.is_urgent();
        if let Some((me, number)) = heartbeat.echo
            && me == self.me
        {
            heard.echoed = peer.on_echo(number, now);
        }
        if let Some((me, version)) = heartbeat.acknowledged
            && me == self.me
            && version <= self.own.version()
        {
            peer.outbox.acknowledge(version);
        }
        // Whoever was just heard has the latest deadline of all.
        if self
            .suspicion_due
            .is_none_or(|(_, earliest)| earliest == from)
        {
            self.seek_suspicion_due();
        }
        Some(heard)
    }

    /// Takes the rows of a heartbeat that newer ones of the same run overtook, and gives those of
    /// which nothing newer is known: pages that leave together arrive in any order.
    pub fn on_overtaken(
        &mut self,
        from: NodeId,
        incarnation: Incarnation,
        heartbeat: &Heartbeat,
    ) -> Vec<Row> {
        let peer = self.peers.get_mut(&from);
        peer.map_or(Vec::new(), |peer| peer.on_overtaken(incarnation, heartbeat))
    }

    /// What the present incarnation of `peer` last said of its replica of a chain; `None` if
    /// nothing, or that it is gone.
    pub fn row(&self, peer: NodeId, chain: ChainId, generation: Gen) -> Option<&Row> {
        self.peers.get(&peer)?.row(&(chain, generation))
    }

    /// What the present incarnation of `peer` last said of its replica of a chain, also that it is
    /// gone.
    pub fn said(&self, peer: NodeId, chain: ChainId, generation: Gen) -> Option<&Row> {
        self.peers.get(&peer)?.said(&(chain, generation))
    }

    /// The regular heartbeats, if they are due: to each peer one without rows, or what it has
    /// not acknowledged in as many as that needs. Missed ones are not made up for.
    pub fn poll_heartbeats(
        &mut self,
        now: Instant,
        wall: Wall,
        out: &mut Vec<(NodeId, Heartbeat)>,
    ) {
        if self.heartbeat_due > now {
            return;
        }
        let next = self.heartbeat_due.after(self.timing.heartbeat);
        self.heartbeat_due = if next > now {
            next
        } else {
            now.after(self.timing.heartbeat)
        };
        for (&id, peer) in &mut self.peers {
            let mut outbox = core::mem::take(&mut peer.outbox);
            outbox.regular(&self.own, self.timing.rows_max(), |page: Page| {
                out.push((id, peer.heartbeat(page, wall)));
            });
            peer.outbox = outbox;
        }
    }

    /// A heartbeat to each peer that has not been sent the newest urgent row, with all rows that
    /// it has never been sent. Repeating them is left to the regular ones.
    pub fn urgent_heartbeats(&mut self, wall: Wall, out: &mut Vec<(NodeId, Heartbeat)>) {
        if !core::mem::take(&mut self.urgent) {
            return;
        }
        for (&id, peer) in &mut self.peers {
            if !peer.outbox.is_urgent() {
                continue;
            }
            let mut outbox = core::mem::take(&mut peer.outbox);
            outbox.urgent(&self.own, self.timing.rows_max(), |page: Page| {
                out.push((id, peer.heartbeat(page, wall)));
            });
            self.urgent |= outbox.is_urgent();
            peer.outbox = outbox;
        }
    }

    /// When the regular heartbeats are due.
    pub fn heartbeat_due(&self) -> Instant {
        self.heartbeat_due
    }

    /// When the next peer becomes suspected unless it is heard; `None` if all are.
    pub fn suspicion_due(&self) -> Option<Instant> {
        self.suspicion_due.map(|(due, _)| due)
    }

    /// Appends the peers that become suspected as of `now`. A look that comes more than one
    /// heartbeat after the deadline excuses that silence once instead; returns how many were.
    pub fn poll_suspicion(&mut self, now: Instant, out: &mut Vec<NodeId>) -> u64 {
        if self.suspicion_due().is_none_or(|due| due > now) {
            return 0;
        }
        let mut rearmed = 0;
        for (&id, peer) in &mut self.peers {
            match peer.poll_suspicion(now, &self.timing) {
                Verdict::Unchanged => {}
                Verdict::Rearmed => rearmed += 1,
                Verdict::Suspected => out.push(id),
            }
        }
        self.seek_suspicion_due();
        rearmed
    }

    /// Whether `peer` counts as lost; an unknown one does.
    pub fn is_suspected(&self, peer: NodeId) -> bool {
        self.peers.get(&peer).is_none_or(Peer::is_suspected)
    }

    /// Takes the driver's word that the process of `peer` is gone: it counts as lost until it is
    /// heard again. Returns whether it does: the word is ignored for no peer, for one that was
    /// not heard yet, and for an earlier run than the newest heard. A later one that is gone has
    /// ended all before it.
    pub fn on_gone(&mut self, id: NodeId, incarnation: Incarnation) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else {
            return false;
        };
        if peer.incarnation().is_none_or(|heard| incarnation < heard) {
            return false;
        }
        peer.suspect();
        self.seek_suspicion_due();
        true
    }

    /// Notes whether what is sent to `peer` can reach it; nothing is noted of an unknown one. A
    /// peer that can be reached again is sent a heartbeat at once: it may not have heard one for
    /// so long that it suspects this node.
    pub fn set_link(&mut self, peer: NodeId, is_up: bool) {
        let Some(peer) = self.peers.get_mut(&peer) else {
            return;
        };
        if is_up && !peer.is_reachable {
            peer.outbox.greet();
            self.urgent = true;
        }
        peer.is_reachable = is_up;
    }

    /// Whether what is sent to `peer` can reach it, as far as the driver said; an unknown peer
    /// cannot be reached.
    pub fn is_reachable(&self, peer: NodeId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.is_reachable)
    }

    /// The peers, in ascending order.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.peers.keys().copied()
    }

    /// When `peer` was last heard in this run.
    pub fn last_heard(&self, peer: NodeId) -> Option<Instant> {
        self.peers.get(&peer)?.last_heard
    }

    /// What the wall clock of `peer` showed when the newest of its heartbeats left.
    pub fn clock(&self, peer: NodeId) -> Option<Sample> {
        self.peers.get(&peer)?.clock
    }

    /// When a heartbeat of `peer` last echoed a newer one of our present incarnation than any
    /// before, which shows that both directions work (D12).
    pub fn last_echo(&self, peer: NodeId) -> Option<Instant> {
        self.peers.get(&peer)?.last_echo
    }

    /// Looks at all echoes: whether the last one of some peer was less than `window` old at the
    /// last look, and is not any more.
    pub fn poll_contact(&mut self, now: Instant, window: Duration) -> bool {
        let mut is_lost = false;
        for peer in self.peers.values_mut() {
            is_lost |= peer.poll_contact(now, window);
        }
        is_lost
    }

    /// The incarnation of `peer` that was heard last in this run.
    pub fn incarnation(&self, peer: NodeId) -> Option<Incarnation> {
        self.peers.get(&peer)?.incarnation()
    }

    fn seek_suspicion_due(&mut self) {
        let due = |(&id, peer): (&NodeId, &Peer)| Some((peer.suspicion_due(&self.timing)?, id));
        self.suspicion_due = self.peers.iter().filter_map(due).min();
    }
}
