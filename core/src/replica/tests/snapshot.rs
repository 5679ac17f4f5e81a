//! Checkpoints of several parts, on both sides.

use super::bench::{Bench, Start, attempt, behind, entry, follows, log, payload, replied};
use crate::action::Action;
use crate::chain::entry::{EntryKind, LogPosition};
use crate::chain::order::{Checkpoint, Order};
use crate::client::{Answer, Ask, Level, Reason};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Attempt, NodeId, PullNumber, Seq};
use crate::message::{Body, ReplicaMessage};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Parts have 512 bytes here.
fn start(bandwidth_bytes_per_s: u64) -> Start {
    let mut start = Start::of(1, &[1]);
    (start.limits.entry_bytes_max, start.limits.message_bytes_max) = (1, 1_025);
    start.limits.bandwidth_bytes_per_s = bandwidth_bytes_per_s;
    start
}

/// A checkpoint of three parts.
fn large(bench: &Bench) -> Checkpoint {
    let mut checkpoint = (**bench.chain.log().checkpoint()).clone();
    let limits = bench.config.client_limits();
    for seq in 0..250 {
        let tip = LogPosition {
            end: Seq::new(seq),
            ..checkpoint.floor
        };
        let open = entry(tip, 1, EntryKind::OpenClient);
        checkpoint.clients.apply(&open, limits);
    }
    checkpoint.floor = behind(&log(&[1, 1, 1])[2]);
    checkpoint
}

fn parts(checkpoint: &Checkpoint, attempt: Attempt) -> Vec<ReplicaMessage> {
    let encoded = postcard::to_allocvec(checkpoint).unwrap();
    let parts = encoded.chunks(512).enumerate();
    let content = |(at, part): (usize, &[u8])| ReplicaMessage::InstallSnapshot {
        attempt,
        floor: checkpoint.floor,
        checkpoint: crate::chain::checkpoint::digest(&encoded),
        length: encoded.len() as u32,
        offset: at as u32 * 512,
        part: part.to_vec().into(),
    };
    let parts: Vec<ReplicaMessage> = parts.map(content).collect();
    assert_eq!(parts.len(), 3);
    parts
}

fn rest(checkpoint: &Checkpoint, attempt: Attempt, offset: u32) -> ReplicaMessage {
    let encoded = postcard::to_allocvec(checkpoint).unwrap();
    ReplicaMessage::SnapshotRequest {
        attempt,
        checkpoint: crate::chain::checkpoint::digest(&encoded),
        offset,
    }
}

#[test]
fn what_came_of_a_checkpoint_is_not_asked_for_again() {
    let mut bench = start(1 << 20).settled().following(2, 2);
    let checkpoint = large(&bench);
    let first = bench.attempt();
    let sent = parts(&checkpoint, first);
    let said = bench.hear(2, 2, sent[0].clone());
    assert_eq!(said, [bench.said(2, rest(&checkpoint, first, 512))]);
    assert_eq!(bench.hear(2, 2, sent[0].clone()), []);
    let said = bench.hear(2, 2, sent[1].clone());
    assert_eq!(said, [bench.said(2, rest(&checkpoint, first, 1_024))]);
    // The last part is late: the same request is repeated.
    bench.act(|chain, cx| chain.on_pull_due(cx));
    assert_eq!(bench.attempt(), first);
    bench.chain.follow.stream = None;
    bench.settle();
    let second = bench.attempt();
    assert_ne!(first, second);
    assert_eq!(bench.hear(2, 2, sent[2].clone()), []);
    assert_eq!(bench.count(Count::ResetIgnored), 1);
    let sent = parts(&checkpoint, second);
    let said = bench.hear(2, 2, sent[0].clone());
    assert_eq!(said, [bench.said(2, rest(&checkpoint, second, 1_024))]);
    assert_eq!(bench.count(Count::ResetContinued), 2);
    let said = bench.hear(2, 2, sent[2].clone());
    let order = Order::Reset(Arc::new(checkpoint));
    assert_eq!(said, [bench.ordered(order)]);
}

