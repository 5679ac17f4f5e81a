//! What makes a draft a config.

use super::{ChainDraft, Draft, Founder, Limits, VOTERS_MAX};
use crate::chain::checkpoint;
use crate::chain::clients::ClientLimits;
use crate::id::NodeId;
use alloc::string::String;
use core::ops::RangeInclusive;

/// What a peer message needs beside the payload of one entry.
const ENVELOPE_BYTES: u32 = 1024;

/// Why a draft is no config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number is out of its bounds.
    #[error("{key} is {found}, expected {low} to {high}")]
    OutOfBounds {
        /// Which key.
        key: &'static str,
        /// What stands there.
        found: u64,
        /// The least that may.
        low: u64,
        /// The most that may.
        high: u64,
    },
    /// An entry does not fit in a peer message.
    #[error(
        "limits.message_bytes_max is {found}, expected {ENVELOPE_BYTES} more than \
         limits.entry_bytes_max, which is {entry}"
    )]
    MessageBelowEntry {
        /// Largest peer message.
        found: u32,
        /// Largest payload of an entry.
        entry: u32,
    },
    /// The deployment has no id.
    #[error("the deployment is called 0, expected an id that was minted for it alone")]
    DeploymentZero,
    /// The request table of a chain may outgrow the checkpoint that a peer takes.
    #[error(
        "limits.clients_max is {clients} and limits.client_window is {window}, which is up to \
         {found} bytes of a checkpoint, expected at most {most}"
    )]
    CheckpointTooLarge {
        /// How many clients are remembered.
        clients: u32,
        /// How many requests of each.
        window: u32,
        /// What a checkpoint may take, in bytes.
        found: u64,
        /// The largest checkpoint that is taken from a peer, in bytes.
        most: u32,
    },
    /// Two nodes share an id or a store.
    #[error("node {0} is listed twice, or its store is")]
    NodeTwice(NodeId),
    /// Node 0 is nobody.
    #[error("a node is called 0, expected a number from 1")]
    NodeZero,
    /// Two chains share a name or an id.
    #[error("chain {0:?} is listed twice, or its id collides with another's")]
    ChainTwice(String),
    /// A chain has no or too many members.
    #[error("chain {chain:?} has {found} members, expected 1 or 3 to 16")]
    MemberCount {
        /// The chain.
        chain: String,
        /// How many.
        found: usize,
    },
    /// A chain names a node twice.
    #[error("chain {chain:?} lists node {node} twice")]
    MemberTwice {
        /// The chain.
        chain: String,
        /// The node.
        node: NodeId,
    },
    /// A chain names a node that is not in the genesis.
    #[error("chain {chain:?} names node {node}, which is not among the nodes")]
    UnknownMember {
        /// The chain.
        chain: String,
        /// The node.
        node: NodeId,
    },
    /// The pinned leader is no member.
    #[error("chain {chain:?} pins its leader to node {node}, which is not among its members")]
    PinnedOutside {
        /// The chain.
        chain: String,
        /// The node.
        node: NodeId,
    },
}

