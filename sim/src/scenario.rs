//! What a user of the engine writes besides the machine.

use crate::hook::Hook;
use crate::machine::Machine;
use crate::marks::Mark;
use crate::node::NodeIndex;
use crate::plan::{InvalidPlan, Plan};
use crate::violation::Violation;
use crate::world::World;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::panic::Location;

/// The operations of a scenario's machine.
pub type OpOf<S> = <<S as Scenario>::Machine as Machine>::Op;

/// The plans of a scenario.
pub type PlanOf<S> = Plan<OpOf<S>, <S as Scenario>::Cfg>;

/// A way to test a machine: how seeds become plans, what runs, and what has to hold.
///
/// A run has two phases. In the safety phase the faults of the plan happen, and the hook checks
/// after every step what must hold at any time. Then the core of the plan is healed, the other
/// nodes are taken down, and [`converged`](Self::converged) has to hold within the plan's bound.
pub trait Scenario: Send + Sync + 'static {
    /// The machine under test.
    type Machine: Machine<Op: Clone + Debug + PartialEq + Serialize + DeserializeOwned>;
    /// What a plan may decide beyond cluster, operations and faults; a struct.
    type Cfg: Clone + Debug + PartialEq + Serialize + DeserializeOwned;
    /// Host model, client models and checks of one run.
    type Hook: Hook<Self::Machine>;

    /// The name, as on the command line: lower case, words joined by hyphens.
    fn name(&self) -> &str;

    /// One line on what it tests.
    fn about(&self) -> &str;

    /// The plan of a seed; the same seed gives the same plan everywhere.
    fn plan(&self, seed: u64) -> PlanOf<Self>
    where
        Self: Sized;

    /// Looks for values of the scenario's part of a plan, `cfg` and `ops`, that cannot be meant.
    /// Only a plan without any is run; what it refuses, the other methods never see.
    ///
    /// # Errors
    /// The first such value, by a key that begins with `cfg` or `ops`.
    fn check(&self, plan: &PlanOf<Self>) -> Result<(), InvalidPlan>
    where
        Self: Sized,
    {
        let _ = plan;
        Ok(())
    }

    /// What node `node` is started with.
    fn config(&self, plan: &PlanOf<Self>, node: NodeIndex) -> <Self::Machine as Machine>::Config
    where
        Self: Sized;

    /// Fresh checks and models for one run.
    fn hook(&self, plan: &PlanOf<Self>) -> Self::Hook
    where
        Self: Sized;

    /// What the liveness phase waits for, or the first obligation that is not met yet.
    ///
    /// # Errors
    /// The obligation that blocks, with the id of its property.
    fn converged(
        &self,
        plan: &PlanOf<Self>,
        world: &World<Self::Machine>,
        hook: &Self::Hook,
    ) -> Result<(), Blocked>
    where
        Self: Sized,
    {
        let _ = (plan, world, hook);
        Ok(())
    }

    /// Plans that are simpler to read than `plan` and might break the same property, the simplest
    /// first. Operations, faults, nodes and single values need none: they are left out and made
    /// smaller as it is. These are for what belongs together, such as a member of a chain and the
    /// node that it is.
    fn simpler(&self, plan: &PlanOf<Self>) -> Vec<PlanOf<Self>>
    where
        Self: Sized,
    {
        let _ = plan;
        Vec::new()
    }

    /// Checks over the whole history, after the run.
    ///
    /// # Errors
    /// The property that did not hold.
    fn finish(
        &self,
        plan: &PlanOf<Self>,
        world: &World<Self::Machine>,
        hook: &mut Self::Hook,
        not_checked: &mut NotChecked,
    ) -> Result<(), Violation>
    where
        Self: Sized,
    {
        let _ = (plan, world, hook, not_checked);
        Ok(())
    }

    /// Marks that a full sweep of this scenario must see.
    fn marks(&self) -> Vec<Mark> {
        Vec::new()
    }
}

/// Why a cluster has not converged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Id of the liveness property.
    pub property: &'static str,
    /// The first obligation that is not met.
    pub obligation: String,
    /// The node that does not meet it, if it is one.
    pub node: Option<NodeIndex>,
    /// The line that found it.
    pub site: &'static Location<'static>,
}

impl Blocked {
    /// `property` waits for `obligation`.
    #[track_caller]
    pub fn new(property: &'static str, obligation: impl Into<String>) -> Self {
        Self {
            property,
            obligation: obligation.into(),
            node: None,
            site: Location::caller(),
        }
    }

    /// The same, at `node`: the trace of a violation shows what led there.
    #[must_use]
    pub const fn at_node(mut self, node: NodeIndex) -> Self {
        self.node = Some(node);
        self
    }
}

/// Properties that a check could not decide in this run; reported, and never a pass.
#[derive(Clone, Debug, Default)]
pub struct NotChecked(pub(crate) Vec<String>);

impl NotChecked {
    /// Says that `property` was not decided, and why.
    pub fn push(&mut self, property: &str, why: impl std::fmt::Display) {
        self.0.push(format!("{property}: {why}"));
    }
}
