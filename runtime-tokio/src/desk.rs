//! Who asked what, and what the node says of itself.
//!
//! Requests get a ticket on their way in, and the answer goes back to whoever holds it. The board
//! repeats the node's notes to whoever watches; nothing that the node does depends on it (D64).

use crate::inbox::{Refused, Sender};
use crate::ports::Desk;
use meshos_core::action::{Fault, Note};
use meshos_core::client::{Answer, ClientRequest};
use meshos_core::event::Input;
use meshos_core::id::{ChainId, Epoch, Seq, Ticket};
use meshos_core::node::Node;
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{oneshot, watch};

/// What a node says of one of its chains.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainStatus {
    /// The chain.
    pub chain: ChainId,
    /// This replica's role.
    pub role: Role,
    /// The epoch in which it took that role.
    pub epoch: Epoch,
    /// End of the prefix that it knows committed.
    pub commit: Seq,
    /// Why it has stopped, if it has.
    pub fault: Option<Fault>,
}

/// The desk of one node; clones share it.
#[derive(Clone, Debug)]
pub struct FrontDesk {
    inbox: Sender,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    open: Mutex<Open>,
    board: Mutex<BTreeMap<ChainId, Line>>,
    leading: watch::Sender<usize>,
}

#[derive(Debug)]
struct Line {
    status: ChainStatus,
    /// Whether anybody else could lead the chain.
    is_shared: bool,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    waiting: BTreeMap<Ticket, oneshot::Sender<Answer>>,
}

impl FrontDesk {
    /// A desk that feeds `inbox` and shows the chains of `node`, which has not stepped yet.
    pub fn new(inbox: Sender, node: &Node) -> Self {
        let line = |chain: &Chain| {
            let status = ChainStatus {
                chain: chain.id(),
                role: chain.role(),
                epoch: chain.epoch(),
                commit: chain.commit(),
                fault: chain.fault(),
            };
            let is_shared = chain.log().membership().voters.len() > 1;
            (status.chain, Line { status, is_shared })
        };
        let board = node.chains().iter().map(line);
        let (leading, _) = watch::channel(0);
        Self {
            inbox,
            shared: Arc::new(Shared {
                open: Mutex::default(),
                board: Mutex::new(board.collect()),
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

    /// What the node says of its chains, in ascending order.
    pub fn status(&self) -> Vec<ChainStatus> {
        self.board().values().map(|line| line.status).collect()
    }

    /// How many chains this node leads that another could lead, as it changes.
    pub fn leading(&self) -> watch::Receiver<usize> {
        self.shared.leading.subscribe()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        let open = self.shared.open.lock();
        open.expect("no holder of the tickets panics")
    }

    fn board(&self) -> MutexGuard<'_, BTreeMap<ChainId, Line>> {
        let board = self.shared.board.lock();
        board.expect("no holder of the board panics")
    }
}

impl Desk for FrontDesk {
    fn reply(&mut self, ticket: Ticket, answer: Answer) {
        let waiting = self.open().waiting.remove(&ticket);
        if let Some(sender) = waiting {
            // Whoever asked may be gone; then nobody wants the answer.
            let _ = sender.send(answer);
        }
    }

    fn note(&mut self, chain: ChainId, note: Note) {
        let mut board = self.board();
        let Some(Line { status, .. }) = board.get_mut(&chain) else {
            return;
        };
        match note {
            Note::Role {
                role,
                signal,
                epoch,
            } => {
                tracing::info!(%chain, ?role, ?signal, %epoch, "role changed");
                status.role = role;
                status.epoch = epoch;
            }
            Note::Commit { end } => {
                tracing::trace!(%chain, %end, "committed");
                status.commit = end;
            }
            Note::Stopped(fault) => {
                tracing::error!(%chain, %fault, "replica stopped");
                status.fault = Some(fault);
            }
        }
        let leads = |line: &&Line| {
            line.is_shared && line.status.role == Role::Leader && line.status.fault.is_none()
        };
        let leading = board.values().filter(leads).count();
        self.shared.leading.send_if_modified(|shown| {
            let changed = *shown != leading;
            *shown = leading;
            changed
        });
    }
}
