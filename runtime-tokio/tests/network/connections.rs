//! Hello, delivery, loss and reconnection.

use super::common::{
    ONE, PATIENCE, TWO, Who, here, is_up, listening, message, network, there, until_heard,
};
use meshos_core::event::Input;
use meshos_core::id::{Incarnation, NodeId};
use meshos_runtime_tokio::inbox::{Capacity, inbox};
use meshos_runtime_tokio::ports::Transport;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

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
