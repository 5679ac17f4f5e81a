//! What the tests share: three nodes, and heartbeats that arrive at once.

mod beats;
mod model;
mod pages;
mod silence;

use super::{Heard, Liveness, Timing, rows};
use crate::id::{ChainId, Epoch, Gen, HeartbeatNumber, Incarnation, NodeId, Replica, Seq};
use crate::message::{Heartbeat, Row, RowState};
use crate::replica::role::Role;
use crate::time::{Instant, Wall};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

const A: NodeId = NodeId::new(1);
const B: NodeId = NodeId::new(2);
const C: NodeId = NodeId::new(3);
const GEN: Gen = Gen::new(0);
const REPLICA: Replica = Replica::new(1);
const WALL: Wall = Wall::from_ms(77);

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn timing(rows_per_page_max: u32) -> Timing {
    Timing {
        heartbeat: Duration::from_millis(500),
        misses: 3,
        rows_per_page_max,
    }
}

fn run(incarnation: u64) -> Incarnation {
    Incarnation::new(incarnation)
}

fn chain(name: u32) -> ChainId {
    ChainId::of(&name.to_string())
}

fn state(n: u64, durable: u64) -> RowState {
    RowState {
        epoch: Epoch { n, node: A },
        role: Role::Replica,
        distance: None,
        durable: Some(Seq::new(durable)),
        commit: Seq::ZERO,
        floor: Seq::ZERO,
        is_full: false,
    }
}

fn regular(liveness: &mut Liveness) -> Vec<(NodeId, Heartbeat)> {
    let mut out = Vec::new();
    liveness.poll_heartbeats(liveness.heartbeat_due(), WALL, &mut out);
    out
}

fn urgent(liveness: &mut Liveness) -> Vec<(NodeId, Heartbeat)> {
    let mut out = Vec::new();
    liveness.urgent_heartbeats(WALL, &mut out);
    out
}

fn suspected(liveness: &mut Liveness, ms: u64) -> (Vec<NodeId>, u64) {
    let mut out = Vec::new();
    let rearmed = liveness.poll_suspicion(at(ms), &mut out);
    (out, rearmed)
}

fn heartbeat(number: u64) -> Heartbeat {
    Heartbeat {
        number: HeartbeatNumber::new(number),
        echo: None,
        acknowledged: None,
        wall: WALL,
        after: 0,
        upto: 0,
        rows: Vec::new(),
    }
}

const HEARD: Heard = Heard {
    restarted: false,
    recovered: false,
    echoed: false,
};

/// Two ends that deliver everything, at 0 ms, until neither sends a row.
fn exchange(a: &mut Liveness, b: &mut Liveness) {
    loop {
        let (to_b, to_a) = (regular(a), regular(b));
        let quiet = to_b
            .iter()
            .chain(&to_a)
            .all(|(_, heartbeat)| heartbeat.rows.is_empty());
        for (_, heartbeat) in &to_b {
            b.on_heartbeat(A, a.me, heartbeat, at(0));
        }
        for (_, heartbeat) in &to_a {
            a.on_heartbeat(B, b.me, heartbeat, at(0));
        }
        if quiet {
            return;
        }
    }
}

fn pair() -> (Liveness, Liveness) {
    let a = Liveness::new(run(1), [B], timing(2), at(0));
    let b = Liveness::new(run(1), [A], timing(2), at(0));
    (a, b)
}
