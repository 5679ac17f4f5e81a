//! Values that have the right type and cannot be meant.
//!
//! A plan that asks for something impossible is refused before it runs: a chance above a million,
//! a node that the cluster does not have or a time after the end would otherwise be a fault that
//! silently does not happen, and a green run that proves nothing. What the scenario's own part of
//! a plan must keep to is the scenario's to say ([`Scenario::check`]).
//!
//! [`Scenario::check`]: crate::scenario::Scenario::check

use super::{FaultAt, Plan};
use crate::connection::Connections;
use crate::fault::Fault;
use crate::node::NodeIndex;
use crate::weather::Weather;
use core::fmt::Display;
use core::ops::RangeInclusive;
use thiserror::Error;

/// A value of a plan that cannot be meant.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{key}: {problem}")]
pub struct InvalidPlan {
    /// Path of the value to change, such as `ops[2].node`.
    pub key: String,
    /// What was found and what was expected.
    pub problem: String,
}

/// Most nodes that a plan may have. The engine keeps eight bytes for each pair of them.
pub const NODES_MAX: u16 = 2_048;
/// Most nodes that dial each other.
const CONNECTED_NODES_MAX: u64 = 256;
/// The longest span that a plan may name: a hundred years, so that sums of them stay within the
/// 584 years that an instant can show.
pub const MS_MAX: u64 = 3_155_760_000_000;
/// The longest liveness phase, a day: it is cut into tenths of a second, at each of which the
/// scenario is asked.
const LIVENESS_MS_MAX: u64 = 86_400_000;
/// The longest that a message or a batch may take: a day.
const US_MAX: u64 = 86_400_000_000;
/// The latest wall time, in milliseconds: some year in which a clock still counts nanoseconds.
const WALL_MS_MAX: u64 = 9_000_000_000_000;
/// Most bits that one fault flips.
const BITS_MAX: u32 = 1_000_000;
const MILLION: u64 = 1_000_000;

impl InvalidPlan {
    /// `key` has the value `found` where `expected` belongs.
    pub fn new(key: impl Into<String>, found: impl Display, expected: impl Display) -> Self {
        Self {
            key: key.into(),
            problem: format!("found {found}, expected {expected}"),
        }
    }

    /// Refuses a number that is out of its bounds.
    ///
    /// # Errors
    /// It is.
    pub fn unless_within(
        key: impl Into<String>,
        found: u64,
        bounds: RangeInclusive<u64>,
    ) -> Result<(), Self> {
        if bounds.contains(&found) {
            return Ok(());
        }
        let expected = format!("{} to {}", bounds.start(), bounds.end());
        Err(Self::new(key, found, expected))
    }

    /// Refuses a range that ends before it begins, or beyond `most`.
    ///
    /// # Errors
    /// It does.
    pub fn unless_range(
        key: impl Into<String>,
        (low, high): (u64, u64),
        most: u64,
    ) -> Result<(), Self> {
        if low <= high && high <= most {
            return Ok(());
        }
        let expected = format!("the lower bound before the upper one, both up to {most}");
        Err(Self::new(key, format!("{low} and {high}"), expected))
    }

    /// Refuses a node that a cluster of `nodes` does not have.
    ///
    /// # Errors
    /// It has not.
    pub fn unless_node(key: impl Into<String>, node: NodeIndex, nodes: u16) -> Result<(), Self> {
        if node.0 < nodes {
            return Ok(());
        }
        Err(Self::new(key, node.0, format!("a node below {nodes}")))
    }
}

