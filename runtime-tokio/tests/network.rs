//! Connections between nodes: hello, delivery, loss and reconnection, on loopback.
#![cfg(feature = "tokio")]

use meshos_core::chain::boots::Boots;
use meshos_core::chain::peers::PeerMemory;
use meshos_core::chain::store::Identity;
use meshos_core::config::{Config, Draft, Founder};
use meshos_core::event::Input;
use meshos_core::hello::Greeter;
use meshos_core::id::{
    ChainId, ClusterId, DeploymentId, FormatNonce, Incarnation, NodeId, Run, RunNonce, StoreId,
};
use meshos_core::message::{Body, Message};
use meshos_runtime_tokio::inbox::{Capacity, Receiver, Sender, Taken, inbox};
use meshos_runtime_tokio::net::{Backoff, Introduction, Links, Network, TcpTransport, listen};
use meshos_runtime_tokio::ports::Transport;
use meshos_runtime_tokio::tasks::Tasks;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

/// One run of one of two nodes.
#[derive(Copy, Clone)]
struct Who {
    node: u64,
    deployment: u128,
    format: u64,
    incarnation: u64,
    entry_bytes_max: u32,
}

const ONE: Who = Who {
    node: 1,
    deployment: 9,
    format: 0xf1,
    incarnation: 3,
    entry_bytes_max: 1 << 16,
};
const TWO: Who = Who {
    node: 2,
    format: 0xf2,
    ..ONE
};

impl Who {
    fn peer(self) -> NodeId {
        NodeId::new(3 - self.node)
    }

    fn introduction(self) -> Introduction {
        let founder = |node: u64| Founder {
            node: NodeId::new(node),
            store: StoreId::new(u128::from(node)),
        };
        let mut draft = Draft {
            deployment: DeploymentId::new(self.deployment),
            nodes: vec![founder(1), founder(2)],
            ..Draft::default()
        };
        draft.limits.entry_bytes_max = self.entry_bytes_max;
        let config = Arc::new(Config::try_from(draft).unwrap());
        let identity = Identity {
            cluster: config.cluster(),
            node: NodeId::new(self.node),
            store: StoreId::new(u128::from(self.node)),
        };
        let runs = (1..=self.incarnation).map(RunNonce::new);
        let boots = runs.fold(Boots::default(), |boots, run| boots.with(run));
        let greeter = Greeter::new(config, &identity, FormatNonce::new(self.format), boots);
        Introduction::new(greeter, identity, PeerMemory::default(), None)
    }
}

/// The network of a node whose peer listens at `address`.
fn network(who: Who, address: &str) -> Network {
    let addresses = BTreeMap::from([(who.peer(), address.to_owned())]);
    Network {
        introduction: Arc::new(who.introduction()),
        links: Links::new(&addresses),
        addresses: Arc::new(addresses),
        message_bytes_max: 1 << 20,
        queue_messages_max: 64,
        backoff: Backoff {
            first: Duration::from_millis(10),
            last: Duration::from_millis(100),
        },
        dial_stagger: Duration::from_millis(200),
        hello_timeout: Duration::from_secs(2),
        stall_timeout: Duration::from_secs(1),
    }
}

/// A node that sends.
struct There {
    transport: TcpTransport,
    network: Network,
    /// What the node is told of its links.
    inbox: Receiver,
    _tasks: Tasks,
}

fn there(network: Network) -> There {
    let (sender, inbox) = inbox(Capacity::default());
    let mut tasks = Tasks::default();
    let transport = TcpTransport::start(&network, &sender, &mut tasks);
    There {
        transport,
        network,
        inbox,
        _tasks: tasks,
    }
}

impl There {
    /// Waits until the node is told what `is_wanted` takes.
    async fn told(&mut self, what: &str, is_wanted: impl Fn(&Input) -> bool) {
        let told = timeout(PATIENCE, async {
            loop {
                let taken = poll_fn(|cx| self.inbox.poll_next(cx)).await;
                if matches!(&taken, Taken::Input(input) if is_wanted(input)) {
                    return;
                }
            }
        });
        told.await
            .unwrap_or_else(|_| panic!("waited in vain for {what}"));
    }

