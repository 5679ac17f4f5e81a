//! Who asked what, and what the node says of itself.
//!
//! Requests get a ticket on their way in, and the answer goes back to whoever holds it. A status
//! is taken from the node between two of its steps when somebody asks for one; nothing that the
//! node does depends on it.

use crate::inbox::{Refused, Sender};
use crate::net::{LinkStatus, Links};
use crate::ports::Requests;
use crate::store::Gauge;
use meshos_core::action::Note;
use meshos_core::client::{Answer, ClientRequest};
use meshos_core::event::Input;
use meshos_core::id::{ChainId, Ticket};
use meshos_core::node::{Node, NodeStatus};
use meshos_core::replica::role::Role;
use meshos_core::replica::{Chain, ChainStatus};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{oneshot, watch};

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its core.
    pub node: NodeStatus,
    /// The names of its chains, in the same order.
    pub names: Vec<String>,
    /// Its links to the other nodes, in ascending order.
    pub links: Vec<LinkStatus>,
    /// Milliseconds that its store has been busy with the same orders; 0 when it is idle.
    pub store_busy_ms: u64,
    /// Largest payload of one entry that it takes.
    pub entry_bytes_max: u32,
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
    names: BTreeMap<ChainId, Name>,
    entry_bytes_max: u32,
    store: Gauge,
    links: Links,
    leading: watch::Sender<usize>,
}

/// What is known of a chain for good.
#[derive(Debug)]
struct Name {
    name: String,
    /// Whether anybody else could lead the chain.
    is_shared: bool,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    waiting: BTreeMap<Ticket, oneshot::Sender<Answer>>,
    looking: Vec<oneshot::Sender<NodeStatus>>,
    /// The chains led here that another node could lead.
    led: BTreeSet<ChainId>,
}

impl PendingRequests {
    /// Nobody waits yet: feeds `inbox`, of `node`, which has not stepped yet, whose store `store` shows
    /// at work, and whose links are `links`.
    pub fn new(inbox: Sender, node: &Node, store: Gauge, links: Links) -> Self {
        let name = |chain: &Chain| {
            let name = node.config().name_of(chain.id()).to_owned();
            let is_shared = chain.log().membership().voters.len() > 1;
            (chain.id(), Name { name, is_shared })
        };
        let (leading, _) = watch::channel(0);
        Self {
            inbox,
            shared: Arc::new(Shared {
                open: Mutex::default(),
                names: node.chains().iter().map(name).collect(),
                entry_bytes_max: node.config().limits().entry_bytes_max,
                store,
                links,
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

    /// What the node says of itself between its next two steps; `None` when it is going down.
    pub async fn status(&self) -> Option<Status> {
        let (sender, receiver) = oneshot::channel();
        self.open().looking.push(sender);
        self.inbox.look();
        let node = receiver.await.ok()?;
        let name = |chain: &ChainStatus| self.name_of(chain.chain).to_owned();
        let busy = self.shared.store.busy().as_millis();
        Some(Status {
            names: node.chains.iter().map(name).collect(),
            node,
            links: self.shared.links.status(),
            store_busy_ms: u64::try_from(busy).unwrap_or(u64::MAX),
            entry_bytes_max: self.shared.entry_bytes_max,
        })
    }

    /// The name of a chain of the node.
    pub fn name_of(&self, chain: ChainId) -> &str {
        let name = self.shared.names.get(&chain);
        name.map_or("", |name| &name.name)
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
        let is_shared = |name: &Name| name.is_shared;
        if leads && self.shared.names.get(&chain).is_some_and(is_shared) {
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
        let looking = std::mem::take(&mut self.open().looking);
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
