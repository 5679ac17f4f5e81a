//! What a node is started with: the static genesis of its cluster, its timing and its limits.
//!
//! A [`Config`] is always valid: it is made from a [`Draft`] or not at all.

mod check;
mod draft;
#[cfg(test)]
mod tests;

pub use check::ConfigError;
pub use draft::{ChainDraft, Draft, Founder, Limits, PeerLimits, Retention, Timing};

use crate::bandwidth::Budget;
use crate::chain::clients::ClientLimits;
use crate::chain::entry::{EntryHash, LogPosition, Membership};
use crate::chain::order::Checkpoint;
use crate::chain::store::Founding;
use crate::hash::{StateHash, stable_hash};
use crate::id::{
    ChainId, ClusterId, DeploymentId, Epoch, Gen, Member, NodeId, PolicyId, Replica, Seq, StoreId,
};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Most voters that a chain may have.
pub const VOTERS_MAX: usize = 16;

/// A valid config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Draft", into = "Draft")]
pub struct Config {
    draft: Draft,
    cluster: ClusterId,
    policy: PolicyId,
    /// Of the draft, which never changes.
    digest: StateHash,
}

impl TryFrom<Draft> for Config {
    type Error = ConfigError;

    fn try_from(mut draft: Draft) -> Result<Self, ConfigError> {
        draft.nodes.sort_by_key(|founder| founder.node);
        draft
            .chains
            .sort_by_cached_key(|chain| ChainId::of(&chain.name));
        check::numbers(&draft)?;
        check::nodes(&draft.nodes)?;
        for chain in &mut draft.chains {
            chain.members.sort();
            check::chain(chain, &draft.nodes)?;
        }
        for pair in draft.chains.windows(2) {
            if ChainId::of(&pair[0].name) == ChainId::of(&pair[1].name) {
                return Err(ConfigError::ChainTwice(pair[1].name.clone()));
            }
        }
        let cluster = cluster_of(&draft);
        let policy = policy_of(&draft);
        let digest = stable_hash(&draft);
        Ok(Self {
            draft,
            cluster,
            policy,
            digest,
        })
    }
}

impl Hash for Config {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl From<Config> for Draft {
    fn from(config: Config) -> Self {
        config.draft
    }
}

impl Config {
    /// The cluster that this genesis founds: a hash over its deployment, its nodes, its chains and
    /// the limits of the request tables, which are part of the chains.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// What its chains keep and where they are pinned. The leader of a chain decides by its own
    /// config, and leaders change, so it has to be equal on all nodes.
    pub fn policy(&self) -> PolicyId {
        self.policy
    }

    /// Which deployment of this genesis it is.
    pub fn deployment(&self) -> DeploymentId {
        self.draft.deployment
    }

    /// The founding nodes, in ascending order.
    pub fn nodes(&self) -> &[Founder] {
        &self.draft.nodes
    }

    /// The chains, in ascending order of their ids.
    pub fn chains(&self) -> &[ChainDraft] {
        &self.draft.chains
    }

    /// The name of a chain of this genesis, for people; empty for any other.
    pub fn name_of(&self, chain: ChainId) -> &str {
        self.chain(chain).map_or("", |draft| &draft.name)
    }

    /// A chain by its id.
    pub fn chain(&self, id: ChainId) -> Option<&ChainDraft> {
        let chains = &self.draft.chains;
        let at = chains.binary_search_by_key(&id, |chain| ChainId::of(&chain.name));
        Some(&chains[at.ok()?])
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

    /// What a node may send of entries and checkpoints.
    pub fn budget(&self) -> Budget {
        let Draft { timing, limits, .. } = &self.draft;
        Budget {
            rate_bytes_per_s: limits.bandwidth_bytes_per_s,
            background_ppm: limits.background_ppm,
            patience: Duration::from_millis(timing.patience_ms),
            background_patience: Duration::from_millis(timing.background_patience_ms),
        }
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
            floor: LogPosition {
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
            stamp: Default::default(),
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
    pub fn foundings(&self, node: NodeId) -> Vec<Founding> {
        let chains = self.draft.chains.iter();
        let here = chains.filter(|chain| chain.members.contains(&node));
        here.map(|chain| Founding {
            chain: ChainId::of(&chain.name),
            generation: Gen::default(),
            checkpoint: self.founding(chain),
        })
        .collect()
    }
}

fn cluster_of(draft: &Draft) -> ClusterId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"meshos cluster 2");
    hasher.update(&draft.deployment.get().to_le_bytes());
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

fn policy_of(draft: &Draft) -> PolicyId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"meshos policy 1");
    for chain in &draft.chains {
        hasher.update(&ChainId::of(&chain.name).get().to_le_bytes());
        let Retention {
            entries_max,
            bytes_max,
            age_max_ms,
        } = chain.retention;
        let pinned = chain.leader_pinned.map(NodeId::get);
        for bound in [entries_max, bytes_max, age_max_ms, pinned] {
            hasher.update(&[u8::from(bound.is_some())]);
            hasher.update(&bound.unwrap_or_default().to_le_bytes());
        }
    }
    PolicyId::new(crate::chain::payload::leading(&hasher.finalize()) as u64)
}