    async fn refusal(&self) -> String {
        let found = timeout(PATIENCE, async {
            loop {
                if let Some(reason) = self.network.links.status().remove(0).refusal {
                    return reason;
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        found.await.expect("a refusal is shown")
    }
}

fn is_up(input: &Input) -> bool {
    matches!(input, Input::LinkUp { .. })
}

/// A node that receives.
struct Here {
    address: String,
    inbox: Receiver,
    task: JoinHandle<()>,
}

async fn here(address: &str, who: Who) -> Here {
    listening(address, network(who, ""), inbox(Capacity::default())).await
}

async fn listening(address: &str, network: Network, inbox: (Sender, Receiver)) -> Here {
    let (sender, inbox) = inbox;
    // The port of an acceptor that was just stopped may need a moment.
    let acceptor = timeout(PATIENCE, async {
        loop {
            match listen(address, network.clone(), sender.clone()).await {
                Ok(acceptor) => return acceptor,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    });
    let acceptor = acceptor.await.expect("the port is free again");
    let address = acceptor.local_addr().unwrap().to_string();
    let task = tokio::spawn(acceptor.run());
    Here {
        address,
        inbox,
        task,
    }
}

impl Here {
    async fn next(&mut self) -> Option<(NodeId, u64)> {
        let taken = timeout(
            Duration::from_millis(50),
            poll_fn(|cx| self.inbox.poll_next(cx)),
        );
        match taken.await {
            Ok(Taken::Input(Input::Peer { from, message })) => {
                Some((from, message.from.incarnation.get()))
            }
            Ok(other) => panic!("unexpected {other:?}"),
            Err(_) => None,
        }
    }
}

fn message(number: u64) -> Arc<Message> {
    Arc::new(Message {
        cluster: ClusterId::new(1),
        from: Run {
            node: NodeId::new(1),
            store: StoreId::new(1),
            incarnation: Incarnation::new(number),
        },
        to: StoreId::new(2),
        body: Body::Confirm(Vec::new()),
    })
}

/// An append of so many bytes, which goes with the bulk.
fn bulk(number: u64, bytes: usize) -> Arc<Message> {
    use meshos_core::chain::payload::Payload;
    use meshos_core::client::Level;
    use meshos_core::id::{Attempt, AttemptNumber, Epoch, Gen};
    use meshos_core::message::{Forward, ForwardAsk};
    let Message { from, .. } = *message(number);
    let body = Body::Forward(Forward {
        chain: ChainId::of("orders"),
        generation: Gen::default(),
        epoch: Epoch::default(),
        attempt: Attempt {
            incarnation: from.incarnation,
            number: AttemptNumber::new(number),
        },
        ask: ForwardAsk::Append {
            level: Level::Committed,
            request: None,
            payload: Payload::new(vec![7; bytes].into()),
        },
    });
    Arc::new(Message {
        body,
        ..Message::clone(&message(number))
    })
}

/// Sends until something arrives.
async fn until_heard(there: &mut There, here: &mut Here, number: u64) {
    let heard = timeout(PATIENCE, async {
        loop {
            there.transport.send(NodeId::new(2), message(number));
            while let Some((from, heard)) = here.next().await {
                assert_eq!(from, NodeId::new(1));
                if heard == number {
                    return;
                }
            }
        }
    });
    heard.await.expect("the message arrives");
}

#[tokio::test]
async fn messages_arrive_in_order_from_the_node_that_said_hello() {
    let mut here = here("127.0.0.1:0", TWO).await;
    let mut there = there(network(ONE, &here.address));
    until_heard(&mut there, &mut here, 1).await;
    for number in 2..=60 {
        there.transport.send(NodeId::new(2), message(number));
    }
    for number in 2..=60 {
        let heard = timeout(PATIENCE, async {
            loop {
                // Repeats of the first message may still be under way.
                match here.next().await {
                    Some((_, 1)) | None => {}
                    Some((_, heard)) => return heard,
                }
            }
        });
        assert_eq!(heard.await.unwrap(), number);
    }
}

#[tokio::test]
async fn a_broken_connection_is_dialled_again_and_the_node_is_told() {
    let mut first = here("127.0.0.1:0", TWO).await;
    let address = first.address.clone();
    let mut there = there(network(ONE, &address));
    there
        .told("no link yet", |input| {
            matches!(input, Input::LinkDown { .. })
        })
        .await;
    there.told("a link", is_up).await;
    until_heard(&mut there, &mut first, 1).await;
    // Longer than a connection that is closed again at once.
    sleep(Duration::from_millis(150)).await;
    first.task.abort();
    let _ = (&mut first.task).await;
    drop(first);
    let gone = Input::PeerGone {
        node: NodeId::new(2),
        incarnation: Incarnation::new(TWO.incarnation),
    };
    there
        .told("a peer that is gone", |input| *input == gone)
        .await;
    let next = Who {
        incarnation: 4,
        ..TWO
    };
    let mut second = here(&address, next).await;
    there.told("a link", is_up).await;
    until_heard(&mut there, &mut second, 2).await;
}

#[tokio::test]
async fn without_a_connection_messages_are_lost_and_counted_at_once() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let mut there = there(network(ONE, &address));
    let lost = there.transport.lost();
    for number in 0..1000 {
        there.transport.send(NodeId::new(2), message(number));
    }
    there.transport.send(NodeId::new(7), message(0));
    assert_eq!(lost.load(Ordering::Relaxed), 1001);
}

#[tokio::test]
async fn whoever_is_refused_learns_why_and_so_does_the_other_end() {
    let deployment = Who {
        deployment: 10,
        ..ONE
    };
    let limit = Who {
        entry_bytes_max: 1 << 17,
        ..ONE
    };
    for (who, name) in [
        (deployment, "OtherCluster"),
        (limit, "limits.entry_bytes_max"),
    ] {
        let network_here = network(TWO, "");
        let links = network_here.links.clone();
        let mut here = listening("127.0.0.1:0", network_here, inbox(Capacity::default())).await;
        let mut there = there(network(who, &here.address));
        let reason = there.refusal().await;
        assert!(reason.contains(name), "{reason}");
        assert_eq!(links.status()[0].refusal, Some(reason));
        for _ in 0..5 {
            there.transport.send(NodeId::new(2), message(1));
            assert_eq!(here.next().await, None);
        }
    }
}

#[tokio::test]
async fn a_store_that_comes_back_older_or_formatted_anew_is_refused_at_both_ends() {
    let network_here = network(TWO, "");
    let links = network_here.links.clone();
    let mut here = listening("127.0.0.1:0", network_here, inbox(Capacity::default())).await;
    let mut first = there(network(ONE, &here.address));
    until_heard(&mut first, &mut here, 1).await;
    drop(first);
    let older = Who {
        incarnation: 2,
        ..ONE
    };
    let anew = Who {
        format: 0xf9,
        incarnation: 1,
        ..ONE
    };
    for (who, name) in [(older, "StoreRegressed"), (anew, "FormattedAnew")] {
        let reason = there(network(who, &here.address)).refusal().await;
        assert!(reason.contains(name), "{reason}");
        assert_eq!(links.status()[0].refusal, Some(reason));
    }
    let next = Who {
        incarnation: 4,
        ..ONE
    };
    let mut last = there(network(next, &here.address));
    until_heard(&mut last, &mut here, 4).await;
    assert_eq!(links.status()[0].refusal, None, "it is heard again");
}

#[tokio::test]
async fn noise_on_the_port_hurts_nobody() {
    let mut here = here("127.0.0.1:0", TWO).await;
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0; 64]] {
        let mut stream = TcpStream::connect(&here.address).await.unwrap();
        let _ = stream.write_all(noise).await;
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is closed");
    }
    let mut there = there(network(ONE, &here.address));
    until_heard(&mut there, &mut here, 1).await;
}

#[tokio::test]
async fn strangers_that_keep_silent_keep_no_peer_out() {
    let mut network_here = network(TWO, "");
    network_here.hello_timeout = PATIENCE * 10;
    let mut here = listening("127.0.0.1:0", network_here, inbox(Capacity::default())).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(&here.address).await.unwrap());
    }
    let mut there = there(network(ONE, &here.address));
    until_heard(&mut there, &mut here, 1).await;
}

#[tokio::test]
async fn a_slow_node_slows_its_peers_down_and_loses_nothing_that_was_received() {
    let limits = Capacity {
        peer_messages_max: 2,
        ..Capacity::default()
    };
    let mut here = listening("127.0.0.1:0", network(TWO, ""), inbox(limits)).await;
    let mut there = there(network(ONE, &here.address));
    until_heard(&mut there, &mut here, 1).await;
    for number in 2..=40 {
        there.transport.send(NodeId::new(2), message(number));
    }
    let heard = timeout(PATIENCE, async {
        let mut last = 1;
        while last < 40 {
            if let Some((_, heard)) = here.next().await {
                assert!(heard == last || heard == last + 1 || heard == 1);
                last = heard.max(last);
            }
        }
    });
    heard.await.expect("everything arrives");
}

/// A way to `address` that carries so many bytes a second there, in both connections together, and
/// queues at most a second of them.
async fn slow_way(address: &str, bytes_per_s: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().to_string();
    let address = address.to_owned();
    tokio::spawn(async move {
        let road = Arc::new(tokio::sync::Mutex::new(()));
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(&address).await.unwrap();
            let road = Arc::clone(&road);
            tokio::spawn(async move {
                let (mut near_read, mut near_write) = near.split();
                let (mut far_read, mut far_write) = far.split();
                let there = async {
                    let mut piece = [0; 1448];
                    while let Ok(read @ 1..) = near_read.read(&mut piece).await {
                        let _turn = road.lock().await;
                        let ms = read * 1000 / bytes_per_s;
                        sleep(Duration::from_millis(ms as u64)).await;
                        if far_write.write_all(&piece[..read]).await.is_err() {
                            return;
                        }
                    }
                };
                let back = tokio::io::copy(&mut far_read, &mut near_write);
                tokio::select! {
                    () = there => {}
                    _ = back => {}
                }
            });
        }
    });
    own
}

