use super::{Heard, Liveness, Timing, rows};
use crate::id::{ChainId, Epoch, Gen, Incarnation, NodeId, Number, Replica, Seq};
use crate::message::{Heartbeat, Row, RowState};
use crate::replica::role::Role;
use crate::time::{Instant, Wall};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use proptest::prelude::*;

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
        number: Number::new(number),
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

#[test]
fn an_idle_cluster_sends_one_empty_heartbeat_per_peer_and_period() {
    let mut a = Liveness::new(run(1), [B, C], timing(2), at(0));
    let mut b = Liveness::new(run(1), [A, C], timing(2), at(0));
    let mut c = Liveness::new(run(1), [A, B], timing(2), at(0));
    for name in 0..9 {
        a.publish(chain(name), GEN, REPLICA, Some(state(1, 1)), &[B, C]);
        c.publish(chain(name), GEN, REPLICA, Some(state(1, 1)), &[A]);
    }
    for period in 0..20 {
        let now = at(period * 500);
        for (id, node) in [(A, &mut a), (B, &mut b), (C, &mut c)] {
            assert_eq!(node.heartbeat_due(), now, "{id}");
        }
        let mut out = [Vec::new(), Vec::new(), Vec::new()];
        a.poll_heartbeats(now, WALL, &mut out[0]);
        b.poll_heartbeats(now, WALL, &mut out[1]);
        c.poll_heartbeats(now, WALL, &mut out[2]);
        for (from, sent) in [A, B, C].into_iter().zip(&out) {
            for (to, heartbeat) in sent {
                let to = match *to {
                    A => &mut a,
                    B => &mut b,
                    _ => &mut c,
                };
                to.on_heartbeat(from, run(1), heartbeat, now);
            }
            if period >= 2 {
                assert_eq!(sent.len(), 2);
                assert!(sent.iter().all(|(_, heartbeat)| heartbeat.rows.is_empty()));
            }
        }
        for node in [&mut a, &mut b, &mut c] {
            assert_eq!(
                urgent(node),
                [],
                "nothing urgent is left after a regular heartbeat"
            );
            regular_is_over(node, now);
        }
    }
    assert!(
        a.suspicion_due()
            .is_some_and(|due| due == at(19 * 500 + 1500))
    );
}

fn regular_is_over(node: &mut Liveness, now: Instant) {
    let mut out = Vec::new();
    node.poll_heartbeats(now, WALL, &mut out);
    assert_eq!(out, []);
}

#[test]
fn missed_heartbeats_are_not_made_up_for() {
    let (mut a, _) = pair();
    let mut out = Vec::new();
    a.poll_heartbeats(at(0), WALL, &mut out);
    a.poll_heartbeats(at(499), WALL, &mut out);
    assert_eq!(out.len(), 1);
    a.poll_heartbeats(at(520), WALL, &mut out);
    assert_eq!(
        (out.len(), a.heartbeat_due()),
        (2, at(1000)),
        "the pace is kept"
    );
    a.poll_heartbeats(at(7300), WALL, &mut out);
    assert_eq!((out.len(), a.heartbeat_due()), (3, at(7800)));
}

