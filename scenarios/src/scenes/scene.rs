//! What all scenarios have in common: a calm cluster that each of them fills its own way, the
//! same machines, the same clients and the same checks.

use super::parts::connect;
use super::simpler::simpler;
use crate::cfg::{Cfg, ClientCfg, Plan};
use crate::checks::Checks;
use crate::checks::obligations::reads_answer;
use crate::clients::Clients;
use crate::flips::Flipping;
use crate::invalid_plans;
use crate::marks::Marks;
use crate::model::{Host, HostConfig};
use crate::targeted::TargetedFaults;
use meshos_core::config::Config;
use meshos_sim::machine::NodeIndex;
use meshos_sim::marks::Mark;
use meshos_sim::plan::InvalidPlan;
use meshos_sim::scenario::{Blocked, NotChecked, Scenario};
use meshos_sim::swarm::Draw;
use meshos_sim::violation::Violation;
use meshos_sim::world::World;
use std::sync::Arc;

/// One theme.
#[derive(Copy, Clone, Debug)]
pub struct Scene {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// What must be seen in a full sweep of this scenario.
    pub(super) marks: &'static [&'static str],
    /// Fills a plan that has a calm cluster of three to five nodes and one group of clients.
    pub(super) fill: fn(&mut Plan, Draw),
}

/// Everything that watches and drives a run: checks, clients, targeted, bytes that may flip, marks.
pub type SceneHook = (Flipping, (Checks, (Clients, (TargetedFaults, Marks))));

impl Scenario for Scene {
    type Machine = Host;
    type Cfg = Cfg;
    type Hook = SceneHook;

    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        self.about
    }

    fn plan(&self, seed: u64) -> Plan {
        let draw = Draw::new(seed).of(self.name);
        let mut plan = calm(self.name, seed, draw);
        (self.fill)(&mut plan, draw);
        plan.faults.sort_by_key(|fault| fault.at);
        plan
    }

    fn check(&self, plan: &Plan) -> Result<(), InvalidPlan> {
        invalid_plans::check(plan)
    }

    fn simpler(&self, plan: &Plan) -> Vec<Plan> {
        simpler(plan)
    }

    fn config(&self, plan: &Plan, node: NodeIndex) -> HostConfig {
        Arc::new(config(plan, node))
    }

    fn hook(&self, plan: &Plan) -> SceneHook {
        hook(plan)
    }

    fn converged(&self, plan: &Plan, world: &World<Host>, hook: &SceneHook) -> Result<(), Blocked> {
        let (_, (checks, (clients, _))) = hook;
        checks.converged(world.view(), &plan.core())?;
        if let Some(unread) = clients.first_unread().filter(|_| plan.cfg.requests_end) {
            return Err(Blocked::new(reads_answer::ID, unread));
        }
        match clients.first_waiting().filter(|_| plan.cfg.requests_end) {
            None => Ok(()),
            Some(waiting) => Err(Blocked::new("leader-again", waiting)),
        }
    }

    fn finish(
        &self,
        _: &Plan,
        world: &World<Host>,
        hook: &mut SceneHook,
        not_checked: &mut NotChecked,
    ) -> Result<(), Violation> {
        hook.1.0.finish(world.view(), not_checked)
    }

    fn marks(&self) -> Vec<Mark> {
        self.marks.iter().map(|name| Mark::required(name)).collect()
    }
}

/// The core's config of a node.
///
/// # Panics
/// When the plan contradicts itself.
fn config(plan: &Plan, node: NodeIndex) -> Config {
    let cfg = match plan.cfg.of_node(node) {
        Ok(cfg) => cfg,
        Err(invalid) => panic!("{node} has no config: {invalid}"),
    };
    match cfg.config(plan.nodes) {
        Ok(config) => config,
        Err(invalid) => panic!("the plan's cfg is no config: {invalid}"),
    }
}

/// The configs of all nodes; those that are equal are one.
fn configs(plan: &Plan) -> Vec<HostConfig> {
    let is_alike = |node| !plan.cfg.nodes.iter().any(|own| own.node == node);
    let nodes = || (0..plan.nodes).map(NodeIndex);
    let alike = nodes().find(|node| is_alike(*node));
    let alike = alike.map(|node| Arc::new(config(plan, node)));
    let own = |node| match &alike {
        Some(config) if is_alike(node) => config.clone(),
        Some(_) | None => Arc::new(config(plan, node)),
    };
    nodes().map(own).collect()
}

/// Fresh checks, clients and marks for one run of a plan.
pub fn hook(plan: &Plan) -> SceneHook {
    let (cfg, seed, nodes) = (&plan.cfg, plan.seed, plan.nodes);
    let checks = Checks::of_each(configs(plan));
    let checks = match cfg.quiet {
        true => checks.demand_quiet(),
        false => checks,
    };
    let checks = match plan.connections {
        Some(_) => checks.demand_hello(),
        None => checks,
    };
    let clients = Clients::new(cfg, seed, nodes, plan.safety());
    let targeted = TargetedFaults::new(cfg, seed, plan.safety());
    let watchers = (targeted, Marks::new(nodes));
    (
        Flipping::new(cfg, seed, nodes),
        (checks, (clients, watchers)),
    )
}

/// A cluster without faults and one group of clients, with drawn details.
fn calm(name: &str, seed: u64, draw: Draw) -> Plan {
    let draw = draw.of("base");
    let nodes = *draw.of("nodes").pick(&[3, 3, 3, 3, 3, 3, 4, 5, 5]);
    let clients = ClientCfg {
        sessions: draw.of("sessions").within(1..=2) as u32,
        start_ms: draw.of("start").within(1_000..=4_000),
        interval_ms: draw.of("interval").within(100..=600),
        count: draw.of("count").within(5..=25),
        pipeline: draw.of("pipeline").within(1..=8) as u32,
        local_ppm: *draw.of("local").pick(&[0, 0, 200_000]),
        ..ClientCfg::default()
    };
    let cfg = Cfg {
        clients: vec![clients],
        ..Cfg::default()
    };
    let mut plan = Plan::new(name, seed, nodes, cfg);
    plan.origin_ms_max = *draw.of("origin").pick(&[0, 1_000_000]);
    if draw.of("links").below(4) == 0 {
        connect(&mut plan, draw.of("connections"));
    }
    // Encoding and decoding costs a third of a run, so every eighth seed does it.
    plan.codec = draw.of("codec").below(8) == 0;
    plan
}
