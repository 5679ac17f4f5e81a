//! Who this node is to its peers, and what it remembers of their stores.

use crate::store::Keeper;
use meshos_core::chain::peers::PeerMemory;
use meshos_core::chain::store::Identity;
use meshos_core::hello::{Greeter, Hello, Refused};
use meshos_core::id::NodeId;
use std::sync::Mutex;

/// One for all connections of a node.
#[derive(Debug)]
pub struct Introduction {
    greeter: Greeter,
    identity: Identity,
    memory: Mutex<PeerMemory>,
    keeper: Option<Keeper>,
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
        }
    }

    /// What to say first to the node `to`.
    pub(super) fn hello(&self, to: NodeId) -> Hello {
        let memory = self.memory.lock().expect("no holder of the memory panics");
        self.greeter.hello(&memory, to)
    }

    /// Judges a hello by what is remembered.
    pub(super) fn judge(&self, hello: &Hello) -> Result<(), Refused> {
        let memory = self.memory.lock().expect("no holder of the memory panics");
        self.greeter.judge(&memory, hello)
    }

    /// Remembers the sender of a hello once both ends will talk: before, it has to be told what
    /// was remembered until now. The memory becomes durable later: a disk that hangs must not keep
    /// nodes apart.
    pub(super) fn learn(&self, hello: &Hello) {
        let mut memory = self.memory.lock().expect("no holder of the memory panics");
        if memory.learn(hello.from.node, hello.remembered())
            && let Some(keeper) = &self.keeper
        {
            keeper.keep(memory.write(&self.identity));
        }
    }
}
