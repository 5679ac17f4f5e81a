//! One plan of operations, run by the simulator and by this runtime, comes to the same answers
//! and the same committed log: the driver decides nothing.
//!
//! Who leads, in which epoch, and so at which positions entries stand, is up to the clocks. What
//! is compared counts only the entries that clients asked for.
#![cfg(feature = "tokio")]

use futures::FutureExt;
use meshos_core::action::Note;
use meshos_core::chain::entry::{Entry, EntryKind};
use meshos_core::chain::store::Identity;
use meshos_core::client::{self, Answer, ClientRequest, Reason};
use meshos_core::config::Config;
use meshos_core::event::{Input, Seed};
use meshos_core::id::{ChainId, FormatNonce, NodeId, Seq, Ticket};
use meshos_core::message::Message;
use meshos_core::node::Node;
use meshos_core::replica::Chain;
use meshos_runtime_tokio::clock::SystemClock;
use meshos_runtime_tokio::driver::Driver;
use meshos_runtime_tokio::inbox::{Capacity, Sender, inbox};
use meshos_runtime_tokio::open::{find_store, format_store};
use meshos_runtime_tokio::ports::{Clock, NoJournal, Requests, Transport};
use meshos_runtime_tokio::store_gauge::Gauge;
use meshos_runtime_tokio::store_threads::StoreThreads;
use meshos_scenarios::cfg::Plan;
use meshos_scenarios::model::{Ask, Host, Op, Output, node_id, store_id};
use meshos_scenarios::scenes::{blank, plain};
use meshos_sim::hook::{Hook, Schedule};
use meshos_sim::machine::NodeIndex;
use meshos_sim::scenario::Scenario;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::{Setup, View, World};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);
/// Where a simulated client is opened: behind the empty entry of the first leader.
const CLIENT: u64 = 1;

/// Operations at all three nodes, one after another, with all the ways in which they end.
fn plan() -> Plan {
    let mut plan = blank(1, 3);
    plan.cfg.timing.heartbeat_ms = 100;
    plan.cfg.limits.entry_bytes_max = 1_000;
    let append = |number: u64, bytes: u32| Ask::Append {
        client: Some(CLIENT),
        number,
        tag: number * 0x0101_0101_0101,
        bytes,
        local: false,
    };
    let read = Ask::Read {
        freshness: Default::default(),
        from: 0,
        bytes_max: 100_000,
    };
    let asks = [
        Ask::Open {},
        append(1, 10),
        append(2, 0),
        append(3, 1_000),
        read.clone(),
        append(2, 0),
        append(4, 1_001),
        append(0, 5),
        append(5, 7),
        append(6, 300),
        append(6, 300),
        read,
    ];
    for (ticket, ask) in (0..).zip(asks) {
        let at = Instant::from_millis(5_000 + 200 * ticket);
        let chain = 0;
        let op = Op { chain, ticket, ask };
        plan.op(at, (ticket % 3) as u16, op);
    }
    plan
}

/// An entry without what depends on time: who asked is its first client or nobody.
type Line = (&'static str, u64, Vec<u8>);

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// As this one of the entries that clients asked for.
    Acked(usize),
    Rejected(Reason),
    Read(Vec<Line>),
}

fn line(entry: &Entry) -> Option<Line> {
    let payload = entry.payload.bytes().expect("payloads are kept").to_vec();
    match &entry.kind {
        EntryKind::Empty | EntryKind::Config(_) => None,
        EntryKind::OpenClient => Some(("open", 0, payload)),
        EntryKind::Data(request) => {
            let number = request.expect("every append is numbered").number.get();
            Some(("data", number, payload))
        }
    }
}

/// What is committed, with positions.
fn committed(chain: &Chain) -> Vec<(Seq, Line)> {
    let seqs = (0..chain.commit().get()).map(Seq::new);
    let entry = |seq| chain.log().entry(seq).expect("everything is retained");
    let lines = seqs.filter_map(|seq| Some((seq, line(entry(seq))?)));
    lines.collect()
}

