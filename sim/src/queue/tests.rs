use super::*;
use crate::draw::{Draws, Site};

fn entry(at: u64, number: u64) -> Entry {
    Entry {
        at,
        tie: Tie::numbered(EventClass::Op, number),
        handle: number as u32,
    }
}

/// Pops from all queues while pushing, and compares with a sorted reference.
#[test]
fn heap_and_wheel_agree_with_a_sorted_set() {
    for seed in 0..20 {
        let draw = Draws::new(seed);
        let spans = [3, 60_000, 70_000, 10_000_000, 80_000_000, 40_000_000_000];
        let mut heap = Queue::new(QueueKind::Heap, 5);
        let mut wheel = Queue::new(QueueKind::Wheel, 5);
        let mut sorted = std::collections::BTreeSet::new();
        let mut now = 0;
        for number in 0..20_000 {
            let bits = draw.bits(Site::Latency, 0, number);
            // More pushes at first, more pops later, each over a range of spans.
            let push = bits % 100 < if number < 10_000 { 60 } else { 45 };
            if push || sorted.is_empty() {
                let span = spans[(bits >> 32) as usize % spans.len()];
                let at = now + draw.below(Site::Loss, 0, number, span);
                heap.push(entry(at, number));
                wheel.push(entry(at, number));
                sorted.insert((at, number));
            } else {
                let expected = sorted.pop_first().expect("not empty");
                for queue in [&mut heap, &mut wheel] {
                    assert_eq!(queue.next_at(), expected.0);
                    let popped = queue.pop().expect("not empty");
                    assert_eq!((popped.at, popped.tie.number()), expected);
                }
                now = expected.0;
            }
            assert_eq!(heap.len(), sorted.len());
            assert_eq!(wheel.len(), sorted.len());
        }
    }
}

#[test]
fn at_one_instant_the_class_decides() {
    let mut queue = Queue::new(QueueKind::Heap, 5);
    let message = Tie::message(0, NodeIndex(0), NodeIndex(1), false);
    let ties = [
        Tie::numbered(EventClass::Alarm, 0),
        message,
        Tie::numbered(EventClass::Op, 9),
        Tie::numbered(EventClass::Fault, u64::MAX),
    ];
    for tie in ties {
        queue.push(Entry {
            at: 5,
            tie,
            handle: 0,
        });
    }
    let popped: Vec<EventClass> =
        core::iter::from_fn(|| queue.pop().map(|e| e.tie.class())).collect();
    let expected = [
        EventClass::Fault,
        EventClass::Op,
        EventClass::Message,
        EventClass::Alarm,
    ];
    assert_eq!(popped, expected);
}

#[test]
fn a_message_tie_names_its_link() {
    let tie = Tie::message(u32::MAX, NodeIndex(65_535), NodeIndex(258), true);
    assert!(tie.is_message());
    assert_eq!(tie.sender(), NodeIndex(65_535));
    assert_eq!(tie.receiver(), NodeIndex(258));
    let other = Tie::message(u32::MAX, NodeIndex(65_535), NodeIndex(258), false);
    assert_ne!(tie, other);
}

#[test]
fn a_wheel_keeps_no_more_than_was_in_flight() {
    let mut wheel = Wheel::new();
    let mut now = 0;
    for number in 0..100_000 {
        wheel.push(entry(now + 5_000_000, number));
        if number >= 10 {
            now = wheel.next_at();
            wheel.pop();
        }
    }
    assert!(wheel.capacity() <= 64, "{}", wheel.capacity());
}
