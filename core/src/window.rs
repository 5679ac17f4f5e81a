//! How many bytes of bulk are on their way to each peer, and how many may be.
//!
//! Nothing tells what a link carries but the acknowledgements of what it carried. A window follows
//! them: it is what the link delivers within its shortest round trip and one heartbeat more, so a
//! fast link stays filled however long it is, and neither a slow one nor the queue before it holds
//! much more than a heartbeat's worth. One message may always be under way. The windows are in
//! integers and per peer, for the chains that two nodes share also share the link.
//!
//! What is under way is known by the question that it answers. It ends by being acknowledged, by
//! being sent again, or by time, so that nothing has to tell when a question is dropped. This
//! module sends nothing and sets no timers; it upholds *bounded*.

use crate::id::{Attempt, NodeId};
use crate::time::Instant;
use alloc::collections::BTreeMap;
use core::time::Duration;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// The windows of one node.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Windows {
    heartbeat: Duration,
    peers: BTreeMap<NodeId, Window>,
}

/// The window of one peer.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
struct Window {
    /// Bytes that may be under way.
    size: u64,
    /// Half of the size with which something was lost last: from there on it grows slowly.
    brake: u64,
    /// The round trip of a message that no other one was before.
    base: Option<Duration>,
    /// The round trip of the message that was acknowledged last.
    took: Duration,
    /// The round trip of the last one of which there was one copy, and the bytes that were under way
    /// with it.
    pace: (Duration, u64),
    /// Bytes acknowledged so far.
    delivered: u64,
    in_flight: u64,
    flights: BTreeMap<(Attempt, u64), Flight>,
    /// What answers questions that were dropped, and when it will have arrived or be lost. Nobody
    /// will say so, but until then it takes its time on the link.
    leaving: BTreeMap<Instant, u64>,
    /// When it was last looked for what is under way no more.
    looked: Instant,
    /// Messages so far.
    sent: u64,
    /// What is being sent again.
    again: Option<Again>,
    /// How often something was sent again since a first copy was acknowledged.
    in_vain: u32,
}

/// What answers a question is sent again. The first copies may still come, so what is acknowledged
/// tells nothing of the later ones until all that left before is there.
#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
struct Again {
    attempt: Attempt,
    /// Since when it is under way.
    first: Instant,
    /// Up to where it left before.
    end: u64,
}

/// One message under way.
#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
struct Flight {
    end: u64,
    bytes: u64,
    /// Bytes under way with it, its own included.
    queued: u64,
    at: Instant,
    /// When it was sent for the first time, as far as that is known.
    first: Instant,
    /// What had been delivered before.
    delivered: u64,
    /// Whether nothing else was under way.
    is_alone: bool,
    /// When it was there at the latest, though not yet acknowledged.
    arrived: Option<Instant>,
}

impl Again {
    fn is_of(&self, attempt: Attempt) -> bool {
        self.attempt == attempt
    }
}

impl Flight {
    /// Whether it was sent before.
    fn is_copy(&self) -> bool {
        self.first < self.at
    }
}

impl Windows {
    /// No peer is known yet; `heartbeat` is how much a queue may hold.
    pub(crate) fn new(heartbeat: Duration) -> Self {
        Self {
            heartbeat,
            peers: BTreeMap::new(),
        }
    }

    /// Whether a message of `bytes` may be sent to `peer`.
    pub(crate) fn has_room(&mut self, peer: NodeId, bytes: u64, now: Instant) -> bool {
        let heartbeat = self.heartbeat;
        let Some(window) = self.peers.get_mut(&peer) else {
            return true;
        };
        if !window.has_room(bytes) {
            window.expire(now, heartbeat);
        }
        window.has_room(bytes)
    }

    /// When there is room at the latest, because what is under way no longer counts.
    pub(crate) fn expiry(&self, peer: NodeId) -> Option<Instant> {
        let window = self.peers.get(&peer)?;
        let expiry = |flight: &Flight| window.expiry(flight, self.heartbeat);
        let flights = window.flights.values().map(expiry);
        flights.chain(window.leaving.keys().copied()).min()
    }

