//! What leaves the log by itself: of a full store, and of a chain that nobody uses.

mod common;

use common::config;
use meshos_core::action::{Action, Actions};
use meshos_core::chain::order::{Order, StoreError};
use meshos_core::chain::payload::Payload;
use meshos_core::client::{Ask, ClientRequest, Level};
use meshos_core::config::Retention;
use meshos_core::event::{Event, Input};
use meshos_core::id::{ChainId, OpId, Seq, Ticket};
use meshos_core::node::Node;
use meshos_core::time::{Instant, Wall};
use std::time::Duration;

/// One node on a store that, once it is full, has room for a checkpoint but for no entry.
struct Bench {
    node: Node,
    now: Instant,
    is_full: bool,
    retained: u32,
    refused: u32,
}

impl Bench {
    /// A node that leads and drops what is older than eight seconds.
    fn new() -> Self {
        let retention = Retention {
            age_max_ms: Some(8_000),
            ..Retention::default()
        };
        let mut bench = Self {
            node: common::start(1, &config(1, retention)),
            now: Instant::ZERO,
            is_full: false,
            retained: 0,
            refused: 0,
        };
        bench.run(Duration::from_secs(6));
        bench
    }

    fn feed(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Actions::new();
            let wall = Wall::from_ms(1_000_000 + self.now.as_nanos() / 1_000_000);
            self.node.step(self.now, Event { wall, input }, &mut out);
            for action in out.drain() {
                if let Action::Store { op, order, .. } = action {
                    inputs.push(self.done(op, &order));
                }
            }
        }
    }

    fn done(&mut self, op: OpId, order: &Order) -> Input {
        let has_entries = matches!(order, Order::Append(entries) if !entries.is_empty());
        self.retained += u32::from(matches!(order, Order::Retain(_)));
        let result = if self.is_full && has_entries {
            self.refused += 1;
            Err(StoreError::Full)
        } else {
            Ok(())
        };
        Input::Done { op, result }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.feed(Input::Wake);
        }
        self.now = end;
        self.feed(Input::Wake);
    }

    fn append(&mut self, ticket: u64) {
        let ask = Ask::Append {
            level: Level::Committed,
            request: None,
            payload: Payload::new(vec![7; 1000].into()),
        };
        let request = ClientRequest {
            chain: ChainId::of("c"),
            ask,
        };
        let ticket = Ticket::new(ticket);
        self.feed(Input::Client { ticket, request });
    }

    fn floor(&self) -> Seq {
        self.node.chains()[0].log().floor()
    }
}

#[test]
fn a_full_store_frees_itself_of_what_is_past_its_age() {
    let mut bench = Bench::new();
    (1..=20).for_each(|ticket| bench.append(ticket));
    bench.is_full = true;
    bench.append(21);
    bench.run(Duration::from_millis(8_000));
    assert!(bench.refused > 1, "the entry is tried again");
    assert_eq!(bench.floor(), Seq::new(1), "the leadership began before");
    bench.run(Duration::from_secs(1));
    assert_eq!((bench.floor(), bench.retained), (Seq::new(21), 2));
}

#[test]
fn an_idle_chain_drops_what_is_past_its_age_once() {
    let mut bench = Bench::new();
    (1..=20).for_each(|ticket| bench.append(ticket));
    bench.run(Duration::from_millis(9_900));
    assert_eq!(bench.floor(), Seq::new(1), "the leadership began before");
    bench.run(Duration::from_millis(200));
    assert_eq!(bench.floor(), Seq::new(21), "a quarter of the age later");
    bench.run(Duration::from_secs(600));
    assert_eq!(bench.retained, 2);
}

#[test]
fn checkpoints_under_load_come_once_with_a_quarter_of_the_age() {
    let mut bench = Bench::new();
    for ticket in 1..=1_000 {
        bench.append(ticket);
        bench.run(Duration::from_millis(40));
    }
    // Within 40 s the age of 8 s passes in steps of 2 s.
    assert!((14..=17).contains(&bench.retained), "{}", bench.retained);
    let kept = bench.node.chains()[0].log().end().distance(bench.floor());
    assert!((200..=260).contains(&kept), "{kept} kept");
}
