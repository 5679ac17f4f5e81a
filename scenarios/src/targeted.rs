//! Blows at whoever leads: faults whose victim only the run decides.
//!
//! A plan cannot know who will lead; aiming keeps it readable and keeps its meaning when the
//! elections of a run change. Blows begin and end in the safety phase; what is left of them is
//! ended by the recovery that the liveness phase begins with.

use crate::cfg::{Cfg, FaultKind, Target, TargetedFault};
use crate::model::{Ask, Host, Op};
use meshos_core::id::ChainId;
use meshos_core::replica::role::Role;
use meshos_sim::fault::{Fault, Unsynced};
use meshos_sim::hook::{Hook, Schedule};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::weather::Weather;
use meshos_sim::world::View;
use std::time::Duration;

/// All targeted of a run.
#[derive(Clone, Debug)]
pub struct TargetedFaults {
    targeted: Vec<(TargetedFault, ChainId, u16)>,
    draw: Draw,
    until: Instant,
}

const NAMESPACE: u64 = 0xa1 << 56;
/// How often an targeted looks for its target.
const AGAIN: Duration = Duration::from_millis(50);

impl TargetedFaults {
    /// The targeted of a plan's configuration.
    pub fn new(cfg: &Cfg, seed: u64, until: Instant) -> Self {
        let known = |targeted: &TargetedFault| {
            Some((
                targeted.clone(),
                cfg.chain_id(targeted.chain)?,
                cfg.place(targeted.chain),
            ))
        };
        Self {
            targeted: cfg.targeted.iter().filter_map(known).collect(),
            draw: Draw::new(seed).of("targeted"),
            until,
        }
    }

    fn inject(&self, index: usize, view: View<'_, Host>, later: &mut Schedule<Host>) -> bool {
        let (targeted, chain, place) = &self.targeted[index];
        let draw = self.draw.nth(index as u64);
        let Some(leader) = leader(view, *chain) else {
            return false;
        };
        let node = match targeted.at {
            Target::Leader => leader,
            Target::Follower => {
                let others: Vec<_> = view
                    .nodes()
                    .filter(|&node| node != leader && view.is_up(node))
                    .collect();
                match others.is_empty() {
                    true => return false,
                    false => *draw.of("follower").pick(&others),
                }
            }
        };
        later.note(Some(node), || {
            format!("{:?} of the {:?}", targeted.kind, targeted.at)
        });
        let now = view.at();
        let end = now.after(Duration::from_millis(targeted.for_ms));
        let lift = |later: &mut Schedule<Host>, fault| {
            if end < self.until {
                later.fault(end, fault);
            }
        };
        let (style, others) = (Unsynced::Drawn, view.nodes().filter(|&other| other != node));
        match targeted.kind {
            FaultKind::Crash => {
                later.crash(now, node, style, end);
            }
            FaultKind::CrashAtPersist => {
                let (op, restart) = (draw.of("op").within(1..=24), Some(targeted.for_ms));
                later.fault(
                    now,
                    Fault::CrashAtPersist {
                        node,
                        op,
                        unsynced: style,
                        restart_after_ms: restart,
                    },
                );
            }
            FaultKind::ShutDown => {
                let ticket = TICKET | index as u64;
                later.op(
                    now,
                    node,
                    Op {
                        chain: *place,
                        ticket,
                        ask: Ask::HandOver {},
                    },
                );
                // A node that is leaving leads nothing, so it stops before the faults have to end.
                let stop = now.after(HAND_OVER).min(self.until);
                later.crash(stop, node, style, stop.max(end));
            }
            FaultKind::Transfer => {
                let ticket = TICKET | index as u64;
                later.op(
                    now,
                    node,
                    Op {
                        chain: *place,
                        ticket,
                        ask: Ask::Transfer { to: None },
                    },
                );
            }
            FaultKind::Pause => {
                later.fault(now, Fault::Pause { node });
                lift(later, Fault::Resume { node });
            }
            FaultKind::Isolate | FaultKind::Deafen | FaultKind::Mute => {
                for peer in others {
                    let pairs = [(peer, node), (node, peer)];
                    let (hears, speaks) = (
                        targeted.kind == FaultKind::Mute,
                        targeted.kind == FaultKind::Deafen,
                    );
                    for (from, to) in pairs {
                        if (hears && to == node) || (speaks && from == node) {
                            continue;
                        }
                        later.fault(now, Fault::Cut { from, to });
                        lift(later, Fault::Mend { from, to });
                    }
                }
            }
            FaultKind::Lag => {
                let us = targeted.for_ms.saturating_mul(500);
                let (from, to) = (None, Some(node));
                let weather = Some(Weather::latency_us(us, us.saturating_add(LAG_JITTER_US)));
                later.fault(now, Fault::Weather { from, to, weather });
                let weather = None;
                lift(later, Fault::Weather { from, to, weather });
            }
            FaultKind::ClockBack => {
                let ms = -i64::try_from(targeted.for_ms).unwrap_or(i64::MAX);
                later.fault(now, Fault::ClockStep { node, ms });
            }
            FaultKind::ClockStop => {
                later.fault(now, Fault::ClockStop { node });
                lift(later, Fault::ClockStart { node });
            }
            FaultKind::LoseEntries => {
                let (message, from, to) = (CHUNK, Some(node), None);
                later.fault(now, Fault::Filter { message, from, to });
            }
            FaultKind::FullDisk => {
                later.fault(now, Fault::DiskFull { node, on: true });
                later.fault(end, Fault::DiskFull { node, on: false });
            }
            FaultKind::SlowDisk => {
                let us_max = targeted.for_ms.saturating_mul(1_000);
                let us_min = us_max / 4 * 3;
                later.fault(
                    now,
                    Fault::DiskLatency {
                        node,
                        us_min,
                        us_max,
                    },
                );
            }
        }
        true
    }
}

/// The kind of messages that carry a leader's entries.
const CHUNK: u16 = 13;
/// Messages that lag hardly overtake each other.
const LAG_JITTER_US: u64 = 2_000;
/// How long a node that is shut down has to hand over.
const HAND_OVER: Duration = Duration::from_millis(1_500);
/// Tickets of targeted; clients and plans stay below.
const TICKET: u64 = 1 << 60;

/// The node that leads a chain in its highest epoch.
pub fn leader(view: View<'_, Host>, chain: ChainId) -> Option<NodeIndex> {
    let led = |node: NodeIndex| {
        let chain = view.node(node)?.node()?.chain(chain)?;
        (chain.role() == Role::Leader).then_some((chain.epoch().n, node))
    };
    view.nodes().filter_map(led).max().map(|(_, node)| node)
}

impl Hook<Host> for TargetedFaults {
    fn on_boot(
        &mut self,
        view: View<'_, Host>,
        node: NodeIndex,
        later: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        if node == NodeIndex(0) && view.at() == Instant::ZERO && view.run(node) == 1 {
            for (index, (targeted, ..)) in self.targeted.iter().enumerate() {
                later.alarm(
                    Instant::from_millis(targeted.at_ms),
                    NAMESPACE | index as u64,
                );
            }
        }
        Ok(())
    }

    fn on_alarm(
        &mut self,
        view: View<'_, Host>,
        tag: u64,
        later: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        let index = (tag & !(0xff << 56)) as usize;
        let is_mine = tag & (0xff << 56) == NAMESPACE && index < self.targeted.len();
        if is_mine && view.at() < self.until && !self.inject(index, view, later) {
            later.alarm(view.at().after(AGAIN), tag);
        }
        Ok(())
    }
}
