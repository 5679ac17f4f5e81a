use super::spans::Lasting;
use super::*;
use crate::fault::{Fault, Keep};
use crate::node::NodeIndex;
use crate::time::Instant;

const A: NodeIndex = NodeIndex(0);
const B: NodeIndex = NodeIndex(1);

fn line(node: Option<NodeIndex>, number: Option<u64>, event: Event) -> Line {
    Line {
        place: 0,
        at: Instant::ZERO,
        node,
        number,
        event,
    }
}

fn on(node: NodeIndex, event: Event) -> Line {
    line(Some(node), None, event)
}

fn fault(fault: Fault) -> Line {
    line(None, None, Event::Fault { fault })
}

fn send(from: NodeIndex, to: Option<NodeIndex>, number: u64) -> Line {
    let message = "m".to_owned();
    line(Some(from), Some(number), Event::Send { to, message })
}

fn receive(from: NodeIndex, node: NodeIndex, number: u64) -> Line {
    let message = "m".to_owned();
    line(Some(node), Some(number), Event::Receive { from, message })
}

fn lost(from: NodeIndex, to: NodeIndex, number: u64) -> Line {
    let message = "m".to_owned();
    line(Some(from), Some(number), Event::Lost { to, message })
}

fn persist(node: NodeIndex, token: u64) -> Line {
    let ops = Vec::new();
    on(node, Event::Persist { token, ops })
}

fn stored(node: NodeIndex, token: u64) -> Line {
    on(node, Event::Stored { token, error: None })
}

fn role(node: NodeIndex, role: &str) -> Line {
    let (role, state) = (role.to_owned(), format!("{role}, epoch 1"));
    on(node, Event::Role { role, state })
}

/// Number, from, to, the lines, and the fate of each arrow.
type Told = (u64, u16, u16, Option<usize>, Option<usize>, Fate);

fn told(nodes: u16, lines: &[Line]) -> Vec<Told> {
    let told = |arrow: Arrow| {
        let Arrow {
            number,
            from,
            to,
            sent,
            ended,
            fate,
        } = arrow;
        (number, from, to, sent, ended, fate)
    };
    arrows(nodes, lines).into_iter().map(told).collect()
}

#[test]
fn a_message_is_an_arrow_for_each_copy_whatever_becomes_of_it() {
    let refused = line(
        Some(A),
        Some(3),
        Event::Refused {
            what: "m from n1".to_owned(),
        },
    );
    let lines = [
        send(A, Some(B), 1),
        send(A, Some(B), 2),
        lost(A, B, 2),
        receive(A, B, 1),
        send(B, Some(A), 3),
        receive(A, B, 1),
        refused,
        send(B, Some(A), 4),
    ];
    assert_eq!(
        told(2, &lines),
        [
            (2, 0, 1, Some(1), Some(2), Fate::Lost),
            (1, 0, 1, Some(0), Some(3), Fate::Received),
            (1, 0, 1, Some(0), Some(5), Fate::Received),
            (3, 1, 0, Some(4), Some(6), Fate::Refused),
            (4, 1, 0, Some(7), None, Fate::Open),
        ]
    );
}

#[test]
fn a_broadcast_is_an_arrow_to_each_other_node() {
    let c = NodeIndex(2);
    let lines = [send(B, None, 1), lost(B, A, 1), receive(B, c, 1)];
    assert_eq!(
        told(4, &lines),
        [
            (1, 1, 0, Some(0), Some(1), Fate::Lost),
            (1, 1, 2, Some(0), Some(2), Fate::Received),
            (1, 1, 3, Some(0), None, Fate::Open),
        ]
    );
}

#[test]
fn an_arrival_whose_sending_was_filtered_out_stands_alone() {
    let lines = [receive(A, B, 7)];
    assert_eq!(told(2, &lines), [(7, 0, 1, None, Some(0), Fate::Received)]);
}

