//! Connections: who learns what, what arrives in which order, and what breaks them.

use super::busy::UNREADABLE;
use super::*;
use crate::connection::{Break, Connections, End, News};
use crate::trace::Trace;

fn setup(nodes: usize) -> Setup<Busy> {
    let mut setup = Setup::new(7, vec![Habits::default(); nodes]);
    setup.connections = Some(Connections {
        pause_ms_last: 2_000,
        stall_ms_max: 5_000,
        ..Connections::default()
    });
    setup
}

fn connected(weather: Weather) -> World<Busy> {
    let mut setup = setup(2);
    setup.weather = weather;
    let mut world = World::new(setup);
    run(&mut world, ms(1_000));
    assert!(world.view().is_linked(A, B, 0) && world.view().is_linked(B, A, 1));
    world
}

/// What `node` learned of lane 0, with the time in milliseconds.
fn news(log: &Log, node: NodeIndex, end: End) -> Vec<(u64, News)> {
    let of = log.reports.iter().filter(|(_, of, _)| *of == node);
    let link = of.filter_map(|(at, _, report)| match report {
        Report::Link(link) if link.end == end && link.lane == 0 => {
            Some((at.as_nanos() / 1_000_000, link.news.clone()))
        }
        Report::Link(_)
        | Report::Booted { .. }
        | Report::Heard(..)
        | Report::Stored(..)
        | Report::Asked(_) => None,
    });
    link.collect()
}

fn kinds(news: &[(u64, News)]) -> Vec<News> {
    let kind = |(_, news): &(u64, News)| match news {
        News::Up { .. } => up(),
        News::Broken(_) | News::Refused | News::Silent | News::Unfit { .. } => news.clone(),
    };
    news.iter().map(kind).collect()
}

fn up() -> News {
    News::Up {
        hello: std::sync::Arc::new([0, 0]),
    }
}

/// The numbers that B heard, with the times in milliseconds.
fn heard(log: &Log) -> Vec<(u64, u64)> {
    let heard = log
        .reports
        .iter()
        .filter_map(|(at, node, report)| match report {
            Report::Heard(_, number) if *node == B => Some((at.as_nanos() / 1_000_000, *number)),
            Report::Heard(..)
            | Report::Link(_)
            | Report::Booted { .. }
            | Report::Stored(..)
            | Report::Asked(_) => None,
        });
    heard.collect()
}

fn numbers(log: &Log) -> Vec<u64> {
    heard(log).into_iter().map(|(_, number)| number).collect()
}

const CLEAN: Weather = Weather::latency_us(5_000, 5_000);
const PROCESS_CRASH: Fault = Fault::Crash {
    node: B,
    unsynced: Unsynced::Kept,
};
const POWER_LOSS: Fault = Fault::Crash {
    node: B,
    unsynced: Unsynced::Lost,
};

#[test]
fn both_ends_learn_that_they_are_connected() {
    let mut world = World::new(setup(2));
    let log = run(&mut world, ms(1_000));
    for node in [A, B] {
        assert_eq!(kinds(&news(&log, node, End::Dialled)), [up()]);
        assert_eq!(kinds(&news(&log, node, End::Accepted)), [up()]);
    }
}

#[test]
fn order_is_kept_whatever_the_weather_does() {
    let mut world = connected(Weather {
        loss_ppm: 200_000,
        duplicate_ppm: 300_000,
        reorder_ppm: 300_000,
        ..Weather::latency_us(1_000, 50_000)
    });
    for number in 0..200 {
        world.schedule_op(ms(1_000 + number * 2), A, number + 1);
    }
    let log = run(&mut world, ms(60_000));
    assert!(numbers(&log).is_sorted());
    // What a connection that is given up loses is the end of what it was given.
    assert!(numbers(&log).len() > 100, "{:?}", numbers(&log));
    assert_eq!(world.footprint().waiting, 0);
    assert_eq!(world.footprint().stored, 0);
}

#[test]
fn a_short_cut_delays_and_loses_nothing() {
    let mut world = connected(CLEAN);
    world.schedule_fault(ms(1_000), Fault::Cut { from: A, to: B });
    for number in 1..=3 {
        world.schedule_op(ms(1_000 + number), A, number);
    }
    world.schedule_fault(ms(4_000), Fault::Mend { from: A, to: B });
    let log = run(&mut world, ms(20_000));
    assert_eq!(numbers(&log), [1, 2, 3]);
    assert!(heard(&log)[0].0 >= 4_005);
    assert!(heard(&log)[2].0 <= 7_010);
    assert!(news(&log, A, End::Dialled).is_empty());
}

