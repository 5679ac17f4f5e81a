//! A cluster with its checks and a plain workload, without the scenarios.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use meshos_core::client::{Answer, Reason};
use meshos_core::config::{ChainDraft, Config, Draft, Founder, Limits, Retention, Timing};
use meshos_core::id::{DeploymentId, NodeId};
use meshos_scenarios::checks::Checks;
use meshos_scenarios::model::{Ask, Freshness, Host, Op, Output, node_id, store_id};
use meshos_sim::fault::{Fault, Unsynced};
use meshos_sim::hook::{Hook, Schedule};
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::weather::Weather;
use meshos_sim::world::{Setup, View, World};
use std::sync::Arc;
use std::time::Duration;

/// A config of `nodes` nodes with one chain.
pub fn config(nodes: u16, entries_max: Option<u64>) -> Arc<Config> {
    let founders = (0..nodes).map(NodeIndex).map(|node| Founder {
        node: node_id(node),
        store: store_id(node, 1),
    });
    let chain = ChainDraft {
        name: "chain".to_owned(),
        members: (1..=u64::from(nodes)).map(NodeId::new).collect(),
        leader_pinned: None,
        retention: Retention {
            entries_max,
            ..Retention::default()
        },
        class: Default::default(),
    };
    let draft = Draft {
        deployment: DeploymentId::new(1),
        nodes: founders.collect(),
        chains: vec![chain],
        timing: Timing::default(),
        limits: Limits::default(),
    };
    Arc::new(Config::try_from(draft).expect("a valid config"))
}

/// A world of that config.
pub fn world(config: &Arc<Config>, seed: u64, weather: Weather) -> World<Host> {
    let nodes = config.nodes().len();
    let mut setup = Setup::new(seed, vec![config.clone(); nodes]);
    setup.weather = weather;
    setup.steps_max = 50_000_000;
    World::new(setup)
}

/// A small generator of numbers.
pub struct Numbers(pub u64);

impl Numbers {
    /// A number below `below`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Appends and reads every `every_us`, tagged from `salt` on.
pub fn workload(
    world: &mut World<Host>,
    draw: &mut Numbers,
    until_ms: u64,
    every_us: u64,
    salt: u64,
) {
    let nodes = u64::from(world.nodes());
    let (mut at, mut ticket) = (3_000_000, 0);
    while at < until_ms * 1_000 {
        ticket += 1;
        let ask = match draw.below(10) {
            0 => Ask::Read {
                freshness: Freshness::Linearizable,
                from: draw.below(ticket),
                bytes_max: 10_000,
            },
            1 => Ask::Read {
                freshness: Freshness::Stale,
                from: draw.below(ticket),
                bytes_max: 300,
            },
            2 => Ask::Open {},
            _ => Ask::Append {
                client: None,
                number: 0,
                tag: salt + ticket,
                bytes: 8 + draw.below(64) as u32,
                local: false,
            },
        };
        let node = NodeIndex(draw.below(nodes) as u16);
        let op = Op {
            chain: 0,
            ticket,
            ask,
        };
        world.schedule_op(Instant::from_micros(at), node, op);
        at += 1 + draw.below(2 * every_us);
    }
}

/// Crashes, restarts, cuts, pauses, flips and sync errors, every second or so.
pub fn trouble(world: &mut World<Host>, draw: &mut Numbers, until_ms: u64) {
    let nodes = u64::from(world.nodes());
    let mut at = 4_000;
    while at < until_ms {
        let node = NodeIndex(draw.below(nodes) as u16);
        let other = NodeIndex(draw.below(nodes) as u16);
        let unsynced = Unsynced::Drawn;
        let later = Instant::from_millis(at + 200 + draw.below(3_000));
        let now = Instant::from_millis(at);
        match draw.below(if nodes > 3 { 10 } else { 9 }) {
            0 | 1 => {
                world.schedule_fault(now, Fault::Crash { node, unsynced });
                world.schedule_fault(later, Fault::Restart { node });
            }
            2 => {
                let op = 1 + draw.below(20);
                let fault = Fault::CrashAtPersist {
                    node,
                    op,
                    unsynced,
                    restart_after_ms: Some(500),
                };
                world.schedule_fault(now, fault);
            }
            3 => {
                world.schedule_fault(now, Fault::Pause { node });
                world.schedule_fault(later, Fault::Resume { node });
            }
            4 => {
                let groups = vec![vec![node]];
                world.schedule_fault(now, Fault::Partition { groups });
                world.schedule_fault(later, Fault::Heal {});
            }
            5 if node != other => {
                world.schedule_fault(
                    now,
                    Fault::Cut {
                        from: node,
                        to: other,
                    },
                );
                world.schedule_fault(later, Fault::Heal {});
            }
            6 => {
                let ms = draw.below(4_000) as i64 - 2_000;
                world.schedule_fault(now, Fault::ClockStep { node, ms });
                world.schedule_fault(now, Fault::ClockRate { node, ppm: 200_000 });
            }
            7 => world.schedule_fault(now, Fault::Flip { node, bits: 3 }),
            8 => {
                world.schedule_fault(now, Fault::DiskFull { node, on: true });
                world.schedule_fault(later, Fault::DiskFull { node, on: false });
            }
            9 if node.0 == 0 => {
                world.schedule_fault(now, Fault::Crash { node, unsynced });
                world.schedule_fault(now, Fault::Wipe { node });
                world.schedule_fault(later, Fault::Restart { node });
            }
            _ => {}
        }
        at += 100 + draw.below(1_500);
    }
}

/// Heals everything and waits until the cluster has converged.
pub fn converge(world: &mut World<Host>, hook: &mut (Checks, Retrier)) -> Result<(), String> {
    let now = world.now();
    world.schedule_fault(
        now,
        Fault::Recover {
            nodes: Vec::new(),
            keep: Vec::new(),
        },
    );
    let core: Vec<NodeIndex> = world.nodes_list();
    let mut last = String::new();
    for tenth in 1..=400 {
        let limit = now.after(Duration::from_millis(100 * tenth));
        world
            .run_until(limit, hook)
            .map_err(|violation| violation.to_string())?;
        match hook.0.converged(world.view(), &core) {
            Ok(()) => return Ok(()),
            Err(blocked) => last = format!("{}: {}", blocked.property, blocked.obligation),
        }
    }
    Err(last)
}

/// The nodes as a list.
pub trait Nodes {
    /// All of them.
    fn nodes_list(&self) -> Vec<NodeIndex>;
}

impl Nodes for World<Host> {
    fn nodes_list(&self) -> Vec<NodeIndex> {
        (0..self.nodes()).map(NodeIndex).collect()
    }
}

/// A client that opens itself at every acknowledged opening it sees, asks every request at
/// several nodes, and repeats what is not acknowledged.
#[derive(Debug)]
pub struct Retrier {
    draw: u64,
    client: Option<u64>,
    number: u64,
    tickets: u64,
}

const RETRIER_TICKETS: u64 = 1 << 48;
/// When clients stop asking.
const LAST_ASKED: Instant = Instant::from_millis(20_000);

impl Retrier {
    /// A client with its own draws.
    pub fn new(seed: u64) -> Self {
        Self {
            draw: seed,
            client: None,
            number: 0,
            tickets: RETRIER_TICKETS,
        }
    }