    /// How long what is under way to `peer` takes to be acknowledged, as its link was last seen.
    pub(crate) fn needs(&self, peer: NodeId) -> Duration {
        let window = self.peers.get(&peer).filter(|window| window.in_flight > 0);
        window.map_or(Duration::ZERO, |window| {
            window.needs(window.in_flight, self.heartbeat)
        })
    }

    /// How large messages to `peer` should be: several of them fill the window.
    pub(crate) fn message_bytes(&self, peer: NodeId) -> u64 {
        self.peers.get(&peer).map_or(START, |window| window.size) / 4
    }

    /// A message left that answers `attempt` up to `end`.
    pub(crate) fn sent(
        &mut self,
        peer: NodeId,
        attempt: Attempt,
        (end, bytes): (u64, u64),
        now: Instant,
    ) {
        let heartbeat = self.heartbeat;
        let window = self.peers.entry(peer).or_insert_with(Window::new);
        // What nobody tells of any more would make every message look as if others were before it.
        if now.since(window.looked) >= heartbeat / 4 {
            window.expire(now, heartbeat);
        }
        let again = window.again.filter(|again| again.is_of(attempt));
        let again = again.filter(|again| end <= again.end);
        let first = again.map_or(now, |again| again.first);
        let is_alone = window.in_flight == 0;
        window.in_flight += bytes;
        window.sent += 1;
        let flight = Flight {
            end,
            bytes,
            queued: window.in_flight,
            at: now,
            first,
            delivered: window.delivered,
            is_alone,
            arrived: None,
        };
        window.flights.insert((attempt, window.sent), flight);
    }

    /// What answers `attempt` up to `end` arrived, and is not durable there yet: what it waits for
    /// now tells nothing of the link.
    pub(crate) fn arrived(&mut self, peer: NodeId, attempt: Attempt, end: u64, now: Instant) {
        let Some(window) = self.peers.get_mut(&peer) else {
            return;
        };
        for ((of, _), flight) in window.flights.range_mut((attempt, 0)..) {
            if *of != attempt || flight.end > end {
                break;
            }
            flight.arrived.get_or_insert(now);
        }
    }

    /// What answers `attempt` up to `end` is durable there. `is_late` when that may have been said
    /// before, and was lost: then it tells nothing of the link.
    pub(crate) fn acknowledge(
        &mut self,
        peer: NodeId,
        attempt: Attempt,
        (end, is_late): (u64, bool),
        now: Instant,
    ) {
        let heartbeat = self.heartbeat;
        let Some(window) = self.peers.get_mut(&peer) else {
            return;
        };
        let mut last = None;
        while let Some((key, flight)) = window.oldest(attempt)
            && flight.end <= end
        {
            window.remove(key);
            window.delivered += flight.bytes;
            last = Some(flight);
        }
        if let Some(flight) = last {
            let again = &mut window.again;
            again.take_if(|again| again.is_of(attempt) && again.end <= end);
            if !flight.is_copy() {
                window.in_vain = 0;
            }
            if !is_late {
                window.learn(&flight, now, heartbeat);
            }
        }
    }

    /// The question `attempt` was asked anew, for some of its answers are missing.
    pub(crate) fn lose(&mut self, peer: NodeId, attempt: Attempt) {
        if let Some(window) = self.peers.get_mut(&peer)
            && window.oldest(attempt).is_some()
        {
            window.halve();
        }
        self.forget(peer, attempt);
    }

    /// The question `attempt` was dropped: what answers it is of no use, but still on its way.
    pub(crate) fn forget(&mut self, peer: NodeId, attempt: Attempt) {
        let heartbeat = self.heartbeat;
        let Some(window) = self.peers.get_mut(&peer) else {
            return;
        };
        while let Some((key, flight)) = window.oldest(attempt) {
            window.flights.remove(&key);
            let gone = flight.at.after(window.needs(flight.queued, heartbeat));
            *window.leaving.entry(gone).or_default() += flight.bytes;
        }
    }

