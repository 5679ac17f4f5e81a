//! What a plan decides beyond nodes, operations and faults: chains, timing, limits, the clients
//! and the kinds that are aimed at whoever leads.

use crate::model::{Op, node_id, store_id};
use meshos_core::bandwidth::Class;
use meshos_core::config::{
    ChainDraft, Config, ConfigError, Draft, Founder, Limits, Retention, Timing,
};
use meshos_core::id::{ChainId, DeploymentId};
use meshos_sim::machine::NodeIndex;
use meshos_sim::plan::Plan as SimPlan;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::Table;

/// A plan for a cluster of nodes.
pub type Plan = SimPlan<Op, Cfg>;

/// The `[cfg]` of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cfg {
    /// This many further chains over all nodes that nobody uses.
    #[serde(skip_serializing_if = "is_default")]
    pub idle_chains: u32,
    /// Whether the run ends only when every request of the clients has ended, too.
    #[serde(skip_serializing_if = "is_true")]
    pub requests_end: bool,
    /// Whether the run ends only when the cluster has nothing left to say.
    #[serde(skip_serializing_if = "is_default")]
    pub quiet: bool,
    /// Changes the bytes of every payload, and nothing else of a run.
    #[serde(skip_serializing_if = "is_default")]
    pub salt: u32,
    /// Which bytes a flip may hit.
    #[serde(skip_serializing_if = "is_default")]
    pub flips: Flips,
    /// Spans that differ from the defaults.
    #[serde(skip_serializing_if = "is_default")]
    pub timing: Timing,
    /// Bounds that differ from the defaults.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// Nodes whose spans or bounds differ from those above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeCfg>,
    /// The chains.
    pub chains: Vec<ChainCfg>,
    /// The clients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<ClientCfg>,
    /// What happens to whoever leads at the time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targeted: Vec<TargetedFault>,
}

impl Default for Cfg {
    fn default() -> Self {
        Self {
            idle_chains: 0,
            requests_end: true,
            quiet: false,
            salt: 0,
            flips: Flips::default(),
            timing: Timing::default(),
            limits: Limits::default(),
            nodes: Vec::new(),
            chains: vec![ChainCfg::default()],
            clients: Vec::new(),
            targeted: Vec::new(),
        }
    }
}

/// A node that is started with a config of its own: what it does not name is as in the others'.
///
/// Nodes, chains and the bounds of request tables are the cluster itself and cannot differ.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeCfg {
    /// The node.
    pub node: NodeIndex,
    /// Its spans, by the keys of `timing`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timing: BTreeMap<String, u64>,
    /// Its bounds, by the keys of `limits`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u64>,
}

/// One chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainCfg {
    /// The name.
    pub name: String,
    /// The voters; all nodes when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<NodeIndex>,
    /// The voter that leads whenever it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<NodeIndex>,
    /// The traffic class.
    #[serde(skip_serializing_if = "is_default")]
    pub class: Class,
    /// What is kept.
    #[serde(skip_serializing_if = "is_default")]
    pub retention: Retention,
}

impl Default for ChainCfg {
    fn default() -> Self {
        Self {
            name: "main".to_owned(),
            members: Vec::new(),
            pinned: None,
            class: Class::default(),
            retention: Retention::default(),
        }
    }
}

/// Sealed bytes that may flip. Never all copies of one entry: what no copy holds, nobody can
/// repair.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flips {
    /// Everything sealed, on nodes that are a minority of every chain.
    #[default]
    Minority,
    /// Of each entry the copy of one node, another one for the next entry.
    Striped,
    /// On nodes that are a minority of every chain, one and the same place of everything that a
    /// store keeps in two, and the repairs.
    Records,
}

/// A group of clients that behave alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientCfg {
    /// The chain, by its place in `chains`.
    pub chain: u16,
    /// How many such clients.
    pub sessions: u32,
    /// When the first of them begins.
    pub start_ms: u64,
    /// Mean time between two requests.
    pub interval_ms: u64,
    /// How many requests each of them makes; the end of the safety phase ends them, too.
    pub count: u64,
    /// Shortest and longest payload.
    pub bytes: (u32, u32),
    /// Most requests under way.
    pub pipeline: u32,
    /// Requests that are reads, of a million.
    pub reads_ppm: u32,
    /// Reads that are linearizable, of a million.
    pub linearizable_ppm: u32,
    /// Appends that want to be durable on the leader only, of a million.
    pub local_ppm: u32,
    /// Requests without a client, which are never repeated, of a million.
    pub anonymous_ppm: u32,
    /// Acknowledged appends that are asked for again, of a million.
    pub repeat_ppm: u32,
    /// Latest time after an acknowledgement at which they are.
    pub repeat_ms_max: u64,
    /// Requests that go to where the last one succeeded, of a million; the others go anywhere.
    pub sticky_ppm: u32,
    /// How long a client waits before it tries once more.
    pub patience_ms: u64,
    /// Pause after a refusal.
    pub pause_ms: u64,
}

impl Default for ClientCfg {
    fn default() -> Self {
        Self {
            chain: 0,
            sessions: 1,
            start_ms: 3_000,
            interval_ms: 250,
            count: 30,
            bytes: (0, 200),
            pipeline: 4,
            reads_ppm: 200_000,
            linearizable_ppm: 500_000,
            local_ppm: 0,
            anonymous_ppm: 0,
            repeat_ppm: 100_000,
            repeat_ms_max: 4_000,
            sticky_ppm: 600_000,
            patience_ms: 1_500,
            pause_ms: 400,
        }
    }
}

