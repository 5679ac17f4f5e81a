use super::{SMALLEST, START, Windows};
use crate::id::{Attempt, AttemptNumber, Incarnation, NodeId};
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::*;

const PEER: NodeId = NodeId::new(2);

fn at(us: u64) -> Instant {
    Instant::from_nanos(us * 1000)
}

fn attempt(number: u64) -> Attempt {
    Attempt {
        incarnation: Incarnation::new(1),
        number: AttemptNumber::new(number),
    }
}

fn windows() -> Windows {
    Windows::new(Duration::from_millis(500))
}

/// A link of so many bytes per millisecond, filled as far as the window admits, with messages of
/// the size that the window asks for but at least `least`.
struct Link {
    windows: Windows,
    bytes_per_ms: u64,
    latency_us: u64,
    least: u64,
    now: u64,
    free: u64,
    end: u64,
    under_way: std::collections::VecDeque<(u64, u64)>,
}

impl Link {
    fn new(bytes_per_ms: u64, latency_us: u64, least: u64) -> Self {
        Self {
            windows: windows(),
            bytes_per_ms,
            latency_us,
            least,
            now: 0,
            free: 0,
            end: 0,
            under_way: Default::default(),
        }
    }

    fn fill(&mut self) {
        loop {
            let bytes = self
                .windows
                .message_bytes(PEER)
                .clamp(self.least, 512 << 10)
                .max(self.least);
            if !self.windows.has_room(PEER, bytes, at(self.now)) {
                return;
            }
            self.end += bytes;
            self.windows
                .sent(PEER, attempt(1), (self.end, bytes), at(self.now));
            self.free = self.free.max(self.now) + bytes * 1000 / self.bytes_per_ms;
            self.under_way
                .push_back((self.free + 2 * self.latency_us, self.end));
        }
    }

    /// Carries for a while; returns the bytes acknowledged.
    fn carry(&mut self, span_us: u64) -> u64 {
        let until = self.now + span_us;
        let before = self
            .windows
            .peers
            .get(&PEER)
            .map_or(0, |window| window.delivered);
        loop {
            self.fill();
            let Some(&(arrives, end)) = self.under_way.front() else {
                break;
            };
            if arrives > until {
                break;
            }
            self.now = arrives;
            self.under_way.pop_front();
            self.windows
                .acknowledge(PEER, attempt(1), (end, false), at(arrives));
        }
        self.now = until;
        self.windows.peers[&PEER].delivered - before
    }

    /// How long what is on the link takes from now on, in microseconds.
    fn queue(&self) -> u64 {
        self.free.saturating_sub(self.now)
    }
}

#[test]
fn a_long_fast_link_is_filled() {
    // 50 MB/s at a round trip of 400 ms hold 20 MB.
    let mut link = Link::new(50_000, 200_000, 1);
    link.carry(8_000_000);
    let carried = link.carry(4_000_000);
    assert!(carried > 4 * 50_000_000 * 9 / 10, "{carried}");
}

#[test]
fn a_slow_link_holds_about_a_heartbeat() {
    for bytes_per_ms in [50, 125, 625] {
        let mut link = Link::new(bytes_per_ms, 1000, 1);
        link.carry(20_000_000);
        assert!(link.queue() < 1_200_000, "{} us", link.queue());
        let carried = link.carry(20_000_000);
        assert!(carried > bytes_per_ms * 20_000 * 9 / 10, "{carried}");
    }
}

#[test]
fn one_message_may_always_be_under_way() {
    let mut link = Link::new(80, 1000, 200_000);
    let carried = link.carry(60_000_000);
    assert!(carried > 80 * 60_000 * 9 / 10, "{carried}");
    assert!(link.queue() <= 2_500_000);
}

#[test]
fn a_link_that_becomes_slow_is_given_less_and_then_more_again() {
    let mut link = Link::new(10_000, 1000, 1);
    link.carry(5_000_000);
    link.bytes_per_ms = 50;
    link.carry(120_000_000);
    assert!(link.queue() < 2_000_000, "{} us", link.queue());
    link.bytes_per_ms = 10_000;
    link.carry(10_000_000);
    let carried = link.carry(1_000_000);
    assert!(carried > 9_000_000, "{carried}");
}

