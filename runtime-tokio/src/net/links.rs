//! What is known of the link to each peer: told to the node, logged, and shown in `status`.

use crate::inbox::{Refused, Sender};
use meshos_core::event::Input;
use meshos_core::id::{Incarnation, NodeId};
use meshos_core::message::Lane;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// The links of one node; clones share them.
#[derive(Clone, Debug)]
pub struct Links {
    peers: Arc<BTreeMap<NodeId, Link>>,
}

#[derive(Debug)]
struct Link {
    /// Where it is dialled.
    address: String,
    state: watch::Sender<State>,
    /// Wakes those who wait before they dial again.
    hurry: Notify,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    control: bool,
    bulk: bool,
    /// Since when the link is up, or down.
    since: Instant,
    /// Connections of the peer to this node.
    calls: u32,
    /// Why a call of the peer was of no use.
    turned_away: Option<String>,
    /// Why dialling it failed the last time, since a connection was there.
    failed: Option<Failed>,
    /// The run whose process is known to be gone.
    gone: Option<Incarnation>,
}

/// How dialling a peer fails.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failed {
    why: String,
    /// Whether one of the two nodes will not talk to the other.
    is_refusal: bool,
    /// Attempts in a row.
    attempts: u32,
    /// Whether the log says so.
    is_told: bool,
}

impl State {
    fn is_up(&self) -> bool {
        self.control && self.bulk
    }
}

/// What a node says of the link to one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The peer.
    pub node: NodeId,
    /// Where it is dialled.
    pub address: String,
    /// Whether what is sent to it can reach it.
    pub is_up: bool,
    /// Seconds since that last changed.
    pub for_s: u64,
    /// Why one of the two nodes will not talk to the other.
    pub refusal: Option<String>,
    /// Why it could not be dialled the last time, if what is sent does not reach it.
    pub failure: Option<String>,
}

impl Links {
    /// Links to peers that listen at these addresses, all of them down.
    pub fn new(addresses: &BTreeMap<NodeId, String>) -> Self {
        let now = Instant::now();
        let link = |address: &String| Link {
            address: address.clone(),
            state: watch::Sender::new(State {
                control: false,
                bulk: false,
                since: now,
                calls: 0,
                turned_away: None,
                failed: None,
                gone: None,
            }),
            hurry: Notify::new(),
        };
        let peers = addresses.iter();
        let peers = peers.map(|(peer, address)| (*peer, link(address)));
        Self {
            peers: Arc::new(peers.collect()),
        }
    }

    /// What is known of each link, in ascending order.
    pub fn status(&self) -> Vec<LinkStatus> {
        let status = |(node, link): (&NodeId, &Link)| {
            let state = link.state.borrow();
            let failed = state.failed.as_ref();
            let refused = failed.filter(|failed| failed.is_refusal);
            let refused = refused.map(|failed| &failed.why);
            LinkStatus {
                node: *node,
                address: link.address.clone(),
                is_up: state.is_up(),
                for_s: state.since.elapsed().as_secs(),
                refusal: refused.or(state.turned_away.as_ref()).cloned(),
                failure: failed.map(|failed| failed.why.clone()),
            }
        };
        self.peers.iter().map(status).collect()
    }

    /// One of the two connections to `peer` is there now, or broke.
    pub(super) fn set(&self, peer: NodeId, lane: Lane, is_connected: bool) {
        self.modify(peer, |_, state| {
            let was_up = state.is_up();
            match lane {
                Lane::Control => state.control = is_connected,
                Lane::Bulk => state.bulk = is_connected,
            }
            if was_up != state.is_up() {
                state.since = Instant::now();
            }
            if is_connected {
                state.failed = None;
                state.gone = None;
            }
        });
    }

    /// A call of `peer` was of no use, because one of the two nodes refuses the other; said once
    /// in the log for as long as it stays so.
    pub(super) fn turn_away(&self, peer: NodeId, reason: String) {
        self.modify(peer, |_, state| {
            if state.turned_away.as_ref() != Some(&reason) {
                tracing::warn!(%peer, "{reason}");
                state.turned_away = Some(reason);
            }
        });
    }