    /// What answers `attempt` has been under way for longer than it should: it will be sent again,
    /// to a link that carries less than was thought.
    pub(crate) fn send_again(&mut self, peer: NodeId, attempt: Attempt) {
        let Some(window) = self.peers.get_mut(&peer) else {
            return;
        };
        if let Some((_, oldest)) = window.oldest(attempt) {
            let ends = window.of(attempt).map(|(_, flight)| flight.end);
            let before = window.again.filter(|again| again.is_of(attempt));
            let end = ends.chain(before.map(|again| again.end)).max();
            window.again = Some(Again {
                attempt,
                first: oldest.first,
                end: end.unwrap_or(oldest.end),
            });
            window.in_vain = window.in_vain.saturating_add(1);
            window.halve();
        }
        while let Some((key, _)) = window.oldest(attempt) {
            window.remove(key);
        }
    }

    /// The run of `peer` ended, and with it everything that was under way.
    pub(crate) fn clear(&mut self, peer: NodeId) {
        if let Some(window) = self.peers.get_mut(&peer) {
            window.flights.clear();
            window.leaving.clear();
            window.in_flight = 0;
            window.again = None;
            window.in_vain = 0;
        }
    }

    /// Whether fewer than `max` messages that answer `attempt` are under way, and no copy: while one
    /// is it goes alone, for if it comes in vain, too, all behind it would have to leave once more.
    pub(crate) fn is_open(&self, peer: NodeId, attempt: Attempt, max: usize) -> bool {
        self.peers.get(&peer).is_none_or(|window| {
            let oldest = window.oldest(attempt);
            let is_copied = oldest.is_some_and(|(_, flight)| flight.is_copy());
            !is_copied && (window.flights.len() < max || window.of(attempt).take(max).count() < max)
        })
    }

    /// Whether what answers `attempt` should have been acknowledged long ago, or nothing that does
    /// is known to be under way.
    pub(crate) fn is_overdue(&self, peer: NodeId, attempt: Attempt, now: Instant) -> bool {
        self.overdue_at(peer, attempt).is_none_or(|at| at <= now)
    }

    /// When what answers `attempt` should have been acknowledged; `None` when nothing that does is
    /// known to be under way.
    pub(crate) fn overdue_at(&self, peer: NodeId, attempt: Attempt) -> Option<Instant> {
        let window = self.peers.get(&peer)?;
        let (_, oldest) = window.oldest(attempt)?;
        // Round trips of one link differ, and the one that is known is the shortest. Where copies
        // were sent in vain the link may carry much less than was thought.
        let patience = window.patience(self.heartbeat);
        let wait = window.needs(oldest.queued, self.heartbeat) * 2 + self.heartbeat / 16;
        let longer = wait.saturating_mul(1 << window.in_vain.min(IN_VAIN_MAX));
        Some(oldest.at.after(longer.min(patience)))
    }
}

impl Window {
    fn new() -> Self {
        Self {
            size: START,
            brake: u64::MAX,
            base: None,
            took: Duration::ZERO,
            pace: (Duration::ZERO, SMALLEST),
            delivered: 0,
            in_flight: 0,
            flights: BTreeMap::new(),
            leaving: BTreeMap::new(),
            looked: Instant::ZERO,
            sent: 0,
            again: None,
            in_vain: 0,
        }
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.in_flight == 0 || self.in_flight.saturating_add(bytes) <= self.size
    }

    fn of(&self, attempt: Attempt) -> impl Iterator<Item = (&(Attempt, u64), &Flight)> {
        let from = self.flights.range((attempt, 0)..);
        from.take_while(move |((of, _), _)| *of == attempt)
    }

    fn oldest(&self, attempt: Attempt) -> Option<((Attempt, u64), Flight)> {
        self.of(attempt).next().map(|(key, flight)| (*key, *flight))
    }