pub(super) fn numbers(draft: &Draft) -> Result<(), ConfigError> {
    let Draft { timing, limits, .. } = draft;
    if draft.deployment.get() == 0 {
        return Err(ConfigError::DeploymentZero);
    }
    within("timing.heartbeat_ms", timing.heartbeat_ms, 100..=300_000)?;
    within("timing.request_ms", timing.request_ms, 1..=3_600_000)?;
    within("timing.pin_ms", timing.pin_ms, 1_000..=86_400_000)?;
    within("timing.seal_ms", timing.seal_ms, 1..=3_600_000)?;
    within("timing.patience_ms", timing.patience_ms, 1..=3_600_000)?;
    within(
        "timing.background_patience_ms",
        timing.background_patience_ms,
        1..=3_600_000,
    )?;
    within(
        "limits.entry_bytes_max",
        limits.entry_bytes_max,
        1..=64 << 20,
    )?;
    within(
        "limits.message_bytes_max",
        limits.message_bytes_max,
        1..=256 << 20,
    )?;
    within(
        "limits.read_bytes_max",
        limits.read_bytes_max,
        1..=256 << 20,
    )?;
    within(
        "limits.chunks_in_flight_max",
        limits.chunks_in_flight_max,
        1..=1024,
    )?;
    within("limits.lag_max", limits.lag_max, 1..=1 << 30)?;
    within(
        "limits.batch_bytes_max",
        limits.batch_bytes_max,
        1..=256 << 20,
    )?;
    within("limits.requests_max", limits.requests_max, 1..=1 << 20)?;
    within(
        "limits.uncommitted_max",
        limits.uncommitted_max,
        1..=1 << 24,
    )?;
    within("limits.clients_max", limits.clients_max, 1..=1 << 20)?;
    within("limits.client_window", limits.client_window, 1..=65_536)?;
    within("limits.forwards_max", limits.forwards_max, 1..=1 << 20)?;
    within("limits.rows_max", limits.rows_max, 1..=4096)?;
    within(
        "limits.bandwidth_bytes_per_s",
        limits.bandwidth_bytes_per_s,
        1..=1 << 40,
    )?;
    within("limits.background_ppm", limits.background_ppm, 0..=999_999)?;
    within(
        "limits.segment_bytes_max",
        limits.segment_bytes_max,
        4096..=1 << 30,
    )?;
    let (found, entry) = (limits.message_bytes_max, limits.entry_bytes_max);
    if found < entry + ENVELOPE_BYTES {
        return Err(ConfigError::MessageBelowEntry { found, entry });
    }
    checkpoint_fits(limits)
}

/// A replica that is far behind starts from a checkpoint, so each has to be one that peers take.
/// It travels in parts, each less than a message, so the length of a message does not bound it.
fn checkpoint_fits(limits: &Limits) -> Result<(), ConfigError> {
    let (clients, window) = (limits.clients_max, limits.client_window);
    let clients_max = clients;
    let found = checkpoint::bytes_max(ClientLimits {
        clients_max,
        window,
    });
    let most = checkpoint::BYTES_MAX;
    if found > most.into() {
        return Err(ConfigError::CheckpointTooLarge {
            clients,
            window,
            found,
            most,
        });
    }
    Ok(())
}

fn within(
    key: &'static str,
    found: impl Into<u64>,
    bounds: RangeInclusive<u64>,
) -> Result<(), ConfigError> {
    let found = found.into();
    if bounds.contains(&found) {
        return Ok(());
    }
    let (low, high) = bounds.into_inner();
    Err(ConfigError::OutOfBounds {
        key,
        found,
        low,
        high,
    })
}

pub(super) fn nodes(nodes: &[Founder]) -> Result<(), ConfigError> {
    for (at, founder) in nodes.iter().enumerate() {
        if founder.node.get() == 0 {
            return Err(ConfigError::NodeZero);
        }
        let twin = |other: &Founder| other.node == founder.node || other.store == founder.store;
        if nodes[..at].iter().any(twin) {
            return Err(ConfigError::NodeTwice(founder.node));
        }
    }
    Ok(())
}

pub(super) fn chain(chain: &ChainDraft, nodes: &[Founder]) -> Result<(), ConfigError> {
    let name = || chain.name.clone();
    let found = chain.members.len();
    if !(found == 1 || (3..=VOTERS_MAX).contains(&found)) {
        return Err(ConfigError::MemberCount {
            chain: name(),
            found,
        });
    }
    for (at, &node) in chain.members.iter().enumerate() {
        if chain.members[..at].contains(&node) {
            return Err(ConfigError::MemberTwice {
                chain: name(),
                node,
            });
        }
        if !nodes.iter().any(|founder| founder.node == node) {
            return Err(ConfigError::UnknownMember {
                chain: name(),
                node,
            });
        }
    }
    match chain.leader_pinned {
        Some(node) if !chain.members.contains(&node) => Err(ConfigError::PinnedOutside {
            chain: name(),
            node,
        }),
        Some(_) | None => Ok(()),
    }
}
