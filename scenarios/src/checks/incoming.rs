//! What each node has heard of its peers: whom it may know as a live leader.
//!
//! A peer counts as one as long as it is not suspected and the row of its present incarnation says
//! so (`docs/decisions/peers.md`, heartbeats).

use super::Checks;
use super::amnesia;
use super::no_disruption::Heard;
use super::outgoing::bulk_of;
use super::sent_once::{Bulk, Way};
use crate::model::Host;
use meshos_core::hello::Hello;
use meshos_core::id::{HeartbeatNumber, Incarnation, NodeId};
use meshos_core::message::{Body, ChainMessage, Heartbeat, Message, Purpose, ReplicaMessage};
use meshos_core::node::Node;
use meshos_core::replica::role::Role;
use meshos_sim::connection::{End, News, Notice};
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::{Instant, Now};
use meshos_sim::world::View;

/// What one node has heard of one peer.
#[derive(Clone, Debug, Default)]
struct Peer {
    newest: (Incarnation, HeartbeatNumber),
    /// When, by the hearer's own clock.
    at: u64,
    /// Whether a connection to it broke since the hearer was last refused there.
    broke: bool,
    /// How often its store had been set back when this run heard it, and its newest boot then.
    before: Option<(u32, Incarnation)>,
    /// Per chain the number of the epoch that the peer claims to lead, and of the heartbeat that
    /// said so.
    claims: Vec<(HeartbeatNumber, Option<u64>)>,
}

/// What one run of a node has heard.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerView {
    peers: Vec<Peer>,
}

impl PeerView {
    pub(super) fn new(nodes: u16, chains: usize) -> Self {
        let peer = Peer {
            claims: vec![Default::default(); chains],
            ..Peer::default()
        };
        Self {
            peers: vec![peer; usize::from(nodes)],
        }
    }

    /// A new run has heard nothing.
    pub(super) fn restart(&mut self) {
        for peer in &mut self.peers {
            peer.newest = Default::default();
            peer.before = None;
            peer.broke = false;
            peer.claims.fill(Default::default());
        }
    }

    /// Takes in a heartbeat unless it is stale. Tells whether its rows count, as far as nothing
    /// newer is known, and whether it shows that an earlier run that was heard has ended.
    fn on_heartbeat(
        &mut self,
        from: NodeIndex,
        run: Incarnation,
        beat: &Heartbeat,
        at: u64,
    ) -> (bool, bool) {
        let peer = &mut self.peers[from.at()];
        let before = peer.newest.0;
        if (run, beat.number) <= peer.newest {
            return (run == before, false);
        }
        if run > before {
            peer.claims.fill(Default::default());
        }
        peer.newest = (run, beat.number);
        peer.at = at;
        (true, run > before && before > Incarnation::default())
    }

    /// The run of a peer that was heard last.
    pub(super) fn incarnation(&self, peer: NodeId) -> Incarnation {
        self.peers[crate::model::node_index(peer).at()].newest.0
    }

    /// What this node, which follows `leader` in epoch `n` of a chain, has heard of it.
    pub(super) fn heard(&self, chain: usize, leader: NodeId, n: u64, now: u64) -> Heard {
        let index = crate::model::node_index(leader);
        let peer = &self.peers[index.at()];
        Heard {
            leader,
            n,
            claimed: peer.claims[chain].1,
            silence: now.saturating_sub(peer.at),
        }
    }
}

