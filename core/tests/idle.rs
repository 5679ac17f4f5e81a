//! What chains cost that nobody uses, and that nothing is missed for the sake of it.

mod common;

use common::cluster::Cluster;
use common::{chain, config_of};
use meshos_core::client::{Answer, Ask, Consistency};
use meshos_core::config::Retention;
use meshos_core::event::Input;
use meshos_core::id::{NodeId, Seq};
use meshos_core::node::Node;
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use meshos_core::time::Instant;
use std::collections::BTreeSet;
use std::time::Duration;

const CHAINS: usize = 30;

/// Three nodes with many chains, one of which is called "c", long after their elections.
fn settled(pinned: Option<u64>) -> Cluster {
    let idle = (1..CHAINS).map(|number| format!("idle-{number}"));
    let names = idle.chain(["c".to_owned()]);
    let drafts = names.map(|name| {
        let mut draft = chain(&name, 3, Retention::default());
        draft.leader_pinned = pinned.map(NodeId::new);
        draft
    });
    let mut cluster = Cluster::new(&config_of(3, drafts.collect()));
    cluster.cut_off.extend(pinned.map(|node| node as usize - 1));
    // Not at the instant of a heartbeat.
    cluster.run(Duration::from_millis(30_123));
    cluster
}

fn led(node: &Node) -> usize {
    let leads = |chain: &&Chain| chain.role() == Role::Leader;
    node.chains().iter().filter(leads).count()
}

/// The node that leads most chains.
fn first(cluster: &Cluster) -> usize {
    let nodes = 0..cluster.nodes.len();
    nodes.max_by_key(|&node| led(&cluster.nodes[node])).unwrap()
}

#[test]
fn heartbeats_touch_no_chain_that_nothing_happens_to() {
    let mut cluster = settled(None);
    cluster.touched.clear();
    cluster.run(Duration::from_secs(10));
    assert_eq!(cluster.touched, BTreeSet::new());
    let ask = Ask::OpenClient;
    let ticket = cluster.ask(0, ask);
    cluster.run(Duration::from_secs(10));
    assert!(matches!(cluster.answer(ticket), Answer::Acked { .. }));
    let places: BTreeSet<usize> = cluster.touched.iter().map(|&(_, place)| place).collect();
    assert_eq!(places.len(), 1, "the chain that is used, on every node");
    assert_eq!(cluster.touched.len(), 3);
}

#[test]
fn many_chains_elect_leaders_though_each_disk_performs_their_votes_one_by_one() {
    let names = (0..2_000).map(|number| format!("idle-{number}"));
    let drafts = names.map(|name| chain(&name, 3, Retention::default()));
    let mut cluster = Cluster::new(&config_of(3, drafts.collect()));
    cluster.disks = Some(vec![Instant::ZERO; 3]);
    // Without a bound on those that seek leadership at once it takes 27 s.
    cluster.run(Duration::from_secs(16));
    let led: usize = cluster.nodes.iter().map(led).sum();
    assert_eq!(led, 2_000);
}

#[test]
fn every_idle_leader_that_loses_its_quorum_steps_down() {
    let mut cluster = settled(None);
    let lost = first(&cluster);
    assert!(led(&cluster.nodes[lost]) >= CHAINS / 3);
    cluster.cut_off.insert(lost);
    cluster.run(Duration::from_millis(2_200));
    assert!(cluster.nodes[lost].leads_nothing());
    cluster.run(Duration::from_secs(10));
    let others = (0..3).filter(|&node| node != lost);
    assert_eq!(
        others.map(|node| led(&cluster.nodes[node])).sum::<usize>(),
        CHAINS
    );
    cluster.cut_off.clear();
    cluster.run(Duration::from_secs(10));
    assert!(
        cluster.nodes[lost].leads_nothing(),
        "a returning node disturbs nobody"
    );
}

#[test]
fn a_read_is_confirmed_although_its_first_confirms_were_lost() {
    let mut cluster = settled(None);
    let leader = cluster.leader();
    cluster.cut_off.insert(leader);
    let ticket = cluster.ask(
        leader,
        Ask::Read {
            consistency: Consistency::Linearizable,
            from: Seq::ZERO,
            bytes_max: 1,
        },
    );
    cluster.cut_off.clear();
    cluster.run(Duration::from_millis(600));
    assert!(matches!(cluster.answer(ticket), Answer::Entries { .. }));
}

#[test]
fn a_node_that_leaves_hands_over_every_idle_chain_although_its_first_word_was_lost() {
    let mut cluster = settled(None);
    let leaving = first(&cluster);
    cluster.cut_off.insert(leaving);
    cluster.step(leaving, Input::HandOver);
    cluster.cut_off.clear();
    assert!(
        led(&cluster.nodes[leaving]) >= CHAINS / 3,
        "nobody was told"
    );
    cluster.run(Duration::from_secs(3));
    assert!(cluster.nodes[leaving].leads_nothing());
}

#[test]
fn a_target_that_does_not_know_that_it_was_not_heard_still_takes_over() {
    let mut cluster = settled(None);
    let leader = cluster.leader();
    let target = (leader + 1) % 3;
    // It stores the entry and hears of the commit; only its acknowledgement is lost.
    cluster.ask(leader, Ask::OpenClient);
    cluster.run(Duration::from_micros(5_500));
    cluster.cut_off.insert(target);
    cluster.run(Duration::from_micros(2_500));
    cluster.cut_off.clear();
    cluster.run(Duration::from_secs(10));
    let to = Some(cluster.nodes[target].me().node);
    let ticket = cluster.ask(leader, Ask::Transfer { to });
    cluster.run(Duration::from_secs(1));
    assert_eq!(*cluster.answer(ticket), Answer::Transferred);
}

#[test]
fn idle_chains_go_to_their_pinned_leader_when_it_returns() {
    let mut cluster = settled(Some(1));
    assert!(cluster.nodes[0].leads_nothing());
    cluster.cut_off.clear();
    cluster.run(Duration::from_secs(5));
    assert_eq!(led(&cluster.nodes[0]), CHAINS);
}