#[test]
fn what_is_sent_again_or_lost_makes_room() {
    let mut windows = windows();
    windows.sent(PEER, attempt(1), (1, START), at(0));
    assert!(!windows.has_room(PEER, 1, at(1)));
    assert!(windows.has_room(NodeId::new(3), START, at(1)), "per peer");
    windows.send_again(PEER, attempt(1));
    assert!(windows.has_room(PEER, START / 2, at(3)), "and less of it");
    windows.sent(PEER, attempt(1), (1, START), at(4));
    windows.clear(PEER);
    assert!(windows.has_room(PEER, 1, at(4)));
    windows.sent(PEER, attempt(1), (1, 1), at(5));
    let expiry = windows.expiry(PEER).expect("something is under way");
    windows.sent(PEER, attempt(1), (2, START), at(5));
    assert!(windows.has_room(PEER, 1, expiry.after(Duration::from_secs(60))));
}

#[test]
fn what_is_dropped_takes_its_time_on_the_link() {
    let mut windows = windows();
    windows.sent(PEER, attempt(1), (1, START), at(0));
    windows.forget(PEER, attempt(2));
    windows.forget(PEER, attempt(1));
    assert!(windows.is_open(PEER, attempt(1), 1));
    assert!(!windows.has_room(PEER, 1, at(1)));
    // A heartbeat holds a window.
    let gone = windows.expiry(PEER).expect("something is under way");
    assert_eq!(gone, at(625_000));
    assert!(windows.has_room(PEER, START, gone));
    windows.sent(PEER, attempt(3), (1, START), gone);
    windows.lose(PEER, attempt(3));
    assert_eq!(windows.message_bytes(PEER), START / 8, "and less of it");
}

/// When a second message is overdue, after a first one was acknowledged 6 s after it was sent.
fn overdue_after(is_late: bool, arrived: Option<u64>) -> Instant {
    let mut windows = windows();
    windows.sent(PEER, attempt(1), (1, 1_000), at(0));
    if let Some(arrived) = arrived {
        windows.arrived(PEER, attempt(1), 1, at(arrived));
    }
    windows.acknowledge(PEER, attempt(1), (1, is_late), at(6_000_000));
    windows.sent(PEER, attempt(1), (2, 1_000), at(6_000_000));
    windows
        .overdue_at(PEER, attempt(1))
        .expect("it is under way")
}

#[test]
fn a_round_trip_is_that_of_the_link() {
    assert!(overdue_after(false, None) > at(16_000_000));
    let fresh = at(6_300_000);
    assert!(overdue_after(true, None) < fresh, "it was lost before");
    assert!(
        overdue_after(false, Some(20_000)) < fresh,
        "it waited for its disk"
    );
}

#[test]
fn after_a_loss_a_window_grows_slowly() {
    let mut windows = windows();
    windows.sent(PEER, attempt(1), (1, START), at(0));
    windows.send_again(PEER, attempt(1));
    let halved = windows.message_bytes(PEER);
    windows.sent(PEER, attempt(1), (1, START), at(10));
    windows.acknowledge(PEER, attempt(1), (1, false), at(1_000));
    let grown = windows.message_bytes(PEER);
    assert!(grown > halved && grown <= halved * 5 / 4, "{grown}");
}

#[test]
fn what_is_overdue_depends_on_what_is_before_it() {
    let mut windows = windows();
    assert!(
        windows.is_overdue(PEER, attempt(1), at(0)),
        "nothing is under way"
    );
    windows.sent(PEER, attempt(1), (1, 2 * START), at(0));
    // A heartbeat holds a window, so this takes two, and twice that may pass.
    assert!(!windows.is_overdue(PEER, attempt(1), at(2_200_000)));
    assert!(windows.is_overdue(PEER, attempt(1), at(2_300_000)));
    assert!(!windows.is_open(PEER, attempt(1), 1));
    windows.acknowledge(PEER, attempt(1), (1, false), at(2_500_000));
    assert!(windows.is_open(PEER, attempt(1), 1));
}

