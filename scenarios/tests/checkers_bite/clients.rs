//! Checks of what clients were answered.

use super::*;
use meshos_core::chain::entry::{Entry, LogPosition};
use meshos_core::config::Limits;
use meshos_core::id::Seq;
use meshos_scenarios::checks::ack_kept::Ledger;
use meshos_scenarios::checks::linearizable::Order;
use meshos_scenarios::checks::stale_prefix::{Shown, Shows};
use meshos_scenarios::checks::truth::Truth;
use meshos_scenarios::checks::*;
use meshos_scenarios::history::{Asked, Key};
use meshos_sim::check::Outcome;
use meshos_sim::machine::NodeIndex;
use std::sync::Arc;

#[test]
fn refusals() {
    use meshos_core::client::Reason;
    use meshos_scenarios::checks::refusals::{
        Causes, ID, Lowest, not_member, observe, unknown_chain,
    };
    let lowest = Lowest::of([Limits::default()].iter());
    let asked = |number, bytes| Asked::Append {
        key: Some(Key::Request { client: 3, number }),
        tag: 1,
        bytes,
        local: false,
    };
    let read = Asked::Read {
        from: Seq::ZERO,
        freshness: meshos_scenarios::model::Freshness::Linearizable,
        bytes_max: 1,
    };
    let calm = Causes::default();
    let every = Causes {
        asked: 1 << 40,
        uncommitted: 1 << 40,
        transfer: true,
        stopped: true,
        full: true,
    };
    let large = lowest.entry_bytes_max + 1;
    let window = u64::from(lowest.window);
    for (reason, wrong, right) in [
        (Reason::TooLarge, asked(1, large - 1), asked(1, large)),
        (Reason::BadNumber, asked(1, 0), asked(0, 0)),
        (Reason::UnknownClient, read, asked(1, 0)),
        (Reason::NoSuchTarget, asked(1, 0), Asked::Transfer),
    ] {
        bites(observe(reason, &wrong, window, every, lowest), ID);
        assert_eq!(observe(reason, &right, window, every, lowest), Ok(()));
    }
    let one = asked(1, 10);
    bites(observe(Reason::TooOld, &one, window - 1, every, lowest), ID);
    assert_eq!(observe(Reason::TooOld, &one, window, every, lowest), Ok(()));
    for reason in [
        Reason::Busy,
        Reason::Transferring,
        Reason::StoreFull,
        Reason::Stopped,
    ] {
        bites(observe(reason, &one, 0, calm, lowest), ID);
        assert_eq!(observe(reason, &one, 0, every, lowest), Ok(()));
    }
    // A backlog of entries makes nobody refuse a read.
    let backlog = Causes { asked: 1, ..every };
    bites(observe(Reason::Busy, &read, 0, backlog, lowest), ID);
    bites(unknown_chain(&one, true), ID);
    assert_eq!(unknown_chain(&one, false), Ok(()));
    let listed = [1, 2, 3].map(NodeId::new);
    bites(not_member(&one, NodeId::new(3), &listed, &listed), ID);
    bites(not_member(&one, NodeId::new(4), &listed[..2], &listed), ID);
    assert_eq!(not_member(&one, NodeId::new(4), &listed, &listed), Ok(()));
}

/// A ledger in which request 1 of client 9 was asked once.
fn ledger() -> (Ledger, Key) {
    let key = Key::Request {
        client: 9,
        number: 1,
    };
    let mut ledger = Ledger::default();
    ledger.begin(key, 0, Seq::ZERO);
    (ledger, key)
}

#[test]
fn ack_kept_bites() {
    let id = ack_kept::ID;
    let numbered = entry(LogPosition::default(), 1, "payload!", Some((9, 1)));
    let again = entry(tip(&numbered), 1, "payload!", Some((9, 1)));
    let (mut twice, _) = ledger();
    twice.commit(&numbered).expect("it was asked");
    bites(twice.commit(&again), id);
    let (mut refused, key) = ledger();
    refused.refuse(key).expect("it is not committed");
    bites(refused.commit(&numbered), id);
    let (mut late, key) = ledger();
    late.commit(&numbered).expect("it was asked");
    bites(late.refuse(key), id);
    bites(Ledger::default().commit(&numbered), id);

    let mut truth = Truth::new(LogPosition::default());
    log_matching::observe(&mut truth, &numbered, LogPosition::default()).expect("it is sound");
    let asked = |number, tag| Asked::Append {
        key: Some(Key::Request { client: 9, number }),
        tag,
        bytes: 8,
        local: false,
    };
    let tag = u64::from_le_bytes(*b"payload!");
    let place = (Seq::ZERO, epoch(1));
    let (mut ledger, _) = ledger();
    bites(ledger.acked(&truth, &asked(1, tag), place, 1), id);
    let held = [tip(&numbered); 3];
    commit_stable::observe(&mut truth, &leader(1, held[0]), held[0], &held).expect("committed");
    ledger
        .acked(&truth, &asked(1, tag), place, 1)
        .expect("it stands there");
    bites(ledger.acked(&truth, &asked(2, tag), place, 1), id);
    bites(ledger.acked(&truth, &asked(1, 5), place, 1), id);
    bites(
        ledger.acked(&truth, &asked(1, tag), (Seq::ZERO, epoch(2)), 1),
        id,
    );
    bites(ledger.acked(&truth, &Asked::Open, place, 1), id);
}

