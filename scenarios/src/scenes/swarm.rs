//! Everything at once, a different part of it for each seed.

use super::parts::{connect, leave_out, node, reboot_at_end, target_fault};
use super::scene::Scene;
use super::shapes::{members, unlike, zones};
use super::staying;
use crate::cfg::{ChainCfg, ClientCfg, FaultKind, Flips, Plan, Target};
use crate::model::{Ask, Op};
use meshos_core::bandwidth::Class;
use meshos_core::config::Retention;
use meshos_sim::fault::Fault;
use meshos_sim::machine::NodeIndex;
use meshos_sim::plan::FaultAt;
use meshos_sim::storm::Family;
use meshos_sim::swarm::{Draw, Swarm};
use meshos_sim::time::Instant;
use std::collections::BTreeSet;

pub(super) const SCENES: &[Scene] = &[Scene {
    name: "swarm",
    about: "a drawn part of all faults, all limits and all kinds of clients at once",
    marks: &[],
    fill: swarm,
}];

fn swarm(plan: &mut Plan, draw: Draw) {
    let swarm = Swarm::new(plan.seed);
    shape(plan, draw.of("shape"));
    let all = [
        Family::NETWORK,
        Family::PROCESS,
        Family::CLOCK,
        Family::DISK,
    ]
    .concat();
    plan.storm(&all);
    // A flip may leave one copy of an entry, and a wipe may take it: a run has one or the other.
    let last = match swarm.draw("loss-of-data").below(2) {
        0 => Family::Wipe,
        _ => Family::Flip,
    };
    let others = std::mem::take(&mut plan.faults);
    plan.storm(&[last]);
    let budget = within_budget(std::mem::take(&mut plan.faults), plan.nodes);
    plan.faults = others;
    plan.faults.extend(budget);
    let is_sync_error = |fault: &Fault| matches!(fault, Fault::DiskSyncError { .. });
    for node in hit(plan, is_sync_error) {
        reboot_at_end(plan, node);
    }
    let wiped = hit(plan, |fault| matches!(fault, Fault::Wipe { .. }));
    leave_out(plan, &wiped);
    if swarm.on("connections") {
        connect(plan, draw.of("connections"));
    }
    if swarm.on("zones") {
        zones(plan, draw.of("zones"));
    }
    // Where stores are lost, a part of the nodes may lose a majority of itself.
    if wiped.is_empty() && draw.of("members").chance(250_000) {
        let chain = &mut plan.cfg.chains[0];
        chain.members = members(plan.nodes, draw.of("of-chain"));
        let is_member = |node: &NodeIndex| chain.members.contains(node);
        chain.pinned = chain.pinned.filter(is_member);
    }
    if swarm.on("staying") && draw.of("stays").chance(500_000) {
        staying::stay(plan, draw.of("staying"), &staying::ALL);
    }
    // What is aimed may end after the safety phase only, and would stay, too.
    if swarm.on("targeted") && plan.keep.is_empty() {
        targeted(plan, draw.of("targeted"));
    }
}

/// The nodes that faults of some kind name.
fn hit(plan: &Plan, is_kind: impl Fn(&Fault) -> bool) -> Vec<NodeIndex> {
    let faults = plan.faults.iter().map(|fault| &fault.fault);
    let nodes: BTreeSet<_> = faults
        .filter(|fault| is_kind(fault))
        .flat_map(Fault::nodes)
        .collect();
    nodes.into_iter().collect()
}

/// Wipes a minority of the nodes at most.
fn within_budget(faults: Vec<FaultAt>, nodes: u16) -> Vec<FaultAt> {
    let mut wiped = BTreeSet::new();
    let most = usize::from((nodes - 1) / 2);
    for fault in &faults {
        if let Fault::Wipe { node } = fault.fault
            && wiped.len() < most
        {
            wiped.insert(node);
        }
    }
    let is_left = |fault: &FaultAt| {
        let node = fault.fault.nodes().next();
        let is_wipe = matches!(fault.fault, Fault::Wipe { .. });
        !is_wipe || node.is_some_and(|node| wiped.contains(&node))
    };
    faults.into_iter().filter(is_left).collect()
}

