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

/// One chain on three nodes, the fewest that can lose one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct OneChain;

const NODES: u16 = 3;

impl Scenario for OneChain {
    type Machine = Host;
    type Cfg = Cfg;
    type Hook = Ground;

    fn name(&self) -> &str {
        "chain-of-three"
    }

    fn about(&self) -> &str {
        "one chain, a few appends, and the safety of Quorum alone"
    }

    fn plan(&self, seed: u64) -> Plan {
        let draw = Draw::new(seed).of("one chain");
        let mut plan = Plan::new(Scenario::name(self), seed, NODES, Cfg::default());
        for index in 0..20 {
            let draw = draw.nth(index);
            let node = draw.of("node").below(NODES.into()) as u16;
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
        let mut plan = Plan::new(Scenario::name(self), 0, NODES, Cfg::default());
        plan.op(Instant::from_millis(1), 0, append(0));
        plan
    }

    fn budgets(&self) -> Budgets {
        Budgets {
            timeouts: Some(6),
            early: Some(0),
            ..Budgets::default()
        }
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
