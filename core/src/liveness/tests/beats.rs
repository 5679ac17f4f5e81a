//! When a heartbeat goes out, and what it carries.

use super::*;

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
        (B, 1, 3, HeartbeatNumber::new(2))
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