impl Checks {
    #[inline]
    pub(super) fn on_message(
        &mut self,
        node: NodeIndex,
        from: NodeIndex,
        (view, now): (View<'_, Host>, Now),
        message: &Message,
    ) {
        let at = view.at();
        self.obligations
            .on_heard_of(view, (node, from), message.from.incarnation);
        match &message.body {
            Body::Heartbeat(beat) => self.on_heartbeat(node, from, (view, now), message, beat),
            Body::Chain(chain) => {
                self.consents_to_silence = matches!(
                    chain.content,
                    ReplicaMessage::VoteRequest {
                        purpose: Purpose::Silence,
                        ..
                    }
                );
                self.on_transfer(node, at, chain);
                self.on_bulk((from, node), chain);
            }
            Body::Confirm(_) | Body::Confirmed(_) | Body::Forward(_) | Body::Forwarded { .. } => {}
        }
    }

    fn on_transfer(&mut self, target: NodeIndex, at: Instant, message: &ChainMessage) {
        if let ReplicaMessage::TransferNow { .. } = message.content
            && let Some(chain) = self.chains.iter().position(|it| it.id == message.chain)
        {
            self.obligations
                .on_heard((chain, message.epoch.n), target, at);
        }
    }

    fn on_bulk(&mut self, (from, to): (NodeIndex, NodeIndex), message: &ChainMessage) {
        let Some(bulk) = bulk_of(&message.content) else {
            return;
        };
        let ids = &self.chains;
        let Ok(chain) = ids.binary_search_by_key(&message.chain, |chain| chain.id) else {
            return;
        };
        self.arriving = Some(((from, to, chain), bulk));
    }

    /// A step took in bulk. A node that is a candidate after it took nothing: one that follows the
    /// sender ends its candidacy first.
    pub(super) fn took_in(&mut self, at: Instant, node: &Node, (way, bulk): (Way, Bulk)) {
        let chain = node.chain(self.chains[way.2].id);
        match chain.is_some_and(|chain| chain.role() == Role::Candidate) {
            true => self.sent.decline(way, &bulk),
            false => self.sent.arrive(way, bulk, at),
        }
    }

    /// What a node learns of a connection.
    pub(super) fn on_notice(&mut self, view: View<'_, Host>, node: NodeIndex, notice: &Notice) {
        self.on_disowned(node, notice);
        let (track, peer) = (&mut self.nodes[node.at()], notice.peer);
        let broke = &mut track.view_of_peers.peers[peer.at()].broke;
        match &notice.news {
            News::Broken(_) if notice.end == End::Dialled => *broke = true,
            News::Refused if core::mem::take(broke) => {
                let pair = (node, peer);
                track.noticed = self.obligations.on_gone(view, pair, &self.chains).err();
            }
            News::Up { .. }
            | News::Broken(_)
            | News::Refused
            | News::Silent
            | News::Unfit { .. } => {}
        }
    }

    /// A node whose store was set back hears of a boot that the store forgot: from now on it is a
    /// stranger to its chains, and nothing that it says may count.
    fn on_disowned(&mut self, node: NodeIndex, notice: &Notice) {
        let track = &mut self.nodes[node.at()];
        let (count, first) = track.set_back;
        let News::Unfit { by, hello, .. } = &notice.news else {
            return;
        };
        let heard = Hello::decode(hello).ok().and_then(|hello| hello.heard);
        let is_told = heard.is_some_and(|heard| heard.incarnation >= first);
        if *by == node && count > 0 && is_told {
            for replica in &mut track.replicas {
                replica.voter = None;
            }
        }
    }

    fn on_heartbeat(
        &mut self,
        node: NodeIndex,
        from: NodeIndex,
        (view, now): (View<'_, Host>, Now),
        message: &Message,
        beat: &Heartbeat,
    ) {
        let (count, first) = self.nodes[from.at()].set_back;
        // A message counts only from a founding store, and only at the store that it is meant for
        // (`docs/decisions/peers.md`, which messages count).
        let track = &mut self.nodes[node.at()];
        let run = message.from.incarnation;
        let before = track.view_of_peers.peers[from.at()]
            .before
            .replace((count, run));
        // Whoever never heard a boot that the store forgot cannot know that it did.
        let forgot = before.is_some_and(|(known, newest)| known != count && newest >= first);
        if self.says_hello && forgot {
            track.noticed = amnesia::set_back(track.id, message.from.node).err();
        }
        let is_meant = track.run.is_some_and(|run| run.store == message.to);
        let is_founder = self.configs[0].store_of(message.from.node) == Some(message.from.store);
        let at = now.instant.as_nanos();
        if !is_meant || !is_founder {
            return;
        }
        let (counts, is_later) = track.view_of_peers.on_heartbeat(from, run, beat, at);
        if is_later {
            let told = self
                .obligations
                .on_gone(view, (node, from), &self.chains)
                .err();
            track.noticed = told.or(track.noticed.take());
        }
        if !counts {
            return;
        }
        for row in &beat.rows {
            let Ok(chain) = self
                .chains
                .binary_search_by_key(&row.chain, |chain| chain.id)
            else {
                continue;
            };
            let leads = row.state.filter(|state| state.role == Role::Leader);
            let claim = &mut track.view_of_peers.peers[from.at()].claims[chain];
            if claim.0 < beat.number {
                *claim = (beat.number, leads.map(|state| state.epoch.n));
            }
        }
    }
}
