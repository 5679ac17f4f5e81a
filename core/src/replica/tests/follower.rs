//! Pulls, chunks, conflicts, resets and repairs at a follower.

use super::bench::{Start, behind, chunk, leads, log};
use crate::chain::order::Order;
use crate::count::Count;
use crate::id::{Number, Seq};
use crate::message::Talk;

#[test]
fn a_log_that_shares_nothing_with_the_leaders_is_compared_from_its_floor_on() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let floor = bench.chain.log().checkpoint().floor;
    let encoded = postcard::to_allocvec(&**bench.chain.log().checkpoint()).unwrap();
    let hash = crate::chain::checkpoint::digest(&encoded);
    let said = bench.hear(
        2,
        2,
        Talk::Reset {
            attempt: bench.attempt(),
            floor,
            checkpoint: hash,
            length: encoded.len() as u32,
            offset: 0,
            part: encoded.into(),
        },
    );
    let pull = Talk::Pull {
        since: floor,
        durable: Some(Seq::new(1)),
        attempt: bench.attempt(),
        number: Number::new(2),
    };
    assert_eq!(said, [bench.said(2, pull)]);
}

#[test]
fn a_write_that_a_cut_overtook_counts_as_far_as_it_was_kept() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let old = log(&[1, 1, 1, 1]);
    let new = log(&[1, 1, 1, 3]);
    bench.hear(2, 2, chunk(&bench, 1, &old[..2], 0));
    bench.hear(2, 2, chunk(&bench, 2, &old, 0));
    bench.row(3, leads(3, 3, 0));
    bench.done(Ok(()));
    // With the promise durable it pulls, and writes what was gathered before.
    let said = bench.done(Ok(()));
    assert_eq!(said[1], bench.ordered(Order::Append(old[2..].into())));
    bench.hear(
        3,
        3,
        Talk::Conflict {
            attempt: bench.attempt(),
            failed: Seq::new(4),
            hint: Seq::new(2),
            hint_epoch: new[2].epoch,
        },
    );
    bench.hear(3, 3, chunk(&bench, 3, &new, 0));
    assert_eq!(bench.chain.log().durable().end, Seq::new(2));
    let said = bench.done(Ok(()));
    assert_eq!(bench.chain.log().durable(), behind(&new[2]));
    assert_eq!(said.last(), Some(&bench.ordered(Order::Cut(Seq::new(3)))));
    let said = bench.done(Ok(()));
    assert_eq!(said, [bench.ordered(Order::Append(new[3..].into()))]);
    assert_eq!(bench.count(Count::WriteOvertaken), 1);
}
