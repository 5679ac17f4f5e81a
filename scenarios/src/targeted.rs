//! Faults at whoever leads: their victim only the run decides.
//!
//! A plan cannot know who will lead; aiming keeps it readable and keeps its meaning when the
//! elections of a run change. Such faults begin and end in the safety phase; what is left of them is
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

/// All targeted faults of a run.
#[derive(Clone, Debug)]
pub struct TargetedFaults {
    targeted: Vec<(TargetedFault, ChainId, u16)>,
    draw: Draw,
    until: Instant,
}

const NAMESPACE: u64 = 0xa1 << 56;
/// How often a fault looks for its target.
const AGAIN: Duration = Duration::from_millis(50);

impl TargetedFaults {
    /// The targeted faults of a plan's configuration.
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

    /// Does what is due, unless there is nobody to do it to yet.
    fn inject(&self, index: usize, view: View<'_, Host>, later: &mut Schedule<Host>) -> bool {
        let (targeted, chain, _) = &self.targeted[index];
        let draw = self.draw.nth(index as u64);
        let Some(node) = victim(view, *chain, targeted.at, draw) else {
            return false;
        };
        later.note(Some(node), || {
            format!("{:?} of the {:?}", targeted.kind, targeted.at)
        });
        let (now, until, for_ms) = (view.at(), self.until, targeted.for_ms);
        let end = now.after(Duration::from_millis(for_ms));
        let unsynced = Unsynced::Drawn;
        let span = Span { now, end, until };
        match targeted.kind {
            FaultKind::Crash => later.crash(now, node, unsynced, end),
            FaultKind::CrashTwice => {
                let soon = Duration::from_millis(draw.of("soon").within(1..=60));
                let again = now.after(soon * 2).min(until);
                later.crash(now, node, unsynced, now.after(soon));
                later.crash(again, node, unsynced, end.max(again));
            }
            FaultKind::CrashAtPersist => {
                let op = draw.of("op").within(1..=24);
                let fault = Fault::CrashAtPersist {
                    node,
                    op,
                    unsynced,
                    restart_after_ms: Some(for_ms),
                };
                later.fault(now, fault);
            }
            FaultKind::ShutDown => {
                self.ask(index, now, node, Ask::HandOver {}, later);
                // A node that is leaving leads nothing, so it stops before the faults have to end.
                let stop = now.after(HAND_OVER).min(until);
                later.crash(stop, node, unsynced, stop.max(end));
            }
            FaultKind::Transfer => {
                self.ask(index, now, node, Ask::Transfer { to: None }, later);
            }
            FaultKind::Pause => span.lasts(Fault::Pause { node }, Fault::Resume { node }, later),
            FaultKind::Isolate => span.cuts(node, view, |_, _| true, later),
            FaultKind::Deafen => span.cuts(node, view, |_, to| to == node, later),
            FaultKind::Mute => span.cuts(node, view, |from, _| from == node, later),
            FaultKind::Lag => span.lags(node, for_ms, later),
            FaultKind::ClockBack => {
                let ms = -i64::try_from(for_ms).unwrap_or(i64::MAX);
                later.fault(now, Fault::ClockStep { node, ms });
            }
            FaultKind::ClockStop => {
                span.lasts(Fault::ClockStop { node }, Fault::ClockStart { node }, later);
            }
            FaultKind::LoseEntries => {
                let (message, from, to) = (CHUNK, Some(node), None);
                later.fault(now, Fault::Filter { message, from, to });
            }
            FaultKind::FullDisk => {
                later.fault(now, Fault::DiskFull { node, on: true });
                later.fault(end, Fault::DiskFull { node, on: false });
            }
            FaultKind::SlowDisk => later.fault(now, slow_disk(node, for_ms)),
        }
        true
    }

    /// Asks a node for something that is not answered to anybody.
    fn ask(
        &self,
        index: usize,
        now: Instant,
        node: NodeIndex,
        ask: Ask,
        later: &mut Schedule<Host>,
    ) {
        let (_, _, chain) = self.targeted[index];
        let ticket = TICKET | index as u64;
        later.op(now, node, Op { chain, ticket, ask });
    }
}

/// From when to when a fault lasts, and when the faults of the run end.
struct Span {
    now: Instant,
    end: Instant,
    until: Instant,
}

impl Span {
    /// Ends a fault, unless the recovery of the whole cluster does.
    fn lift(&self, fault: Fault, later: &mut Schedule<Host>) {
        if self.end < self.until {
            later.fault(self.end, fault);
        }
    }

    fn lasts(&self, begins: Fault, ends: Fault, later: &mut Schedule<Host>) {
        later.fault(self.now, begins);
        self.lift(ends, later);
    }

    /// Cuts links between a node and all others.
    fn cuts(
        &self,
        node: NodeIndex,
        view: View<'_, Host>,
        is_cut: impl Fn(NodeIndex, NodeIndex) -> bool,
        later: &mut Schedule<Host>,
    ) {
        for peer in view.nodes().filter(|&other| other != node) {
            for (from, to) in [(peer, node), (node, peer)] {
                if is_cut(from, to) {
                    self.lasts(Fault::Cut { from, to }, Fault::Mend { from, to }, later);
                }
            }
        }
    }

    /// What others send to a node travels for half of the time.
    fn lags(&self, node: NodeIndex, for_ms: u64, later: &mut Schedule<Host>) {
        let us = for_ms.saturating_mul(500);
        let slow = Weather::latency_us(us, us.saturating_add(LAG_JITTER_US));
        let travel = |weather| Fault::Weather {
            from: None,
            to: Some(node),
            weather,
        };
        self.lasts(travel(Some(slow)), travel(None), later);
    }
}

fn slow_disk(node: NodeIndex, ms_max: u64) -> Fault {
    let us_max = ms_max.saturating_mul(1_000);
    Fault::DiskLatency {
        node,
        us_min: us_max / 4 * 3,
        us_max,
    }
}

/// Whom a fault hits, if there is a leader and whom it is aimed at.
fn victim(view: View<'_, Host>, chain: ChainId, target: Target, draw: Draw) -> Option<NodeIndex> {
    let leader = leader(view, chain)?;
    match target {
        Target::Leader => Some(leader),
        Target::Follower => {
            let is_other = |node: &NodeIndex| *node != leader && view.is_up(*node);
            let others: Vec<_> = view.nodes().filter(is_other).collect();
            (!others.is_empty()).then(|| *draw.of("follower").pick(&others))
        }
    }
}

/// The node that leads a chain in its highest epoch.
fn leader(view: View<'_, Host>, chain: ChainId) -> Option<NodeIndex> {
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

/// The kind of messages that carry a leader's entries.
const CHUNK: u16 = 13;
/// Messages that lag hardly overtake each other.
const LAG_JITTER_US: u64 = 2_000;
/// How long a node that is shut down has to hand over.
const HAND_OVER: Duration = Duration::from_millis(1_500);
/// Tickets of targeted faults; clients and plans stay below.
const TICKET: u64 = 1 << 60;
