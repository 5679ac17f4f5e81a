//! What a cluster does for its clients, with the smallest driver there is.

mod common;

use bytes::Bytes;
use common::cluster::{Cluster, MS};
use common::{chain, config, config_of};
use meshos_core::chain::entry::Request;
use meshos_core::chain::payload::Payload;
use meshos_core::client::{Answer, Ask, Consistency, Level};
use meshos_core::config::Retention;
use meshos_core::id::{ClientId, NodeId, RequestNumber, Seq, Ticket};
use std::collections::BTreeSet;
use std::time::Duration;

fn append(text: &str) -> Ask {
    let payload = Payload::new(Bytes::copy_from_slice(text.as_bytes()));
    Ask::Append {
        level: Level::Committed,
        request: None,
        payload,
    }
}

fn read() -> Ask {
    Ask::Read {
        consistency: Consistency::Linearizable,
        from: Seq::ZERO,
        bytes_max: 1 << 20,
    }
}

#[test]
fn an_append_through_any_node_is_committed_everywhere() {
    let mut cluster = Cluster::new(&config(3, Retention::default()));
    cluster.run(Duration::from_secs(10));
    let tickets: Vec<Ticket> = (0..30)
        .map(|n| cluster.ask(n % 3, append(&format!("entry {n}"))))
        .collect();
    cluster.run(Duration::from_secs(2));
    let mut seqs = BTreeSet::new();
    for ticket in tickets {
        let Answer::Acked { seq, .. } = *cluster.answer(ticket) else {
            panic!("{:?}", cluster.answer(ticket))
        };
        assert!(seqs.insert(seq), "every append has its own position");
    }
    for node in &cluster.nodes {
        let chain = &node.chains()[0];
        assert_eq!(chain.commit(), Seq::new(31));
        assert_eq!(chain.log().durable(), chain.log().tip());
    }
}

#[test]
fn a_node_that_is_no_member_names_those_that_are() {
    let mut cluster = Cluster::new(&config_of(4, vec![chain("c", 3, Retention::default())]));
    let ticket = cluster.ask(3, append("to the wrong node"));
    let members = [1, 2, 3].map(NodeId::new).into();
    assert_eq!(*cluster.answer(ticket), Answer::NotMember { members });
}

#[test]
fn a_lost_leader_is_replaced_and_catches_up_when_it_returns() {
    let mut cluster = Cluster::new(&config(5, Retention::default()));
    cluster.run(Duration::from_secs(10));
    let old = cluster.leader();
    cluster.cut_off.insert(old);
    let lost = cluster.ask(old, append("never committed"));
    cluster.run(Duration::from_secs(10));
    assert_eq!(*cluster.answer(lost), Answer::Unknown);
    let new = cluster.leader();
    let ticket = cluster.ask(new, append("second"));
    cluster.run(Duration::from_secs(1));
    assert!(matches!(cluster.answer(ticket), Answer::Acked { .. }));
    cluster.cut_off.clear();
    cluster.run(Duration::from_secs(10));
    let tip = cluster.nodes[new].chains()[0].log().tip();
    for node in &cluster.nodes {
        assert_eq!(node.chains()[0].log().tip(), tip);
        assert_eq!(node.chains()[0].commit(), tip.end);
    }
    assert_eq!(cluster.leader(), new, "a returning node disturbs nobody");
}

#[test]
fn a_linearizable_read_sees_what_was_acknowledged() {
    let mut cluster = Cluster::new(&config(3, Retention::default()));
    cluster.run(Duration::from_secs(10));
    let ticket = cluster.ask(0, append("x"));
    cluster.run(Duration::from_millis(200));
    assert!(matches!(cluster.answer(ticket), Answer::Acked { .. }));
    let reads: Vec<Ticket> = (0..3).map(|node| cluster.ask(node, read())).collect();
    cluster.run(Duration::from_millis(700));
    for ticket in reads {
        let Answer::Entries {
            commit, entries, ..
        } = cluster.answer(ticket)
        else {
            panic!("{:?}", cluster.answer(ticket))
        };
        assert_eq!(*commit, Seq::new(2));
        assert_eq!(entries[1].payload, Payload::new(Bytes::from_static(b"x")));
    }
}