#[test]
fn batches_are_answered_in_their_order_and_a_crash_ends_them() {
    let lines = [
        persist(A, 5),
        persist(A, 5),
        persist(B, 5),
        stored(A, 5),
        on(A, Event::Crash {}),
        persist(A, 6),
        stored(A, 6),
    ];
    let told: Vec<_> = batches(&lines)
        .into_iter()
        .map(|batch| (batch.node, batch.ordered, batch.answered))
        .collect();
    assert_eq!(
        told,
        [(0, 0, Some(3)), (0, 1, None), (1, 2, None), (0, 5, Some(6))]
    );
}

/// Kind, node and the lines of each span.
fn lasting(lines: &[Line]) -> Vec<(Lasting, Option<u16>, usize, Option<usize>)> {
    let told = |span: Span| (span.kind, span.node, span.from, span.until);
    spans::spans(2, lines).into_iter().map(told).collect()
}

#[test]
fn roles_pauses_and_crashes_last() {
    let boot = || on(A, Event::Boot { run: 1, store: 1 });
    let lines = [
        boot(),
        role(A, "follower"),
        role(A, "leader"),
        fault(Fault::Pause { node: A }),
        fault(Fault::Pause { node: A }),
        fault(Fault::ClockStop { node: B }),
        on(A, Event::Crash {}),
        boot(),
        role(A, "follower"),
        fault(Fault::Recover {
            nodes: Vec::new(),
            keep: Vec::new(),
        }),
    ];
    assert_eq!(
        lasting(&lines),
        [
            (Lasting::Role, Some(0), 1, Some(2)),
            (Lasting::Role, Some(0), 2, Some(6)),
            (Lasting::Paused, Some(0), 3, Some(6)),
            (Lasting::ClockStopped, Some(1), 5, Some(9)),
            (Lasting::Down, Some(0), 6, Some(7)),
            (Lasting::Role, Some(0), 8, None),
        ]
    );
}

#[test]
fn faults_between_nodes_last_until_what_ends_them() {
    let (from, to) = (A, B);
    let part = |groups| fault(Fault::Partition { groups });
    let filter = |message| {
        let (from, to) = (None, None);
        fault(Fault::Filter { message, from, to })
    };
    let lines = [
        fault(Fault::Cut { from, to }),
        fault(Fault::Cut { from: to, to: from }),
        fault(Fault::Mend { from, to }),
        fault(Fault::Clog { from, to }),
        part(vec![vec![A]]),
        part(vec![vec![B]]),
        filter(1),
        filter(2),
        fault(Fault::Recover {
            nodes: Vec::new(),
            keep: vec![Keep::Cuts],
        }),
        fault(Fault::Heal {}),
    ];
    assert_eq!(
        lasting(&lines),
        [
            (Lasting::Cut, None, 0, Some(2)),
            (Lasting::Cut, None, 1, Some(9)),
            (Lasting::Clog, None, 3, Some(8)),
            (Lasting::Partition, None, 4, Some(5)),
            (Lasting::Partition, None, 5, Some(8)),
            (Lasting::Filter, None, 6, Some(8)),
            (Lasting::Filter, None, 7, Some(8)),
        ]
    );
}

#[test]
fn a_diagram_says_where_its_finding_is_and_what_led_there() {
    let lines = [
        send(A, Some(B), 1),
        receive(A, B, 1),
        on(
            B,
            Event::Output {
                output: "o".to_owned(),
            },
        ),
        on(A, Event::Wake {}),
    ];
    let finding = Finding {
        node: Some(B),
        ..Finding::new("p", "broken")
    };
    let diagram = Diagram::new("t", 2, Some(&finding), &lines);
    let json = serde_json::to_value(&diagram).expect("it is data");
    assert_eq!(json["finding"]["line"], 2);
    assert_eq!(json["finding"]["node"], 1);
    assert_eq!(json["marks"][2]["step"], 1);
    assert_eq!(json["marks"][1]["causes"][0], 0);
    assert_eq!(json["marks"][0]["kind"], "send");
    assert_eq!(json["arrows"][0]["fate"], "received");
}
