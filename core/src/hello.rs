//! The first word between two nodes, and whether they will talk at all.
//!
//! Everything here is pure, so that connections of every kind judge alike. Each end of a new
//! connection sends a [`Hello`] and judges the other's with [`Greeter::judge`]; the one that
//! refuses tells the other its reason. What it accepts it keeps in its [`PeerMemory`].
//!
//! The memory is what makes a store that comes back older (an image that was put back) or
//! formatted anew under its old id known at its first word: its votes and acknowledgements are
//! gone, and nobody may count them again (*amnesia*). An older image counts its boots to the
//! incarnation that peers know, and soon past it; the nonces of the runs tell them apart. So each
//! end says which run of the other it heard last, and the other looks whether that is one of its
//! own.

use crate::chain::boots::Boots;
use crate::chain::identity::Identity;
use crate::chain::peers::{PeerMemory, Remembered};
use crate::config::{Config, PeerLimits};
use crate::id::{ClusterId, FormatNonce, Incarnation, NodeId, PolicyId, Run, RunNonce, StoreId};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Raised whenever a hello, or what may follow it, changes its meaning.
pub const PROTOCOL: u16 = 3;

/// What each end of a connection says first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// The cluster that the sender belongs to.
    pub cluster: ClusterId,
    /// The sender.
    pub from: Run,
    /// How its store was formatted.
    pub format: FormatNonce,
    /// Tells its run from any other of the same incarnation.
    pub run: RunNonce,
    /// The node that it wants to talk to.
    pub to: NodeId,
    /// The store that it expects there.
    pub to_store: StoreId,
    /// What the sender remembers of the store that it expects there.
    pub heard: Option<Remembered>,
    /// What its config says that concerns others.
    pub terms: Terms,
}

/// What two configs have to agree on for their nodes to talk, beyond the cluster itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// The limits under which a node takes messages.
    pub limits: PeerLimits,
    /// The period of its heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
    /// What its chains keep and where they are pinned.
    pub policy: PolicyId,
}

impl Terms {
    /// Those of a config.
    pub fn of(config: &Config) -> Self {
        Self {
            limits: config.limits().of_peers(),
            heartbeat_ms: config.timing().heartbeat_ms,
            policy: config.policy(),
        }
    }

    /// Whether a node with these and one with `ours` can work together.
    ///
    /// # Errors
    /// The first difference that they cannot live with.
    pub fn fit(&self, ours: &Self) -> Result<(), Refusal> {
        if let Some((key, ours, theirs)) = ours.limits.first_difference(&self.limits) {
            return Err(Refusal::OtherLimit { key, theirs, ours });
        }
        let (theirs, here) = (self.heartbeat_ms, ours.heartbeat_ms);
        if theirs > here.saturating_mul(2) || here > theirs.saturating_mul(2) {
            return Err(Refusal::OtherHeartbeat { theirs, ours: here });
        }
        if self.policy != ours.policy {
            return Err(Refusal::OtherPolicy);
        }
        Ok(())
    }
}

/// Why bytes are no hello.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The other end speaks another version.
    #[error("the other end speaks protocol {theirs}, expected {PROTOCOL}")]
    Protocol {
        /// What it speaks.
        theirs: u16,
    },
    /// The bytes mean nothing.
    #[error("expected an encoded hello")]
    Malformed,
}

impl Hello {
    /// The bytes of a hello; the version comes first, so that every version can tell it.
    ///
    /// # Panics
    /// Never: a hello is made of numbers alone.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(&(PROTOCOL, self)).expect("numbers always have an encoding")
    }

    /// What is remembered of the sender once it is accepted.
    pub fn remembered(&self) -> Remembered {
        Remembered {
            format: self.format,
            incarnation: self.from.incarnation,
            run: self.run,
        }
    }

    /// Reads what [`Hello::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version, or no hello.
    pub fn decode(bytes: &[u8]) -> Result<Self, HelloError> {
        let (protocol, rest) =
            postcard::take_from_bytes::<u16>(bytes).map_err(|_| HelloError::Malformed)?;
        if protocol != PROTOCOL {
            return Err(HelloError::Protocol { theirs: protocol });
        }
        match postcard::take_from_bytes(rest) {
            Ok((hello, [])) => Ok(hello),
            Ok(_) | Err(_) => Err(HelloError::Malformed),
        }
    }
}

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