impl<Op, Cfg> Plan<Op, Cfg> {
    /// Looks for a value of the engine's part that cannot be meant.
    ///
    /// # Errors
    /// The first such value.
    pub fn check(&self) -> Result<(), InvalidPlan> {
        InvalidPlan::unless_within("nodes", self.nodes.into(), 1..=NODES_MAX.into())?;
        InvalidPlan::unless_within("safety_ms", self.safety_ms, 0..=MS_MAX)?;
        InvalidPlan::unless_within("liveness_ms", self.liveness_ms, 0..=LIVENESS_MS_MAX)?;
        InvalidPlan::unless_within("wall_ms", self.wall_ms, 0..=WALL_MS_MAX)?;
        InvalidPlan::unless_within("origin_ms_max", self.origin_ms_max, 0..=MS_MAX)?;
        check_weather("weather", &self.weather)?;
        for (at, links) in self.matrix.iter().enumerate() {
            check_weather(&format!("matrix[{at}].weather"), &links.weather)?;
            for (name, nodes) in [("from", &links.from), ("to", &links.to)] {
                for (place, node) in nodes.iter().enumerate() {
                    let key = format!("matrix[{at}].{name}[{place}]");
                    InvalidPlan::unless_node(key, *node, self.nodes)?;
                }
            }
        }
        if let Some(connections) = &self.connections {
            self.check_connections(connections)?;
        }
        InvalidPlan::unless_range("disk_us", self.disk_us, US_MAX)?;
        if !self.clock_ppm.is_empty() && self.clock_ppm.len() != usize::from(self.nodes) {
            let found = format!("{} rates", self.clock_ppm.len());
            return Err(InvalidPlan::new(
                "clock_ppm",
                found,
                format!("none or {}", self.nodes),
            ));
        }
        for (at, node) in self.absent.iter().enumerate() {
            InvalidPlan::unless_node(format!("absent[{at}]"), *node, self.nodes)?;
        }
        for (at, ppm) in self.clock_ppm.iter().enumerate() {
            check_rate(format!("clock_ppm[{at}]"), *ppm)?;
        }
        for (at, node) in self.core.iter().enumerate() {
            InvalidPlan::unless_node(format!("core[{at}]"), *node, self.nodes)?;
        }
        let end = self.safety().after(self.liveness());
        for (at, op) in self.ops.iter().enumerate() {
            InvalidPlan::unless_node(format!("ops[{at}].node"), op.node, self.nodes)?;
            if op.at > end {
                let expected = format!("a time up to the end of the run at {end}");
                return Err(InvalidPlan::new(format!("ops[{at}]"), op.at, expected));
            }
        }
        for (at, fault) in self.faults.iter().enumerate() {
            self.check_fault(fault).map_err(|mistake| InvalidPlan {
                key: match mistake.key.is_empty() {
                    true => format!("faults[{at}]"),
                    false => format!("faults[{at}].{}", mistake.key),
                },
                ..mistake
            })?;
        }
        self.check_choices()
    }

    /// Choices stand for everything that times and draws would decide.
    fn check_choices(&self) -> Result<(), InvalidPlan> {
        for (at, choice) in self.choices.iter().enumerate() {
            for node in choice.nodes() {
                InvalidPlan::unless_node(format!("choices[{at}].node"), node, self.nodes)?;
            }
        }
        let alone = "none in a plan with choices";
        match self.faults.len() {
            _ if self.choices.is_empty() => Ok(()),
            0 if self.connections.is_some() => {
                Err(InvalidPlan::new("connections", "connections", alone))
            }
            0 => InvalidPlan::unless_within("liveness_ms", self.liveness_ms, 0..=0),
            faults => Err(InvalidPlan::new(
                "faults",
                format!("{faults} faults"),
                alone,
            )),
        }
    }

    fn check_connections(&self, connections: &Connections) -> Result<(), InvalidPlan> {
        let Connections {
            pause_ms_first,
            pause_ms_last,
            again_ms,
            answer_ms_max,
            stall_ms_max,
            queue_bytes_max: _,
        } = *connections;
        let nodes = u64::from(self.nodes);
        InvalidPlan::unless_within("nodes", nodes, 1..=CONNECTED_NODES_MAX)?;
        // Whoever does not pause dials again and again at one instant.
        for (name, ms) in [
            ("pause_ms_first", pause_ms_first),
            ("pause_ms_last", pause_ms_last),
            ("again_ms", again_ms),
            ("answer_ms_max", answer_ms_max),
            ("stall_ms_max", stall_ms_max),
        ] {
            InvalidPlan::unless_within(format!("connections.{name}"), ms, 1..=MS_MAX)?;
        }
        Ok(())
    }

