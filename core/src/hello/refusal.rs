//! Why one node will not talk to another.

use crate::id::{ClusterId, FormatNonce, Incarnation, NodeId, StoreId};

/// One node that will not talk to another, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("node {by} refuses node {node}: {why}")]
pub struct Refused {
    /// Who refuses.
    pub by: NodeId,
    /// Who is refused.
    pub node: NodeId,
    /// The reason.
    pub why: Refusal,
}

impl Refused {
    /// Whether the one that refuses found its own store to be an older one. It has to stop: what it
    /// promised is forgotten, and peers that have not heard so may count on it.
    pub fn disowns_itself(&self) -> bool {
        matches!(
            self.why,
            Refusal::OwnStoreRegressed { .. } | Refusal::OwnFormattedAnew { .. }
        )
    }
}

/// Why one node will not talk to another: `theirs` is what the refused one says, `ours` what the
/// refusing one knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// It is of another cluster, or of another deployment of the same template.
    #[error(
        "OtherCluster: it is of cluster {:032x}, expected {:032x}; cluster.deployment, the nodes, \
         the chains, limits.clients_max and limits.client_window have to be equal in all files",
        theirs.get(),
        ours.get()
    )]
    OtherCluster {
        /// Its cluster.
        theirs: ClusterId,
        /// Ours.
        ours: ClusterId,
    },
    /// It wants to talk to somebody else; an address in its config may be wrong.
    #[error(
        "NotHere: it looks for node {node} on store {:032x}, which is not here; see the addresses \
         in cluster.nodes",
        store.get()
    )]
    NotHere {
        /// The node it wants.
        node: NodeId,
        /// The store it wants.
        store: StoreId,
    },
    /// The genesis has no such node.
    #[error("UnknownNode: cluster.nodes does not list it")]
    UnknownNode,
    /// It runs on a store that is not its own.
    #[error(
        "OtherStore: it runs on store {:032x}, expected {:032x} by cluster.nodes",
        theirs.get(),
        ours.get()
    )]
    OtherStore {
        /// The store it runs on.
        theirs: StoreId,
        /// The store that the genesis names for it.
        ours: StoreId,
    },
    /// Its store was formatted a second time under its old id, so what it promised is forgotten.
    #[error(
        "FormattedAnew: its store was formatted as {:016x} at first contact and is formatted as \
         {:016x} now, so it forgot its votes and acknowledgements; a lost store needs a new store \
         id in a new cluster config",
        ours.get(),
        theirs.get()
    )]
    FormattedAnew {
        /// How it is formatted.
        theirs: FormatNonce,
        /// How it was formatted at first contact.
        ours: FormatNonce,
    },
    /// The store of the refusing node was formatted a second time: the other remembers it formatted
    /// otherwise.
    #[error(
        "FormattedAnew: it heard the store of node {node} formatted as {:016x}, and that is formatted \
         as {:016x} now, so node {node} forgot its votes and acknowledgements and stops; a lost store \
         needs a new store id in a new cluster config",
        heard.get(),
        ours.get()
    )]
    OwnFormattedAnew {
        /// The refusing node.
        node: NodeId,
        /// How it was formatted when the other heard it.
        heard: FormatNonce,
        /// How it is formatted.
        ours: FormatNonce,
    },
    /// Its store is an older image of itself, so what it promised since is forgotten.
    #[error(
        "StoreRegressed: its store is at boot {theirs}, and boot {ours} of it was heard before: an \
         older image of the store was put back, which forgot its votes and acknowledgements; put \
         the newest one back, or give the node a new store id in a new cluster config"
    )]
    StoreRegressed {
        /// Its boot.
        theirs: Incarnation,
        /// The newest boot that was heard, or a different run of the same boot.
        ours: Incarnation,
    },
    /// The store of the refusing node is an older image of itself: the other remembers a run of it
    /// that is none of its own.
    #[error(
        "StoreRegressed: it heard boot {heard} of the store of node {node}, which is at boot {ours} \
         and did not make that one: an older image of the store was put back at node {node}, which \
         forgot its votes and acknowledgements and stops; put the newest one back there, or give \
         node {node} a new store id in a new cluster config"
    )]
    OwnStoreRegressed {
        /// The refusing node.
        node: NodeId,
        /// The boot that the other heard.
        heard: Incarnation,
        /// The boot of the refusing node.
        ours: Incarnation,
    },
    /// Messages that one of the two may send are refused by the other.
    #[error("OtherLimit: {key} is {theirs} there and {ours} here, and has to be equal everywhere")]
    OtherLimit {
        /// The key in the config.
        key: &'static str,
        /// Its limit.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// One of the two would suspect the other between two of its heartbeats.
    #[error(
        "OtherHeartbeat: timing.heartbeat_ms is {theirs} there and {ours} here; one may be twice \
         the other at most"
    )]
    OtherHeartbeat {
        /// Its period.
        theirs: u64,
        /// Ours.
        ours: u64,
    },
    /// What a chain keeps would depend on who leads it.
    #[error(
        "OtherPolicy: retention or leader_pinned of a chain is another there than here; the table \
         chains of the config has to be equal in all files"
    )]
    OtherPolicy,
}