/// Who one run of a node is to its peers.
#[derive(Clone, Debug)]
pub struct Greeter {
    config: Arc<Config>,
    me: Run,
    format: FormatNonce,
    boots: Boots,
}

impl Greeter {
    /// The run that began with the newest of `boots` on the store of `identity`, which was
    /// formatted as `format`.
    pub fn new(
        config: Arc<Config>,
        identity: &Identity,
        format: FormatNonce,
        boots: Boots,
    ) -> Self {
        let me = Run {
            node: identity.node,
            store: identity.store,
            incarnation: boots.newest(),
        };
        Self {
            config,
            me,
            format,
            boots,
        }
    }

    /// What to say first to the node `to`, of whose store `memory` may know.
    pub fn hello(&self, memory: &PeerMemory, to: NodeId) -> Hello {
        Hello {
            cluster: self.config.cluster(),
            from: self.me,
            format: self.format,
            run: self.boots.run(),
            to,
            to_store: self.config.store_of(to).unwrap_or_default(),
            heard: memory.of(to).copied(),
            terms: Terms::of(&self.config),
        }
    }

    /// Whether to talk to the sender of `hello`, by what is known here and remembered in `memory`.
    ///
    /// # Errors
    /// The reason to refuse it; the gravest one where there are several.
    pub fn judge(&self, memory: &PeerMemory, hello: &Hello) -> Result<(), Refused> {
        self.reason(memory, hello).map_err(|why| Refused {
            by: self.me.node,
            node: hello.from.node,
            why,
        })
    }

    fn reason(&self, memory: &PeerMemory, hello: &Hello) -> Result<(), Refusal> {
        let Hello {
            cluster: theirs,
            from,
            ..
        } = *hello;
        let ours = self.config.cluster();
        if theirs != ours {
            return Err(Refusal::OtherCluster { theirs, ours });
        }
        if (hello.to, hello.to_store) != (self.me.node, self.me.store) {
            return Err(Refusal::NotHere {
                node: hello.to,
                store: hello.to_store,
            });
        }
        let named = self.config.store_of(from.node);
        let ours = named.ok_or(Refusal::UnknownNode)?;
        let theirs = from.store;
        if theirs != ours {
            return Err(Refusal::OtherStore { theirs, ours });
        }
        self.remembered(memory, hello)?;
        hello.heard.as_ref().map_or(Ok(()), |heard| {
            is_own(self.me.node, (self.format, &self.boots), heard)
        })?;
        hello.terms.fit(&Terms::of(&self.config))
    }

    fn remembered(&self, memory: &PeerMemory, hello: &Hello) -> Result<(), Refusal> {
        let Some(known) = memory.of(hello.from.node) else {
            return Ok(());
        };
        if hello.format != known.format {
            return Err(Refusal::FormattedAnew {
                theirs: hello.format,
                ours: known.format,
            });
        }
        let (theirs, ours) = (hello.from.incarnation, known.incarnation);
        if theirs < ours || (theirs == ours && hello.run != known.run) {
            return Err(Refusal::StoreRegressed { theirs, ours });
        }
        Ok(())
    }
}

/// Whether `heard` is one of the runs of the store of `node`, which was formatted and booted so.
///
/// # Errors
/// It is not: the store is an older image of itself, or was formatted anew.
pub fn is_own(
    node: NodeId,
    (format, boots): (FormatNonce, &Boots),
    heard: &Remembered,
) -> Result<(), Refusal> {
    if heard.format != format {
        let (heard, ours) = (heard.format, format);
        return Err(Refusal::OwnFormattedAnew { node, heard, ours });
    }
    if boots.may_hold(heard.incarnation, heard.run) {
        return Ok(());
    }
    let (heard, ours) = (heard.incarnation, boots.newest());
    Err(Refusal::OwnStoreRegressed { node, heard, ours })
}

#[cfg(test)]
mod tests;
