//! How much of a connection may be under way.
//!
//! A window much larger than what the path carries only fills queues on the way, in which the other
//! connection's heartbeats would wait for seconds behind bulk. So it follows what the path carries
//! in its least round trip and a quarter of a second more: that much may stand in queues. The
//! system's own congestion control stays in force below it.

use std::time::{Duration, Instant};

/// Time by which the window exceeds the least round trip.
const QUEUE: Duration = Duration::from_millis(250);

/// Span over which the rate is measured, at least.
const SPAN: Duration = Duration::from_millis(250);

/// A pause in which nothing is under way and that is no part of a transfer.
const IDLE: Duration = Duration::from_millis(50);

/// The first bytes of what is sent at once; when they arrive, one round trip is over.
const PACKET: u64 = 1448;

/// So small that half a second carries it at 0.13 Mbit/s.
const WINDOW_MIN: u64 = 8 << 10;
const WINDOW_FIRST: u64 = 32 << 10;
const WINDOW_MAX: u64 = 64 << 20;

/// What one connection has under way, and how much it may have.
#[derive(Clone, Debug)]
pub(super) struct Window {
    bytes_max: u64,
    sent: u64,
    taken: u64,
    /// When the other end last took something, or something was sent with nothing under way.
    moved: Instant,
    round_trip_min: Option<Duration>,
    /// The end of some bytes, and when they were sent.
    probe: Option<(u64, Instant)>,
    /// Since when, and from which count on, the rate is measured.
    since: (Instant, u64),
    was_full: bool,
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            bytes_max: WINDOW_FIRST,
            sent: 0,
            taken: 0,
            moved: now,
            round_trip_min: None,
            probe: None,
            since: (now, 0),
            was_full: false,
        }
    }

    /// Bytes under way.
    pub(super) fn under_way(&self) -> u64 {
        self.sent - self.taken
    }

    /// How many bytes may be sent now.
    pub(super) fn room(&self) -> u64 {
        self.bytes_max.saturating_sub(self.under_way())
    }

    /// Since when nothing arrived, while something is under way.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        (self.under_way() > 0).then_some(self.moved)
    }

    /// Takes note of bytes that were sent.
    pub(super) fn on_sent(&mut self, now: Instant, bytes: u64) {
        if self.under_way() == 0 {
            if now - self.moved >= IDLE {
                // What was idle tells nothing of the path.
                self.since = (now, self.taken);
                self.was_full = false;
            }
            self.moved = now;
        }
        self.probe
            .get_or_insert((self.sent + bytes.min(PACKET), now));
        self.sent += bytes;
        self.was_full |= self.room() == 0;
    }

    /// Takes note of the count of all bytes that the other end has taken; whether it can be.
    pub(super) fn on_taken(&mut self, now: Instant, taken: u64) -> bool {
        if taken < self.taken || taken > self.sent {
            return false;
        }
        self.taken = taken;
        self.moved = now;
        if let Some((end, sent)) = self.probe
            && end <= taken
        {
            let round_trip = now - sent;
            let least = self.round_trip_min.get_or_insert(round_trip);
            *least = round_trip.min(*least);
            self.probe = None;
        }
        self.measure(now);
        true
    }

    fn measure(&mut self, now: Instant) {
        let (since, from) = self.since;
        let span = now - since;
        let Some(round_trip) = self.round_trip_min else {
            return;
        };
        if span < SPAN.max(round_trip) {
            return;
        }
        // A window that was never full did not hold anything back, and its rate is the sender's.
        if self.was_full {
            let bytes = u128::from(self.taken - from);
            let carried = bytes * (round_trip + QUEUE).as_nanos() / span.as_nanos();
            let carried = u64::try_from(carried).unwrap_or(u64::MAX);
            self.bytes_max = carried.clamp(WINDOW_MIN, WINDOW_MAX);
        }
        self.since = (now, self.taken);
        self.was_full = self.room() == 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of `rate` bytes a millisecond with a queue, and `delay` there and back.
    fn carry(rate: u64, delay_ms: u64, ms: u64) -> (Window, u64) {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut window = Window::new(begun);
        let (mut queued, mut carried) = (0, 0);
        let mut counts = std::collections::VecDeque::new();
        let mut queue_max = 0;
        for now in 0..ms {
            while counts.front().is_some_and(|(due, _)| *due <= now) {
                let (_, count) = counts.pop_front().unwrap();
                assert!(window.on_taken(at(now), count));
            }
            let room = window.room();
            if room > 0 {
                window.on_sent(at(now), room);
                queued += room;
            }
            let passed = queued.min(rate);
            queued -= passed;
            if passed > 0 {
                carried += passed;
                counts.push_back((now + delay_ms, carried));
            }
            if now > ms / 2 {
                queue_max = queue_max.max(queued);
            }
        }
        (window, queue_max)
    }

    #[test]
    fn the_queue_of_a_slow_path_stays_short() {
        for (rate, delay) in [(50, 1), (50, 80), (125, 20), (12_500, 1)] {
            let (_, queue) = carry(rate, delay, 10_000);
            let ms = queue / rate;
            assert!(ms <= 700, "{ms} ms of queue at {rate} B/ms");
        }
    }

    #[test]
    fn the_window_opens_to_what_a_fast_path_carries() {
        for (rate, delay) in [(125_000, 1), (12_500, 50), (12_500, 200), (1_250, 600)] {
            let (window, _) = carry(rate, delay, 20_000);
            let needed = rate * delay;
            assert!(
                window.bytes_max >= needed.min(WINDOW_MAX),
                "{} bytes at {rate} B/ms and {delay} ms",
                window.bytes_max
            );
        }
    }

    #[test]
    fn counts_that_cannot_be_are_told() {
        let now = Instant::now();
        let mut window = Window::new(now);
        window.on_sent(now, 100);
        assert!(!window.on_taken(now, 101));
        assert!(window.on_taken(now, 60));
        assert!(!window.on_taken(now, 59));
        assert_eq!(window.under_way(), 40);
        assert_eq!(window.stalled_since(), Some(now));
        assert!(window.on_taken(now, 100));
        assert_eq!(window.stalled_since(), None);
    }
}
