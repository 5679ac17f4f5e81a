//! Connections between nodes: hello, delivery, loss and reconnection, on loopback.
#![cfg(feature = "tokio")]

use meshos_core::event::Input;
use meshos_core::id::{ClusterId, Incarnation, NodeId, Run, StoreId};
use meshos_core::message::{Body, Message};
use meshos_runtime_tokio::inbox::{Limits, Receiver, Taken, inbox};
use meshos_runtime_tokio::net::{Backoff, Network, Peer, TcpTransport, listen};
use meshos_runtime_tokio::ports::Transport;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

fn network(node: u64, peer: u64, address: &str) -> Network {
    let peer_of = Peer {
        store: StoreId::new(u128::from(peer)),
        address: address.to_owned(),
    };
    Network {
        cluster: ClusterId::new(1),
        node: NodeId::new(node),
        store: StoreId::new(u128::from(node)),
        peers: Arc::new(BTreeMap::from([(NodeId::new(peer), peer_of)])),
        message_bytes_max: 1 << 20,
        queue_messages_max: 64,
        backoff: Backoff {
            first: Duration::from_millis(10),
            last: Duration::from_millis(100),
        },
        hello_timeout: Duration::from_secs(2),
        write_timeout: Duration::from_secs(2),
    }
}

/// A node that receives.
struct Here {
    address: String,
    inbox: Receiver,
    task: JoinHandle<()>,
}

async fn here(address: &str, network: Network, limits: Limits) -> Here {
    let (sender, inbox) = inbox(limits);
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

/// Sends until something arrives.
async fn until_heard(transport: &mut TcpTransport, here: &mut Here, number: u64) {
    let heard = timeout(PATIENCE, async {
        loop {
            transport.send(NodeId::new(2), message(number));
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
    let mut here = here("127.0.0.1:0", network(2, 1, ""), Limits::default()).await;
    let mut tasks = JoinSet::new();
    let mut transport = TcpTransport::start(&network(1, 2, &here.address), &mut tasks);
    until_heard(&mut transport, &mut here, 1).await;
    for number in 2..=60 {
        transport.send(NodeId::new(2), message(number));
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
async fn a_broken_connection_is_dialled_again() {
    let mut first = here("127.0.0.1:0", network(2, 1, ""), Limits::default()).await;
    let address = first.address.clone();
    let mut tasks = JoinSet::new();
    let mut transport = TcpTransport::start(&network(1, 2, &address), &mut tasks);
    until_heard(&mut transport, &mut first, 1).await;
    first.task.abort();
    let _ = (&mut first.task).await;
    drop(first);
    let mut second = here(&address, network(2, 1, ""), Limits::default()).await;
    until_heard(&mut transport, &mut second, 2).await;
}

#[tokio::test]
async fn without_a_connection_messages_are_lost_and_counted_at_once() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let mut tasks = JoinSet::new();
    let mut transport = TcpTransport::start(&network(1, 2, &address), &mut tasks);
    let lost = transport.lost();
    for number in 0..1000 {
        transport.send(NodeId::new(2), message(number));
    }
    transport.send(NodeId::new(7), message(0));
    assert_eq!(lost.load(Ordering::Relaxed), 1001);
}

#[tokio::test]
async fn strangers_are_refused() {
    let other_store = Network {
        store: StoreId::new(99),
        ..network(1, 2, "")
    };
    let other_cluster = Network {
        cluster: ClusterId::new(2),
        ..network(1, 2, "")
    };
    let other_node = network(3, 2, "");
    for stranger in [other_store, other_cluster, other_node] {
        let mut here = here("127.0.0.1:0", network(2, 1, ""), Limits::default()).await;
        let peer = Peer {
            store: StoreId::new(2),
            address: here.address.clone(),
        };
        let stranger = Network {
            peers: Arc::new(BTreeMap::from([(NodeId::new(2), peer)])),
            ..stranger
        };
        let mut tasks = JoinSet::new();
        let mut transport = TcpTransport::start(&stranger, &mut tasks);
        for _ in 0..10 {
            transport.send(NodeId::new(2), message(1));
            assert_eq!(here.next().await, None);
        }
    }
}

#[tokio::test]
async fn noise_on_the_port_hurts_nobody() {
    let mut here = here("127.0.0.1:0", network(2, 1, ""), Limits::default()).await;
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0; 64]] {
        let mut stream = TcpStream::connect(&here.address).await.unwrap();
        let _ = stream.write_all(noise).await;
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is closed");
    }
    let mut tasks = JoinSet::new();
    let mut transport = TcpTransport::start(&network(1, 2, &here.address), &mut tasks);
    until_heard(&mut transport, &mut here, 1).await;
}

#[tokio::test]
async fn a_slow_node_slows_its_peers_down_and_loses_nothing_that_was_received() {
    let limits = Limits {
        peer_messages_max: 2,
        ..Limits::default()
    };
    let mut here = here("127.0.0.1:0", network(2, 1, ""), limits).await;
    let mut tasks = JoinSet::new();
    let mut transport = TcpTransport::start(&network(1, 2, &here.address), &mut tasks);
    until_heard(&mut transport, &mut here, 1).await;
    for number in 2..=40 {
        transport.send(NodeId::new(2), message(number));
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
