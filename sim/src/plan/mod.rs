//! Plans: everything that decides a run, in plain data.
//!
//! A seed only generates a plan; from then on the plan is all there is. Scenarios, sweeps,
//! minimisation and hand-written regressions speak plans, so a failure that one of them found
//! runs in all of them, and it keeps its meaning when a generator changes. The file format is
//! TOML, `format = 1`, and unknown fields are refused: a misspelt fault that silently does
//! nothing would be a green run that proves nothing.

mod choice;
mod extremes;
mod mistake;
mod table;
mod text;
mod timed;

pub use choice::Choice;
pub use extremes::assert_refuses_or_runs;
pub use mistake::{InvalidPlan, MS_MAX, NODES_MAX};
#[cfg(feature = "cli")]
pub(crate) use text::scenario_of;
pub(crate) use text::written;
pub use text::{FileError, Place};
pub use timed::{FaultAt, OpAt};

use crate::connection::Connections;
use crate::fault::{Fault, Keep};
use crate::node::NodeIndex;
use crate::time::Instant;
use crate::weather::{LinkWeather, Weather};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The version of the file format.
pub const FORMAT: u64 = 1;

/// One run: cluster, workload, faults, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(deserialize = "Op: DeserializeOwned, Cfg: DeserializeOwned")
)]
pub struct Plan<Op, Cfg = Nothing> {
    /// Version of the format.
    pub format: u64,
    /// The scenario that knows the machines and the checks.
    pub scenario: String,
    /// Seed of every draw inside the run.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: u16,
    /// How long faults may happen.
    pub safety_ms: u64,
    /// How long the healed cluster may take to converge; zero demands nothing.
    pub liveness_ms: u64,
    /// Most steps that the run may take.
    #[serde(default = "steps_max")]
    pub steps_max: u64,
    /// The nodes that are healed for the liveness phase, while the others stay down; all nodes
    /// when empty.
    #[serde(default)]
    pub core: Vec<NodeIndex>,
    /// What of the faults stays for the liveness phase; it has to leave the cluster able to
    /// converge within its bound.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// What the run should find.
    #[serde(default)]
    pub expect: Expect,
    /// How messages travel unless a fault says otherwise.
    #[serde(default)]
    pub weather: Weather,
    /// Weather that some links have of their own, such as those between zones; of two that name a
    /// link, the later one counts.
    #[serde(default)]
    pub matrix: Vec<LinkWeather>,
    /// How the connections are in which messages travel; without it, each message travels on its
    /// own.
    #[serde(default)]
    pub connections: Option<Connections>,
    /// Whether messages are encoded and decoded on the way, where the machine has a codec.
    #[serde(default)]
    pub codec: bool,
    /// Shortest and longest time that a disk takes for a batch, in microseconds, unless a fault
    /// says otherwise.
    #[serde(default = "disk_us")]
    pub disk_us: (u64, u64),
    /// What every wall clock shows when the run begins, in milliseconds since the Unix epoch.
    #[serde(default = "wall_ms")]
    pub wall_ms: u64,
    /// Nodes that do not run when the run begins: they join it when a `restart` boots them, or when
    /// the faults end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<NodeIndex>,
    /// Parts of a million by which the clocks of each node run fast unless a fault says otherwise;
    /// all are true when empty.
    #[serde(default)]
    pub clock_ppm: Vec<i32>,
    /// Monotonic clocks start at a drawn time below this.
    #[serde(default)]
    pub origin_ms_max: u64,
    /// Whatever the scenario lets a plan decide.
    pub cfg: Cfg,
    /// Operations of the workload.
    #[serde(default = "Vec::new")]
    pub ops: Vec<OpAt<Op>>,
    /// Faults.
    #[serde(default)]
    pub faults: Vec<FaultAt>,
    /// What happens, one thing after the other, instead of what times and draws would decide;
    /// operations wait until they are chosen, and each choice takes a millisecond.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// The configuration of a scenario that has nothing to configure.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The verdict that a plan expects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The property that the run violates; without it every property holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violates: Option<String>,
    /// The digest that the run had, as sixteen hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The build that computed the digest; another build may step differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
}

const fn disk_us() -> (u64, u64) {
    (100, 2_000)
}

const fn wall_ms() -> u64 {
    1_700_000_000_000
}

const fn steps_max() -> u64 {
    10_000_000
}

impl<Op, Cfg> Plan<Op, Cfg> {
    /// A plan without operations and faults: ten seconds of safety phase, then ten seconds to
    /// converge.
    pub fn new(scenario: impl Into<String>, seed: u64, nodes: u16, cfg: Cfg) -> Self {
        Self {
            format: FORMAT,
            scenario: scenario.into(),
            seed,
            nodes,
            safety_ms: 10_000,
            liveness_ms: 10_000,
            steps_max: steps_max(),
            core: Vec::new(),
            keep: Vec::new(),
            expect: Expect::default(),
            weather: Weather::default(),
            matrix: Vec::new(),
            connections: None,
            codec: false,
            disk_us: disk_us(),
            wall_ms: wall_ms(),
            absent: Vec::new(),
            clock_ppm: Vec::new(),
            origin_ms_max: 0,
            cfg,
            ops: Vec::new(),
            faults: Vec::new(),
            choices: Vec::new(),
        }
    }

    /// Adds an operation.
    pub fn op(&mut self, at: Instant, node: u16, op: Op) -> &mut Self {
        self.ops.push(OpAt {
            at,
            node: NodeIndex(node),
            op,
        });
        self
    }

    /// Adds a fault.
    pub fn fault(&mut self, at: Instant, fault: Fault) -> &mut Self {
        self.faults.push(FaultAt { at, fault });
        self
    }

    /// The end of the safety phase.
    pub const fn safety(&self) -> Instant {
        Instant::from_millis(self.safety_ms)
    }

    /// How long the healed cluster may take to converge.
    pub const fn liveness(&self) -> Duration {
        Duration::from_millis(self.liveness_ms)
    }

    /// The nodes that are healed for the liveness phase.
    pub fn core(&self) -> Vec<NodeIndex> {
        match self.core.is_empty() {
            true => (0..self.nodes).map(NodeIndex).collect(),
            false => self.core.clone(),
        }
    }
}