    fn ask(&mut self, view: View<'_, Host>, copies: u64, later: &mut Schedule<Host>) {
        let Some(client) = self.client else { return };
        if view.at() > LAST_ASKED {
            return;
        }
        let mut draw = Numbers(self.draw);
        for copy in 0..copies {
            let node = NodeIndex(draw.below(view.nodes().len() as u64) as u16);
            self.tickets += 1;
            let ask = Ask::Append {
                client: Some(client),
                number: self.number,
                tag: self.number,
                bytes: 16,
                local: false,
            };
            let op = Op {
                chain: 0,
                ticket: self.tickets,
                ask,
            };
            let wait = Duration::from_millis(5 + copy * draw.below(300));
            later.op(view.at().after(wait), node, op);
        }
        self.draw = draw.0;
    }
}

impl Hook<Host> for Retrier {
    fn on_output(
        &mut self,
        view: View<'_, Host>,
        _: NodeIndex,
        output: &Output,
        later: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        let Output::Answer { ticket, answer } = output else {
            return Ok(());
        };
        if *ticket < RETRIER_TICKETS {
            if let (None, Some(client)) = (self.client, answer.client()) {
                // Whatever was acknowledged may have been no opening; then the client is unknown.
                self.client = Some(client.0.get());
                self.number = 1;
                self.ask(view, 2, later);
            }
            return Ok(());
        }
        if *ticket != self.tickets {
            return Ok(());
        }
        match answer {
            Answer::Acked { .. } => {
                self.number += 1;
                self.ask(view, 2, later);
            }
            Answer::Rejected(Reason::UnknownClient) => self.client = None,
            Answer::Rejected(_)
            | Answer::NotLeader { .. }
            | Answer::NotMember { .. }
            | Answer::Unknown => {
                self.ask(view, 1, later);
            }
            Answer::Entries { .. } | Answer::Corrupt { .. } | Answer::Transferred => {}
        }
        Ok(())
    }
}