#[tokio::test]
async fn a_frame_that_takes_longer_than_the_stall_arrives_and_heartbeats_pass_it() {
    let mut here = here("127.0.0.1:0", TWO).await;
    let address = slow_way(&here.address, 50_000).await;
    let mut there = there(network(ONE, &address));
    there.told("a link", is_up).await;
    // Two seconds and more, where a stall is one.
    there.transport.send(NodeId::new(2), bulk(100, 120_000));
    let begun = std::time::Instant::now();
    let (mut sent, mut heard, mut longest) = (1, 0, Duration::ZERO);
    let mut since = begun;
    loop {
        sent += 1;
        there.transport.send(NodeId::new(2), message(sent));
        if let Some((_, number)) = here.next().await {
            if number == 100 {
                break;
            }
            heard += 1;
            longest = longest.max(since.elapsed());
            since = std::time::Instant::now();
        }
        assert!(begun.elapsed() < PATIENCE, "the large one arrives");
    }
    assert!(begun.elapsed() > Duration::from_millis(1500), "it was slow");
    assert!(heard > 10, "small ones pass: {heard}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[tokio::test]
async fn a_link_that_is_dead_without_a_word_is_given_up() {
    let here = here("127.0.0.1:0", TWO).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (cut, is_cut) = tokio::sync::watch::channel(false);
    let far_address = here.address.clone();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(&far_address).await.unwrap();
            let mut is_cut = is_cut.clone();
            tokio::spawn(async move {
                let cut = async {
                    let _ = is_cut.wait_for(|cut| *cut).await;
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => return,
                    () = cut => {}
                }
                sleep(PATIENCE).await;
            });
        }
    });
    let mut there = there(network(ONE, &address));
    there.told("a link", is_up).await;
    cut.send(true).unwrap();
    there.transport.send(NodeId::new(2), message(1));
    let down = |input: &Input| matches!(input, Input::LinkDown { .. });
    there.told("the end of the link", down).await;
}

