//! Rows: who is told what, and until when it is repeated.

use super::*;

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
    assert_eq!(b.on_overtaken(A, run(1), &pages[0].1), pages[0].1.rows);
    assert!((0..4).all(|name| b.row(A, chain(name), GEN).is_some()));
    assert_eq!(b.on_overtaken(A, run(1), &pages[0].1), [], "a copy");
    assert_eq!(regular(&mut b)[0].1.acknowledged, Some((run(1), 2)));
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
fn an_overtaken_page_says_nothing_of_what_a_newer_one_said() {
    let (mut a, mut b) = pair();
    let mut pages = Vec::new();
    for state in [Some(state(1, 1)), None, Some(state(2, 2))] {
        a.publish(chain(0), GEN, REPLICA, state, &[B]);
        pages.extend(regular(&mut a));
    }
    let row = |b: &Liveness| b.row(A, chain(0), GEN).and_then(|row| row.state);
    b.on_heartbeat(A, run(1), &pages[1].1, at(0));
    assert_eq!(b.on_overtaken(A, run(1), &pages[0].1), []);
    assert_eq!(row(&b), None, "it is gone");
    b.on_heartbeat(A, run(1), &pages[2].1, at(0));
    assert_eq!(b.on_overtaken(A, run(1), &pages[1].1), []);
    assert_eq!(row(&b), Some(state(2, 2)));
    assert_eq!(b.on_overtaken(A, run(0), &pages[2].1), [], "of another run");
}
