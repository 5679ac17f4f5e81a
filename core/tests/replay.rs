//! A run is its list of events: fed again, it gives the same actions and the same state, also
//! through an encoded image of the node and without the payload bytes.

mod common;

use bytes::Bytes;
use common::cluster::Cluster;
use common::{chain, config, config_of, start};
use meshos_core::action::{Action, Actions};
use meshos_core::chain::payload::Payload;
use meshos_core::client::{Ask, ClientRequest, Level};
use meshos_core::config::Retention;
use meshos_core::event::{Event, Input};
use meshos_core::id::{ChainId, OpId, Ticket};
use meshos_core::node::Node;
use meshos_core::time::{Instant, Wall};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

/// One move of the outside world.
#[derive(Clone, Debug)]
enum Move {
    /// Time passes; whoever has a deadline wakes.
    Pass(u64),
    /// The oldest message is delivered, or lost.
    Deliver(bool),
    /// The oldest order of the store is done.
    Store,
    /// A client appends at a node.
    Append(usize, u8),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (0..2_000u64).prop_map(Move::Pass),
        prop::bool::weighted(0.9).prop_map(Move::Deliver),
        Just(Move::Store),
        (0..3usize, any::<u8>()).prop_map(|(node, byte)| Move::Append(node, byte)),
    ];
    prop::collection::vec(one, 1..300)
}

type Log = Vec<(usize, Instant, Event)>;

/// Plays the moves on three nodes; gives every event, and the actions and hash after each.
fn play(moves: &[Move]) -> (Log, Vec<(Vec<Action>, u64)>) {
    let config = config(
        3,
        Retention {
            entries_max: Some(8),
            ..Retention::default()
        },
    );
    let mut nodes: Vec<Node> = (1..=3).map(|node| start(node, &config)).collect();
    let mut log = Log::new();
    let mut results = Vec::new();
    let mut messages: VecDeque<(usize, Input)> = VecDeque::new();
    let mut orders: VecDeque<(usize, OpId)> = VecDeque::new();
    let mut now = Instant::ZERO;
    let mut tickets = 0;
    for step in moves {
        let mut events = Vec::new();
        match step {
            Move::Pass(ms) => {
                now = now.after(Duration::from_millis(*ms));
                events.extend((0..3).map(|node| (node, Input::Wake)));
            }
            Move::Deliver(arrives) => {
                events.extend(messages.pop_front().filter(|_| *arrives));
            }
            Move::Store => {
                let done = orders.pop_front();
                events.extend(done.map(|(node, op)| (node, Input::Done { op, result: Ok(()) })));
            }
            Move::Append(node, byte) => {
                tickets += 1;
                let payload = Payload::new(Bytes::copy_from_slice(&[*byte; 40]));
                let ask = Ask::Append {
                    level: Level::Committed,
                    request: None,
                    payload,
                };
                let request = ClientRequest {
                    chain: ChainId::of("c"),
                    ask,
                };
                events.push((
                    *node,
                    Input::Client {
                        ticket: Ticket::new(tickets),
                        request,
                    },
                ));
            }
        }
        for (node, input) in events {
            let event = Event {
                wall: Wall::from_ms(now.as_nanos() / 1_000_000),
                input,
            };
            log.push((node, now, event.clone()));
            let mut out = Actions::new();
            nodes[node].step(now, event, &mut out);
            let actions: Vec<Action> = out.drain().collect();
            for action in &actions {
                match action {
                    Action::Send { to, message } => {
                        let from = nodes[node].me().node;
                        let input = Input::Peer {
                            from,
                            message: message.clone(),
                        };
                        messages.push_back((to.get() as usize - 1, input));
                    }
                    Action::Store { op, .. } => orders.push_back((node, *op)),
                    Action::Reply { .. } | Action::Note { .. } => {}
                }
            }
            results.push((actions, nodes[node].state_hash().0));
        }
    }
    (log, results)
}

fn encoded(node: &Node) -> Node {
    let bytes = postcard::to_allocvec(node).unwrap();
    postcard::from_bytes(&bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_same_events_give_the_same_actions(moves in moves(), image_at in 0usize..200) {
        let (log, results) = play(&moves);
        let config = config(3, Retention { entries_max: Some(8), ..Retention::default() });
        let mut nodes: Vec<Node> = (1..=3).map(|node| start(node, &config)).collect();
        for (at, ((node, now, event), (actions, hash))) in log.into_iter().zip(results).enumerate()
        {
            if at == image_at {
                nodes = nodes.iter().map(|node| encoded(&node.redacted())).collect();
            }
            let mut out = Actions::new();
            nodes[node].step(now, event, &mut out);
            prop_assert_eq!(out.as_slice(), &actions[..]);
            prop_assert_eq!(nodes[node].state_hash().0, hash);
            prop_assert_eq!(encoded(&nodes[node]).state_hash().0, hash);
        }
    }
}

#[test]
fn the_digest_of_many_chains_is_what_their_states_say() {
    let chains = (0..200).map(|number| chain(&format!("c{number}"), 3, Retention::default()));
    let mut cluster = Cluster::new(&config_of(3, chains.collect()));
    for ms in [0, 1, 10, 100, 3_000, 1_000, 1_000, 20_000] {
        cluster.run(Duration::from_millis(ms));
        for node in &cluster.nodes {
            assert_eq!(node.state_hash(), encoded(node).state_hash());
        }
    }
}
