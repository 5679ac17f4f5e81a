//! Every check is able to fail: each one is given a history that breaks its property.

mod bounds;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod elections;
mod logs;

use meshos_core::chain::entry::{Entry, EntryHash, EntryKind, LogPosition, Request};
use meshos_core::chain::payload::Payload;
use meshos_core::id::{ClientId, Epoch, Gen, Incarnation, NodeId, RequestNumber, Seq, StoreId};
use meshos_core::replica::role::Role;
use meshos_core::time::Wall;
use meshos_scenarios::checks::replica_state::ReplicaState;
use meshos_scenarios::checks::truth::Truth;
use meshos_scenarios::checks::*;
use meshos_sim::violation::Violation;
use std::sync::Arc;

const ONE: NodeId = NodeId::new(1);
const TWO: NodeId = NodeId::new(2);

fn bites<T: std::fmt::Debug>(judgement: Result<T, Violation>, property: &str) {
    let violation = judgement.expect_err("the check has to see it");
    assert_eq!(violation.property, property, "{}", violation.detail);
}

fn epoch(n: u64) -> Epoch {
    Epoch { n, node: ONE }
}

fn entry(
    previous: LogPosition,
    n: u64,
    payload: &'static str,
    request: Option<(u64, u64)>,
) -> Arc<Entry> {
    let request = request.map(|(client, number)| Request {
        client: ClientId(Seq::new(client)),
        number: RequestNumber::new(number),
    });
    let entry = Entry {
        generation: Gen::default(),
        seq: previous.end,
        epoch: epoch(n),
        store: StoreId::new(1),
        incarnation: Incarnation::new(1),
        stamp: Wall::from_ms(0),
        kind: EntryKind::Data(request),
        payload: Payload::new(payload.as_bytes().to_vec().into()),
        hash: EntryHash::default(),
    };
    Arc::new(entry.linked(previous.hash))
}

fn tip(entry: &Entry) -> LogPosition {
    LogPosition {
        end: entry.seq.next(),
        epoch: entry.epoch,
        hash: entry.hash,
    }
}

/// A log of `count` entries of epoch `n` behind `from`, seen by `truth`.
fn grow(truth: &mut Truth, from: LogPosition, n: u64, count: usize) -> Vec<LogPosition> {
    let mut tips = vec![from];
    for _ in 0..count {
        let previous = tips[tips.len() - 1];
        let next = entry(previous, n, "payload!", None);
        log_matching::observe(truth, &next, previous).expect("it is sound");
        tips.push(tip(&next));
    }
    tips
}

fn leader(n: u64, at: LogPosition) -> ReplicaState {
    ReplicaState {
        epoch: epoch(n),
        role: Role::Leader,
        tip: at,
        durable: at,
        ..ReplicaState::default()
    }
}

/// A truth with five entries of epoch 1, the first three of which are committed.
fn truth() -> (Truth, Vec<LogPosition>) {
    let mut truth = Truth::new(LogPosition::default());
    let tips = grow(&mut truth, LogPosition::default(), 1, 5);
    let all = [tips[5]; 3];
    let fresh = commit_stable::observe(&mut truth, &leader(1, tips[5]), tips[3], &all);
    assert_eq!(fresh.expect("it is committed"), 0..3);
    (truth, tips)
}