#[test]
fn what_stalls_for_long_is_given_up_with_all_that_is_on_its_way() {
    let mut world = connected(CLEAN);
    world.schedule_fault(ms(1_000), Fault::Cut { from: A, to: B });
    for number in 1..=3 {
        world.schedule_op(ms(1_000 + number), A, number);
    }
    world.schedule_fault(ms(9_000), Fault::Mend { from: A, to: B });
    world.schedule_op(ms(20_000), A, 4);
    let log = run(&mut world, ms(21_000));
    assert_eq!(numbers(&log), [4]);
    let dialled = news(&log, A, End::Dialled);
    assert_eq!(dialled[0], (6_001, News::Broken(Break::Stalled)));
    assert_eq!(kinds(&dialled).last(), Some(&up()));
    // The other end believed in the old connection until a new one came.
    let accepted = kinds(&news(&log, B, End::Accepted));
    assert_eq!(accepted, [News::Broken(Break::Replaced), up()]);
}

#[test]
fn an_idle_connection_outlives_a_cut_that_nobody_notices() {
    let mut world = connected(CLEAN);
    world.schedule_fault(
        ms(1_000),
        Fault::Partition {
            groups: vec![vec![A]],
        },
    );
    world.schedule_fault(ms(60_000), Fault::Heal {});
    world.schedule_op(ms(61_000), A, 1);
    let log = run(&mut world, ms(62_000));
    assert_eq!(heard(&log), [(61_005, 1)]);
    assert!(news(&log, A, End::Dialled).is_empty());
}

#[test]
fn where_only_answers_are_lost_words_arrive_until_the_sender_gives_up() {
    let mut world = connected(CLEAN);
    world.schedule_fault(ms(1_000), Fault::Cut { from: B, to: A });
    for number in 1..=8 {
        world.schedule_op(ms(1_000 * number + 1), A, number);
    }
    let log = run(&mut world, ms(10_000));
    assert_eq!(numbers(&log), [1, 2, 3, 4, 5]);
    let accepted = kinds(&news(&log, B, End::Accepted));
    // It is dialled again, and cannot know that its answer is lost.
    assert_eq!(accepted, [News::Broken(Break::Reset), up()]);
    assert!(!world.view().is_linked(A, B, 0));
}

#[test]
fn a_process_that_dies_is_noticed_at_once_and_refuses_until_it_is_back() {
    let mut world = connected(CLEAN);
    world.schedule_fault(ms(1_000), PROCESS_CRASH);
    world.schedule_fault(ms(1_300), Fault::Restart { node: B });
    let log = run(&mut world, ms(2_000));
    let dialled = news(&log, A, End::Dialled);
    let broken = News::Broken(Break::Reset);
    assert_eq!(dialled[0], (1_005, broken.clone()));
    assert_eq!(dialled[1], (1_065, News::Refused));
    assert_eq!(dialled[2], (1_175, News::Refused));
    // The process that is back dials, so the other side does not wait.
    assert_eq!(kinds(&dialled).last(), Some(&up()));
    assert!(dialled.last().is_some_and(|(at, _)| *at <= 1_320));
    assert_eq!(news(&log, A, End::Accepted)[0], (1_005, broken));
}

#[test]
fn a_host_without_power_is_silent_and_knows_nothing_when_it_is_back() {
    let mut world = connected(CLEAN);
    world.schedule_fault(ms(1_000), POWER_LOSS);
    world.schedule_op(ms(2_000), A, 1);
    world.schedule_fault(ms(3_000), Fault::Restart { node: B });
    let log = run(&mut world, ms(10_000));
    assert_eq!(numbers(&log), [0; 0]);
    let dialled = kinds(&news(&log, A, End::Dialled));
    assert_eq!(dialled, [News::Broken(Break::Reset), up()]);
    let at = news(&log, A, End::Dialled)[0].0;
    assert!((3_000..4_100).contains(&at), "{at}");
}

