//! Appends, forwarded tries and transfers.

use super::bench::{Start, attempt, follows, led, payload};
use crate::client::Level;
use crate::count::Count;
use crate::id::{NodeId, Seq};
use crate::message::{ForwardAsk, Forwarded};
use crate::replica::role::Role;

fn append() -> ForwardAsk {
    ForwardAsk::Append {
        level: Level::Committed,
        request: None,
        payload: payload("x"),
    }
}

#[test]
fn a_forwarded_try_is_judged_once_in_a_leadership() {
    let mut bench = Start::of(1, &[]).settled().leading();
    let said = bench.forward(2, led(1, 1), 5, append());
    assert_eq!(bench.chain.log().end(), Seq::new(2));
    assert_eq!(said.len(), 1, "the batch is ordered: {said:?}");
    assert_eq!(bench.forward(2, led(1, 1), 5, append()), []);
    assert_eq!(bench.chain.log().end(), Seq::new(2));
    assert_eq!(bench.count(Count::ForwardRepeated), 1);
}

#[test]
fn a_copy_that_comes_after_the_leadership_is_not_said_to_have_appended_nothing() {
    let mut bench = Start::of(1, &[]).settled().leading();
    bench.forward(2, led(1, 1), 5, append());
    bench.row(3, follows(2));
    assert_eq!(bench.chain.role(), Role::Replica);
    let said = bench.forward(2, led(1, 1), 5, append());
    assert_eq!(said, [bench.answered(2, 5, Forwarded::Unknown)]);
    // A try of which no copy came in time was not appended, and never will be.
    let said = bench.forward(2, led(1, 1), 6, append());
    let never = Forwarded::NotLeader { hint: None };
    assert_eq!(said, [bench.answered(2, 6, never)]);
}

#[test]
fn a_try_for_an_epoch_that_an_earlier_run_may_have_led_is_not_known() {
    let mut start = Start::of(1, &[4]);
    start.vote.as_mut().unwrap().granted = Some(NodeId::new(1));
    let mut bench = start.settled();
    let said = bench.forward(2, led(4, 1), 5, append());
    assert_eq!(said, [bench.answered(2, 5, Forwarded::Unknown)]);
    let said = bench.forward(2, led(3, 1), 6, append());
    assert_eq!(said, [bench.answered(2, 6, Forwarded::Unknown)]);
}

#[test]
fn a_try_of_an_earlier_run_of_its_forwarder_counts_as_judged() {
    let mut bench = Start::of(1, &[]).settled().leading();
    let mut newer = super::bench::run(2);
    newer.incarnation = crate::id::Incarnation::new(2);
    let forward = crate::message::Forward {
        chain: bench.chain.id(),
        generation: bench.chain.generation(),
        epoch: led(1, 1),
        attempt: crate::id::Attempt {
            incarnation: newer.incarnation,
            number: attempt(1).number,
        },
        ask: append(),
    };
    bench.act(|chain, cx| chain.on_forward(newer, forward, cx));
    assert_eq!(bench.chain.log().end(), Seq::new(2));
    assert_eq!(bench.forward(2, led(1, 1), 7, append()), []);
    assert_eq!(bench.chain.log().end(), Seq::new(2));
    assert_eq!(bench.count(Count::ForwardRepeated), 1);
}
