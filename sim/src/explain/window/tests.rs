use super::*;
use crate::fault::Fault;
use crate::node::NodeIndex;
use crate::trace::Event;

/// A trace, one line per millisecond.
#[derive(Default)]
struct Story {
    lines: Vec<Line>,
    sent: u64,
}

impl Story {
    fn line(&mut self, node: Option<u16>, number: Option<u64>, event: Event) {
        let place = self.lines.len() as u64;
        self.lines.push(Line {
            place,
            at: Instant::from_millis(place),
            node: node.map(NodeIndex),
            number,
            event,
        });
    }

    fn at(&mut self, node: u16, event: Event) {
        self.line(Some(node), None, event);
    }

    fn op(&mut self, node: u16, op: &str) {
        let op = op.to_owned();
        self.at(node, Event::Op { op });
    }

    fn output(&mut self, node: u16, output: &str) {
        let output = output.to_owned();
        self.at(node, Event::Output { output });
    }

    /// Sends a message and returns its number.
    fn send(&mut self, from: u16, to: u16, message: &str) -> u64 {
        self.sent += 1;
        let (to, message) = (Some(NodeIndex(to)), message.to_owned());
        self.line(Some(from), Some(self.sent), Event::Send { to, message });
        self.sent
    }

    fn receive(&mut self, node: u16, number: u64, message: &str) {
        let (from, message) = (NodeIndex(0), message.to_owned());
        self.line(Some(node), Some(number), Event::Receive { from, message });
    }

    fn lost(&mut self, from: u16, to: u16, number: u64, message: &str) {
        let (to, message) = (NodeIndex(to), message.to_owned());
        self.line(Some(from), Some(number), Event::Lost { to, message });
    }

    fn pause(&mut self, node: u16) {
        let fault = Fault::Pause {
            node: NodeIndex(node),
        };
        self.line(None, None, Event::Fault { fault });
    }

    fn partition(&mut self, one: u16, other: u16) {
        let groups = vec![vec![NodeIndex(one)], vec![NodeIndex(other)]];
        let fault = Fault::Partition { groups };
        self.line(None, None, Event::Fault { fault });
    }

    /// What two nodes do that has nothing to do with anything.
    fn chatter(&mut self, one: u16, other: u16, count: usize) {
        for _ in 0..count {
            self.at(one, Event::Wake {});
            let number = self.send(one, other, "chatter");
            self.receive(other, number, "chatter");
        }
    }

    /// The lines that explain a finding at the end, without their times.
    fn told(self, node: Option<u16>, lines_max: usize) -> Vec<String> {
        let at = self.lines.last().map_or(Instant::ZERO, |line| line.at);
        self.told_at(at, node, lines_max)
    }

    fn told_at(self, at: Instant, node: Option<u16>, lines_max: usize) -> Vec<String> {
        let finding = Finding {
            at,
            node: node.map(NodeIndex),
            ..Finding::new("p", "broken")
        };
        let lines = selected(self.lines, &finding, lines_max);
        let text = |line: &Line| match line.node {
            Some(node) => format!("{node} {}", line.event),
            None => line.event.to_string(),
        };
        lines.iter().map(text).collect()
    }
}

#[test]
fn a_chain_of_messages_is_followed_over_nodes_past_everything_unrelated() {
    let mut story = Story::default();
    story.op(0, "append");
    let first = story.send(0, 1, "append");
    story.chatter(3, 4, 20);
    story.receive(1, first, "append");
    let ops = vec!["append log".to_owned()];
    story.at(1, Event::Persist { token: 9, ops });
    story.chatter(3, 4, 20);
    story.at(
        1,
        Event::Stored {
            token: 9,
            error: None,
        },
    );
    let second = story.send(1, 2, "stored");
    story.chatter(3, 4, 20);
    story.receive(2, second, "stored");
    story.output(2, "acknowledged");
    story.chatter(3, 4, 20);
    assert_eq!(
        story.told(Some(2), 8),
        [
            "n0 op append",
            "n0 -> n1 append",
            "n1 <- n0 append",
            "n1 persist 9: append log",
            "n1 stored 9",
            "n1 -> n2 stored",
            "n2 <- n0 stored",
            "n2 output acknowledged",
        ]
    );
}

#[test]
fn what_did_not_arrive_and_the_faults_of_a_node_are_in_its_past() {
    let mut story = Story::default();
    story.partition(0, 2);
    story.chatter(0, 1, 10);
    story.op(0, "grant");
    let number = story.send(0, 2, "grant");
    story.lost(0, 2, number, "grant");
    story.pause(1);
    story.chatter(0, 1, 10);
    story.at(2, Event::Wake {});
    story.output(2, "gives up");
    assert_eq!(
        story.told(Some(2), 6),
        [
            "fault Partition { groups: [[n0], [n2]] }",
            "n0 op grant",
            "n0 -> n2 grant",
            "n0 -x n2 grant",
            "n2 wake",
            "n2 output gives up",
        ]
    );
}

#[test]
fn the_routine_of_a_node_does_not_hide_its_last_turn_and_deadlines_without_effect_are_passed_over()
{
    let mut story = Story::default();
    story.at(0, Event::Crash {});
    story.at(0, Event::Boot { run: 2, store: 1 });
    for _ in 0..20 {
        story.at(0, Event::Wake {});
    }
    story.op(0, "read");
    for _ in 0..20 {
        story.at(0, Event::Wake {});
        story.output(0, "tick");
        story.at(0, Event::Wake {});
    }
    story.output(0, "broken");
    let told = story.told(Some(0), 8);
    assert_eq!(
        told,
        [
            "n0 boot run 2 of store 1",
            "n0 op read",
            "n0 wake",
            "n0 output tick",
            "n0 wake",
            "n0 output tick",
            "n0 wake",
            "n0 output broken",
        ]
    );
}

#[test]
fn a_finding_of_an_earlier_time_has_the_lines_before_it_and_none_after() {
    let mut story = Story::default();
    story.op(0, "early");
    let number = story.send(0, 1, "early");
    story.receive(1, number, "early");
    let at = story.lines.last().expect("a line").at;
    story.chatter(0, 1, 50);
    story.op(1, "late");
    assert_eq!(
        story.told_at(at, None, 5),
        ["n0 op early", "n0 -> n1 early", "n1 <- n0 early"]
    );
}

#[test]
fn a_short_past_is_filled_with_the_lines_just_before() {
    let mut story = Story::default();
    story.op(1, "far");
    story.chatter(1, 2, 10);
    story.op(1, "near");
    story.op(0, "broken");
    assert_eq!(
        story.told(Some(0), 3),
        ["n2 <- n0 chatter", "n1 op near", "n0 op broken"]
    );
}
