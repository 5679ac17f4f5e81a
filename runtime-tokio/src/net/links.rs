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
    /// Why the two nodes do not talk.
    refusal: Option<String>,
    /// The run whose process is known to be gone.
    gone: Option<Incarnation>,
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
    /// Whether what is sent to it can reach it.
    pub is_up: bool,
    /// Seconds since that last changed.
    pub for_s: u64,
    /// Why one of the two nodes will not talk to the other.
    pub refusal: Option<String>,
}

impl Links {
    /// Links to `peers`, all of them down.
    pub fn new(peers: impl IntoIterator<Item = NodeId>) -> Self {
        let now = Instant::now();
        let link = || Link {
            state: watch::Sender::new(State {
                control: false,
                bulk: false,
                since: now,
                refusal: None,
                gone: None,
            }),
            hurry: Notify::new(),
        };
        let peers = peers.into_iter().map(|peer| (peer, link()));
        Self {
            peers: Arc::new(peers.collect()),
        }
    }

    /// What is known of each link, in ascending order.
    pub fn status(&self) -> Vec<LinkStatus> {
        let status = |(node, link): (&NodeId, &Link)| {
            let state = link.state.borrow();
            LinkStatus {
                node: *node,
                is_up: state.is_up(),
                for_s: state.since.elapsed().as_secs(),
                refusal: state.refusal.clone(),
            }
        };
        self.peers.iter().map(status).collect()
    }

    /// One of the two connections to `peer` is there now, or broke.
    pub(super) fn set(&self, peer: NodeId, lane: Lane, is_connected: bool) {
        self.modify(peer, |state| {
            let was_up = state.is_up();
            match lane {
                Lane::Control => state.control = is_connected,
                Lane::Bulk => state.bulk = is_connected,
            }
            if was_up != state.is_up() {
                state.since = Instant::now();
            }
            if is_connected {
                state.refusal = None;
                state.gone = None;
            }
        });
    }

    /// One of the two nodes refuses the other; said once in the log for as long as it stays so.
    pub(super) fn refuse(&self, peer: NodeId, reason: String) {
        self.modify(peer, |state| {
            if state.refusal.as_ref() != Some(&reason) {
                tracing::warn!(%peer, "{reason}");
                state.refusal = Some(reason);
            }
        });
    }

    /// The process of `peer` is gone: its connections broke, and dialling it is refused.
    pub(super) fn gone(&self, peer: NodeId, incarnation: Incarnation) {
        self.modify(peer, |state| state.gone = Some(incarnation));
    }

    /// The peer just opened a connection, and both ends will talk: who waits before dialling it
    /// need not.
    pub(super) fn heard(&self, peer: NodeId) {
        self.modify(peer, |state| state.refusal = None);
        if let Some(link) = self.peers.get(&peer) {
            link.hurry.notify_waiters();
        }
    }

    /// Ends when [`Links::heard`] is called.
    pub(super) async fn hurried(&self, peer: NodeId) {
        match self.peers.get(&peer) {
            Some(link) => link.hurry.notified().await,
            None => std::future::pending().await,
        }
    }

    fn modify(&self, peer: NodeId, change: impl FnOnce(&mut State)) {
        if let Some(link) = self.peers.get(&peer) {
            link.state.send_modify(change);
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

/// Feeds one input as soon as there is room.
async fn feed(inbox: &Sender, input: Input) -> Result<(), Refused> {
    loop {
        match inbox.command(input.clone()) {
            Err(Refused::Full) => sleep(Duration::from_millis(5)).await,
            fed => return fed,
        }
    }
}
