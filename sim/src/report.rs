//! What one run found.

use crate::check::obligation::Tallies;
use crate::marks::Counts;
use crate::node::NodeIndex;
use crate::time::Instant;
use crate::trace::Line;
use crate::world::Applied;
use std::fmt;
use std::time::Duration;

/// A broken property, in a form that outlives the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Id of the property, or one of the engine's own: [`PANIC`], [`PLAN`], [`STUCK`], [`REPLAY`], or
    /// a budget of [`violation`](crate::violation).
    pub property: String,
    /// Where it broke: the check's own word, or file and line of a panic.
    pub site: String,
    /// The node whose step broke it, if it was a step.
    pub node: Option<NodeIndex>,
    /// Simulated time.
    pub at: Instant,
    /// In which part of the run.
    pub found: Found,
    /// What was seen.
    pub message: String,
    /// The input that the node was working on when it panicked.
    pub input: Option<Box<str>>,
    /// The stack of a panic, if it was asked for.
    pub backtrace: Option<Box<str>>,
}

/// The part of a run in which something was found.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Found {
    /// While it ran: the time is that of the step or the alarm.
    #[default]
    Running,
    /// At its end, by a cluster that did not converge in time.
    Converging,
    /// After its end, in the whole history.
    Finished,
}

/// The checked code panicked.
pub const PANIC: &str = "panic";
/// The plan has a value that cannot be meant.
pub const PLAN: &str = "plan";
/// A call of the checked code did not return.
pub const STUCK: &str = "step-returns";
/// The same plan ran twice and did different things.
pub const REPLAY: &str = "replay";

/// The outcome of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The first broken property; `None` when all held.
    pub finding: Option<Finding>,
    /// Digest of everything that happened, equal wherever the plan runs.
    pub digest: u64,
    /// How many nodes there were.
    pub nodes: u16,
    /// Steps that machines made.
    pub steps: u64,
    /// Simulated time that passed.
    pub simulated: Duration,
    /// How long after the faults ended the cluster had converged.
    pub converged_after: Option<Duration>,
    /// Marks that were hit.
    pub marks: Counts,
    /// Faults that the plan and the hook applied.
    pub faults: u64,
    /// How many of them changed nothing.
    pub faults_inert: u64,
    /// The first of those, by time.
    pub inert: Vec<Applied>,
    /// For each property with a monitor, how often its obligations were armed and met.
    pub obligations: Tallies,
    /// Properties that a check could not decide, with the reason; never a pass.
    pub not_checked: Vec<String>,
    /// The trace, as far as it was asked for.
    pub trace: Vec<Line>,
    /// Every node at the end of the run, if the watcher set one.
    pub nodes_then: Vec<NodeState>,
}

/// What a node is like at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// The node.
    pub node: NodeIndex,
    /// Whether it runs.
    pub standing: Standing,
    /// What its machine tells of its state, if it is there and tells anything.
    pub told: Option<String>,
}

/// Whether a node runs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Up,
    /// It waits; its machine is as it was.
    Paused,
    /// It has no machine.
    Down,
}

impl Finding {
    /// A finding at the beginning of a run, at no node and no site.
    pub fn new(property: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            property: property.into(),
            site: String::new(),
            node: None,
            at: Instant::ZERO,
            found: Found::default(),
            message: message.into(),
            input: None,
            backtrace: None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.property, self.at)?;
        if let Some(node) = self.node {
            write!(f, " on {node}")?;
        }
        if !self.site.is_empty() {
            write!(f, " ({})", self.site)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Report {
    /// True when no property was broken.
    pub const fn holds(&self) -> bool {
        self.finding.is_none()
    }
}