/// Chains, limits and clients.
fn shape(plan: &mut Plan, draw: Draw) {
    plan.cfg.timing.heartbeat_ms = *draw.of("heartbeat").pick(&[500, 500, 200]);
    plan.cfg.flips = *draw
        .of("flips")
        .pick(&[Flips::Minority, Flips::Striped, Flips::Records]);
    let retention = Retention {
        entries_max: *draw.of("keep").pick(&[None, None, Some(3), Some(10)]),
        bytes_max: *draw.of("keep-bytes").pick(&[None, None, None, Some(500)]),
        age_max_ms: *draw.of("keep-ms").pick(&[None, None, None, Some(2_000)]),
    };
    plan.cfg.chains[0].retention = retention;
    if draw.of("pin").chance(150_000) {
        plan.cfg.chains[0].pinned = Some(node(draw.of("pinned"), plan.nodes));
    }
    if draw.of("second").chance(200_000) {
        let class =
            *draw
                .of("class")
                .pick(&[Class::Foreground, Class::Background, Class::Realtime]);
        let name = "second".to_owned();
        plan.cfg.chains.push(ChainCfg {
            name,
            class,
            ..ChainCfg::default()
        });
        let chain = 1;
        plan.cfg.clients.push(ClientCfg {
            chain,
            count: 8,
            ..ClientCfg::default()
        });
    }
    let limits = &mut plan.cfg.limits;
    limits.segment_bytes_max = *draw.of("segment").pick(&[4_096, 1 << 20]);
    limits.entry_bytes_max = *draw.of("entry").pick(&[200, 4_096]);
    limits.message_bytes_max = limits.entry_bytes_max + *draw.of("message").pick(&[1_024, 8_192]);
    limits.chunks_in_flight_max = *draw.of("chunks").pick(&[1, 2, 8]);
    limits.lag_max = *draw.of("lag").pick(&[1, 4, 1_024]);
    limits.batch_bytes_max = *draw.of("batch").pick(&[1, 500, 1 << 20]);
    limits.uncommitted_max = *draw.of("uncommitted").pick(&[4, 65_536]);
    limits.forwards_max = *draw.of("forwards").pick(&[2, 4_096]);
    if draw.of("unlike").chance(250_000) {
        unlike(plan, draw.of("unlike-nodes"));
    }
    let client = &mut plan.cfg.clients[0];
    client.interval_ms = draw.of("interval").within(50..=400);
    client.patience_ms = draw.of("patience").within(100..=2_000);
    client.repeat_ppm = *draw.of("repeat").pick(&[0, 100_000, 600_000]);
    client.sticky_ppm = *draw.of("sticky").pick(&[0, 600_000, 1_000_000]);
}

fn targeted(plan: &mut Plan, draw: Draw) {
    const KINDS: &[FaultKind] = &[
        FaultKind::Crash,
        FaultKind::CrashAtPersist,
        FaultKind::ShutDown,
        FaultKind::Pause,
        FaultKind::Isolate,
        FaultKind::Deafen,
        FaultKind::Mute,
        FaultKind::ClockBack,
        FaultKind::ClockStop,
        FaultKind::SlowDisk,
        FaultKind::Transfer,
    ];
    for number in 0..draw.of("count").within(1..=3) {
        let draw = draw.nth(number);
        let target = *draw
            .of("target")
            .pick(&[Target::Leader, Target::Leader, Target::Follower]);
        let at = draw.of("at").within(1_500..=9_000);
        target_fault(
            plan,
            at,
            target,
            *draw.of("kind").pick(KINDS),
            draw.of("for").within(50..=4_000),
        );
    }
    if draw.of("transfer").chance(300_000) {
        let ask = Ask::Transfer { to: None };
        let at = Instant::from_millis(draw.of("transfer-at").within(2_000..=9_000));
        plan.op(
            at,
            0,
            Op {
                chain: 0,
                ticket: 1,
                ask,
            },
        );
    }
}
