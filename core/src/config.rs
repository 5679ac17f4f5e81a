//! What a node is started with: the static genesis of its cluster, its timing and its limits.
//!
//! A [`Config`] is always valid: it is made from a [`Draft`] or not at all.

use crate::bandwidth::Class;
use crate::chain::clients::ClientLimits;
use crate::chain::entry::{EntryHash, Membership, Tip};
use crate::chain::order::Checkpoint;
use crate::id::{ChainId, ClusterId, Epoch, Gen, Member, NodeId, Replica, Seq, StoreId};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// What a chain keeps (D18). Nothing uncommitted is ever dropped.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// At most about this many entries; kept without bound when absent.
    pub entries_max: Option<u64>,
    /// At most about this many payload bytes.
    pub bytes_max: Option<u64>,
    /// Nothing whose stamp is older than this many milliseconds by the leader's stamps.
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
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_ms: 500,
            request_ms: 5_000,
            pin_ms: 60_000,
            seal_ms: 1_000,
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
    /// Rows in one heartbeat.
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

/// Most voters that a chain may have.
pub const VOTERS_MAX: usize = 16;

/// A config as it is written down, to be checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
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

/// Why a draft is no config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number is out of its bounds.
    #[error("{key} is {found}, expected {expected}")]
    OutOfBounds {
        /// Which key.
        key: &'static str,
        /// What stands there.
        found: u64,
        /// What may.
        expected: &'static str,
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

/// A valid config.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Draft", into = "Draft")]
pub struct Config {
    draft: Draft,
    cluster: ClusterId,
}

impl TryFrom<Draft> for Config {
    type Error = ConfigError;

    fn try_from(mut draft: Draft) -> Result<Self, ConfigError> {
        draft.nodes.sort_by_key(|founder| founder.node);
        draft.chains.sort_by_key(|chain| ChainId::of(&chain.name));
        check_numbers(&draft)?;
        check_nodes(&draft.nodes)?;
        for chain in &mut draft.chains {
            chain.members.sort();
            check_chain(chain, &draft.nodes)?;
        }
        for pair in draft.chains.windows(2) {
            if ChainId::of(&pair[0].name) == ChainId::of(&pair[1].name) {
                return Err(ConfigError::ChainTwice(pair[1].name.clone()));
            }
        }
        let cluster = cluster_of(&draft);
        Ok(Self { draft, cluster })
    }
}

impl From<Config> for Draft {
    fn from(config: Config) -> Self {
        config.draft
    }
}

impl Config {
    /// The cluster that this genesis founds: a hash over its nodes, its chains and the limits that
    /// have to be equal everywhere.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The founding nodes, in ascending order.
    pub fn nodes(&self) -> &[Founder] {
        &self.draft.nodes
    }

    /// The chains, in ascending order of their ids.
    pub fn chains(&self) -> &[ChainDraft] {
        &self.draft.chains
    }

    /// The spans.
    pub fn timing(&self) -> &Timing {
        &self.draft.timing
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.draft.limits
    }

    /// The bounds of a chain's request table.
    pub fn client_limits(&self) -> ClientLimits {
        ClientLimits {
            clients_max: self.draft.limits.clients_max,
            window: self.draft.limits.client_window,
        }
    }

    /// The period of heartbeats.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.draft.timing.heartbeat_ms)
    }

    /// The silence after which a peer is suspected: three missed heartbeats.
    pub fn suspicion(&self) -> Duration {
        self.heartbeat() * 3
    }

    /// The store that `node` was founded with.
    pub fn store_of(&self, node: NodeId) -> Option<StoreId> {
        let nodes = &self.draft.nodes;
        let at = nodes
            .binary_search_by_key(&node, |founder| founder.node)
            .ok()?;
        Some(nodes[at].store)
    }

    /// The checkpoint that every founding replica of `chain` starts from.
    pub fn founding(&self, chain: &ChainDraft) -> Checkpoint {
        let voters = chain.members.iter().map(|&node| Member {
            node,
            store: self
                .store_of(node)
                .expect("members were checked against the nodes"),
            replica: Replica::new(1),
        });
        let root = blake3::hash(chain.name.as_bytes());
        Checkpoint {
            floor: Tip {
                end: Seq::ZERO,
                epoch: Epoch::default(),
                hash: EntryHash(crate::chain::payload::leading(&root)),
            },
            membership: Arc::new(Membership {
                voters: voters.collect(),
                learners: Vec::new(),
            }),
            membership_seq: Seq::ZERO,
            clients: Default::default(),
        }
    }

    /// Whether these can be the members of a chain of this genesis: founding stores only, each
    /// node once.
    pub fn admits(&self, membership: &Membership) -> bool {
        let Membership { voters, learners } = membership;
        let all = || voters.iter().chain(learners);
        let is_founding = |member: &Member| self.store_of(member.node) == Some(member.store);
        let nodes: BTreeSet<NodeId> = all().map(|member| member.node).collect();
        (1..=VOTERS_MAX).contains(&voters.len())
            && all().all(is_founding)
            && nodes.len() == voters.len() + learners.len()
    }

    /// What a store of this genesis is formatted with: every chain that lists `node`.
    pub fn foundings(&self, node: NodeId) -> Vec<(ChainId, Gen, Checkpoint)> {
        let here = self
            .draft
            .chains
            .iter()
            .filter(|chain| chain.members.contains(&node));
        here.map(|chain| {
            (
                ChainId::of(&chain.name),
                Gen::default(),
                self.founding(chain),
            )
        })
        .collect()
    }
}