#[test]
fn half_an_open_connection_is_found_out_by_whoever_sends() {
    let mut world = connected(CLEAN);
    world.schedule_fault(ms(1_000), POWER_LOSS);
    world.schedule_fault(ms(1_100), Fault::Cut { from: B, to: A });
    world.schedule_fault(ms(1_200), Fault::Restart { node: B });
    world.schedule_fault(ms(8_000), Fault::Mend { from: B, to: A });
    let log = run(&mut world, ms(7_900));
    // Nothing was sent, so nobody knows better.
    assert!(news(&log, A, End::Dialled).is_empty());
    world.schedule_op(ms(8_100), A, 1);
    let log = run(&mut world, ms(12_000));
    let dialled = news(&log, A, End::Dialled);
    assert_eq!(dialled[0], (8_110, News::Broken(Break::Reset)));
    assert_eq!(numbers(&log), [0; 0]);
}

#[test]
fn a_paused_host_is_silent() {
    let mut world = connected(CLEAN);
    world.schedule_fault(ms(1_000), Fault::Pause { node: B });
    world.schedule_op(ms(1_100), A, 1);
    world.schedule_fault(ms(3_000), Fault::Resume { node: B });
    world.schedule_fault(ms(7_000), Fault::Pause { node: B });
    world.schedule_op(ms(7_100), A, 2);
    world.schedule_fault(ms(14_000), Fault::Resume { node: B });
    let log = run(&mut world, ms(30_000));
    assert_eq!(numbers(&log), [1]);
    assert!(heard(&log)[0].0 >= 3_005);
    let dialled = news(&log, A, End::Dialled);
    assert_eq!(dialled[0], (12_100, News::Broken(Break::Stalled)));
    assert_eq!(kinds(&dialled).last(), Some(&up()));
}

#[test]
fn what_cannot_be_read_breaks_its_connection() {
    let mut world = connected(CLEAN);
    world.schedule_op(ms(1_000), A, UNREADABLE);
    world.schedule_op(ms(1_001), A, 1);
    let log = run(&mut world, ms(2_000));
    assert_eq!(numbers(&log), [0; 0]);
    let accepted = news(&log, B, End::Accepted);
    assert_eq!(accepted[0], (1_005, News::Broken(Break::Unreadable)));
    let dialled = news(&log, A, End::Dialled);
    assert_eq!(dialled[0], (1_010, News::Broken(Break::Reset)));
    assert_eq!(kinds(&dialled[1..]), [up()]);
    assert_eq!(world.footprint().stored, 0);
}

#[test]
fn a_kind_that_never_gets_through_stalls_its_lane_only() {
    let mut world = connected(CLEAN);
    let (from, to) = (Some(A), Some(B));
    world.schedule_fault(
        ms(1_000),
        Fault::Filter {
            message: 1,
            from,
            to,
        },
    );
    world.schedule_op(ms(1_100), A, 1);
    world.schedule_op(ms(1_200), B, 3);
    let log = run(&mut world, ms(10_000));
    let dialled = news(&log, A, End::Dialled);
    assert_eq!(dialled[0], (6_105, News::Broken(Break::Stalled)));
    assert_eq!(kinds(&dialled[1..]), [up()]);
    assert!(world.view().is_linked(A, B, 1));
    assert_eq!(numbers(&log), [0; 0]);
}

/// A word of so many bytes.
fn long(bytes: u64) -> u64 {
    2_000_000 + bytes
}

#[test]
fn lanes_share_the_bandwidth_and_do_not_wait_for_each_other() {
    let narrow = Weather {
        bytes_per_ms: 100,
        ..CLEAN
    };
    let mut world = connected(narrow);
    // 100,000 bytes are on the way for a second, alone.
    world.schedule_op(ms(1_000), A, long(100_000));
    // A is asked 300 ms later, and its answer of 100 bytes has half of the bandwidth.
    world.schedule_op(ms(1_294), B, 3);
    let log = run(&mut world, ms(3_000));
    let [(at, _)] = heard(&log)[..] else {
        panic!("{:?}", heard(&log));
    };
    assert_eq!(at, 2_006);
    let mut log = run(&mut world, ms(3_100));
    // Two long words wait for each other.
    world.schedule_op(ms(3_200), A, long(50_000));
    world.schedule_op(ms(3_201), A, long(50_001));
    log.reports.extend(run(&mut world, ms(5_000)).reports);
    let times: Vec<_> = heard(&log).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [3_705, 4_205]);
}