#[tokio::test]
async fn a_peer_that_was_heard_is_dialled_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    // Node 1 dials in vain, ever more rarely.
    let mut network_one = network(ONE, &address);
    network_one.backoff.last = Duration::from_secs(3600);
    network_one.backoff.first = Duration::from_millis(1);
    let here_one = listening(
        "127.0.0.1:0",
        network_one.clone(),
        inbox(Capacity::default()),
    )
    .await;
    let mut one = there(network_one);
    sleep(Duration::from_millis(1500)).await;
    let _two = here(&address, TWO).await;
    let _dials = there(network(TWO, &here_one.address));
    one.told("a link", is_up).await;
}

/// Attempts to connect to a port of this host that nobody has answered yet.
fn unanswered(port: u16) -> usize {
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (to, syn_sent) = (format!("0100007F:{port:04X}"), "02");
    let waits = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next() == Some(&to) && fields.next() == Some(syn_sent)
    };
    sockets.lines().filter(waits).count()
}

#[tokio::test]
async fn where_nobody_answers_few_attempts_are_under_way_in_the_end() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // More than the listener queues, so that the system leaves the next ones without an answer.
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    let mut network = network(ONE, &address.to_string());
    network.hello_timeout = Duration::from_millis(500);
    network.dial_stagger = Duration::from_millis(50);
    let begun = std::time::Instant::now();
    let mut there = there(network);
    let (mut most, mut quiet_since) = (0, begun);
    while quiet_since.elapsed() < Duration::from_secs(3) {
        let count = unanswered(address.port());
        most = most.max(count);
        if count > 3 {
            quiet_since = std::time::Instant::now();
        }
        assert!(begun.elapsed() < PATIENCE, "{count} attempts at a time");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(most > 5, "an attempt is helped at first: {most}");

    drop((queued, listener));
    let _here = here(&address.to_string(), TWO).await;
    there.told("a link", is_up).await;
}

#[test]
fn the_backoff_doubles_up_to_its_cap() {
    let backoff = Backoff {
        first: Duration::from_millis(50),
        last: Duration::from_secs(2),
    };
    let pauses: Vec<u128> = (0..8).map(|n| backoff.pause(n).as_millis()).collect();
    assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
    assert_eq!(backoff.pause(u32::MAX), backoff.last);
}
