//! Echoes and suspicion.

use super::*;

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
        let echo = Some((run(incarnation), HeartbeatNumber::new(echoed)));
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

#[test]
fn contact_is_lost_once_when_the_last_echo_becomes_too_old() {
    let window = Duration::from_millis(1_500);
    let mut liveness = Liveness::new(run(1), [B, C], timing(8), at(0));
    assert!(!liveness.poll_contact(at(0), window));
    let sent = regular(&mut liveness);
    for (peer, _) in sent {
        let echo = Heartbeat {
            echo: Some((run(1), HeartbeatNumber::new(1))),
            ..heartbeat(1)
        };
        let echoed =
            liveness.on_heartbeat(peer, run(1), &echo, at(if peer == B { 10 } else { 20 }));
        assert!(echoed.is_some_and(|heard| heard.echoed));
    }
    assert!(!liveness.poll_contact(at(500), window));
    // Heartbeats that echo nothing new prove one direction only.
    liveness.on_heartbeat(B, run(1), &heartbeat(2), at(1_000));
    assert!(!liveness.poll_contact(at(1_509), window));
    assert!(liveness.poll_contact(at(1_510), window));
    assert!(!liveness.poll_contact(at(1_519), window));
    assert!(liveness.poll_contact(at(1_520), window));
    assert!(!liveness.poll_contact(at(9_000), window));
}

#[test]
fn a_peer_that_is_gone_is_suspected_until_it_is_heard() {
    let mut a = Liveness::new(run(1), [B, C], timing(2), at(0));
    assert!(!a.on_gone(B, run(1)), "never heard, so of no run");
    a.on_heartbeat(B, run(2), &heartbeat(1), at(100));
    a.on_heartbeat(C, run(1), &heartbeat(1), at(200));
    assert!(!a.on_gone(B, run(1)), "an earlier run");
    assert!(!a.on_gone(NodeId::new(9), run(1)), "a stranger");
    assert!(!a.is_suspected(B));
    assert!(a.on_gone(B, run(2)));
    assert!(a.is_suspected(B));
    assert_eq!(a.suspicion_due(), Some(at(1700)), "of C");
    assert_eq!(suspected(&mut a, 1600), (vec![], 0));
    let heard = a.on_heartbeat(B, run(3), &heartbeat(1), at(1650));
    assert_eq!(
        heard,
        Some(Heard {
            restarted: true,
            recovered: true,
            ..HEARD
        })
    );
    assert!(!a.is_suspected(B));
    assert!(!a.on_gone(B, run(2)), "the run before the present one");
    assert!(
        a.on_gone(B, run(4)),
        "a later run, which ended the present one"
    );
    assert!(a.is_suspected(B));
}

#[test]
fn a_link_counts_as_up_until_it_is_said_to_be_down() {
    let mut a = Liveness::new(run(1), [B], timing(2), at(0));
    assert!(a.is_reachable(B));
    a.set_link(B, false);
    a.on_heartbeat(B, run(1), &heartbeat(1), at(100));
    assert!(!a.is_reachable(B), "to hear it proves the other direction");
    a.set_link(B, true);
    assert!(a.is_reachable(B));
    a.set_link(C, true);
    assert!(!a.is_reachable(C), "a stranger");
}