#[test]
fn a_part_that_another_one_overtook_is_asked_for_soon() {
    let mut bench = start(1 << 20).settled().following(2, 2);
    let checkpoint = large(&bench);
    let first = bench.attempt();
    let sent = parts(&checkpoint, first);
    let missing = [bench.said(2, rest(&checkpoint, first, 512))];
    assert_eq!(bench.hear(2, 2, sent[0].clone()), missing);
    assert_eq!(bench.hear(2, 2, sent[2].clone()), []);
    let due = bench.deadlines.armed(bench.chain.index, Timer::Pull);
    assert!(due < Some(bench.now.after(bench.config.heartbeat() / 8)));
    // The pull, too: what the question names may be gone, and the first part of the next one lost.
    let both = bench.act(|chain, cx| chain.on_pull_due(cx));
    let pull = ReplicaMessage::Pull {
        since: bench.chain.log.tip(),
        durable: Some(bench.chain.log.durable().end),
        attempt: first,
        number: PullNumber::new(2),
    };
    assert_eq!(both, [missing[0].clone(), bench.said(2, pull)]);
    let said = bench.hear(2, 2, sent[1].clone());
    let order = Order::Reset(Arc::new(checkpoint));
    assert_eq!(said, [bench.ordered(order)]);
}

#[test]
fn parts_that_come_are_progress() {
    let mut bench = start(1 << 20).settled().following(2, 2);
    let checkpoint = large(&bench);
    let due = |bench: &Bench| bench.deadlines.armed(bench.chain.index, Timer::Pull);
    for part in &parts(&checkpoint, bench.attempt())[..2] {
        bench.pass(bench.config.heartbeat() / 2);
        bench.hear(2, 2, part.clone());
        assert_eq!(due(&bench), Some(bench.now.after(bench.config.heartbeat())));
    }
}

#[test]
fn a_checkpoint_waits_for_the_bandwidth_budget() {
    let (mut bench, checkpoint, sent) = sending(600);
    let send = |bench: &Bench, at: usize| -> [Action; 1] { [bench.said(2, sent[at].clone())] };
    assert_eq!(bench.settle(), [], "the rest has to be asked for");
    // The floor rises meanwhile, and what was begun is still there.
    bench.chain.log.reset(Arc::new(later(&checkpoint)));
    let said = bench.hear(2, 2, rest(&checkpoint, attempt(9), 512));
    assert_eq!(said, []);
    for at in 1..3 {
        assert_eq!(bench.count(Count::BudgetWait), at as u64);
        let due = bench.deadlines.armed(bench.chain.index, Timer::Budget);
        let due = due.expect("it is tried again");
        bench.pass(due.since(bench.now));
        bench.deadlines.disarm(bench.chain.index, Timer::Budget);
        assert_eq!(bench.settle(), send(&bench, at));
    }
    assert_eq!(bench.settle(), []);
    let beyond = rest(&checkpoint, attempt(9), 5_000);
    assert_eq!(bench.hear(2, 2, beyond), []);
    assert_eq!(bench.count(Count::StaleAnswer), 1);
}

/// The checkpoint behind one more entry.
fn later(checkpoint: &Checkpoint) -> Checkpoint {
    let mut later = checkpoint.clone();
    later.floor.end = later.floor.end.next();
    later
}

#[test]
fn a_question_for_a_checkpoint_that_is_gone_does_not_end_the_present_one() {
    let (mut bench, present, sent) = sending(1 << 20);
    let gone = later(&present);
    assert_eq!(bench.hear(2, 2, rest(&gone, attempt(9), 512)), []);
    assert_eq!(bench.count(Count::StaleAnswer), 1);
    // What follows the first part is all that is sent.
    let both = [1, 2].map(|at: usize| bench.said(2, sent[at].clone()));
    assert_eq!(bench.hear(2, 2, rest(&present, attempt(9), 512)), both);
}

#[test]
fn a_late_question_for_parts_brings_no_checkpoint_to_who_asked_for_entries_since() {
    let (mut bench, checkpoint, _) = sending(1 << 20);
    let pull = ReplicaMessage::Pull {
        since: checkpoint.floor,
        durable: Some(checkpoint.floor.end),
        attempt: attempt(9),
        number: PullNumber::new(2),
    };
    bench.hear(2, 2, pull);
    for offset in [512, 1_024] {
        let late = rest(&checkpoint, attempt(9), offset);
        assert_eq!(bench.hear(2, 2, late), []);
    }
    assert_eq!(bench.count(Count::StaleAnswer), 2);
}