#[test]
fn what_moves_is_not_given_up_however_long_it_takes() {
    let narrow = Weather {
        bytes_per_ms: 10,
        ..CLEAN
    };
    let mut world = connected(narrow);
    world.schedule_op(ms(1_000), A, long(200_000));
    let log = run(&mut world, ms(22_000));
    assert_eq!(heard(&log), [(21_005, long(200_000))]);
    assert!(news(&log, A, End::Dialled).is_empty());
}

#[test]
fn what_is_too_large_for_the_link_holds_up_what_is_behind_it() {
    let narrow = Weather {
        message_bytes_max: 1_000,
        ..CLEAN
    };
    let mut world = connected(narrow);
    world.schedule_op(ms(1_000), A, long(1_000));
    world.schedule_op(ms(1_001), A, long(1_001));
    world.schedule_op(ms(1_002), A, long(10));
    let log = run(&mut world, ms(5_900));
    assert_eq!(numbers(&log), [long(1_000)]);
    assert!(news(&log, A, End::Dialled).is_empty());
    let log = run(&mut world, ms(7_000));
    assert_eq!(numbers(&log), [0; 0]);
    let stalled = News::Broken(Break::Stalled);
    assert_eq!(kinds(&news(&log, A, End::Dialled)), [stalled, up()]);
}

#[test]
fn a_queue_is_bounded_in_bytes() {
    let mut setup = setup(2);
    setup.weather = Weather {
        bytes_per_ms: 100,
        ..CLEAN
    };
    setup.connections = Some(Connections {
        queue_bytes_max: 50_000,
        ..Connections::default()
    });
    let mut world = World::new(setup);
    run(&mut world, ms(1_000));
    world.schedule_op(ms(1_000), A, long(30_000));
    world.schedule_op(ms(1_001), A, long(30_001));
    world.schedule_op(ms(1_002), A, long(10_000));
    let log = run(&mut world, ms(3_000));
    assert_eq!(numbers(&log), [long(30_000), long(10_000)]);
}

#[test]
fn whoever_says_the_wrong_thing_is_refused_and_both_ends_know() {
    let mut setup = setup(2);
    setup.configs[1].name = 9;
    let mut world = World::new(setup);
    world.record_in(Trace::new(1_000));
    let log = run(&mut world, ms(1_000));
    for (node, end) in [(A, End::Dialled), (B, End::Accepted)] {
        let News::Unfit { by, reason, hello } = &news(&log, node, end)[0].1 else {
            panic!("{node} hears of the refusal");
        };
        assert_eq!((*by, &**reason), (B, "n0 is of another cluster"));
        assert!(!hello.is_empty(), "what was judged");
    }
    assert!(!world.view().is_linked(A, B, 0));
    let lines = world.trace().expect("it is recorded").lines();
    let refused = "link to n1 refused by n1: n0 is of another cluster";
    assert!(
        lines
            .map(ToString::to_string)
            .any(|line| line.ends_with(refused))
    );
}

#[test]
fn one_who_cannot_be_reached_is_dialled_ever_more_rarely() {
    let mut world = World::new(setup(2));
    world.schedule_fault(
        ms(0),
        Fault::Partition {
            groups: vec![vec![A]],
        },
    );
    let log = run(&mut world, ms(30_000));
    let times: Vec<_> = news(&log, A, End::Dialled)
        .into_iter()
        .map(|(at, _)| at)
        .collect();
    assert_eq!(times, [5_000, 10_050, 15_150, 20_350, 25_750]);
    world.schedule_fault(ms(30_000), Fault::Heal {});
    run(&mut world, ms(34_100));
    assert!(world.view().is_linked(A, B, 0));
}

#[test]
fn connections_are_deterministic_and_leave_nothing_behind() {
    let digest = |seed| {
        let mut setup = Setup::new(seed, talking(3));
        setup.connections = Some(Connections::default());
        let mut world = World::new(setup);
        storm(&mut world, 60);
        run(&mut world, ms(30_000));
        let mut copy = world.clone();
        run(&mut world, ms(70_000));
        run(&mut copy, ms(70_000));
        assert_eq!(world.digest(), copy.digest());
        world.digest()
    };
    assert_eq!(digest(3), digest(3));
    assert_ne!(digest(3), digest(4));
}