    fn check_fault(&self, fault: &FaultAt) -> Result<(), InvalidPlan> {
        for node in fault.fault.nodes() {
            InvalidPlan::unless_node("", node, self.nodes)?;
        }
        if fault.at > self.safety() {
            let expected = format!("a time of the safety phase, up to {}", self.safety());
            return Err(InvalidPlan::new("", fault.at, expected));
        }
        match &fault.fault {
            Fault::Weather { weather, .. } => weather
                .iter()
                .try_for_each(|weather| check_weather("weather", weather)),
            Fault::ClockRate { ppm, .. } => check_rate("ppm".to_owned(), *ppm),
            Fault::ClockJump { ms, .. } => InvalidPlan::unless_within("ms", *ms, 0..=MS_MAX),
            Fault::LateWake { by_ms, .. } => {
                InvalidPlan::unless_within("by_ms", *by_ms, 0..=MS_MAX)
            }
            Fault::DiskLatency { us_min, us_max, .. } => {
                InvalidPlan::unless_range("us_max", (*us_min, *us_max), US_MAX)
            }
            Fault::CrashAtPersist {
                op,
                restart_after_ms,
                ..
            } => {
                InvalidPlan::unless_within("op", *op, 1..=u64::MAX)?;
                let after = restart_after_ms.unwrap_or_default();
                InvalidPlan::unless_within("restart_after_ms", after, 0..=MS_MAX)
            }
            Fault::Flip { bits, .. } => {
                InvalidPlan::unless_within("bits", (*bits).into(), 0..=BITS_MAX.into())
            }
            Fault::FlipAt { bit, .. } => InvalidPlan::unless_within("bit", (*bit).into(), 0..=7),
            Fault::Partition { groups } => check_groups(groups),
            Fault::Crash { .. }
            | Fault::Restart { .. }
            | Fault::Pause { .. }
            | Fault::Resume { .. }
            | Fault::Wipe { .. }
            | Fault::Cut { .. }
            | Fault::Mend { .. }
            | Fault::Clog { .. }
            | Fault::Unclog { .. }
            | Fault::Filter { .. }
            | Fault::Heal {}
            | Fault::ClockOffset { .. }
            | Fault::ClockStep { .. }
            | Fault::ClockStop { .. }
            | Fault::ClockStart { .. }
            | Fault::DiskFull { .. }
            | Fault::DiskRoom { .. }
            | Fault::DiskSyncError { .. }
            | Fault::DiskLoseWrite { .. }
            | Fault::DiskSnapshot { .. }
            | Fault::DiskRestore { .. }
            | Fault::DiskReadError { .. }
            | Fault::Reformat { .. }
            | Fault::Recover { .. } => Ok(()),
        }
    }
}

fn check_rate(key: String, ppm: i32) -> Result<(), InvalidPlan> {
    match ppm > -1_000_000 {
        true => Ok(()),
        false => Err(InvalidPlan::new(key, ppm, "more than -1000000")),
    }
}

fn check_weather(prefix: &str, weather: &Weather) -> Result<(), InvalidPlan> {
    let Weather {
        latency_us_min,
        latency_us_max,
        loss_ppm,
        duplicate_ppm,
        reorder_ppm,
        corrupt_ppm,
        bytes_per_ms: _,
        message_bytes_max: _,
    } = *weather;
    let key = |name: &str| format!("{prefix}.{name}");
    InvalidPlan::unless_range(
        key("latency_us_max"),
        (latency_us_min, latency_us_max),
        US_MAX,
    )?;
    for (name, ppm) in [
        ("loss_ppm", loss_ppm),
        ("duplicate_ppm", duplicate_ppm),
        ("reorder_ppm", reorder_ppm),
        ("corrupt_ppm", corrupt_ppm),
    ] {
        InvalidPlan::unless_within(key(name), ppm.into(), 0..=MILLION)?;
    }
    Ok(())
}

fn check_groups(groups: &[Vec<NodeIndex>]) -> Result<(), InvalidPlan> {
    let mut nodes: Vec<NodeIndex> = groups.iter().flatten().copied().collect();
    nodes.sort_unstable();
    match nodes.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            let found = format!("node {} twice", pair[0].0);
            Err(InvalidPlan::new("groups", found, "each node in one group"))
        }
        None => Ok(()),
    }
}
