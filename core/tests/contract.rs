//! What the core demands of its driver, and what it never demands.

mod common;

use common::{config, start};
use meshos_core::action::Actions;
use meshos_core::config::Retention;
use meshos_core::count::Count;
use meshos_core::event::{Event, Input};
use meshos_core::id::{Incarnation, Number, OpId};
use meshos_core::time::{Instant, Wall};

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
        let (incarnation, number) = (Incarnation::new(incarnation), Number::new(number));
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