/// A leader whose log is only `checkpoint`, which sent follower 2 its first part.
fn sending(bandwidth_bytes_per_s: u64) -> (Bench, Checkpoint, Vec<ReplicaMessage>) {
    let mut bench = start(bandwidth_bytes_per_s).settled().leading();
    let checkpoint = large(&bench);
    bench.chain.log.reset(Arc::new(checkpoint.clone()));
    let pull = ReplicaMessage::Pull {
        since: LogPosition {
            end: Seq::ZERO,
            ..checkpoint.floor
        },
        durable: Some(Seq::ZERO),
        attempt: attempt(9),
        number: PullNumber::new(1),
    };
    let sent = parts(&checkpoint, attempt(9));
    assert_eq!(bench.hear(2, 2, pull), [bench.said(2, sent[0].clone())]);
    (bench, checkpoint, sent)
}

#[test]
fn parts_that_a_link_lost_leave_again_when_it_is_up() {
    let (mut bench, checkpoint, sent) = sending(1 << 20);
    let rest = rest(&checkpoint, attempt(9), 512);
    let both = [1, 2].map(|at: usize| bench.said(2, sent[at].clone()));
    assert_eq!(bench.hear(2, 2, rest), both);
    let follower = NodeId::new(2);
    bench.liveness.set_link(follower, false);
    bench.windows.clear(follower);
    assert_eq!(bench.settle(), []);
    bench.liveness.set_link(follower, true);
    let said = bench.act(|chain, _| chain.serve_anew(follower));
    assert_eq!(said, both, "and not what is known to be there");
}

#[test]
fn what_came_of_a_checkpoint_is_kept_for_the_next_leader() {
    let mut bench = start(1 << 20).settled().following(2, 2);
    let checkpoint = large(&bench);
    for part in &parts(&checkpoint, bench.attempt())[..2] {
        bench.hear(2, 2, part.clone());
    }
    let mut bench = bench.following(3, 3);
    // Until it shows that it has the same one, it is only asked for entries.
    bench.act(|chain, cx| chain.on_pull_due(cx));
    let attempt = bench.attempt();
    let sent = parts(&checkpoint, attempt);
    let said = bench.hear(3, 3, sent[0].clone());
    assert_eq!(said, [bench.said(3, rest(&checkpoint, attempt, 1_024))]);
    let said = bench.hear(3, 3, sent[2].clone());
    let order = Order::Reset(Arc::new(checkpoint));
    assert_eq!(said, [bench.ordered(order)]);
}

#[test]
fn a_late_part_of_an_older_checkpoint_takes_nothing_away() {
    let mut bench = start(1 << 20).settled().following(2, 2);
    let older = large(&bench);
    let newer = later(&older);
    let attempt = bench.attempt();
    let sent = parts(&newer, attempt);
    bench.hear(2, 2, sent[0].clone());
    let said = bench.hear(2, 2, sent[1].clone());
    assert_eq!(said, [bench.said(2, rest(&newer, attempt, 1_024))]);
    assert_eq!(bench.hear(2, 2, parts(&older, attempt)[0].clone()), []);
    assert_eq!(bench.count(Count::ResetIgnored), 1);
    let said = bench.hear(2, 2, sent[2].clone());
    assert_eq!(said, [bench.ordered(Order::Reset(Arc::new(newer)))]);
}

#[test]
fn a_checkpoint_that_was_begun_in_the_place_of_another_log_goes_on() {
    // The follower has entries beyond the floor that are not the leader's, and stays where it is.
    let mut bench = start(1 << 20).settled().leading();
    let mut begun = large(&bench);
    begun.floor = behind(&log(&[1, 1, 2])[2]);
    bench.chain.log.reset(Arc::new(begun.clone()));
    let own = behind(&log(&[1, 1, 1, 1, 1, 1])[5]);
    let pull = |number| ReplicaMessage::Pull {
        since: own,
        durable: Some(own.end),
        attempt: attempt(9),
        number: PullNumber::new(number),
    };
    let sent = parts(&begun, attempt(9));
    assert_eq!(bench.hear(2, 2, pull(1)), [bench.said(2, sent[0].clone())]);
    bench.chain.log.reset(Arc::new(later(&begun)));
    assert_eq!(bench.hear(2, 2, pull(2)), []);
    let both = [1, 2].map(|at: usize| bench.said(2, sent[at].clone()));
    let rest = rest(&begun, attempt(9), 512);
    assert_eq!(bench.hear(2, 2, rest), both);
}