fn cluster_of(draft: &Draft) -> ClusterId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"meshos cluster 1");
    for founder in &draft.nodes {
        hasher.update(&founder.node.get().to_le_bytes());
        hasher.update(&founder.store.get().to_le_bytes());
    }
    for chain in &draft.chains {
        hasher.update(&(chain.name.len() as u64).to_le_bytes());
        hasher.update(chain.name.as_bytes());
        hasher.update(&(chain.members.len() as u64).to_le_bytes());
        for member in &chain.members {
            hasher.update(&member.get().to_le_bytes());
        }
    }
    hasher.update(&draft.limits.clients_max.to_le_bytes());
    hasher.update(&draft.limits.client_window.to_le_bytes());
    ClusterId::new(crate::chain::payload::leading(&hasher.finalize()))
}

fn check_numbers(draft: &Draft) -> Result<(), ConfigError> {
    let Draft { timing, limits, .. } = draft;
    let bounds = [
        (
            "timing.heartbeat_ms",
            timing.heartbeat_ms,
            100,
            300_000,
            "100 to 300000",
        ),
        (
            "timing.request_ms",
            timing.request_ms,
            1,
            3_600_000,
            "1 to 3600000",
        ),
        (
            "timing.pin_ms",
            timing.pin_ms,
            1_000,
            86_400_000,
            "1000 to 86400000",
        ),
        (
            "timing.seal_ms",
            timing.seal_ms,
            1,
            3_600_000,
            "1 to 3600000",
        ),
        (
            "limits.entry_bytes_max",
            limits.entry_bytes_max.into(),
            1,
            64 << 20,
            "1 to 67108864",
        ),
        (
            "limits.message_bytes_max",
            limits.message_bytes_max.into(),
            u64::from(limits.entry_bytes_max) + 1024,
            256 << 20,
            "entry_bytes_max + 1024 to 268435456",
        ),
        (
            "limits.read_bytes_max",
            limits.read_bytes_max.into(),
            1,
            256 << 20,
            "1 to 268435456",
        ),
        (
            "limits.chunks_in_flight_max",
            limits.chunks_in_flight_max.into(),
            1,
            1024,
            "1 to 1024",
        ),
        (
            "limits.batch_bytes_max",
            limits.batch_bytes_max.into(),
            1,
            256 << 20,
            "1 to 268435456",
        ),
        (
            "limits.requests_max",
            limits.requests_max.into(),
            1,
            1 << 20,
            "1 to 1048576",
        ),
        (
            "limits.uncommitted_max",
            limits.uncommitted_max.into(),
            1,
            1 << 24,
            "1 to 16777216",
        ),
        (
            "limits.clients_max",
            limits.clients_max.into(),
            1,
            1 << 20,
            "1 to 1048576",
        ),
        (
            "limits.client_window",
            limits.client_window.into(),
            1,
            65_536,
            "1 to 65536",
        ),
        (
            "limits.forwards_max",
            limits.forwards_max.into(),
            1,
            1 << 20,
            "1 to 1048576",
        ),
        (
            "limits.rows_max",
            limits.rows_max.into(),
            1,
            4096,
            "1 to 4096",
        ),
        (
            "limits.bandwidth_bytes_per_s",
            limits.bandwidth_bytes_per_s,
            1,
            1 << 40,
            "1 to 2^40",
        ),
        (
            "limits.background_ppm",
            limits.background_ppm.into(),
            0,
            999_999,
            "0 to 999999",
        ),
        (
            "limits.segment_bytes_max",
            limits.segment_bytes_max.into(),
            4096,
            1 << 30,
            "4096 to 1073741824",
        ),
    ];
    for (key, found, low, high, expected) in bounds {
        if !(low..=high).contains(&found) {
            return Err(ConfigError::OutOfBounds {
                key,
                found,
                expected,
            });
        }
    }
    Ok(())
}

fn check_nodes(nodes: &[Founder]) -> Result<(), ConfigError> {
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

fn check_chain(chain: &ChainDraft, nodes: &[Founder]) -> Result<(), ConfigError> {
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
