//! How long nobody leads when a leader is lost, and what is not disturbed by a false word of that.

mod common;

use common::cluster::{Cluster, MS};
use common::{chain, config, config_of};
use meshos_core::client::{Answer, Ask, Consistency};
use meshos_core::config::Retention;
use meshos_core::event::Input;
use meshos_core::id::{NodeId, Seq};
use std::time::Duration;

/// Some nodes with a leader that has been leading for a while, not at the instant of a heartbeat.
fn settled(nodes: u64, seed: u8) -> Cluster {
    let mut cluster = Cluster::seeded(&config(nodes, Retention::default()), seed);
    cluster.run(Duration::from_micros(10_123_000 + u64::from(seed) * 1_777));
    cluster
}

/// Milliseconds until an append that is tried again every 20 ms at node `at` is acknowledged.
fn next_acknowledgement(cluster: &mut Cluster, at: usize) -> u64 {
    let mut waited = 0;
    let mut ticket = cluster.ask(at, Ask::OpenClient);
    while waited < 20_000 {
        cluster.run(Duration::from_millis(20));
        waited += 20;
        match cluster.answered(ticket) {
            Some(Answer::Acked { .. }) => break,
            Some(_) => ticket = cluster.ask(at, Ask::OpenClient),
            None => {}
        }
    }
    waited
}

#[test]
fn a_killed_leader_is_missed_for_a_moment_only() {
    for (nodes, latency) in [(3, MS), (5, MS), (3, 10 * MS)] {
        let mut waits: Vec<u64> = (0..100)
            .map(|seed| {
                let mut cluster = settled(nodes, seed);
                cluster.latency = latency;
                let leader = cluster.leader();
                let at = (leader + 1) % cluster.nodes.len();
                cluster.kill(leader, |other| (other as u64 * 7 + u64::from(seed)) % 10);
                next_acknowledgement(&mut cluster, at)
            })
            .collect();
        waits.sort_unstable();
        assert!(
            waits[50] <= 400 && waits[99] <= 1_000,
            "{nodes} nodes, {latency} ns: {waits:?}"
        );
    }
}

#[test]
fn a_leader_that_is_said_to_be_gone_to_a_minority_leads_on() {
    for seed in 0..20 {
        let mut cluster = settled(3, seed);
        let leader = cluster.leader();
        let before = cluster.nodes[leader].chains()[0].epoch();
        let me = cluster.nodes[leader].me();
        let (node, incarnation) = (me.node, me.incarnation);
        cluster.step((leader + 1) % 3, Input::PeerGone { node, incarnation });
        cluster.run(Duration::from_secs(10));
        assert_eq!(cluster.leader(), leader);
        assert_eq!(cluster.nodes[leader].chains()[0].epoch(), before);
    }
}

#[test]
fn a_request_over_a_link_that_is_down_ends_at_once_and_soon_goes_through_after_it() {
    let mut cluster = settled(3, 1);
    let leader = cluster.leader();
    let at = (leader + 1) % 3;
    let (peer, me) = (cluster.nodes[leader].me().node, cluster.nodes[at].me().node);
    let read = Ask::Read {
        consistency: Consistency::Linearizable,
        from: Seq::ZERO,
        bytes_max: 1,
    };
    let open = cluster.ask(at, Ask::OpenClient);
    let kept = cluster.ask(at, read);
    cluster.cut_off.insert(at);
    cluster.step(at, Input::LinkDown { peer });
    cluster.step(leader, Input::LinkDown { peer: me });
    assert_eq!(
        *cluster.answer(open),
        Answer::Unknown,
        "it may be on its way"
    );
    let refused = cluster.ask(at, Ask::OpenClient);
    let hint = Some(peer);
    assert_eq!(
        *cluster.answer(refused),
        Answer::NotLeader { hint },
        "it never left"
    );
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.answered(kept), None, "a read is asked again");
    cluster.cut_off.clear();
    cluster.step(leader, Input::LinkUp { peer: me });
    cluster.step(at, Input::LinkUp { peer });
    assert!(next_acknowledgement(&mut cluster, at) <= 100);
    assert!(matches!(cluster.answer(kept), Answer::Entries { .. }));
}

#[test]
fn who_waits_at_a_forwarder_is_told_when_another_leads() {
    let mut cluster = settled(3, 2);
    let leader = cluster.leader();
    let at = (leader + 1) % 3;
    // The leader is silent, and nobody is told that it is gone.
    cluster.cut_off.insert(leader);
    let open = cluster.ask(at, Ask::OpenClient);
    let mut waited = 0;
    while cluster.answered(open).is_none() {
        cluster.run(Duration::from_millis(50));
        waited += 50;
    }
    assert_eq!(*cluster.answer(open), Answer::Unknown);
    let epoch = cluster.nodes[at].chains()[0].epoch();
    assert!(
        epoch.n > cluster.nodes[leader].chains()[0].epoch().n,
        "{waited} ms"
    );
    assert!(waited <= 4_900, "before the request is late: {waited} ms");
}

#[test]
fn a_transfer_is_said_to_have_happened_when_the_target_leads() {
    let mut cluster = settled(3, 3);
    let leader = cluster.leader();
    let (target, at) = ((leader + 1) % 3, (leader + 2) % 3);
    let to = Some(cluster.nodes[target].me().node);
    let ticket = cluster.ask(at, Ask::Transfer { to });
    cluster.run(Duration::from_millis(200));
    assert_eq!(cluster.leader(), target);
    assert_eq!(*cluster.answer(ticket), Answer::Transferred);
    // Its target never hears of this one, and the leader takes appends again.
    let to = Some(cluster.nodes[leader].me().node);
    let ticket = cluster.ask(target, Ask::OpenClient);
    cluster.run(Duration::from_millis(50));
    assert!(matches!(cluster.answer(ticket), Answer::Acked { .. }));
    let ticket = cluster.ask(target, Ask::Transfer { to });
    cluster.cut_off.insert(leader);
    cluster.run(Duration::from_millis(4_600));
    assert_eq!(*cluster.answer(ticket), Answer::Unknown);
    assert_eq!(cluster.leader(), target);
    assert!(next_acknowledgement(&mut cluster, target) <= 100);
}

#[test]
fn a_pin_that_brought_nothing_is_not_sought_again_by_the_next_leader() {
    let mut draft = chain("c", 3, Retention::default());
    draft.leader_pinned = Some(NodeId::new(1));
    let mut cluster = Cluster::new(&config_of(3, vec![draft]));
    cluster.run(Duration::from_secs(20));
    assert_eq!(cluster.leader(), 0);
    cluster.cut_off.insert(0);
    cluster.run(Duration::from_secs(10));
    let epoch = cluster.nodes[1].chains()[0].epoch().n;
    cluster.cut_off.clear();
    cluster.run(Duration::from_secs(20));
    assert_ne!(
        cluster.leader(),
        0,
        "the pause of the first transfer is not over"
    );
    assert_eq!(cluster.nodes[1].chains()[0].epoch().n, epoch);
    cluster.run(Duration::from_secs(40));
    assert_eq!(cluster.leader(), 0);
}
