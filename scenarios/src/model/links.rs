//! What a node makes of its connections: the first word and its judgement, what it remembers of
//! its peers, and what the core is told.

use super::node_id;
use meshos_core::chain::peers::PeerMemory;
use meshos_core::chain::store::{FileOp, Identity};
use meshos_core::event::Input;
use meshos_core::hello::{Greeter, Hello};
use meshos_core::id::{Incarnation, NodeId};
use meshos_sim::connection::{End, News, Notice};
use meshos_sim::machine::NodeIndex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Connections that a node dials to each peer.
pub(super) const LANES: usize = 2;

/// All peers of one run of a node.
#[derive(Clone, Debug)]
pub(super) struct Links {
    greeter: Greeter,
    identity: Identity,
    memory: PeerMemory,
    peers: BTreeMap<NodeIndex, Peer>,
}

/// What is known of the connections that were dialled to one peer.
#[derive(Clone, Debug, Default)]
struct Peer {
    up: [bool; LANES],
    /// What the core was told last.
    told: Option<bool>,
    /// The run that was heard last.
    incarnation: Incarnation,
    /// What it said when its connection was accepted: it counts when the peer goes on.
    said: Option<Hello>,
    /// Whether a connection broke since the core was told that the process is gone.
    broke: bool,
}

impl Links {
    pub(super) fn new(greeter: Greeter, identity: Identity, memory: PeerMemory) -> Self {
        Self {
            greeter,
            identity,
            memory,
            peers: BTreeMap::new(),
        }
    }

    pub(super) fn hello(&self, to: NodeIndex) -> Arc<[u8]> {
        let hello = self.greeter.hello(&self.memory, node_id(to));
        hello.encode().into()
    }

    pub(super) fn judge(&self, peer: NodeIndex, hello: &[u8]) -> Result<(), Arc<str>> {
        let hello = Hello::decode(hello).map_err(|error| Arc::from(error.to_string()))?;
        if hello.from.node != node_id(peer) {
            return Err(Arc::from("the hello is of another node"));
        }
        let judged = self.greeter.judge(&self.memory, &hello);
        judged.map_err(|refused| Arc::from(refused.to_string()))
    }

    /// A peer goes on after it was accepted, so it accepted this node, too; what is written down.
    pub(super) fn on_message(&mut self, from: NodeIndex) -> Vec<FileOp> {
        let said = self.peers.get_mut(&from).and_then(|peer| peer.said.take());
        let Some(hello) = said else {
            return Vec::new();
        };
        self.peers.entry(from).or_default().incarnation = hello.from.incarnation;
        match self.memory.learn(hello.from.node, hello.remembered()) {
            true => self.memory.write(&self.identity),
            false => Vec::new(),
        }
    }

    /// What `peer` said made this node refuse itself: its store is an older one than it had. What
    /// is written down, for the next boot has to know it.
    pub(super) fn disowned(&mut self, notice: &Notice, me: NodeIndex) -> Option<Vec<FileOp>> {
        let News::Unfit { by, hello, .. } = &notice.news else {
            return None;
        };
        if *by != me {
            return None;
        }
        let hello = Hello::decode(hello).ok()?;
        let refused = self.greeter.judge(&self.memory, &hello).err()?;
        let heard = hello.heard.filter(|_| refused.disowns_itself())?;
        self.memory.learn(node_id(me), heard);
        Some(self.memory.write(&self.identity))
    }

    /// What the core was told last of the way to a peer: whether it is there.
    pub(super) fn told(&self, peer: NodeIndex) -> Option<bool> {
        self.peers.get(&peer)?.told
    }

    /// What the core is told, if it runs, and what is written down. A later notice tells what it
    /// missed: whoever is not reached is dialled again and again.
    pub(super) fn on_notice(
        &mut self,
        notice: &Notice,
        is_running: bool,
    ) -> (Vec<Input>, Vec<FileOp>) {
        let (mut inputs, mut ops) = (Vec::new(), Vec::new());
        let node: NodeId = node_id(notice.peer);
        let peer = self.peers.entry(notice.peer).or_default();
        if let News::Up { hello } = &notice.news
            && let Ok(hello) = Hello::decode(hello)
        {
            if notice.end == End::Accepted {
                peer.said = Some(hello);
            } else {
                peer.incarnation = hello.from.incarnation;
                if self.memory.learn(hello.from.node, hello.remembered()) {
                    ops = self.memory.write(&self.identity);
                }
            }
        }
        if notice.end == End::Accepted {
            return (inputs, ops);
        }
        let lane = &mut peer.up[usize::from(notice.lane)];
        match &notice.news {
            News::Up { .. } => *lane = true,
            News::Broken(_) => {
                *lane = false;
                peer.broke = true;
            }
            News::Refused => {
                *lane = false;
                if core::mem::take(&mut peer.broke) {
                    let incarnation = peer.incarnation;
                    inputs.push(Input::PeerGone { node, incarnation });
                }
            }
            News::Silent | News::Unfit { .. } => *lane = false,
        }
        let is_up = peer.up.iter().all(|up| *up);
        let is_down = !is_up && !matches!(notice.news, News::Up { .. });
        let is_news = is_running && (is_up || is_down);
        if is_news && peer.told.replace(is_up) != Some(is_up) {
            inputs.push(match is_up {
                true => Input::LinkUp { peer: node },
                false => Input::LinkDown { peer: node },
            });
        }
        (inputs, ops)
    }
}
