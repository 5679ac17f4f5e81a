//! The smallest driver there is: some nodes, a fixed latency, a store that never fails.

mod common;

use bytes::Bytes;
use common::{config, start};
use meshos_core::action::{Action, Actions};
use meshos_core::chain::entry::Request;
use meshos_core::chain::payload::Payload;
use meshos_core::client::{Answer, Ask, ClientRequest, Consistency, Level};
use meshos_core::config::Retention;
use meshos_core::event::{Event, Input};
use meshos_core::id::{ChainId, ClientId, RequestNumber, Seq, Ticket};
use meshos_core::node::Node;
use meshos_core::replica::role::Role;
use meshos_core::time::{Instant, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MS: u64 = 1_000_000;

struct Cluster {
    now: Instant,
    nodes: Vec<Node>,
    queue: BTreeMap<(Instant, u64), (usize, Input)>,
    posted: u64,
    cut_off: BTreeSet<usize>,
    latency: u64,
    answers: BTreeMap<Ticket, Answer>,
    tickets: u64,
}

impl Cluster {
    fn new(nodes: u64, retention: Retention) -> Self {
        let config = config(nodes, retention);
        Self {
            now: Instant::ZERO,
            nodes: (1..=nodes).map(|node| start(node, &config)).collect(),
            queue: BTreeMap::new(),
            posted: 0,
            cut_off: BTreeSet::new(),
            latency: 5 * MS,
            answers: BTreeMap::new(),
            tickets: 0,
        }
    }

    fn post(&mut self, after: u64, node: usize, input: Input) {
        self.posted += 1;
        let at = self.now.after(Duration::from_nanos(after));
        self.queue.insert((at, self.posted), (node, input));
    }

    fn run(&mut self, span: Duration) {
        let end = self.now.after(span);
        loop {
            let timer = (0..self.nodes.len())
                .filter_map(|node| Some((self.nodes[node].poll_timeout()?, node)))
                .min();
            let event = self.queue.first_key_value().map(|(&(at, _), _)| at);
            let next = [timer.map(|(at, _)| at), event].into_iter().flatten().min();
            let Some(at) = next.filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            let (node, input) = match (event, timer) {
                (Some(event), _) if event == at => self.queue.pop_first().unwrap().1,
                (_, Some((_, node))) => (node, Input::Wake),
                (_, None) => unreachable!("one of the two is next"),
            };
            self.step(node, input);
        }
        self.now = end;
    }

    fn step(&mut self, node: usize, input: Input) {
        let mut out = Actions::new();
        let wall = Wall::from_ms(self.now.as_nanos() / MS);
        self.nodes[node].step(self.now, Event { wall, input }, &mut out);
        let from = self.nodes[node].me().node;
        for action in out.drain() {
            match action {
                Action::Send { to, message } => {
                    let to = to.get() as usize - 1;
                    if !self.cut_off.contains(&node) && !self.cut_off.contains(&to) {
                        self.post(self.latency, to, Input::Peer { from, message });
                    }
                }
                Action::Store { op, .. } => {
                    self.post(MS, node, Input::Done { op, result: Ok(()) });
                }
                Action::Reply { ticket, answer } => {
                    self.answers.insert(ticket, answer);
                }
                Action::Note { .. } => {}
            }
        }
    }

    fn ask(&mut self, node: usize, ask: Ask) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket::new(self.tickets);
        let request = ClientRequest {
            chain: ChainId::of("c"),
            ask,
        };
        self.step(node, Input::Client { ticket, request });
        ticket
    }

    fn leader(&self) -> usize {
        let leads = |node: &usize| self.nodes[*node].chains()[0].role() == Role::Leader;
        let live = |node: &usize| !self.cut_off.contains(node);
        let leaders: Vec<usize> = (0..self.nodes.len()).filter(live).filter(leads).collect();
        assert_eq!(leaders.len(), 1, "one leader");
        leaders[0]
    }

    fn answer(&self, ticket: Ticket) -> &Answer {
        self.answers.get(&ticket).expect("answered")
    }
}

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
    let mut cluster = Cluster::new(3, Retention::default());
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
fn a_lost_leader_is_replaced_and_catches_up_when_it_returns() {
    let mut cluster = Cluster::new(5, Retention::default());
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
    let mut cluster = Cluster::new(3, Retention::default());
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
    let mut cluster = Cluster::new(3, Retention::default());
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
    let mut cluster = Cluster::new(3, Retention::default());
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
    let mut cluster = Cluster::new(3, retention);
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
    let mut cluster = Cluster::new(1, Retention::default());
    cluster.run(Duration::from_secs(10));
    let ticket = cluster.ask(0, append("alone"));
    let reading = cluster.ask(0, read());
    cluster.run(Duration::from_secs(1));
    assert!(matches!(cluster.answer(ticket), Answer::Acked { .. }));
    assert!(matches!(cluster.answer(reading), Answer::Entries { .. }));
}

#[test]
fn followers_catch_up_over_links_slower_than_a_heartbeat() {
    let mut cluster = Cluster::new(3, Retention::default());
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
