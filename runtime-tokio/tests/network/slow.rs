//! Links that are slow or dead, and how often they are dialled.

use super::common::{ONE, PATIENCE, TWO, bulk, here, is_up, listening, message, network, there};
use meshos_core::event::Input;
use meshos_core::id::NodeId;
use meshos_runtime_tokio::inbox::{Capacity, inbox};
use meshos_runtime_tokio::net::Backoff;
use meshos_runtime_tokio::ports::Transport;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

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
