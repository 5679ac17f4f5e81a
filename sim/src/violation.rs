//! What a run that did not hold says about itself.

use crate::node::NodeIndex;
use crate::time::Instant;
use std::borrow::Cow;
use std::panic::Location;

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Id of the property.
    pub property: Cow<'static, str>,
    /// The node it was noticed at, where there is one.
    pub node: Option<NodeIndex>,
    /// True time: the engine fills in that of the step. What a check of the whole history finds
    /// happened when the check says, or at the end of the run.
    pub at: Instant,
    /// What was seen.
    pub detail: String,
    /// The line that found it; violations of one property at one site are one finding.
    pub site: &'static Location<'static>,
    /// What stands for the line, if the check said so.
    pub name: Option<&'static str>,
}

impl Violation {
    /// A violation of `property`, described by `detail`, and found by the line that calls this.
    ///
    /// A function of the check that stands between needs `#[track_caller]`, or all that it finds
    /// is one finding. Where it cannot have that, as inside `map_err`, [`named`](Self::named) tells
    /// one defect from another.
    #[cold]
    #[track_caller]
    pub fn new(property: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self {
            property: property.into(),
            node: None,
            at: Instant::ZERO,
            detail: detail.into(),
            site: Location::caller(),
            name: None,
        }
    }

    /// The same under a fixed name: it stands for the line that found it.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// What tells this defect from others of its property: its name, or file and line.
    pub fn place(&self) -> String {
        match self.name {
            Some(name) => name.to_owned(),
            None => format!("{}:{}", self.site.file(), self.site.line()),
        }
    }

    /// The same, which happened at `at`; for checks of the whole history.
    #[must_use]
    pub const fn happened(mut self, at: Instant) -> Self {
        self.at = at;
        self
    }

    /// The same, noticed at `node`.
    #[must_use]
    pub fn at_node(mut self, node: NodeIndex) -> Self {
        self.node = Some(node);
        self
    }
}

impl core::fmt::Display for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} at {}", self.property, self.at)?;
        if let Some(node) = self.node {
            write!(f, " on {node}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl std::error::Error for Violation {}

/// The run performed more steps than its budget.
pub const STEP_BUDGET: &str = "step-budget";
/// More steps than the budget happened at one instant: something answers itself without delay.
pub const INSTANT_BUDGET: &str = "instant-budget";
