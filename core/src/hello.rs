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

mod refusal;

pub use refusal::{Refusal, Refused};

use crate::chain::boots::Boots;
use crate::chain::identity::Identity;
use crate::chain::peers::{PeerMemory, Remembered};
use crate::chain::recover::Recovered;
use crate::config::{Config, PeerLimits};
use crate::id::{ClusterId, FormatNonce, NodeId, PolicyId, Run, RunNonce, StoreId};
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

/// Whether a peer told an earlier run that the store that recovery found is an older one: what the
/// memory of peers holds of the node itself is what the peer had heard.
///
/// # Errors
/// A peer did.
pub fn check_owned(recovered: &Recovered) -> Result<(), Refusal> {
    let node = recovered.identity.node;
    let own = (recovered.format, &recovered.boots);
    let heard = recovered.peers.of(node);
    heard.map_or(Ok(()), |heard| is_own(node, own, heard))
}

/// Whether `heard` is one of the runs of the store of `node`, which was formatted and booted so.
///
/// # Errors
/// It is not: the store is an older image of itself, or was formatted anew.
fn is_own(
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