    fn remove(&mut self, key: (Attempt, u64)) {
        if let Some(flight) = self.flights.remove(&key) {
            self.in_flight -= flight.bytes;
        }
    }

    /// Draws from one acknowledged message what the link carries.
    fn learn(&mut self, flight: &Flight, now: Instant, heartbeat: Duration) {
        let there = flight.arrived.unwrap_or(now);
        let mut took = there.since(flight.first).max(Duration::from_nanos(1));
        if !flight.is_copy() {
            self.pace = (took, flight.queued.max(SMALLEST));
        } else {
            // Which of several copies arrived is not known. A link that is that slow shows it again
            // with the next ones; one that lost the first copy does not.
            let needs = self.needs(flight.queued, heartbeat);
            took = took.min(needs.saturating_mul(GROWTH));
        }
        let base = match self.base {
            Some(base) if !flight.is_alone => base.min(took),
            Some(_) | None => took,
        };
        self.took = took;
        self.base = Some(base);
        let allowed = base.saturating_add(heartbeat);
        let delivered = u128::from(self.delivered - flight.delivered);
        let carried = delivered.saturating_mul(allowed.as_nanos()) / took.as_nanos();
        let carried = u64::try_from(carried).unwrap_or(u64::MAX);
        if took <= allowed {
            let largest = if self.size < self.brake {
                self.size.saturating_mul(u64::from(GROWTH))
            } else {
                self.size.saturating_add(self.size / 4)
            };
            let grown = carried.min(largest).min(LARGEST);
            self.size = self.size.max(grown);
        } else {
            self.shrink(carried.max(self.size / 2));
        }
    }

    fn halve(&mut self) {
        self.shrink(self.size / 2);
        self.brake = self.size;
    }

    fn shrink(&mut self, size: u64) {
        self.size = size.min(self.size).max(SMALLEST);
    }

    /// How long the last of so many bytes takes to be acknowledged.
    fn needs(&self, bytes: u64, heartbeat: Duration) -> Duration {
        let nanos = heartbeat.as_nanos().saturating_mul(u128::from(bytes)) / u128::from(self.size);
        let queue = duration(nanos);
        let by_size = self.base.unwrap_or(heartbeat / 4).saturating_add(queue);
        if self.size > SMALLEST {
            return by_size;
        }
        // The link may carry less than the smallest window says.
        let (took, queued) = self.pace;
        let by_pace = took.as_nanos().saturating_mul(u128::from(bytes)) / u128::from(queued);
        by_size.max(duration(by_pace))
    }

    /// The longest wait for anything.
    fn patience(&self, heartbeat: Duration) -> Duration {
        (heartbeat * 8).max(self.took.saturating_mul(2))
    }

    /// When a message no longer counts although nobody said what became of it.
    fn expiry(&self, flight: &Flight, heartbeat: Duration) -> Instant {
        let needs = self.needs(flight.queued, heartbeat).saturating_mul(2);
        flight.at.after(needs.max(self.patience(heartbeat)))
    }

    fn expire(&mut self, now: Instant, heartbeat: Duration) {
        self.looked = now;
        let gone = |(key, flight): (&(Attempt, u64), &Flight)| {
            (self.expiry(flight, heartbeat) <= now).then_some(*key)
        };
        let gone: alloc::vec::Vec<_> = self.flights.iter().filter_map(gone).collect();
        gone.into_iter().for_each(|key| self.remove(key));
        while let Some(first) = self.leaving.first_entry()
            && *first.key() <= now
        {
            self.in_flight -= first.remove();
        }
    }
}

fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The window of a peer of which nothing is known.
const START: u64 = 128 << 10;
/// No window is smaller.
const SMALLEST: u64 = 8 << 10;
/// No window is larger: more than the longest and fastest links hold.
const LARGEST: u64 = 1 << 30;
/// How often a wait is doubled at most.
const IN_VAIN_MAX: u32 = 16;
/// How much one acknowledgement may enlarge a window, or a round trip of which it is not sure.
const GROWTH: u32 = 4;