    /// Dialling `peer` failed. What the operator has to mend is said once in the log for as long
    /// as it stays so: that one of the two nodes refuses the other, and that nobody answers where
    /// the peer is dialled though it is connected to this node.
    pub(super) fn fail(&self, peer: NodeId, why: String, is_refusal: bool) {
        self.modify(peer, |address, state| {
            let failed = match state.failed.take() {
                Some(failed) if (&failed.why, failed.is_refusal) == (&why, is_refusal) => failed,
                Some(_) | None => Failed {
                    why,
                    is_refusal,
                    attempts: 0,
                    is_told: false,
                },
            };
            let failed = state.failed.insert(failed);
            failed.attempts = failed.attempts.saturating_add(1);
            let is_one_way = state.calls > 0 && failed.attempts >= ATTEMPTS_TOLD;
            if failed.is_told || !(is_refusal || is_one_way) {
                return;
            }
            failed.is_told = true;
            let why = &failed.why;
            if is_refusal {
                tracing::warn!(%peer, address, "{why}");
            } else {
                tracing::warn!(
                    %peer, address,
                    "the peer is connected to this node but cannot be dialled, see its address in \
                     cluster.nodes: {why}"
                );
            }
        });
    }

    /// The process of `peer` is gone: its connections broke, and dialling it is refused.
    pub(super) fn gone(&self, peer: NodeId, incarnation: Incarnation) {
        self.modify(peer, |_, state| state.gone = Some(incarnation));
    }

    /// The peer just opened a connection, and both ends will talk: who waits before dialling it
    /// need not.
    pub(super) fn heard(&self, peer: NodeId) {
        self.modify(peer, |_, state| {
            state.calls += 1;
            state.turned_away = None;
        });
        if let Some(link) = self.peers.get(&peer) {
            link.hurry.notify_waiters();
        }
    }

    /// A connection that was heard of ended.
    pub(super) fn left(&self, peer: NodeId) {
        self.modify(peer, |_, state| state.calls -= 1);
    }

    /// Ends when [`Links::heard`] is called.
    pub(super) async fn hurried(&self, peer: NodeId) {
        match self.peers.get(&peer) {
            Some(link) => link.hurry.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Ends as soon as the connection for control to `peer` is there.
    pub(super) async fn has_control(&self, peer: NodeId) {
        let Some(link) = self.peers.get(&peer) else {
            return std::future::pending().await;
        };
        let mut state = link.state.subscribe();
        if state.wait_for(|state| state.control).await.is_err() {
            // Only the end of the link ends the wait, and this holds the link.
            std::future::pending().await
        }
    }

    fn modify(&self, peer: NodeId, change: impl FnOnce(&str, &mut State)) {
        if let Some(link) = self.peers.get(&peer) {
            link.state.send_modify(|state| change(&link.address, state));
        }
    }

    /// Tells the node of the link to `peer`, as it changes, until the inbox is closed. What changes
    /// and changes back meanwhile is not told.
    pub(super) async fn report(self, peer: NodeId, inbox: Sender) {
        let Some(link) = self.peers.get(&peer) else {
            return;
        };
        let mut state = link.state.subscribe();
        let mut told: Option<bool> = None;
        let mut told_gone = None;
        loop {
            let (is_up, gone) = {
                let state = state.borrow_and_update();
                (state.is_up(), state.gone)
            };
            if told != Some(is_up) {
                let input = if is_up {
                    tracing::info!(%peer, "link is up");
                    Input::LinkUp { peer }
                } else {
                    if told.is_some() {
                        tracing::info!(%peer, "link is down");
                    }
                    Input::LinkDown { peer }
                };
                if feed(&inbox, input).await.is_err() {
                    return;
                }
                told = Some(is_up);
            }
            if gone != told_gone
                && let Some(incarnation) = gone
            {
                tracing::info!(%peer, %incarnation, "process of peer is gone");
                let node = peer;
                let input = Input::PeerGone { node, incarnation };
                if feed(&inbox, input).await.is_err() {
                    return;
                }
            }
            told_gone = gone;
            if state.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Attempts that fail before the log says so of a peer that is connected to this node: when a
/// process dies its connections and its listener end at different moments.
const ATTEMPTS_TOLD: u32 = 8;

/// Feeds one input as soon as there is room.
async fn feed(inbox: &Sender, input: Input) -> Result<(), Refused> {
    loop {
        match inbox.command(input.clone()) {
            Err(Refused::Full) => sleep(Duration::from_millis(5)).await,
            fed => return fed,
        }
    }
}