#[test]
fn what_a_very_slow_link_carries_is_not_overdue() {
    // 2 KB/s are far less than the smallest window says.
    let mut link = Link::new(2, 1000, 750);
    link.carry(200_000_000);
    for _ in 0..100 {
        link.fill();
        let (arrives, _) = *link.under_way.front().expect("something is under way");
        let is_overdue = link.windows.is_overdue(PEER, attempt(1), at(arrives));
        assert!(!is_overdue, "{} us", arrives - link.now);
        link.carry(arrives - link.now);
    }
}

#[test]
fn each_copy_in_vain_doubles_the_wait_until_a_first_one_arrives() {
    let mut windows = windows();
    let overdue = |windows: &mut Windows, end, now| {
        windows.sent(PEER, attempt(1), (end, 100), at(now));
        let due = windows.overdue_at(PEER, attempt(1)).expect("under way");
        due.since(at(now))
    };
    windows.sent(PEER, attempt(1), (1, 100), at(0));
    windows.acknowledge(PEER, attempt(1), (1, false), at(1_000));
    let once = overdue(&mut windows, 2, 10_000);
    windows.send_again(PEER, attempt(1));
    let twice = overdue(&mut windows, 2, 50_000);
    windows.send_again(PEER, attempt(1));
    let thrice = overdue(&mut windows, 2, 200_000);
    assert!(twice >= once * 2 && thrice >= twice * 2);
    windows.acknowledge(PEER, attempt(1), (2, false), at(201_000));
    assert!(
        overdue(&mut windows, 3, 210_000) >= thrice,
        "which copy it was is not known"
    );
    windows.acknowledge(PEER, attempt(1), (3, false), at(211_000));
    assert!(overdue(&mut windows, 4, 220_000) < twice);
}

#[test]
fn what_left_before_goes_alone_until_something_new_does() {
    let mut windows = windows();
    for end in 1..=3 {
        windows.sent(PEER, attempt(1), (end, 100), at(0));
    }
    windows.send_again(PEER, attempt(1));
    for end in 1..=3 {
        let now = at(1_000_000 * end);
        windows.sent(PEER, attempt(1), (end, 100), now);
        assert!(!windows.is_open(PEER, attempt(1), 8), "{end} is a copy");
        windows.acknowledge(PEER, attempt(1), (end, false), at(1_000_000 * end + 10_000));
    }
    windows.sent(PEER, attempt(1), (4, 100), at(4_000_000));
    assert!(windows.is_open(PEER, attempt(1), 8));
}

proptest! {
    /// Whatever is said of whatever was sent, what is under way is the sum of what was not said.
    #[test]
    fn what_is_under_way_adds_up(
        steps in prop::collection::vec((0_u8..8, 1_u64..4, 0_u64..200_000, 0_u64..900_000), 1..200),
    ) {
        let mut windows = windows();
        let (mut now, mut end) = (0, 0);
        for (what, of, bytes, pause) in steps {
            now += pause;
            end += 1;
            match what {
                0 | 1 => windows.sent(PEER, attempt(of), (end, bytes), at(now)),
                2 => windows.acknowledge(PEER, attempt(of), (end.saturating_sub(bytes % 9), false), at(now)),
                3 => windows.forget(PEER, attempt(of)),
                4 => windows.send_again(PEER, attempt(of)),
                5 => windows.lose(PEER, attempt(of)),
                6 => windows.arrived(PEER, attempt(of), end, at(now)),
                _ => { windows.has_room(PEER, bytes, at(now)); }
            }
            if let Some(window) = windows.peers.get(&PEER) {
                let sum: u64 = window.flights.values().map(|flight| flight.bytes).sum();
                let leaving: u64 = window.leaving.values().sum();
                prop_assert_eq!(window.in_flight, sum + leaving);
                prop_assert!(window.size >= SMALLEST);
            }
        }
    }
}
