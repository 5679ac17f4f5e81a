//! Whose store it is.

use crate::id::{ClusterId, NodeId, StoreId};

/// The one owner of a store: it never has another.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// The store.
    pub store: StoreId,
}