#[test]
fn a_repeated_request_appends_once() {
    let mut cluster = Cluster::new(&config(3, Retention::default()));
    cluster.run(Duration::from_secs(10));
    let opened = cluster.ask(0, Ask::OpenClient);
    cluster.run(Duration::from_secs(1));
    let client = cluster.answer(opened).client().expect("opened");
    let request = Request {
        client,
        number: RequestNumber::new(1),
    };
    let once = |request| Ask::Append {
        level: Level::Committed,
        request: Some(request),
        payload: Payload::new(Bytes::from_static(b"once")),
    };
    let first = cluster.ask(1, once(request));
    let second = cluster.ask(2, once(request));
    cluster.run(Duration::from_secs(1));
    let third = cluster.ask(0, once(request));
    let stranger = Request {
        client: ClientId(Seq::new(99)),
        ..request
    };
    let refused = cluster.ask(0, once(stranger));
    cluster.run(Duration::from_secs(1));
    assert_eq!(cluster.answer(first), cluster.answer(second));
    assert_eq!(cluster.answer(first), cluster.answer(third));
    assert!(matches!(cluster.answer(refused), Answer::Rejected(_)));
    assert_eq!(cluster.nodes[0].chains()[0].log().end(), Seq::new(3));
}

#[test]
fn a_transfer_makes_the_target_leader() {
    let mut cluster = Cluster::new(&config(3, Retention::default()));
    cluster.run(Duration::from_secs(10));
    let old = cluster.leader();
    let target = (old + 1) % 3;
    let to = Some(cluster.nodes[target].me().node);
    let ticket = cluster.ask(old, Ask::Transfer { to });
    cluster.run(Duration::from_secs(1));
    assert_eq!(*cluster.answer(ticket), Answer::Transferred);
    assert_eq!(cluster.leader(), target);
}

#[test]
fn a_node_behind_the_retained_log_starts_from_a_checkpoint() {
    let retention = Retention {
        entries_max: Some(20),
        ..Retention::default()
    };
    let mut cluster = Cluster::new(&config(3, retention));
    cluster.run(Duration::from_secs(10));
    let away = (cluster.leader() + 1) % 3;
    cluster.cut_off.insert(away);
    for n in 0..200 {
        let leader = cluster.leader();
        cluster.ask(leader, append(&format!("{n}")));
        cluster.run(Duration::from_millis(50));
    }
    cluster.cut_off.clear();
    cluster.run(Duration::from_secs(10));
    for node in &cluster.nodes {
        let log = node.chains()[0].log();
        assert_eq!(log.end(), Seq::new(201));
        assert!(log.end().distance(log.floor()) <= 20, "retention holds");
    }
}

#[test]
fn a_single_voter_leads_alone() {
    let mut cluster = Cluster::new(&config(1, Retention::default()));
    cluster.run(Duration::from_secs(10));
    let ticket = cluster.ask(0, append("alone"));
    let reading = cluster.ask(0, read());
    cluster.run(Duration::from_secs(1));
    assert!(matches!(cluster.answer(ticket), Answer::Acked { .. }));
    assert!(matches!(cluster.answer(reading), Answer::Entries { .. }));
}

#[test]
fn followers_catch_up_over_links_slower_than_a_heartbeat() {
    let mut cluster = Cluster::new(&config(3, Retention::default()));
    cluster.latency = 350 * MS;
    cluster.run(Duration::from_secs(30));
    let leader = cluster.leader();
    let ticket = cluster.ask(leader, append("far"));
    cluster.run(Duration::from_secs(10));
    assert!(matches!(cluster.answer(ticket), Answer::Acked { .. }));
    let ends: BTreeSet<Seq> = cluster
        .nodes
        .iter()
        .map(|node| node.chains()[0].commit())
        .collect();
    assert_eq!(ends.len(), 1, "everybody learned the commit");
}
