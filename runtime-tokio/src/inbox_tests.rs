use super::*;
use futures::task::noop_waker;
use meshos_core::id::{ClusterId, Incarnation, OpNumber, Run, StoreId};
use meshos_core::message::Body;
use std::pin::pin;

fn message() -> Arc<Message> {
    Arc::new(Message {
        cluster: ClusterId::new(1),
        from: Run {
            node: NodeId::new(2),
            store: StoreId::new(2),
            incarnation: Incarnation::new(1),
        },
        to: StoreId::new(1),
        body: Body::Confirm(Vec::new()),
    })
}

fn op(number: u64) -> OpId {
    OpId {
        incarnation: Incarnation::new(1),
        number: OpNumber::new(number),
    }
}

fn peer(sender: &Sender, size: usize) -> Poll<Result<(), Refused>> {
    let future = pin!(sender.peer(NodeId::new(2), message(), size));
    future.poll(&mut Context::from_waker(&noop_waker()))
}

fn take(receiver: &mut Receiver) -> Poll<Taken> {
    receiver.poll_next(&Context::from_waker(&noop_waker()))
}

fn kind(taken: Poll<Taken>) -> char {
    match taken {
        Poll::Pending => '.',
        Poll::Ready(Taken::Closed) => 'x',
        Poll::Ready(Taken::Look) => 'l',
        Poll::Ready(Taken::Input(Input::Done { .. })) => 'd',
        Poll::Ready(Taken::Input(Input::HandOver | Input::Disowned)) => 'c',
        Poll::Ready(Taken::Input(Input::Peer { .. })) => 'p',
        Poll::Ready(Taken::Input(Input::Wake)) => 'o',
        Poll::Ready(Taken::Input(Input::Client { .. })) => '?',
        Poll::Ready(Taken::Input(
            Input::PeerGone { .. } | Input::LinkUp { .. } | Input::LinkDown { .. },
        )) => 'l',
    }
}

fn order(receiver: &mut Receiver, count: usize) -> String {
    (0..count).map(|_| kind(take(receiver))).collect()
}

#[test]
fn completions_commands_and_peers_take_turns_before_observations() {
    let (sender, mut receiver) = inbox(Capacity::default());
    for number in 1..=3 {
        sender.observe(Input::Wake);
        sender.complete(op(number), Ok(()));
        sender.command(Input::HandOver).unwrap();
        assert_eq!(peer(&sender, 1), Poll::Ready(Ok(())));
    }
    assert_eq!(order(&mut receiver, 13), "dcpdcpdcpooo.");
}

#[test]
fn wishes_to_look_that_wait_together_are_one() {
    let (sender, mut receiver) = inbox(Capacity::default());
    sender.complete(op(1), Ok(()));
    sender.look();
    sender.look();
    assert_eq!(order(&mut receiver, 3), "ld.");
}

#[test]
fn no_lane_waits_for_ever() {
    let limits = Capacity::default();
    let (sender, mut receiver) = inbox(limits);
    sender.observe(Input::Wake);
    for _ in 0..100 {
        assert_eq!(peer(&sender, 1), Poll::Ready(Ok(())));
    }
    let served = order(&mut receiver, 40);
    let waited = served.find('o').unwrap();
    assert_eq!(waited, OBSERVATION_TURN as usize);
}

#[test]
fn a_full_command_lane_refuses_and_disturbs_nobody() {
    let limits = Capacity {
        commands_max: 2,
        ..Capacity::default()
    };
    let (sender, mut receiver) = inbox(limits);
    sender.command(Input::HandOver).unwrap();
    sender.command(Input::HandOver).unwrap();
    assert_eq!(sender.command(Input::HandOver), Err(Refused::Full));
    sender.complete(op(1), Ok(()));
    assert_eq!(peer(&sender, 1), Poll::Ready(Ok(())));
    assert_eq!(order(&mut receiver, 5), "dcpc.");
}

#[test]
fn a_peer_waits_for_room_in_messages_and_in_bytes() {
    let limits = Capacity {
        peer_messages_max: 2,
        peer_bytes_max: 100,
        ..Capacity::default()
    };
    let (sender, mut receiver) = inbox(limits);
    assert_eq!(peer(&sender, 500), Poll::Ready(Ok(())), "alone it passes");
    assert_eq!(peer(&sender, 1), Poll::Pending, "the bytes are used up");
    assert_eq!(kind(take(&mut receiver)), 'p');
    assert_eq!(peer(&sender, 50), Poll::Ready(Ok(())));
    assert_eq!(peer(&sender, 50), Poll::Ready(Ok(())));
    assert_eq!(peer(&sender, 0), Poll::Pending, "two messages wait");
}

#[test]
fn a_waiting_peer_is_woken_by_room() {
    let limits = Capacity {
        peer_messages_max: 1,
        ..Capacity::default()
    };
    let (sender, mut receiver) = inbox(limits);
    assert_eq!(peer(&sender, 1), Poll::Ready(Ok(())));
    let (waker, woken) = futures_test_waker();
    let mut waiting = pin!(sender.peer(NodeId::new(2), message(), 1));
    let mut cx = Context::from_waker(&waker);
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert!(!woken());
    assert_eq!(kind(take(&mut receiver)), 'p');
    assert!(woken());
    assert_eq!(waiting.poll(&mut cx), Poll::Ready(Ok(())));
}

#[test]
fn a_full_observation_lane_loses_the_oldest_and_counts() {
    let limits = Capacity {
        observations_max: 2,
        ..Capacity::default()
    };
    let (sender, mut receiver) = inbox(limits);
    sender.observe(Input::HandOver);
    sender.observe(Input::Wake);
    sender.observe(Input::Wake);
    assert_eq!(sender.observations_lost(), 1);
    assert_eq!(order(&mut receiver, 3), "oo.");
}

#[test]
fn a_closed_inbox_takes_only_completions() {
    let (sender, mut receiver) = inbox(Capacity::default());
    sender.command(Input::HandOver).unwrap();
    sender.close();
    assert_eq!(sender.command(Input::HandOver), Err(Refused::Closed));
    assert_eq!(peer(&sender, 1), Poll::Ready(Err(Refused::Closed)));
    sender.complete(op(1), Ok(()));
    assert_eq!(order(&mut receiver, 2), "dx");
}

#[test]
#[should_panic(expected = "more operations than were ordered")]
fn more_completions_than_operations_are_a_broken_store() {
    let limits = Capacity {
        completions_max: 1,
        ..Capacity::default()
    };
    let (sender, _receiver) = inbox(limits);
    sender.complete(op(1), Ok(()));
    sender.complete(op(2), Ok(()));
}

fn futures_test_waker() -> (Waker, impl Fn() -> bool) {
    struct Flag(std::sync::atomic::AtomicBool);
    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let flag = Arc::new(Flag(false.into()));
    let seen = Arc::clone(&flag);
    let woken = move || seen.0.load(std::sync::atomic::Ordering::SeqCst);
    (Waker::from(flag), woken)
}