#[test]
fn a_request_that_may_still_be_committed_is_forgotten_last() {
    let (mut ledger, key) = ledger();
    ledger.leave_open(key);
    for number in 0..10_000 {
        let other = Key::Request { client: 8, number };
        ledger.begin(other, 0, Seq::new(5));
        ledger.refuse(other).expect("it is not committed");
    }
    ledger.begin(key, 0, Seq::new(5));
    ledger.refuse(key).expect("it is not committed");
    let numbered = entry(LogPosition::default(), 1, "payload!", Some((9, 1)));
    ledger
        .commit(&numbered)
        .expect("the first attempt may be in");
}

#[test]
fn a_request_that_was_forgotten_is_not_judged_by_when_it_is_repeated() {
    let (mut ledger, key) = ledger();
    let numbered = entry(LogPosition::default(), 1, "payload!", Some((9, 1)));
    ledger.commit(&numbered).expect("it was asked");
    ledger.leave_open(key);
    for number in 0..10_000 {
        let other = Key::Request { client: 8, number };
        ledger.begin(other, 0, Seq::new(5));
        ledger.leave_open(other);
    }
    assert_eq!(ledger.horizon(key), None, "it is forgotten");
    ledger.begin(key, 0, Seq::new(7));
    assert_eq!(ledger.horizon(key), Some(Seq::ZERO));
    let fresh = Key::Request {
        client: 9,
        number: 2,
    };
    ledger.begin(fresh, 0, Seq::new(7));
    assert_eq!(ledger.horizon(fresh), Some(Seq::new(7)));
}

#[test]
fn linearizable_bites() {
    let id = linearizable::ID;
    let mut order = Order::default();
    order.appended(Seq::new(4), Seq::ZERO).expect("the first");
    let now = order.horizon();
    bites(order.clone().appended(Seq::new(3), now), id);
    bites(order.clone().committed(Seq::new(4), now), id);
    bites(order.clone().read(Seq::new(4), now), id);
    order.read(Seq::new(9), now).expect("it reflects more");
    bites(order.clone().read(Seq::new(8), order.horizon()), id);
    // The judgement at the end sees a read that lacks what was acknowledged before it.
    let numbered = entry(LogPosition::default(), 1, "payload!", Some((9, 1)));
    let mut truth = Truth::new(LogPosition::default());
    log_matching::observe(&mut truth, &numbered, LogPosition::default()).expect("it is sound");
    let held = [tip(&numbered); 1];
    commit_stable::observe(&mut truth, &leader(1, held[0]), held[0], &held).expect("committed");
    let (mut ledger, key) = ledger();
    let asked = Asked::Append {
        key: Some(key),
        tag: u64::from_le_bytes(*b"payload!"),
        bytes: 8,
        local: false,
    };
    let acked = ledger.acked(&truth, &asked, (Seq::ZERO, epoch(1)), 10);
    acked.expect("it stands there");
    let mut order = Order::default();
    order.keep((20, 30), NodeIndex(1), (Seq::ZERO, Seq::ZERO), &[]);
    let Outcome::Violated(found) = order.finish(&ledger) else {
        panic!("the read came after the answer")
    };
    assert_eq!(found.at, 30);
    let read = "read of 0..0 by a client at n1 (0.00000002s to 0.00000003s)";
    assert!(found.text.contains(read), "{found}");
}

#[test]
fn stale_prefix_bites() {
    let id = stale_prefix::ID;
    let mut truth = Truth::new(LogPosition::default());
    let first = entry(LogPosition::default(), 1, "payload!", None);
    log_matching::observe(&mut truth, &first, LogPosition::default()).expect("it is sound");
    let tips = [tip(&first)];
    commit_stable::observe(&mut truth, &leader(1, tips[0]), tips[0], &tips).expect("committed");
    let other = entry(LogPosition::default(), 2, "another!", None);
    let show = |shown: &mut Shown, floor, commit, entries: &[Arc<Entry>]| {
        let (floor, commit) = (Seq::new(floor), Seq::new(commit));
        let shows = Shows {
            from: Seq::ZERO,
            floor,
            commit,
            entries,
        };
        shown.observe(&truth, shows)
    };
    let fresh = Shown::default;
    show(&mut fresh(), 0, 1, std::slice::from_ref(&first)).expect("it is committed");
    bites(show(&mut fresh(), 0, 1, &[other]), id);
    bites(show(&mut fresh(), 0, 2, &[]), id);
    bites(show(&mut fresh(), 0, 0, std::slice::from_ref(&first)), id);
    bites(show(&mut fresh(), 1, 1, &[first]), id);
    let mut seen = Shown::default();
    show(&mut seen, 1, 1, &[]).expect("a raised floor");
    bites(show(&mut seen, 0, 1, &[]), id);
    bites(show(&mut seen, 1, 0, &[]), id);
}
