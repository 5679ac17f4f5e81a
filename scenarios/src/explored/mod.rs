//! One chain and nothing else, small enough that every run of it can be looked at.

mod ground;

use crate::cfg::{Cfg, Plan};
use crate::invalid_plans;
use crate::model::{Ask, Host, HostConfig, Op};
use ground::Ground;
use meshos_sim::explore::{Budgets, Explorable, Fingerprint};
use meshos_sim::machine::NodeIndex;
use meshos_sim::plan::InvalidPlan;
use meshos_sim::scenario::Scenario;
use meshos_sim::storm::Family;
use meshos_sim::swarm::Draw;
use meshos_sim::time::{Instant, Now};
use std::hash::Hash;
use std::sync::Arc;

/// One chain on so many nodes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct OneChain {
    name: &'static str,
    nodes: u16,
    /// How far its search goes.
    budgets: Budgets,
}

/// All that `explore` knows.
pub fn all() -> [OneChain; 2] {
    let budgets = Budgets {
        crashes: 1,
        timeouts: Some(6),
        early: Some(0),
        ..Budgets::default()
    };
    [
        OneChain {
            name: "chain-of-two",
            nodes: 2,
            budgets,
        },
        OneChain {
            name: "chain-of-three",
            nodes: 3,
            budgets: Budgets {
                crashes: 0,
                ..budgets
            },
        },
    ]
}

impl Scenario for OneChain {
    type Machine = Host;
    type Cfg = Cfg;
    type Hook = Ground;

    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        "one chain, a few appends, and the safety of Quorum alone"
    }

    fn plan(&self, seed: u64) -> Plan {
        let draw = Draw::new(seed).of(self.name);
        let mut plan = Plan::new(self.name, seed, self.nodes, Cfg::default());
        for index in 0..20 {
            let draw = draw.nth(index);
            let node = draw.of("node").below(self.nodes.into()) as u16;
            let at = Instant::from_millis(draw.of("at").below(10_000));
            plan.op(at, node, append(index));
        }
        plan.liveness_ms = 0;
        plan.storm(&[Family::NETWORK, Family::PROCESS].concat());
        plan
    }

    fn check(&self, plan: &Plan) -> Result<(), InvalidPlan> {
        invalid_plans::check(plan)
    }

    fn config(&self, plan: &Plan, _: NodeIndex) -> HostConfig {
        match plan.cfg.config(plan.nodes) {
            Ok(config) => Arc::new(config),
            Err(invalid) => panic!("the plan's cfg is no config: {invalid}"),
        }
    }

    fn hook(&self, plan: &Plan) -> Ground {
        Ground::new(plan.nodes)
    }
}

impl Explorable for OneChain {
    fn begin(&self) -> Plan {
        let mut plan = Plan::new(self.name, 0, self.nodes, Cfg::default());
        plan.op(Instant::from_millis(1), 0, append(0));
        plan
    }

    fn budgets(&self) -> Budgets {
        self.budgets
    }

    fn fold_machine(&self, machine: &Host, now: Now, into: &mut Fingerprint) {
        into.word(now.instant.as_nanos());
        machine.fold(into);
    }

    fn fold_hook(&self, hook: &Ground, into: &mut Fingerprint) {
        hook.hash(into);
    }
}

/// The `number`-th append of a run.
fn append(number: u64) -> Op {
    Op {
        chain: 0,
        ticket: number + 1,
        ask: Ask::Append {
            client: None,
            number: 0,
            tag: number,
            bytes: 4,
            local: false,
        },
    }
}