/// The answers in terms of the committed log.
fn ends(answers: Vec<Answer>, log: &[(Seq, Line)]) -> Vec<End> {
    let end = |answer| match answer {
        Answer::Acked { seq, .. } => {
            let place = log.iter().position(|(at, _)| *at == seq);
            End::Acked(place.expect("what was acknowledged is committed"))
        }
        Answer::Rejected(reason) => End::Rejected(reason),
        Answer::Entries { entries, .. } => {
            End::Read(entries.iter().filter_map(|entry| line(entry)).collect())
        }
        other @ (Answer::NotLeader { .. }
        | Answer::NotMember { .. }
        | Answer::Unknown
        | Answer::Corrupt { .. }
        | Answer::Transferred) => panic!("{other:?} is no end of these operations"),
    };
    answers.into_iter().map(end).collect()
}

/// What a run came to.
type Outcome = (Vec<End>, Vec<Line>);

fn outcome(answers: Vec<Answer>, chains: &[&Chain]) -> Outcome {
    let longest = chains.iter().max_by_key(|chain| chain.commit());
    let log = committed(longest.expect("there are nodes"));
    for chain in chains {
        assert!(log.starts_with(&committed(chain)), "nodes agree");
    }
    let ends = ends(answers, &log);
    (ends, log.into_iter().map(|(_, line)| line).collect())
}

/// Keeps the answers of a simulated run.
#[derive(Default)]
struct Gather(BTreeMap<u64, Answer>);

impl Hook<Host> for Gather {
    fn on_output(
        &mut self,
        _: View<'_, Host>,
        _: NodeIndex,
        output: &Output,
        _: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        if let Output::Answer { ticket, answer } = output {
            self.0.insert(*ticket, answer.clone());
        }
        Ok(())
    }
}

fn simulated(plan: &Plan) -> Outcome {
    let nodes = (0..plan.nodes).map(NodeIndex);
    let configs = nodes.clone().map(|node| plain().config(plan, node));
    let mut world: World<Host> = World::new(Setup::new(plan.seed, configs.collect()));
    for op in &plan.ops {
        world.schedule_op(op.at, op.node, op.op.clone());
    }
    let mut gather = Gather::default();
    let ran = world.run_until(plan.safety(), &mut gather);
    assert!(ran.is_ok(), "{ran:?}");
    let running = nodes.map(|node| world.node(node).and_then(Host::node).expect("it runs"));
    let chains: Vec<&Chain> = running.map(|node| &node.chains()[0]).collect();
    outcome(gather.0.into_values().collect(), &chains)
}

/// Carries messages from inbox to inbox, and loses what finds no room.
struct Wires {
    me: NodeId,
    inboxes: Arc<BTreeMap<NodeId, Sender>>,
}

impl Transport for Wires {
    fn send(&mut self, to: NodeId, message: Arc<Message>) {
        let _ = self.inboxes[&to].peer(self.me, message, 1).now_or_never();
    }
}

/// Hands answers to the test.
struct Answers(UnboundedSender<(Ticket, Answer)>);

impl Requests<Node> for Answers {
    fn reply(&mut self, ticket: Ticket, answer: Answer) {
        let _ = self.0.send((ticket, answer));
    }

    fn note(&mut self, _: ChainId, _: Note) {}

    fn show(&mut self, _: &Node) {}
}

/// Three nodes of this runtime in one process.
struct Cluster {
    inboxes: Arc<BTreeMap<NodeId, Sender>>,
    answers: UnboundedReceiver<(Ticket, Answer)>,
    drivers: Vec<JoinHandle<Node>>,
}

