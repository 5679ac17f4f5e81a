use super::*;
use crate::inbox::{Capacity, Sender, inbox};
use crate::ports::NoJournal;
use futures::future::LocalBoxFuture;
use meshos_core::action::Note;
use meshos_core::chain::order::{Order, StoreError, Vote};
use meshos_core::client::Answer;
use meshos_core::hash::StateHash;
use meshos_core::id::{
    ChainId, ClusterId, Gen, Incarnation, NodeId, OpNumber, Run, Seq, StoreId, Ticket,
};
use meshos_core::message::{Body, Message};
use meshos_core::time::Wall;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Context;

/// What happened, in order, at every port.
type Log = Arc<Mutex<Vec<String>>>;

fn log(log: &Log, line: impl Into<String>) {
    log.lock().unwrap().push(line.into());
}

fn taken(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

/// A node that answers its n-th step with the n-th list of actions.
struct Script {
    log: Log,
    replies: Rc<RefCell<VecDeque<Vec<Action>>>>,
    timeout: Rc<RefCell<Option<Instant>>>,
}

impl Machine for Script {
    fn step(&mut self, now: Instant, event: Event, out: &mut Actions) {
        let input = match event.input {
            Input::Wake => "wake".to_owned(),
            Input::Peer { from, .. } => format!("peer {from}"),
            Input::Done { op, result } => format!("done {} {result:?}", op.number),
            Input::Client { ticket, .. } => format!("client {ticket}"),
            Input::HandOver => "hand over".to_owned(),
            Input::Disowned => "disowned".to_owned(),
            Input::PeerGone { node, .. } => format!("gone {node}"),
            Input::LinkUp { peer } => format!("up {peer}"),
            Input::LinkDown { peer } => format!("down {peer}"),
        };
        let at = now.as_nanos();
        log(&self.log, format!("step {at} {input}"));
        if self.timeout.borrow().is_some_and(|timeout| timeout <= now) {
            *self.timeout.borrow_mut() = None;
        }
        out.extend(self.replies.borrow_mut().pop_front().unwrap_or_default());
    }

    fn poll_timeout(&self) -> Option<Instant> {
        *self.timeout.borrow()
    }

    fn state_hash(&self) -> StateHash {
        StateHash(0)
    }
}

/// A clock that the test moves; sleepers look at it whenever they are polled.
#[derive(Clone)]
struct ScriptClock(Arc<AtomicU64>);

impl Clock for ScriptClock {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Wall {
        Wall::from_ms(7)
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send {
        let clock = self.clone();
        poll_fn(move |_| {
            if clock.now() >= at {
                return Poll::Ready(());
            }
            Poll::Pending
        })
    }
}

#[derive(Clone)]
struct ScriptPorts(Log);

impl Transport for ScriptPorts {
    fn send(&mut self, to: NodeId, _: Arc<Message>) {
        log(&self.0, format!("send {to}"));
    }
}

impl Store for ScriptPorts {
    fn submit(&mut self, work: Work) {
        log(&self.0, format!("store {}", work.op.number));
    }
}

impl Requests<Script> for ScriptPorts {
    fn reply(&mut self, ticket: Ticket, _: Answer) {
        log(&self.0, format!("reply {ticket}"));
    }

    fn note(&mut self, _: ChainId, _: Note) {
        log(&self.0, "note");
    }

    fn show(&mut self, _: &Script) {
        log(&self.0, "show");
    }
}

impl Journal<Script> for ScriptPorts {
    fn event(&mut self, _: &Script, now: Instant, event: &Event) {
        let (at, wall) = (now.as_nanos(), event.wall.as_ms());
        log(&self.0, format!("record {at} wall {wall}"));
    }

    fn stepped(&mut self, _: &Script, actions: &[Action]) {
        log(&self.0, format!("recorded {}", actions.len()));
    }

    fn finish(&mut self, _: &Script) {
        log(&self.0, "finish");
    }
}

/// A driver that the test polls by hand, so it needs no waking.
struct Bench {
    run: Option<LocalBoxFuture<'static, Script>>,
    log: Log,
    sender: Sender,
    clock: ScriptClock,
    replies: Rc<RefCell<VecDeque<Vec<Action>>>>,
    timeout: Rc<RefCell<Option<Instant>>>,
}

impl Bench {
    fn new(replies: impl IntoIterator<Item = Vec<Action>>) -> Self {
        let log = Log::default();
        let (sender, receiver) = inbox(Capacity::default());
        let clock = ScriptClock(Arc::default());
        let replies = Rc::new(RefCell::new(replies.into_iter().collect()));
        let timeout = Rc::default();
        let node = Script {
            log: log.clone(),
            replies: Rc::clone(&replies),
            timeout: Rc::clone(&timeout),
        };
        let ports = ScriptPorts(log.clone());
        let driver = Driver::new(
            node,
            Instant::ZERO,
            receiver,
            clock.clone(),
            ports.clone(),
            ports.clone(),
            ports.clone(),
            ports,
        );
        Self {
            run: Some(Box::pin(driver.run())),
            log,
            sender,
            clock,
            replies,
            timeout,
        }
    }

    /// Lets the driver do all it can, and tells what happened.
    fn turn(&mut self) -> Vec<String> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if let Some(run) = &mut self.run
            && run.as_mut().poll(&mut cx).is_ready()
        {
            self.run = None;
            log(&self.log, "ended");
        }
        taken(&self.log)
    }

    fn steps(&mut self) -> Vec<String> {
        let mut lines = self.turn();
        lines.retain(|line| !line.starts_with("record"));
        lines
    }

    fn move_to(&self, nanos: u64) {
        self.clock.0.store(nanos, Ordering::SeqCst);
    }
}

fn op(number: u64) -> OpId {
    OpId {
        incarnation: Incarnation::new(1),
        number: OpNumber::new(number),
    }
}

fn store(number: u64) -> Action {
    Action::Store {
        op: op(number),
        chain: ChainId::of("a"),
        generation: Gen::new(1),
        commit: Seq::ZERO,
        checkpoint_bytes: 0,
        order: Order::Vote(Vote::default()),
    }
}

fn send(to: u64) -> Action {
    let run = Run {
        node: NodeId::new(1),
        store: StoreId::new(1),
        incarnation: Incarnation::new(1),
    };
    Action::Send {
        to: NodeId::new(to),
        message: Arc::new(Message {
            cluster: ClusterId::new(1),
            from: run,
            to: StoreId::new(2),
            body: Body::Confirm(Vec::new()),
        }),
    }
}

fn reply(ticket: u64) -> Action {
    Action::Reply {
        ticket: Ticket::new(ticket),
        answer: Answer::Unknown,
    }
}

fn note() -> Action {
    Action::Note {
        chain: ChainId::of("a"),
        note: Note::Commit { end: Seq::ZERO },
    }
}

#[test]
fn the_first_step_needs_no_event() {
    let mut bench = Bench::new([vec![send(2)]]);
    let expected = ["record 0 wall 7", "step 0 wake", "recorded 1", "send 2"];
    assert_eq!(bench.turn(), expected);
}

#[test]
fn actions_are_performed_in_order_and_before_the_next_step() {
    let all = vec![send(2), store(1), reply(9), note(), send(3), store(2)];
    let mut bench = Bench::new([all]);
    bench.sender.command(Input::HandOver).unwrap();
    let expected = [
        "step 0 wake",
        "send 2",
        "store 1",
        "reply 9",
        "note",
        "send 3",
        "store 2",
        "step 0 hand over",
    ];
    assert_eq!(bench.steps(), expected);
}

#[test]
fn an_event_is_recorded_before_it_is_fed() {
    let mut bench = Bench::new([]);
    bench.turn();
    bench.move_to(5);
    bench.sender.command(Input::HandOver).unwrap();
    let expected = ["record 5 wall 7", "step 5 hand over", "recorded 0"];
    assert_eq!(bench.turn(), expected);
}

#[test]
fn a_deadline_wakes_the_node_once() {
    let mut bench = Bench::new([]);
    *bench.timeout.borrow_mut() = Some(Instant::from_nanos(10));
    assert_eq!(bench.steps(), ["step 0 wake"]);
    bench.move_to(9);
    assert_eq!(bench.steps(), [""; 0]);
    bench.move_to(12);
    assert_eq!(bench.steps(), ["step 12 wake"]);
}

#[test]
fn an_input_that_waits_takes_the_place_of_a_wake() {
    let mut bench = Bench::new([]);
    bench.turn();
    *bench.timeout.borrow_mut() = Some(Instant::from_nanos(10));
    bench.move_to(11);
    bench.sender.command(Input::HandOver).unwrap();
    assert_eq!(bench.steps(), ["step 11 hand over"]);
}

#[test]
fn time_never_goes_back() {
    let mut bench = Bench::new([]);
    bench.move_to(20);
    assert_eq!(bench.steps(), ["step 20 wake"]);
    bench.move_to(15);
    bench.sender.command(Input::HandOver).unwrap();
    assert_eq!(bench.steps(), ["step 20 hand over"]);
}

#[test]
fn a_closed_driver_ends_when_everything_ordered_is_done() {
    let mut bench = Bench::new([vec![store(1)], vec![store(2)]]);
    bench.turn();
    bench.sender.close();
    assert_eq!(bench.steps(), [""; 0]);
    bench.sender.complete(op(1), Ok(()));
    assert_eq!(bench.steps(), ["step 0 done 1 Ok(())", "store 2"]);
    bench.sender.complete(op(2), Err(StoreError::Full));
    let expected = ["step 0 done 2 Err(Full)", "finish", "ended"];
    assert_eq!(bench.steps(), expected);
    assert!(bench.replies.borrow().is_empty());
}

#[test]
#[should_panic(expected = "answers each operation exactly once")]
fn a_second_answer_to_one_operation_stops_the_driver() {
    let mut bench = Bench::new([vec![store(1)]]);
    bench.turn();
    bench.sender.complete(op(1), Ok(()));
    bench.sender.complete(op(1), Ok(()));
    bench.turn();
}

#[test]
#[should_panic(expected = "answers each operation exactly once")]
fn an_answer_from_before_a_restart_stops_the_driver() {
    let mut bench = Bench::new([vec![store(1)]]);
    bench.turn();
    let old = OpId {
        incarnation: Incarnation::new(0),
        ..op(1)
    };
    bench.sender.complete(old, Ok(()));
    bench.turn();
}

#[test]
#[should_panic(expected = "each operation is ordered once")]
fn an_operation_ordered_twice_stops_the_driver() {
    let mut bench = Bench::new([vec![store(1), store(1)]]);
    bench.turn();
}

#[test]
fn no_journal_keeps_nothing() {
    let log = Log::default();
    let node = Script {
        log: log.clone(),
        replies: Rc::default(),
        timeout: Rc::default(),
    };
    let (sender, receiver) = inbox(Capacity::default());
    sender.close();
    let ports = ScriptPorts(log.clone());
    let clock = ScriptClock(Arc::default());
    let driver = Driver::new(
        node,
        Instant::ZERO,
        receiver,
        clock,
        ports.clone(),
        ports.clone(),
        ports,
        NoJournal,
    );
    futures::executor::block_on(driver.run());
    assert_eq!(taken(&log), ["step 0 wake"]);
}