/// A fault at the node that leads a chain, or at one that follows, whoever it is at the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetedFault {
    /// When; it waits for a leader if there is none.
    pub at_ms: u64,
    /// The chain, by its place in `chains`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub chain: u16,
    /// At whom.
    #[serde(default, skip_serializing_if = "is_default")]
    pub at: Target,
    /// What.
    pub kind: FaultKind,
    /// How long it lasts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub for_ms: u64,
}

/// Whom a fault hits.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The leader of the highest epoch.
    #[default]
    Leader,
    /// A drawn voter that does not lead.
    Follower,
}

/// What is done to the target; it ends after `for_ms`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// It crashes, and restarts.
    Crash,
    /// It crashes at a drawn file operation that comes soon, and restarts.
    CrashAtPersist,
    /// It crashes, restarts, and crashes again within a few milliseconds, perhaps before anybody
    /// heard of that run; then it restarts.
    CrashTwice,
    /// It hears itself out and hands leadership over, then crashes, and restarts.
    ShutDown,
    /// It stops running.
    Pause,
    /// It is cut off both ways.
    Isolate,
    /// It sends but hears nobody.
    Deafen,
    /// It hears but nobody hears it.
    Mute,
    /// What others send to it travels for half of that time.
    Lag,
    /// Its wall clock steps back by `for_ms`.
    ClockBack,
    /// Its clocks stop.
    ClockStop,
    /// Its disk takes `for_ms` at most for a batch, and three quarters of that at least, until
    /// the faults end.
    SlowDisk,
    /// It is asked to hand leadership over.
    Transfer,
    /// What it sends with entries is lost, until the faults end; all else passes.
    LoseEntries,
    /// Its disk is full.
    FullDisk,
}

/// The name of a chain that nobody uses.
pub(crate) fn idle_name(number: u32) -> String {
    format!("idle-{number}")
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_true(value: &bool) -> bool {
    *value
}

/// `base` with other values under some of its keys.
fn overlaid<T: Serialize + DeserializeOwned>(
    base: &T,
    keys: &BTreeMap<String, u64>,
) -> Result<T, String> {
    let mut table = Table::try_from(base).map_err(|error| error.to_string())?;
    for (key, number) in keys {
        let number = i64::try_from(*number).map_err(|error| format!("{key}: {error}"))?;
        table.insert(key.clone(), number.into());
    }
    table.try_into().map_err(|error| error.message().to_owned())
}

impl NodeCfg {
    /// The spans of this node, where those of others are `base`.
    ///
    /// # Errors
    /// What is wrong with a key or its value.
    pub fn timing(&self, base: &Timing) -> Result<Timing, String> {
        overlaid(base, &self.timing)
    }

    /// The bounds of this node, where those of others are `base`.
    ///
    /// # Errors
    /// What is wrong with a key or its value.
    pub fn limits(&self, base: &Limits) -> Result<Limits, String> {
        overlaid(base, &self.limits)
    }
}

impl Cfg {
    /// This with the spans and bounds that `node` is started with.
    ///
    /// # Errors
    /// What is wrong with a key or its value of that node's own.
    pub fn of_node(&self, node: NodeIndex) -> Result<Self, String> {
        let mut cfg = self.clone();
        for own in self.nodes.iter().filter(|own| own.node == node) {
            cfg.timing = own.timing(&cfg.timing)?;
            cfg.limits = own.limits(&cfg.limits)?;
        }
        Ok(cfg)
    }

    /// The core's config for a cluster of `nodes` nodes, for those without one of their own.
    ///
    /// # Errors
    /// The chains, spans or limits contradict each other or the number of nodes.
    pub fn config(&self, nodes: u16) -> Result<Config, ConfigError> {
        let founder = |node| Founder {
            node: node_id(node),
            store: store_id(node, 1),
        };
        let all = || (0..nodes).map(NodeIndex);
        let everybody = || all().map(node_id).collect::<Vec<_>>();
        let chains = self.chains.iter().map(|chain| ChainDraft {
            name: chain.name.clone(),
            members: match chain.members.is_empty() {
                true => everybody(),
                false => chain.members.iter().copied().map(node_id).collect(),
            },
            leader_pinned: chain.pinned.map(node_id),
            retention: chain.retention,
            class: chain.class,
        });
        let idle = (0..self.idle_chains).map(|number| ChainDraft {
            name: idle_name(number),
            members: everybody(),
            leader_pinned: None,
            retention: Retention::default(),
            class: Class::default(),
        });
        Config::try_from(Draft {
            deployment: DeploymentId::new(1),
            nodes: all().map(founder).collect(),
            chains: chains.chain(idle).collect(),
            timing: self.timing,
            limits: self.limits,
        })
    }

    /// The id of a chain by its place in `chains`.
    pub fn chain_id(&self, chain: u16) -> Option<ChainId> {
        Some(ChainId::of(&self.chains.get(usize::from(chain))?.name))
    }

    /// The members that a chain lists, by its place in `chains`; none when all nodes are.
    pub fn members(&self, chain: u16) -> Vec<NodeIndex> {
        let listed = self.chains.get(usize::from(chain));
        listed.map_or_else(Vec::new, |chain| chain.members.clone())
    }

    /// The place of a chain in the genesis, which operations name it by; see [`Config::chains`].
    pub fn place(&self, chain: u16) -> u16 {
        let wanted = self.chain_id(chain);
        let named = self.chains.iter().map(|chain| ChainId::of(&chain.name));
        let idle = (0..self.idle_chains).map(|number| ChainId::of(&idle_name(number)));
        named.chain(idle).filter(|id| Some(*id) < wanted).count() as u16
    }
}