fn start(config: &Arc<Config>, nodes: u16, directory: &Path) -> Cluster {
    let nodes: Vec<NodeIndex> = (0..nodes).map(NodeIndex).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) =
        nodes.iter().map(|_| inbox(Capacity::default())).unzip();
    let ids = nodes.iter().map(|node| node_id(*node));
    let inboxes: Arc<BTreeMap<_, _>> = Arc::new(ids.zip(senders).collect());
    let (requests, answers) = unbounded_channel();
    let mut drivers = Vec::new();
    for (index, receiver) in nodes.into_iter().zip(receivers) {
        let me = node_id(index);
        let identity = Identity {
            cluster: config.cluster(),
            node: me,
            store: store_id(index, 1),
        };
        let path = directory.join(me.to_string());
        format_store(&path, &identity, FormatNonce::new(1), &config.foundings(me)).unwrap();
        let seed = Seed([index.0 as u8; 32]);
        let limits = Host::store_limits(config);
        let mut found = find_store(&path, &identity, &limits, seed.run()).unwrap();
        found.repairs.perform().unwrap();
        let clock = SystemClock::start();
        let now = clock.now();
        let node = Node::new(me, config.clone(), found.boot, seed, now).unwrap();
        let executor = found.repairs.into_executor();
        let (store, _) = StoreThreads::start(executor, &inboxes[&me], &Gauge::default()).unwrap();
        let wires = Wires {
            me,
            inboxes: inboxes.clone(),
        };
        let requests = Answers(requests.clone());
        let driver = Driver::new(
            node, now, receiver, clock, wires, store, requests, NoJournal,
        );
        drivers.push(tokio::spawn(driver.run()));
    }
    Cluster {
        inboxes,
        answers,
        drivers,
    }
}

/// Whether an attempt has to be made again, as before there is a leader.
fn is_open(answer: &Answer) -> bool {
    match answer {
        Answer::NotLeader { .. } | Answer::Unknown => true,
        Answer::Rejected(reason) => *reason == Reason::Busy,
        Answer::Acked { .. }
        | Answer::NotMember { .. }
        | Answer::Entries { .. }
        | Answer::Corrupt { .. }
        | Answer::Transferred => false,
    }
}

impl Cluster {
    /// Asks one node until the request has ended.
    async fn ask(&mut self, node: NodeId, tickets: &mut u64, request: &ClientRequest) -> Answer {
        loop {
            *tickets += 1;
            let ticket = Ticket::new(*tickets);
            let request = request.clone();
            let input = Input::Client { ticket, request };
            self.inboxes[&node].command(input).unwrap();
            let answer = loop {
                let (answered, answer) = self.answers.recv().await.expect("nodes run");
                if answered == ticket {
                    break answer;
                }
            };
            if !is_open(&answer) {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) -> Vec<Node> {
        self.inboxes.values().for_each(Sender::close);
        let mut nodes = Vec::new();
        for driver in self.drivers {
            nodes.push(driver.await.unwrap());
        }
        nodes
    }
}

async fn real(plan: &Plan) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let config = Arc::new(plan.cfg.config(plan.nodes).unwrap());
    let mut cluster = start(&config, plan.nodes, directory.path());
    let (mut answers, mut tickets, mut opened) = (Vec::new(), 0, None);
    for op in &plan.ops {
        let chain = ChainId::of(&config.chains()[usize::from(op.op.chain)].name);
        let mut ask = op.op.ask.request().expect("a request of a client");
        if let client::Ask::Append {
            request: Some(request),
            ..
        } = &mut ask
        {
            request.client = opened.expect("a client is opened first");
        }
        let request = ClientRequest { chain, ask };
        let answer = cluster.ask(node_id(op.node), &mut tickets, &request).await;
        opened = opened.or(answer.client());
        answers.push(answer);
    }
    let nodes = cluster.stop().await;
    let chains: Vec<&Chain> = nodes.iter().map(|node| &node.chains()[0]).collect();
    outcome(answers, &chains)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_comes_to_the_same_in_the_simulator_and_here() {
    let plan = plan();
    let (ends, log) = simulated(&plan);
    assert_eq!(
        ends.len(),
        plan.ops.len(),
        "every operation ended: {ends:?}"
    );
    assert_eq!(ends[5], ends[2], "a repeated request is the same entry");
    assert_eq!(ends[6], End::Rejected(Reason::TooLarge));
    assert_eq!(log.len(), 6, "{log:?}");
    let real = timeout(PATIENCE, real(&plan)).await.expect("in time");
    assert_eq!(real, (ends, log));
}
