//! Participants that no transaction may split.

use super::machine::{Config, Node};
use super::{Care, split};
use meshos_sim::explore::{Budgets, Explorable, Fingerprint};
use meshos_sim::prelude::*;
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// A coordinator, node 0, and participants.
#[derive(Copy, Clone, Debug)]
pub struct TwoPhase {
    pub care: Care,
    pub nodes: u16,
    pub transactions: u8,
}

/// What a plan decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cfg {
    pub care: Care,
    pub transactions: u8,
}

/// No transaction is committed by one and aborted by another.
#[derive(Copy, Clone, Debug)]
pub struct Together;

impl Hook<Node> for Together {
    fn on_step(&mut self, step: &Step<'_, Node>, _: &mut Schedule<Node>) -> Result<(), Violation> {
        let nodes = 0..step.view.nodes().len() as u16;
        let machines = nodes.filter_map(|node| step.view.node(NodeIndex(node)));
        match split(machines.map(|node| &node.party)) {
            None => Ok(()),
            Some(number) => {
                let detail = format!("transaction {number} is committed here and aborted there");
                Err(Violation::new("all-or-nothing", detail).at_node(step.node))
            }
        }
    }
}

impl Scenario for TwoPhase {
    type Machine = Node;
    type Cfg = Cfg;
    type Hook = Together;

    fn name(&self) -> &str {
        match self.care {
            Care::Whole => "two-phase",
            Care::MissesOneVote => "misses-one-vote",
            Care::GivesUp => "gives-up",
            Care::Overturns => "overturns",
        }
    }

    fn about(&self) -> &str {
        "all participants commit a transaction, or none does"
    }

    fn plan(&self, seed: u64) -> PlanOf<Self> {
        let mut plan = self.begin();
        plan.seed = seed;
        // Words travel about as long as parties wait.
        plan.weather = Weather::latency_us(1_000, 30_000);
        plan.safety_ms = 200;
        plan
    }

    fn check(&self, plan: &PlanOf<Self>) -> Result<(), InvalidPlan> {
        InvalidPlan::unless_within("nodes", plan.nodes.into(), 2..=8)?;
        InvalidPlan::unless_within("cfg.transactions", plan.cfg.transactions.into(), 0..=250)
    }

    fn config(&self, plan: &PlanOf<Self>, _: NodeIndex) -> Config {
        (plan.cfg.care, plan.cfg.transactions)
    }

    fn hook(&self, _: &PlanOf<Self>) -> Together {
        Together
    }
}

impl Explorable for TwoPhase {
    fn begin(&self) -> PlanOf<Self> {
        let cfg = Cfg {
            care: self.care,
            transactions: self.transactions,
        };
        let mut plan = PlanOf::<Self>::new(self.name(), 0, self.nodes, cfg);
        plan.liveness_ms = 0;
        plan
    }

    fn budgets(&self) -> Budgets {
        // A deadline is reached once, and a node that crashes forgets what it promised.
        Budgets::default()
    }

    fn fold_machine(&self, machine: &Node, _: Now, into: &mut Fingerprint) {
        machine.party.hash(into);
    }

    fn fold_hook(&self, _: &Together, _: &mut Fingerprint) {}
}
