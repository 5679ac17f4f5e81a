//! What becomes of messages whose bytes are damaged, or that nobody can read.

use super::busy::{CODED, GARBLED, UNREADABLE};
use super::*;
use crate::trace::Trace;

fn heard(log: &Log) -> Vec<u64> {
    let heard = log.of(B).into_iter().filter_map(|report| match report {
        Report::Heard(_, number) => Some(number),
        Report::Booted { .. } | Report::Stored(..) | Report::Asked(_) | Report::Link(_) => None,
    });
    heard.collect()
}

#[test]
fn damaged_words_arrive_as_their_receiver_reads_them_or_not_at_all() {
    let mut setup = Setup::new(7, vec![Habits::default(); 2]);
    setup.weather.corrupt_ppm = 500_000;
    let mut world = World::new(setup);
    for number in 0..100 {
        world.schedule_op(ms(10 + number), A, 1);
    }
    let log = run(&mut world, ms(1_000));
    let heard = heard(&log);
    let garbled = heard.iter().filter(|number| **number == GARBLED).count();
    assert!((15..35).contains(&garbled), "{garbled}");
    let lost = 100 - heard.len();
    assert!((15..35).contains(&lost), "{lost}");
    assert_eq!(world.footprint().stored, 0);
}

#[test]
fn a_word_that_its_receiver_cannot_read_is_dropped() {
    let mut world = quiet_world(2);
    world.record_in(Trace::new(100));
    world.schedule_op(ms(10), A, UNREADABLE);
    world.schedule_op(ms(20), A, 1);
    world.schedule_fault(ms(30), Fault::Pause { node: B });
    world.schedule_op(ms(40), A, UNREADABLE);
    world.schedule_op(ms(50), A, 2);
    world.schedule_fault(ms(100), Fault::Resume { node: B });
    let log = run(&mut world, ms(200));
    assert_eq!(heard(&log), [1, 2]);
    let lines = world.trace().expect("it is recorded").lines();
    let refused = lines.filter(|line| line.to_string().contains("refused unreadable"));
    assert_eq!(refused.count(), 2);
    assert_eq!(world.footprint().stored, 0);
}

#[test]
fn words_pass_through_their_codec_where_the_run_says_so() {
    let mut setup = Setup::new(7, vec![Habits::default(); 2]);
    setup.codec = true;
    let mut world = World::new(setup);
    world.schedule_op(ms(10), A, 5);
    assert_eq!(heard(&run(&mut world, ms(100))), [5 | CODED]);
}
