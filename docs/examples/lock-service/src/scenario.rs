//! Clients that come and go, and the two properties of a lock.

use super::{Care, Node, Want};
use meshos_sim::explore::{Budgets, Explorable, Fingerprint};
use meshos_sim::prelude::*;
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// Four clients, one server, crashes and a bad network.
#[derive(Copy, Clone, Debug)]
pub struct Locks {
    pub care: Care,
}

/// What a plan decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cfg {
    pub care: Care,
}

/// At most one client believes that it holds the lock.
#[derive(Clone, Debug, Default)]
pub struct OneHolder {
    server_crashed: bool,
}

impl Hook<Node> for OneHolder {
    fn on_step(&mut self, step: &Step<'_, Node>, _: &mut Schedule<Node>) -> Result<(), Violation> {
        if !step.machine.holds() {
            return Ok(());
        }
        if self.server_crashed {
            reached!("lock granted after a crash of the server");
        }
        let holds = |node: &NodeIndex| step.view.node(*node).is_some_and(Node::holds);
        match step
            .view
            .nodes()
            .find(|node| *node != step.node && holds(node))
        {
            Some(other) => Err(Violation::new(
                "one-holder",
                format!("{other} holds the lock, too"),
            )
            .at_node(step.node)),
            None => Ok(()),
        }
    }

    fn on_crash(
        &mut self,
        _: View<'_, Node>,
        node: NodeIndex,
        _: &Node,
        _: &mut Schedule<Node>,
    ) -> Result<(), Violation> {
        self.server_crashed |= node == NodeIndex(0);
        Ok(())
    }
}

impl Scenario for Locks {
    type Machine = Node;
    type Cfg = Cfg;
    type Hook = OneHolder;

    fn name(&self) -> &str {
        match self.care {
            Care::WritesFirst => "locks",
            Care::AnswersEarly => "locks-planted-bug",
            Care::FreesLaterClaims => "locks-late-word",
        }
    }

    fn about(&self) -> &str {
        "one lock, four clients, crashes and a bad network"
    }

    fn plan(&self, seed: u64) -> PlanOf<Self> {
        let mut plan = PlanOf::<Self>::new(self.name(), seed, 5, Cfg { care: self.care });
        let draw = Draw::new(seed).of("locks");
        for index in 0..40 {
            let draw = draw.nth(index);
            let client = draw.of("client").within(1..=4) as u16;
            let at = draw.of("at").below(9_000);
            let until = at + draw.of("for").within(1..=3_000);
            plan.op(Instant::from_millis(at), client, Want::Acquire);
            plan.op(Instant::from_millis(until), client, Want::Release);
        }
        // Nobody is left with a lock that nobody gives back.
        for client in 1..=4 {
            plan.op(Instant::from_millis(12_100), client, Want::Release);
        }
        // Everything hangs on what the server has on disk, so it crashes while it writes.
        for index in 0..draw.of("crashes").below(6) {
            let draw = draw.of("crash").nth(index);
            let fault = Fault::CrashAtPersist {
                node: NodeIndex(0),
                op: draw.of("op").within(1..=30),
                unsynced: Unsynced::Drawn,
                restart_after_ms: Some(draw.of("down").within(1..=100)),
            };
            plan.fault(Instant::from_millis(draw.of("at").below(9_000)), fault);
        }
        plan.storm(&[Family::PROCESS, Family::NETWORK, &[Family::SlowDisk]].concat());
        plan
    }

    fn config(&self, plan: &PlanOf<Self>, _: NodeIndex) -> Care {
        plan.cfg.care
    }

    fn hook(&self, _: &PlanOf<Self>) -> OneHolder {
        OneHolder::default()
    }

    fn converged(
        &self,
        _: &PlanOf<Self>,
        world: &World<Node>,
        _: &OneHolder,
    ) -> Result<(), Blocked> {
        let waits = |node: &NodeIndex| world.node(*node).is_none_or(Node::waits);
        match world.view().nodes().find(waits) {
            Some(node) => {
                Err(Blocked::new("everybody-served", format!("{node} waits")).at_node(node))
            }
            None => Ok(()),
        }
    }

    fn marks(&self) -> Vec<Mark> {
        vec![Mark::required("lock granted after a crash of the server")]
    }
}

/// One server and two clients, the first of which takes the lock twice.
impl Explorable for Locks {
    fn begin(&self) -> PlanOf<Self> {
        let mut plan = PlanOf::<Self>::new(self.name(), 0, 3, Cfg { care: self.care });
        let wants = [Want::Acquire, Want::Release, Want::Acquire];
        for (at, want) in (1..).zip(wants) {
            plan.op(Instant::from_millis(at), 1, want);
        }
        plan.op(Instant::from_millis(4), 2, Want::Acquire);
        plan
    }

    fn budgets(&self) -> Budgets {
        Budgets {
            crashes: 1,
            timeouts: Some(0),
            ..Budgets::default()
        }
    }

    fn fold_machine(&self, machine: &Node, _: Now, into: &mut Fingerprint) {
        match machine {
            Node::Server {
                holder,
                answers,
                token,
                ..
            } => (holder, answers, token).hash(into),
            // When it asks again is its deadline, which the search knows.
            Node::Client { phase, claim, .. } => (phase, claim).hash(into),
        }
    }

    fn fold_hook(&self, _: &OneHolder, _: &mut Fingerprint) {}
}
