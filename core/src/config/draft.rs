//! A config as it is written down, before it is checked.

use crate::bandwidth::Class;
use crate::id::{DeploymentId, NodeId, StoreId};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a chain keeps. Nothing uncommitted is ever dropped. What is past a bound goes in steps
/// of a quarter of it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// At most about this many entries; kept without bound when absent.
    pub entries_max: Option<u64>,
    /// At most about this many payload bytes.
    pub bytes_max: Option<u64>,
    /// About nothing older than this many milliseconds, by the clocks of a majority of the voters.
    pub age_max_ms: Option<u64>,
}

/// One founding node.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founder {
    /// The node.
    pub node: NodeId,
    /// The store that it was founded with.
    pub store: StoreId,
}

/// One chain of the genesis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainDraft {
    /// The name; the chain's id follows from it.
    pub name: String,
    /// The founding voters.
    pub members: Vec<NodeId>,
    /// The voter that leads whenever it can (R18).
    #[serde(default)]
    pub leader_pinned: Option<NodeId>,
    /// What is kept.
    #[serde(default)]
    pub retention: Retention,
    /// The traffic class.
    #[serde(default)]
    pub class: Class,
}

/// Spans that the protocol runs on.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// Milliseconds between two heartbeats to a peer.
    pub heartbeat_ms: u64,
    /// Milliseconds after which a waiting client request is answered `Unknown`.
    pub request_ms: u64,
    /// Milliseconds between two transfers to a pinned leader.
    pub pin_ms: u64,
    /// Milliseconds after which the last batch is sealed (D13f).
    pub seal_ms: u64,
    /// Milliseconds for which the bandwidth budget may refuse a class before the others wait for it.
    pub patience_ms: u64,
    /// The same for background traffic.
    pub background_patience_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_ms: 500,
            request_ms: 5_000,
            pin_ms: 60_000,
            seal_ms: 1_000,
            patience_ms: 1_000,
            background_patience_ms: 60_000,
        }
    }
}

/// Bounds of everything that could grow.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest payload of one entry.
    pub entry_bytes_max: u32,
    /// Largest peer message; at least an entry and a kilobyte.
    pub message_bytes_max: u32,
    /// Largest sum of payloads that one read answers with.
    pub read_bytes_max: u32,
    /// Chunks under way to one follower.
    pub chunks_in_flight_max: u32,
    /// Committed entries that a follower may lack before it asks others than the leader.
    pub lag_max: u32,
    /// Largest sum of payloads that goes to the store in one batch.
    pub batch_bytes_max: u32,
    /// Client requests that wait, per chain.
    pub requests_max: u32,
    /// Entries above the committed prefix, per chain, before appends are refused.
    pub uncommitted_max: u32,
    /// Clients remembered per chain.
    pub clients_max: u32,
    /// Request numbers remembered per client.
    pub client_window: u32,
    /// Forwarded tries remembered per forwarding node and chain.
    pub forwards_max: u32,
    /// Rows in one heartbeat, if they fit a peer message.
    pub rows_max: u32,
    /// Bytes of entries that a node sends per second.
    pub bandwidth_bytes_per_s: u64,
    /// Part of the bandwidth budget that background traffic may use, per million.
    pub background_ppm: u32,
    /// Largest segment of a chain's log on disk before a new one is begun.
    pub segment_bytes_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entry_bytes_max: 256 << 10,
            message_bytes_max: 1 << 20,
            read_bytes_max: 1 << 20,
            chunks_in_flight_max: 8,
            lag_max: 1024,
            batch_bytes_max: 1 << 20,
            requests_max: 4096,
            uncommitted_max: 65_536,
            clients_max: 1024,
            client_window: 64,
            forwards_max: 4096,
            rows_max: 256,
            bandwidth_bytes_per_s: 62_500_000,
            background_ppm: 300_000,
            segment_bytes_max: 8 << 20,
        }
    }
}

/// The limits that a node enforces on what its peers send. They have to be equal on all nodes: a
/// message that one node may send and another refuses would be repeated for ever.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerLimits {
    /// Largest payload of one entry.
    pub entry_bytes_max: u32,
    /// Largest peer message.
    pub message_bytes_max: u32,
}

impl Limits {
    /// Those that a node enforces on what its peers send.
    pub fn of_peers(&self) -> PeerLimits {
        PeerLimits {
            entry_bytes_max: self.entry_bytes_max,
            message_bytes_max: self.message_bytes_max,
        }
    }
}

impl PeerLimits {
    /// The key of the first limit that differs, its value here, and its value in `other`.
    pub fn first_difference(&self, other: &Self) -> Option<(&'static str, u32, u32)> {
        let all = [
            (
                "limits.entry_bytes_max",
                self.entry_bytes_max,
                other.entry_bytes_max,
            ),
            (
                "limits.message_bytes_max",
                self.message_bytes_max,
                other.message_bytes_max,
            ),
        ];
        all.into_iter().find(|(_, here, there)| here != there)
    }
}

/// A config as it is written down, to be checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Which deployment of this genesis it is; never 0.
    pub deployment: DeploymentId,
    /// The founding nodes.
    pub nodes: Vec<Founder>,
    /// The chains.
    pub chains: Vec<ChainDraft>,
    /// Spans.
    #[serde(default)]
    pub timing: Timing,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
}