#[test]
fn role_epoch_and_distance_are_urgent() {
    let (mut a, _) = pair();
    let mut publish = |replica, state, audience: &[NodeId]| {
        let version = a.own.version();
        let urgent = a.publish(chain(0), GEN, Replica::new(replica), state, audience);
        (a.own.version() - version, urgent)
    };
    let row = state(1, 1);
    assert_eq!(publish(1, None, &[B]), (0, false), "never there");
    assert_eq!(publish(1, Some(row), &[B]), (1, true), "new");
    assert_eq!(publish(1, Some(row), &[B]), (0, false), "unchanged");
    assert_eq!(
        publish(
            1,
            Some(RowState {
                durable: None,
                ..row
            }),
            &[B]
        ),
        (1, false)
    );
    assert_eq!(
        publish(
            1,
            Some(RowState {
                commit: Seq::new(1),
                ..row
            }),
            &[B]
        ),
        (1, false)
    );
    assert_eq!(publish(1, Some(row), &[B, C]), (1, false), "audience");
    assert_eq!(
        publish(
            1,
            Some(RowState {
                role: Role::Leader,
                ..row
            }),
            &[B, C]
        ),
        (1, true)
    );
    assert_eq!(publish(1, Some(row), &[B, C]), (1, true));
    assert_eq!(
        publish(
            1,
            Some(RowState {
                distance: Some(1),
                ..row
            }),
            &[B, C]
        ),
        (1, true)
    );
    assert_eq!(publish(1, Some(state(2, 1)), &[B, C]), (1, true));
    let other_author = Epoch { n: 2, node: B };
    assert_eq!(
        publish(
            1,
            Some(RowState {
                epoch: other_author,
                ..row
            }),
            &[B]
        ),
        (1, true)
    );
    assert_eq!(publish(1, None, &[]), (1, true), "gone");
    assert_eq!(publish(1, None, &[]), (0, false));
    assert_eq!(publish(2, Some(row), &[B]), (1, true), "another membership");
}

#[test]
fn urgent_heartbeats_carry_what_was_never_sent_and_only_once() {
    let mut a = Liveness::new(run(1), [B, C], timing(8), at(0));
    a.publish(chain(0), GEN, REPLICA, Some(state(1, 1)), &[B, C]);
    regular(&mut a);
    assert!(a.publish(chain(1), GEN, REPLICA, Some(state(1, 1)), &[B]));
    assert!(!a.publish(chain(1), GEN, REPLICA, Some(state(1, 2)), &[B]));
    let sent = urgent(&mut a);
    assert_eq!(sent.len(), 1);
    let (to, page) = &sent[0];
    assert_eq!(
        (*to, page.after, page.upto, page.number),
        (B, 1, 3, Number::new(2))
    );
    assert_eq!(
        page.rows.iter().map(|row| row.chain).collect::<Vec<_>>(),
        [chain(1)]
    );
    assert_eq!(urgent(&mut a), []);
    let again = regular(&mut a);
    assert_eq!(
        again[0].1.rows.len(),
        2,
        "the regular one repeats what is unacknowledged"
    );
}

#[test]
fn what_others_are_told_costs_a_peer_nothing() {
    let mut a = Liveness::new(run(1), [B, C], timing(8), at(0));
    a.publish(chain(0), GEN, REPLICA, Some(state(1, 1)), &[B]);
    a.publish(chain(1), GEN, REPLICA, Some(state(1, 1)), &[C]);
    let sent = urgent(&mut a);
    let pages: Vec<_> = sent
        .iter()
        .map(|(to, page)| (*to, page.upto, page.rows.len()))
        .collect();
    assert_eq!(pages, [(B, 2, 1), (C, 2, 1)]);
    a.publish(chain(1), GEN, REPLICA, Some(state(2, 1)), &[C]);
    assert_eq!(
        urgent(&mut a).iter().map(|(to, _)| *to).collect::<Vec<_>>(),
        [C]
    );
}

