//! When a message arrives, how often and in what state: the draws of one link.

use super::{CLOGGED, CUT, Network, PARTED, Profile, STREAMED, lane, nanos};
use crate::connection::MS;
use crate::draw::{Draws, Site, hits, scale};
use crate::node::NodeIndex;
use crate::queue::Tie;
use crate::weather::Weather;

/// Where and when copies of a message arrive.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Once.
    Once(u64, Tie),
    /// Twice.
    Twice([(u64, Tie); 2]),
    /// Once, with damaged bytes, as these bits say.
    Damaged(u64, Tie, u64),
    /// When the link is unclogged.
    Held(Tie),
    /// In a connection, as the message of this number.
    Streamed(u32),
    /// Never.
    Lost,
}

/// Time after which a message of a connection that was lost is sent again.
const RESENT_AFTER: u64 = 200 * MS;

/// How often it is sent again at most; the last pause is longer than any connection lives.
const RESENT_MAX: u32 = 16;

impl Network {
    /// Decides when a message sent at `now` arrives.
    #[inline(always)]
    pub(crate) fn route(
        &mut self,
        draw: &Draws,
        now: u64,
        (from, to): (NodeIndex, NodeIndex),
        (kind, size): (u16, u32),
    ) -> Route {
        let place = from.at() * self.nodes + to.at();
        let link = &mut self.links[place];
        let counter = link.counter;
        link.counter = counter.wrapping_add(1);
        let profile = &self.profiles[link.profile as usize];
        let lane = lane(from, to);
        let bits = draw.bits(Site::Latency, lane, u64::from(counter));
        let at = now + profile.latency_min + scale(bits, profile.latency_span);
        let tie = Tie::message(counter, from, to, false);
        if link.flags == 0 && !profile.rough {
            return Route::Once(at, tie);
        }
        self.route_rough(draw, place, (now, at), tie, (kind, size))
    }

    #[cold]
    fn route_rough(
        &mut self,
        draw: &Draws,
        place: usize,
        (now, at): (u64, u64),
        tie: Tie,
        (kind, size): (u16, u32),
    ) -> Route {
        let link = self.links[place];
        let (from, to) = (tie.sender(), tie.receiver());
        let counter = link.counter.wrapping_sub(1);
        if link.flags & STREAMED != 0 {
            return Route::Streamed(counter);
        }
        let (lane, counter) = (lane(from, to), u64::from(counter));
        if link.flags & (CUT | PARTED) != 0 || self.is_filtered(kind, from, to) {
            return Route::Lost;
        }
        let profile = &self.profiles[link.profile as usize];
        let weather = profile.weather;
        let bits = draw.bits(Site::Loss, lane, counter);
        if weather.is_too_large(size) || hits(bits as u32, weather.loss_ppm) {
            return Route::Lost;
        }
        if link.flags & CLOGGED != 0 {
            return Route::Held(tie);
        }
        let damage = draw.bits(Site::Corrupt, lane, counter);
        let is_damaged = hits(damage as u32, weather.corrupt_ppm);
        let late = Self::reorder(draw, &weather, lane, counter);
        let copy = hits((bits >> 32) as u32, weather.duplicate_ppm).then(|| {
            let bits = draw.bits(Site::Duplicate, lane, counter);
            profile.latency_min + scale(bits, profile.latency_span)
        });
        let queued = self.carry(place, now, size, weather.bytes_per_ms);
        let at = at + late + queued;
        if is_damaged {
            return Route::Damaged(at, tie, damage >> 32);
        }
        match copy {
            None => Route::Once(at, tie),
            Some(latency) => {
                let copy = Tie::message(counter as u32, from, to, true);
                Route::Twice([(at, tie), (now + queued + latency, copy)])
            }
        }
    }

    fn reorder(draw: &Draws, weather: &Weather, lane: u64, counter: u64) -> u64 {
        let bits = draw.bits(Site::Reorder, lane, counter);
        if !hits(bits as u32, weather.reorder_ppm) {
            return 0;
        }
        scale(
            bits & !0xffff_ffff,
            nanos(weather.latency_us_max.max(1)) * 8,
        )
    }

    /// How much longer than its latency a message takes on a link with a bandwidth.
    fn carry(&mut self, place: usize, now: u64, size: u32, bytes_per_ms: u32) -> u64 {
        if bytes_per_ms == 0 {
            return 0;
        }
        if self.busy_until.is_empty() {
            self.busy_until = vec![0; self.links.len()];
        }
        let takes = u64::from(size) * 1_000_000 / u64::from(bytes_per_ms);
        let busy = &mut self.busy_until[place];
        *busy = (*busy).max(now).saturating_add(takes);
        *busy - now
    }

    /// How long a message of a connection travels once it has left, and how its bytes are
    /// damaged. What is lost is sent again after a time that doubles each time, and what is too
    /// large is lost each time; the second copy of what is duplicated nobody sees.
    pub(crate) fn travel(
        &self,
        draw: &Draws,
        from: NodeIndex,
        to: NodeIndex,
        (counter, bytes): (u32, u32),
    ) -> (u64, Option<u64>) {
        let profile = self.profile(from, to);
        let (lane, counter) = (lane(from, to), u64::from(counter));
        let bits = draw.bits(Site::Latency, lane, counter);
        let mut takes = profile.latency_min + scale(bits, profile.latency_span);
        if !profile.rough {
            return (takes, None);
        }
        let weather = profile.weather;
        takes += Self::reorder(draw, &weather, lane, counter);
        let again = RESENT_AFTER + 2 * profile.latency_min;
        for nth in 0..RESENT_MAX {
            let bits = draw.bits(Site::Resend, lane, counter << 8 | 0x80 | u64::from(nth));
            if !weather.is_too_large(bytes) && !hits(bits as u32, weather.loss_ppm) {
                break;
            }
            takes = takes.saturating_add(again << nth);
        }
        let damage = draw.bits(Site::Corrupt, lane, counter);
        let is_damaged = hits(damage as u32, weather.corrupt_ppm);
        (takes, is_damaged.then_some(damage >> 32))
    }

    /// How long something that is said about a connection travels, unless it is lost.
    pub(crate) fn reaches(
        &self,
        draw: &Draws,
        (from, to): (NodeIndex, NodeIndex),
        counter: u64,
    ) -> Option<u64> {
        let profile = self.profile(from, to);
        let bits = draw.bits(Site::Dial, lane(from, to), counter);
        let is_lost = hits(bits as u32, profile.weather.loss_ppm);
        let latency = profile.latency_min + scale(bits & !0xffff_ffff, profile.latency_span);
        (!is_lost).then_some(latency)
    }

    /// When a message that waited on a clogged link arrives, if it leaves at `now`.
    pub(crate) fn release(&self, draw: &Draws, now: u64, tie: Tie) -> u64 {
        let (from, to) = (tie.sender(), tie.receiver());
        let link = self.links[from.at() * self.nodes + to.at()];
        let profile = &self.profiles[link.profile as usize];
        let bits = draw.bits(Site::Duplicate, lane(from, to), tie.0);
        now + profile.latency_min + scale(bits, profile.latency_span)
    }

    /// The bandwidth of a link; 0 for no limit.
    pub(crate) fn bytes_per_ms(&self, from: NodeIndex, to: NodeIndex) -> u64 {
        self.profile(from, to).weather.bytes_per_ms.into()
    }

    fn profile(&self, from: NodeIndex, to: NodeIndex) -> &Profile {
        let link = self.links[from.at() * self.nodes + to.at()];
        &self.profiles[link.profile as usize]
    }
}
