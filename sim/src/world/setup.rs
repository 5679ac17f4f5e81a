//! What a world starts from.

use crate::connection::Connections;
use crate::machine::Machine;
use crate::node::NodeIndex;
use crate::queue::QueueKind;
use crate::weather::{LinkWeather, Weather};

/// The cluster and its surroundings at time zero.
#[derive(Debug)]
pub struct Setup<M: Machine> {
    /// Decides every draw.
    pub seed: u64,
    /// One configuration per node.
    pub configs: Vec<M::Config>,
    /// The weather on every link.
    pub weather: Weather,
    /// Weather that some links have of their own; of two that name a link, the later one counts.
    pub matrix: Vec<LinkWeather>,
    /// How connections behave; without it, messages travel on their own.
    pub connections: Option<Connections>,
    /// Shortest and longest time that a disk takes for a batch, in microseconds.
    pub disk_us: (u64, u64),
    /// What every wall clock shows at time zero.
    pub wall_ms: u64,
    /// Nodes that do not run yet: a restart boots them, and so does recovery.
    pub absent: Vec<NodeIndex>,
    /// Parts of a million by which the clocks of each node run fast; nodes that it does not name
    /// have true clocks.
    pub clock_ppm: Vec<i32>,
    /// Monotonic clocks start at a drawn time below this; zero lets all start at zero.
    pub origin_ms_max: u64,
    /// Events after which the run is a violation.
    pub steps_max: u64,
    /// Events at one instant after which the run is a violation.
    pub instant_steps_max: u32,
    /// Whether messages pass through their codec; see [`Message::decoded`].
    ///
    /// [`Message::decoded`]: crate::machine::Message::decoded
    pub codec: bool,
    /// The container of events; changes no run.
    pub queue: QueueKind,
}

impl<M: Machine> Setup<M> {
    /// A cluster with one node per configuration, latencies of 1 to 10 ms, disks that take
    /// 0.1 to 2 ms for a batch, and clocks that agree.
    pub const fn new(seed: u64, configs: Vec<M::Config>) -> Self {
        Self {
            seed,
            configs,
            weather: Weather::latency_us(1_000, 10_000),
            matrix: Vec::new(),
            connections: None,
            disk_us: (100, 2_000),
            wall_ms: 1_700_000_000_000,
            absent: Vec::new(),
            clock_ppm: Vec::new(),
            origin_ms_max: 0,
            steps_max: u64::MAX,
            instant_steps_max: 100_000,
            codec: false,
            queue: QueueKind::Auto,
        }
    }
}
