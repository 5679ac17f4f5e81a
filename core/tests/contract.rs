//! What the core demands of its driver, and what it never demands.

mod common;

use common::{config, start};
use meshos_core::action::Actions;
use meshos_core::chain::entry::{Entry, EntryHash, EntryKind, LogPosition};
use meshos_core::chain::order::Slot;
use meshos_core::chain::payload::Payload;
use meshos_core::config::Retention;
use meshos_core::count::Count;
use meshos_core::event::{Boot, Event, Input, Seed};
use meshos_core::id::{Epoch, Gen, Incarnation, NodeId, OpId, OpNumber, StoreId};
use meshos_core::node::{Node, StartError};
use meshos_core::time::{Instant, Wall};
use std::sync::Arc;

fn wake() -> Event {
    Event {
        wall: Wall::from_ms(0),
        input: Input::Wake,
    }
}

#[test]
#[should_panic(expected = "the driver drains every action before the next step")]
fn an_undrained_buffer_is_refused() {
    let mut node = start(1, &config(3, Retention::default()));
    let mut out = Actions::new();
    node.step(Instant::ZERO, wake(), &mut out);
    assert!(!out.is_empty(), "the first step speaks");
    node.step(Instant::from_nanos(1), wake(), &mut out);
}

#[test]
#[should_panic(expected = "the driver's clock does not run backwards")]
fn a_clock_that_runs_backwards_is_refused() {
    let mut node = start(1, &config(3, Retention::default()));
    let mut out = Actions::new();
    node.step(Instant::from_nanos(2), wake(), &mut out);
    out.drain();
    node.step(Instant::from_nanos(1), wake(), &mut out);
}

#[test]
fn a_new_node_emits_nothing_and_wants_to_be_stepped() {
    let node = start(1, &config(3, Retention::default()));
    assert_eq!(node.poll_timeout(), Some(Instant::ZERO));
}

#[test]
fn no_deadline_is_left_in_the_past_even_at_the_end_of_time() {
    let mut node = start(1, &config(3, Retention::default()));
    let mut out = Actions::new();
    let end = u64::MAX;
    for at in [0, 1, end / 2, end - 1, end, end] {
        let now = Instant::from_nanos(at);
        node.step(now, wake(), &mut out);
        out.drain();
        assert!(node.poll_timeout() >= Some(now));
    }
}

#[test]
fn an_answer_to_another_run_is_counted_and_changes_nothing() {
    let mut node = start(1, &config(3, Retention::default()));
    let mut out = Actions::new();
    node.step(Instant::ZERO, wake(), &mut out);
    out.drain();
    let before = node.state_hash();
    for (incarnation, number) in [(7, 1), (1, 99)] {
        let (incarnation, number) = (Incarnation::new(incarnation), OpNumber::new(number));
        let input = Input::Done {
            op: OpId {
                incarnation,
                number,
            },
            result: Ok(()),
        };
        node.step(
            Instant::ZERO,
            Event {
                wall: Wall::from_ms(0),
                input,
            },
            &mut out,
        );
        assert!(out.is_empty());
    }
    assert_eq!(node.state_hash(), before);
    assert_eq!(node.counters().of(Count::UnknownOperation), 2);
}

#[test]
fn a_limit_below_an_entry_that_is_stored_is_named() {
    let config = config(1, Retention::default());
    let limit = config.limits().entry_bytes_max;
    let start = |length: u32| {
        let mut boot = Boot::founding(&config, NodeId::new(1)).unwrap();
        let image = &mut boot.images[0];
        let epoch = Epoch {
            n: 1,
            node: NodeId::new(1),
        };
        let entry = Entry {
            generation: Gen::default(),
            seq: image.tip.end,
            epoch,
            store: StoreId::new(1),
            incarnation: Incarnation::new(1),
            stamp: Wall::default(),
            kind: EntryKind::Data(None),
            payload: Payload::new(vec![7; length as usize].into()),
            hash: EntryHash::default(),
        };
        let entry = entry.linked(image.tip.hash);
        image.tip = LogPosition {
            end: entry.seq.next(),
            epoch,
            hash: entry.hash,
        };
        image.slots.push(Slot::Known(Arc::new(entry)));
        let seed = Seed([1; 32]);
        Node::new(NodeId::new(1), config.clone(), boot, seed, Instant::ZERO)
    };
    assert!(start(limit).is_ok());
    let refused: StartError = start(limit + 1).expect_err("it is too large");
    assert_eq!(
        refused.to_string(),
        "chain \"c\" holds an entry of 262145 bytes at position 0, above limits.entry_bytes_max, \
         which is 262144"
    );
}
