//! One number for all that a trace says of a message.

use super::busy::GARBLED;
use super::*;
use crate::connection::Connections;
use crate::trace::{Event, Line, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// A run with every fault there is, and messages that are damaged.
fn traced(connections: Option<Connections>) -> World<Busy> {
    let mut setup = Setup::new(5, talking(4));
    setup.connections = connections;
    setup.weather.corrupt_ppm = 20_000;
    let mut world = World::new(setup);
    world.record_in(Trace::new(usize::MAX));
    storm(&mut world, 20);
    run(&mut world, Instant::from_secs(20));
    world
}

/// A sending: from where, to where if not to all, and what.
type Sent = (NodeIndex, Option<NodeIndex>, String);

/// What a line says of a copy of a message: from where, to where and, unless that is in other
/// words, what.
fn copy(line: &Line) -> Option<(NodeIndex, NodeIndex, Option<&str>)> {
    let node = line.node?;
    match &line.event {
        Event::Receive { from, message } => Some((*from, node, Some(message))),
        Event::Lost { to, message } => Some((node, *to, Some(message))),
        Event::Refused { what } => {
            let (what, from) = what.rsplit_once(" from n")?;
            let from = from.parse().expect("a node");
            let what = what.strip_prefix("unreadable ").unwrap_or(what);
            Some((NodeIndex(from), node, Some(what)))
        }
        Event::Boot { .. }
        | Event::Crash {}
        | Event::Wake {}
        | Event::Op { .. }
        | Event::Link { .. }
        | Event::Stored { .. }
        | Event::Send { .. }
        | Event::Persist { .. }
        | Event::Output { .. }
        | Event::Fault { .. }
        | Event::State { .. }
        | Event::Role { .. }
        | Event::Exit {}
        | Event::Log { .. }
        | Event::Note { .. } => None,
    }
}

#[test]
fn whatever_becomes_of_a_message_has_the_number_of_its_sending() {
    for connections in [None, Some(Connections::default())] {
        let world = traced(connections);
        let mut sent: BTreeMap<u64, Sent> = BTreeMap::new();
        let mut fates: BTreeMap<(u64, NodeIndex), u32> = BTreeMap::new();
        let mut kinds = BTreeSet::new();
        for line in world.trace().expect("it is recorded").lines() {
            if let Event::Send { to, message } = &line.event {
                let number = line.number.expect("what is sent has a number");
                let node = line.node.expect("a node sends");
                let before = sent.insert(number, (node, *to, message.clone()));
                assert_eq!(before, None, "{line}");
                continue;
            }
            let Some((from, to, what)) = copy(line) else {
                assert_eq!(line.number, None, "{line}");
                continue;
            };
            let number = line.number.expect("it was sent in this trace");
            let (sender, receiver, message) = &sent[&number];
            assert_eq!(from, *sender, "{line}");
            assert!(receiver.is_none_or(|receiver| receiver == to), "{line}");
            let garbled = format!("Hello({GARBLED})");
            assert!(what == Some(message) || what == Some(&garbled), "{line}");
            *fates.entry((number, to)).or_default() += 1;
            kinds.insert(line.event.kind());
        }
        assert!(sent.keys().copied().eq(1..=sent.len() as u64));
        let twice = fates.values().filter(|count| **count == 2).count();
        assert_eq!(twice > 0, connections.is_none(), "{twice} duplicates");
        assert!(fates.values().all(|count| *count <= 2));
        assert!(kinds.contains("lost") && kinds.contains("receive"));
    }
}

#[test]
fn a_message_from_before_the_trace_has_no_number() {
    let mut world = quiet_world(2);
    world.schedule_op(ms(10), A, 1);
    run(&mut world, ms(10));
    world.record_in(Trace::new(100));
    world.schedule_op(ms(11), A, 2);
    run(&mut world, ms(1_000));
    let lines = world.trace().expect("it is recorded").lines();
    let received = lines.filter(|line| line.event.kind() == "receive" && line.node == Some(B));
    let numbers: Vec<_> = received.map(|line| line.number).collect();
    assert_eq!(numbers.len(), 2);
    assert!(
        numbers.contains(&None) && numbers.contains(&Some(1)),
        "{numbers:?}"
    );
}

#[test]
fn what_waited_for_a_node_that_crashes_while_it_is_paused_is_refused() {
    let mut world = quiet_world(2);
    world.record_in(Trace::new(100));
    world.schedule_fault(ms(5), Fault::Pause { node: B });
    world.schedule_op(ms(10), A, 1);
    world.schedule_fault(
        ms(500),
        Fault::Crash {
            node: B,
            unsynced: Unsynced::Lost,
        },
    );
    run(&mut world, ms(1_000));
    let mut lines = world.trace().expect("it is recorded").lines();
    let refused = lines.find(|line| line.event.kind() == "refused");
    assert_eq!(refused.map(|line| line.number), Some(Some(1)));
}