#[test]
fn only_the_audience_is_told() {
    let mut a = Liveness::new(run(1), [B, C], timing(8), at(0));
    a.publish(chain(0), GEN, REPLICA, Some(state(1, 1)), &[B]);
    let told = |a: &mut Liveness| {
        regular(a)
            .iter()
            .map(|(to, page)| (*to, page.rows.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&mut a), [(B, 1), (C, 0)]);
    a.publish(chain(0), GEN, REPLICA, Some(state(1, 1)), &[C]);
    assert_eq!(told(&mut a), [(B, 0), (C, 1)]);
    a.publish(chain(0), GEN, REPLICA, None, &[]);
    assert_eq!(
        told(&mut a),
        [(B, 0), (C, 1)],
        "who knew it hears that it is gone"
    );
}

#[test]
fn a_gone_row_is_told_again_to_a_peer_that_restarts() {
    let (mut a, mut b) = pair();
    for name in 0..5 {
        a.publish(chain(name), GEN, REPLICA, Some(state(1, 1)), &[B]);
    }
    exchange(&mut a, &mut b);
    assert!(b.row(A, chain(0), GEN).is_some());
    for name in 0..5 {
        a.publish(chain(name), GEN, REPLICA, None, &[]);
    }
    exchange(&mut a, &mut b);
    for name in 0..5 {
        assert_eq!(b.row(A, chain(name), GEN), None);
    }
    // A heartbeat from when the rows were there may be all that the next run of B hears first.
    a.on_heartbeat(B, run(9), &heartbeat(1), at(2))
        .expect("it is newer");
    let key = (chain(0), GEN);
    let (version, _) = a.own.told(&key).expect("it stays");
    assert!(a.peers[&B].outbox.holds(version), "it is told again");
}

#[test]
fn what_is_not_newer_changes_nothing() {
    let (mut a, _) = pair();
    assert_eq!(a.on_heartbeat(B, run(2), &heartbeat(5), at(1)), Some(HEARD));
    let before = a.clone();
    for (incarnation, number) in [(2, 5), (2, 4), (1, 9)] {
        assert_eq!(
            a.on_heartbeat(B, run(incarnation), &heartbeat(number), at(2)),
            None
        );
    }
    assert_eq!(
        a.on_heartbeat(C, run(9), &heartbeat(9), at(2)),
        None,
        "no peer"
    );
    assert_eq!(a, before);
    assert_eq!(a.on_heartbeat(B, run(2), &heartbeat(6), at(2)), Some(HEARD));
    let restarted = Heard {
        restarted: true,
        ..HEARD
    };
    assert_eq!(
        a.on_heartbeat(B, run(3), &heartbeat(1), at(2)),
        Some(restarted)
    );
    assert_eq!(a.incarnation(B), Some(run(3)));
    assert_eq!(a.last_heard(B), Some(at(2)));
}

#[test]
fn rows_of_an_older_incarnation_are_forgotten() {
    let (mut a, mut b) = pair();
    b.publish(chain(0), GEN, REPLICA, Some(state(1, 1)), &[A]);
    exchange(&mut a, &mut b);
    assert!(a.row(B, chain(0), GEN).is_some());
    let restarted = Heard {
        restarted: true,
        ..HEARD
    };
    assert_eq!(
        a.on_heartbeat(B, run(2), &heartbeat(1), at(0)),
        Some(restarted)
    );
    assert_eq!(a.row(B, chain(0), GEN), None);
    assert_eq!(regular(&mut a)[0].1.acknowledged, Some((run(2), 0)));
}

#[test]
fn an_acknowledgement_survives_no_restart() {
    let (mut a, mut b) = pair();
    a.publish(chain(0), GEN, REPLICA, Some(state(1, 1)), &[B]);
    exchange(&mut a, &mut b);
    let old = regular(&mut b).remove(0).1;
    assert_eq!(old.acknowledged, Some((run(1), 1)));

    // The receiver restarts: the row is sent again.
    a.on_heartbeat(B, run(2), &heartbeat(1), at(0));
    assert_eq!(urgent(&mut a)[0].1.rows.len(), 1, "at once");
    assert_eq!(
        (regular(&mut a)[0].1.after, regular(&mut a)[0].1.rows.len()),
        (0, 1)
    );

    // The sender restarts: what its former life was told does not count.
    let mut a = Liveness::new(run(2), [B], timing(2), at(0));
    a.publish(chain(1), GEN, REPLICA, Some(state(1, 1)), &[B]);
    regular(&mut a);
    assert_eq!(a.on_heartbeat(B, run(1), &old, at(0)), Some(HEARD));
    assert_eq!(
        (regular(&mut a)[0].1.after, regular(&mut a)[0].1.rows.len()),
        (0, 1)
    );
}

#[test]
fn an_acknowledgement_of_what_was_never_said_is_ignored() {
    let (mut a, _) = pair();
    a.publish(chain(0), GEN, REPLICA, Some(state(1, 1)), &[B]);
    let lie = Heartbeat {
        acknowledged: Some((run(1), 2)),
        ..heartbeat(1)
    };
    a.on_heartbeat(B, run(1), &lie, at(0));
    assert_eq!(regular(&mut a)[0].1.rows.len(), 1);
}

#[test]
fn a_page_behind_a_gap_is_used_but_not_acknowledged() {
    let (mut a, mut b) = pair();
    for name in 0..4 {
        a.publish(chain(name), GEN, REPLICA, Some(state(1, 1)), &[B]);
    }
    let pages = regular(&mut a);
    let ends: Vec<_> = pages
        .iter()
        .map(|(_, page)| (page.after, page.upto))
        .collect();
    assert_eq!(ends, [(0, 2), (2, 4)]);
    b.on_heartbeat(A, run(1), &pages[1].1, at(0));
    assert!(b.row(A, chain(3), GEN).is_some());
    assert_eq!(regular(&mut b)[0].1.acknowledged, Some((run(1), 0)));
    assert_eq!(
        b.on_heartbeat(A, run(1), &pages[0].1, at(0)),
        None,
        "overtaken"
    );
    for (_, page) in regular(&mut a) {
        b.on_heartbeat(A, run(1), &page, at(0));
    }
    assert!((0..4).all(|name| b.row(A, chain(name), GEN).is_some()));
}

#[test]
fn pages_rotate_when_the_first_one_is_always_lost() {
    for pages in 2..=3 * rows::PAGES_MAX as u32 {
        let (mut a, mut b) = pair();
        for name in 0..pages * 2 {
            a.publish(chain(name), GEN, REPLICA, Some(state(1, 1)), &[B]);
        }
        for _ in 0..2 * pages {
            let sent = regular(&mut a);
            assert!(sent.len() <= rows::PAGES_MAX);
            for (_, page) in sent.iter().skip(1) {
                b.on_heartbeat(A, run(1), page, at(0));
            }
        }
        let known = (0..pages * 2).filter(|name| b.row(A, chain(*name), GEN).is_some());
        assert_eq!(known.count(), pages as usize * 2);
    }
}

#[test]
fn echoes_count_when_they_are_new_and_ours() {
    let (mut a, _) = pair();
    for _ in 0..3 {
        regular(&mut a);
    }
    assert_eq!(a.last_echo(B), None);
    let mut number = 0;
    let mut echo = |incarnation, echoed, ms| {
        number += 1;
        let echo = Some((run(incarnation), Number::new(echoed)));
        let heard = a.on_heartbeat(
            B,
            run(1),
            &Heartbeat {
                echo,
                ..heartbeat(number)
            },
            at(ms),
        );
        (heard.expect("it is newer").echoed, a.last_echo(B))
    };
    assert_eq!(echo(1, 2, 10), (true, Some(at(10))));
    assert_eq!(echo(1, 2, 20), (false, Some(at(10))), "repeated");
    assert_eq!(echo(1, 1, 30), (false, Some(at(10))), "older");
    assert_eq!(echo(0, 3, 40), (false, Some(at(10))), "a former life");
    assert_eq!(echo(1, 4, 50), (false, Some(at(10))), "never sent");
    assert_eq!(echo(1, 3, 60), (true, Some(at(60))));
}

#[test]
fn silence_of_one_window_is_suspected() {
    let (mut a, _) = pair();
    assert_eq!(a.suspicion_due(), Some(at(1500)));
    assert_eq!(suspected(&mut a, 1499), (vec![], 0));
    a.on_heartbeat(B, run(1), &heartbeat(1), at(1499));
    assert_eq!(a.suspicion_due(), Some(at(2999)));
    assert_eq!(suspected(&mut a, 2998), (vec![], 0));
    assert!(!a.is_suspected(B));
    assert_eq!(suspected(&mut a, 2999), (vec![B], 0));
    assert!(a.is_suspected(B));
    assert_eq!(
        (a.suspicion_due(), suspected(&mut a, 9000)),
        (None, (vec![], 0))
    );
    let recovered = Heard {
        recovered: true,
        ..HEARD
    };
    assert_eq!(
        a.on_heartbeat(B, run(1), &heartbeat(2), at(9000)),
        Some(recovered)
    );
    assert!(!a.is_suspected(B));
    assert_eq!(a.suspicion_due(), Some(at(10_500)));
    assert!(a.is_suspected(C), "a stranger is not live");
}

#[test]
fn a_late_wake_up_excuses_silence_once() {
    let mut a = Liveness::new(run(1), [B, C], timing(2), at(0));
    assert_eq!(suspected(&mut a, 2001), (vec![], 2), "501 ms late");
    assert_eq!(a.suspicion_due(), Some(at(3501)));
    a.on_heartbeat(C, run(1), &heartbeat(1), at(2002));
    assert_eq!(
        suspected(&mut a, 9000),
        (vec![B], 1),
        "late again, believed of B; new of C"
    );
    let mut a = Liveness::new(run(1), [B, C], timing(2), at(0));
    assert_eq!(suspected(&mut a, 2000), (vec![B, C], 0), "500 ms late");
}

#[test]
fn the_earliest_suspicion_is_known_without_looking() {
    let mut a = Liveness::new(run(1), [B, C], timing(2), at(0));
    a.on_heartbeat(B, run(1), &heartbeat(1), at(100));
    assert_eq!(a.suspicion_due(), Some(at(1500)));
    a.on_heartbeat(C, run(1), &heartbeat(1), at(200));
    assert_eq!(a.suspicion_due(), Some(at(1600)));
    a.on_heartbeat(B, run(1), &heartbeat(2), at(300));
    assert_eq!(a.suspicion_due(), Some(at(1700)));
}

/// One thing that happens to two nodes and the channel between them.
#[derive(Clone, Debug)]
enum Step {
    Publish {
        node: usize,
        chain: u32,
        state: Option<RowState>,
        replica: u32,
    },
    Regular(usize),
    Urgent(usize),
    Deliver(prop::sample::Index),
    Duplicate(prop::sample::Index),
    Lose(prop::sample::Index),
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let state =
        prop::option::weighted(0.8, (0..3_u64, 0..3_u64).prop_map(|(n, end)| state(n, end)));
    prop_oneof![
        8 => (0..2_usize, 0..CHAINS, state, 1..3_u32).prop_map(|(node, chain, state, replica)| {
            Step::Publish { node, chain, state, replica }
        }),
        4 => (0..2_usize).prop_map(Step::Regular),
        2 => (0..2_usize).prop_map(Step::Urgent),
        6 => index().prop_map(Step::Deliver),
        2 => index().prop_map(Step::Duplicate),
        2 => index().prop_map(Step::Lose),
        1 => (0..2_usize).prop_map(Step::Restart),
    ]
}

const CHAINS: u32 = 30;
const IDS: [NodeId; 2] = [A, B];

/// What one life of a node published: the content of every version, and the present rows.
#[derive(Default)]
struct Life {
    versions: Vec<(u32, Option<Row>)>,
    present: BTreeMap<u32, Row>,
}

struct Pair {
    nodes: Vec<Liveness>,
    lives: [Vec<Life>; 2],
    channel: Vec<(usize, Incarnation, Heartbeat)>,
    timing: Timing,
}

impl Pair {
    fn new(timing: Timing) -> Self {
        let nodes = vec![
            Liveness::new(run(1), [B], timing, at(0)),
            Liveness::new(run(1), [A], timing, at(0)),
        ];
        let lives = [vec![Life::default()], vec![Life::default()]];
        Self {
            nodes,
            lives,
            channel: Vec::new(),
            timing,
        }
    }

    fn send(&mut self, from: usize, sent: Vec<(NodeId, Heartbeat)>) {
        for (to, heartbeat) in sent {
            assert_eq!(to, IDS[1 - from]);
            assert!(heartbeat.rows.len() <= self.timing.rows_max());
            self.judge_acknowledgement(from, &heartbeat);
            self.channel.push((from, self.nodes[from].me, heartbeat));
        }
    }

    /// Ground truth: whoever acknowledges a version knows every row whose last change is not
    /// above it.
    fn judge_acknowledgement(&self, from: usize, heartbeat: &Heartbeat) {
        let Some((incarnation, upto)) = heartbeat.acknowledged else {
            return;
        };
        let other = 1 - from;
        let life = &self.lives[other][incarnation.get() as usize - 1];
        let mut changed = BTreeSet::new();
        for (index, (name, row)) in life.versions.iter().enumerate().rev() {
            if changed.insert(*name) && (index as u64) < upto {
                let known = self.nodes[from].row(IDS[other], chain(*name), GEN);
                assert_eq!(row.as_ref(), known, "acknowledged, but unknown");
            }
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Publish {
                node,
                chain: name,
                state,
                replica,
            } => {
                let (me, peer) = (&mut self.nodes[node], IDS[1 - node]);
                let before = me.own.version();
                let replica = Replica::new(replica);
                me.publish(chain(name), GEN, replica, state, &[peer]);
                let life = self.lives[node].last_mut().expect("every run has a life");
                let row = state.map(|_| Row {
                    chain: chain(name),
                    generation: GEN,
                    replica,
                    state,
                });
                if me.own.version() != before {
                    life.versions.push((name, row.clone()));
                }
                match row {
                    Some(row) => drop(life.present.insert(name, row)),
                    None => drop(life.present.remove(&name)),
                }
            }
            Step::Regular(node) => {
                let sent = regular(&mut self.nodes[node]);
                self.send(node, sent);
            }
            Step::Urgent(node) => {
                let sent = urgent(&mut self.nodes[node]);
                self.send(node, sent);
            }
            Step::Deliver(index) if !self.channel.is_empty() => {
                let message = self.channel.remove(index.index(self.channel.len()));
                self.deliver(&message);
            }
            Step::Duplicate(index) if !self.channel.is_empty() => {
                let message = self.channel[index.index(self.channel.len())].clone();
                self.deliver(&message);
            }
            Step::Lose(index) if !self.channel.is_empty() => {
                self.channel.remove(index.index(self.channel.len()));
            }
            Step::Deliver(_) | Step::Duplicate(_) | Step::Lose(_) => {}
            Step::Restart(node) => {
                self.lives[node].push(Life::default());
                let me = run(self.lives[node].len() as u64);
                self.nodes[node] = Liveness::new(me, [IDS[1 - node]], self.timing, at(0));
            }
        }
    }

    fn deliver(&mut self, (from, incarnation, heartbeat): &(usize, Incarnation, Heartbeat)) {
        let to = &mut self.nodes[1 - from];
        to.on_heartbeat(IDS[*from], *incarnation, heartbeat, at(0));
    }

    fn round(&mut self) -> usize {
        let mut rows = 0;
        for node in 0..2 {
            let sent = regular(&mut self.nodes[node]);
            rows += sent
                .iter()
                .map(|(_, heartbeat)| heartbeat.rows.len())
                .sum::<usize>();
            self.send(node, sent);
            for message in core::mem::take(&mut self.channel) {
                self.deliver(&message);
            }
        }
        rows
    }
}

proptest! {
    #[test]
    fn rows_converge_after_any_loss_duplication_reordering_and_restart(
        rows_per_page_max in 1_u32..5,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut pair = Pair::new(timing(rows_per_page_max));
        for step in steps {
            pair.apply(step);
        }
        // What is still under way arrives first, in any order: the newest counts.
        pair.channel.reverse();
        let pages = CHAINS.div_ceil(rows_per_page_max) as usize;
        for _ in 0..2 + pages.div_ceil(rows::PAGES_MAX) {
            pair.round();
        }
        prop_assert_eq!(pair.round(), 0, "a settled pair sends no rows");
        for (node, id) in IDS.into_iter().enumerate() {
            let life = pair.lives[node].last().expect("every run has a life");
            for name in 0..CHAINS {
                let known = pair.nodes[1 - node].row(id, chain(name), GEN);
                prop_assert_eq!(known, life.present.get(&name));
            }
        }
    }
}
