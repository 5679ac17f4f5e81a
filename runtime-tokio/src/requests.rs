//! Who asked what, and what the node says of itself.
//!
//! Requests get a ticket on their way in, and the answer goes back to whoever holds it. A status
//! is taken from the node between two of its steps when somebody asks for one; nothing that the
//! node does depends on it.

use crate::inbox::{Refused, Sender};
use crate::net::{LinkStatus, Links};
use crate::ports::Requests;
use crate::recording::CutShort;
use crate::store_gauge::Gauge;
use meshos_core::action::Note;
use meshos_core::client::{Answer, ClientRequest};
use meshos_core::config::ChainDraft;
use meshos_core::event::Input;
use meshos_core::id::{ChainId, NodeId, Ticket};
use meshos_core::node::{Node, NodeStatus};
use meshos_core::replica::role::Role;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{oneshot, watch};

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its core.
    pub node: NodeStatus,
    /// The chains of its cluster, in ascending order of their ids; it need not hold them all.
    pub chains: Vec<Listed>,
    /// Its links to the other nodes, in ascending order.
    pub links: Vec<LinkStatus>,
    /// Milliseconds that its store has been busy with the same orders; 0 when it is idle.
    pub store_busy_ms: u64,
    /// Largest payload of one entry that it takes.
    pub entry_bytes_max: u32,
    /// Whether its recording ended, and the node goes on without.
    pub is_recording_cut_short: bool,
}

/// A chain of the config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its id.
    pub chain: ChainId,
    /// Its name.
    pub name: String,
    /// The nodes that hold it, in ascending order.
    pub members: Vec<NodeId>,
}

/// Who waits for an answer of one node, and what it says of itself; clones share it.
#[derive(Clone, Debug)]
pub struct PendingRequests {
    inbox: Sender,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    open: Mutex<Open>,
    chains: Vec<Listed>,
    entry_bytes_max: u32,
    store: Gauge,
    links: Links,
    recording: CutShort,
    leading: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    waiting: BTreeMap<Ticket, oneshot::Sender<Answer>>,
    looking: Vec<oneshot::Sender<NodeStatus>>,
    /// Who wants to know that the node steps.
    probing: Vec<oneshot::Sender<()>>,
    /// The chains led here that another node could lead.
    led: BTreeSet<ChainId>,
}

impl PendingRequests {
    /// Nobody waits yet: feeds `inbox`, of `node`, which has not stepped yet, whose store `store` shows
    /// at work, whose links are `links`, and whose recording may be `recording`.
    pub fn new(
        inbox: Sender,
        node: &Node,
        store: Gauge,
        links: Links,
        recording: CutShort,
    ) -> Self {
        let listed = |draft: &ChainDraft| Listed {
            chain: ChainId::of(&draft.name),
            name: draft.name.clone(),
            members: draft.members.clone(),
        };
        let (leading, _) = watch::channel(0);
        Self {
            inbox,
            shared: Arc::new(Shared {
                open: Mutex::default(),
                chains: node.config().chains().iter().map(listed).collect(),
                entry_bytes_max: node.config().limits().entry_bytes_max,
                store,
                links,
                recording,
                leading,
            }),
        }
    }

    /// Asks the node; an error means that nothing was asked. A dropped receiver drops the answer.
    pub fn ask(&self, request: ClientRequest) -> Result<oneshot::Receiver<Answer>, Refused> {
        let (sender, receiver) = oneshot::channel();
        let ticket = {
            let mut open = self.open();
            open.last += 1;
            let ticket = Ticket::new(open.last);
            open.waiting.insert(ticket, sender);
            ticket
        };
        let asked = self.inbox.command(Input::Client { ticket, request });
        if asked.is_err() {
            self.open().waiting.remove(&ticket);
        }
        asked.map(|()| receiver)
    }

    /// Ends between the node's next two steps; `None` when it is going down.
    pub async fn ping(&self) -> Option<()> {
        let (sender, receiver) = oneshot::channel();
        self.open().probing.push(sender);
        self.inbox.look();
        receiver.await.ok()
    }

    /// What the node says of itself between its next two steps; `None` when it is going down.
    pub async fn status(&self) -> Option<Status> {
        let (sender, receiver) = oneshot::channel();
        self.open().looking.push(sender);
        self.inbox.look();
        let node = receiver.await.ok()?;
        let busy = self.shared.store.busy().as_millis();
        Some(Status {
            chains: self.shared.chains.clone(),
            node,
            links: self.shared.links.status(),
            store_busy_ms: u64::try_from(busy).unwrap_or(u64::MAX),
            is_recording_cut_short: self.shared.recording.is_set(),
            entry_bytes_max: self.shared.entry_bytes_max,
        })
    }

    /// The name of a chain of the node.
    pub fn name_of(&self, chain: ChainId) -> &str {
        self.listed(chain).map_or("", |listed| &listed.name)
    }

    /// Largest payload of one entry that the node takes.
    pub fn entry_bytes_max(&self) -> u32 {
        self.shared.entry_bytes_max
    }

    fn listed(&self, chain: ChainId) -> Option<&Listed> {
        let chains = &self.shared.chains;
        let at = chains.binary_search_by_key(&chain, |listed| listed.chain);
        chains.get(at.ok()?)
    }

    /// How many chains this node leads that another could lead, as it changes.
    pub fn leading(&self) -> watch::Receiver<usize> {
        self.shared.leading.subscribe()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        let open = self.shared.open.lock();
        open.expect("no holder of the tickets panics")
    }

    /// Takes down whether a chain is led here.
    fn leads(&self, chain: ChainId, leads: bool) {
        let mut open = self.open();
        let is_shared = |listed: &Listed| listed.members.len() > 1;
        if leads && self.listed(chain).is_some_and(is_shared) {
            open.led.insert(chain);
        } else {
            open.led.remove(&chain);
        }
        let leading = open.led.len();
        self.shared.leading.send_if_modified(|shown| {
            let changed = *shown != leading;
            *shown = leading;
            changed
        });
    }
}

impl Requests<Node> for PendingRequests {
    fn reply(&mut self, ticket: Ticket, answer: Answer) {
        let waiting = self.open().waiting.remove(&ticket);
        if let Some(sender) = waiting {
            // Whoever asked may be gone; then nobody wants the answer.
            let _ = sender.send(answer);
        }
    }

    fn note(&mut self, chain: ChainId, note: Note) {
        let name = self.name_of(chain);
        match note {
            Note::Role {
                role,
                signal,
                epoch,
            } => {
                tracing::info!(chain = name, ?role, ?signal, %epoch, "role changed");
                self.leads(chain, role == Role::Leader);
            }
            Note::Commit { end } => tracing::trace!(chain = name, %end, "committed"),
            Note::Stopped(fault) => {
                tracing::error!(chain = name, %fault, "replica stopped");
                self.leads(chain, false);
            }
        }
    }

    fn show(&mut self, node: &Node) {
        let (looking, probing) = {
            let mut open = self.open();
            let probing = std::mem::take(&mut open.probing);
            (std::mem::take(&mut open.looking), probing)
        };
        for sender in probing {
            // Whoever asked may be gone.
            let _ = sender.send(());
        }
        if looking.is_empty() {
            return;
        }
        let status = node.status();
        for sender in looking {
            // Whoever wanted to look may be gone.
            let _ = sender.send(status.clone());
        }
    }
}