/// A leader whose log is only a checkpoint; follower 2 is level and asks to repair what is below.
fn repairing() -> (Bench, Checkpoint, Vec<ReplicaMessage>) {
    let mut bench = start(1 << 20).settled().leading();
    let checkpoint = large(&bench);
    bench.chain.log.reset(Arc::new(checkpoint.clone()));
    bench.hear(2, 2, level(&checkpoint, 1));
    let fetch = ReplicaMessage::Fetch {
        from: Seq::ZERO,
        end: Seq::new(1),
        attempt: attempt(12),
    };
    let sent = parts(&checkpoint, attempt(12));
    assert_eq!(bench.hear(2, 2, fetch), [bench.said(2, sent[0].clone())]);
    (bench, checkpoint, sent)
}

/// The pull of a follower that has all of the log behind `checkpoint`.
fn level(checkpoint: &Checkpoint, number: u64) -> ReplicaMessage {
    ReplicaMessage::Pull {
        since: checkpoint.floor,
        durable: Some(checkpoint.floor.end),
        attempt: attempt(9),
        number: PullNumber::new(number),
    }
}

/// What is said to one node of the chain.
fn contents(to: u64, said: &[Action]) -> Vec<ReplicaMessage> {
    let content = |action: &Action| {
        let Action::Send { to: node, message } = action else {
            return None;
        };
        let Body::Chain(chain) = &message.body else {
            return None;
        };
        (*node == NodeId::new(to)).then(|| chain.content.clone())
    };
    said.iter().filter_map(content).collect()
}

#[test]
fn who_repairs_from_a_checkpoint_is_sent_entries_as_before() {
    let (mut bench, _, _) = repairing();
    let ask = Ask::Append {
        level: Level::Committed,
        request: None,
        payload: payload(""),
    };
    let mut said = bench.ask(6, ask);
    said.extend(bench.done(Ok(())));
    let is_chunk = |content: &ReplicaMessage| matches!(content, ReplicaMessage::Chunk { .. });
    assert!(contents(2, &said).iter().any(is_chunk), "{said:?}");
    let to = Some(NodeId::new(2));
    let said = bench.ask(5, Ask::Transfer { to });
    let refused = replied(5, Answer::Rejected(Reason::NoSuchTarget));
    assert!(!said.contains(&refused));
}

#[test]
fn a_pull_ends_no_repair_that_was_asked_for_since() {
    let (mut bench, checkpoint, sent) = repairing();
    bench.hear(2, 2, level(&checkpoint, 2));
    let both = [1, 2].map(|at: usize| bench.said(2, sent[at].clone()));
    let rest = rest(&checkpoint, attempt(12), 512);
    assert_eq!(bench.hear(2, 2, rest), both);
}

#[test]
fn what_came_of_a_checkpoint_puts_off_no_repair_when_its_leader_is_gone() {
    let mut start = start(1 << 20);
    start.log = log(&[1, 1, 1]);
    let mut bench = start.unknown(&[1, 2]).settled().following(2, 2);
    let mut checkpoint = large(&bench);
    checkpoint.floor.end = Seq::new(9);
    let attempt = bench.attempt();
    bench.hear(2, 2, parts(&checkpoint, attempt)[0].clone());
    bench.deadlines.disarm(bench.chain.index, Timer::Repair);
    let is_fetch = |content: &ReplicaMessage| matches!(content, ReplicaMessage::Fetch { .. });
    let asks = |said: &[Action]| contents(3, said).iter().any(is_fetch);
    assert!(
        !asks(&bench.row(3, follows(2))),
        "the leader's checkpoint comes"
    );
    bench.gone(2);
    assert!(asks(&bench.row(3, follows(2))), "nobody leads");
}
