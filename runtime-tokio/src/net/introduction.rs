//! Who this node is to its peers, and what it remembers of their stores.

use crate::store_threads::Keeper;
use meshos_core::chain::peers::{PeerMemory, Remembered};
use meshos_core::chain::store::Identity;
use meshos_core::hello::{Greeter, Hello, Refused};
use meshos_core::id::NodeId;
use std::sync::Mutex;
use tokio::sync::watch;

/// One for all connections of a node.
#[derive(Debug)]
pub struct Introduction {
    greeter: Greeter,
    identity: Identity,
    memory: Mutex<PeerMemory>,
    keeper: Option<Keeper>,
    /// Why the store of this node is none to run on, once a peer told.
    disowned: watch::Sender<Option<String>>,
}

impl Introduction {
    /// A node that remembers `memory`, and keeps what it learns with `keeper`, if with anybody.
    pub fn new(
        greeter: Greeter,
        identity: Identity,
        memory: PeerMemory,
        keeper: Option<Keeper>,
    ) -> Self {
        Self {
            greeter,
            identity,
            memory: Mutex::new(memory),
            keeper,
            disowned: watch::Sender::new(None),
        }
    }

    /// What to say first to the node `to`.
    pub(super) fn hello(&self, to: NodeId) -> Hello {
        let memory = self.memory.lock().expect("no holder of the memory panics");
        self.greeter.hello(&memory, to)
    }

    /// Judges a hello by what is remembered.
    pub(super) fn judge(&self, hello: &Hello) -> Result<(), Refused> {
        let mut memory = self.memory.lock().expect("no holder of the memory panics");
        let judged = self.greeter.judge(&memory, hello);
        if let Err(refused) = &judged
            && refused.disowns_itself()
            && let Some(heard) = hello.heard
        {
            // Written down first: the next start has to know it before any peer counts on it.
            self.keep(&mut memory, self.identity.node, heard);
            self.disowned.send_replace(Some(refused.to_string()));
        }
        judged
    }

    /// Waits until a peer tells that the store of this node is an older one than it had.
    pub(crate) async fn disowned(&self) -> String {
        let mut told = self.disowned.subscribe();
        let told = told.wait_for(Option::is_some).await;
        // The sender lives as long as this.
        told.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// Remembers the sender of a hello once both ends will talk: before, it has to be told what
    /// was remembered until now. The memory becomes durable later: a disk that hangs must not keep
    /// nodes apart.
    pub(super) fn learn(&self, hello: &Hello) {
        let mut memory = self.memory.lock().expect("no holder of the memory panics");
        self.keep(&mut memory, hello.from.node, hello.remembered());
    }

    fn keep(&self, memory: &mut PeerMemory, node: NodeId, said: Remembered) {
        if memory.learn(node, said)
            && let Some(keeper) = &self.keeper
        {
            keeper.keep(memory.write(&self.identity));
        }
    }
}
