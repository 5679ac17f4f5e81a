//! The links between nodes: weather, cuts, partitions, clogs and filters.
//!
//! A link's faults decide when a message is sent; what is already on its way arrives. Every
//! message advances the counter of its link, also one that is lost, so the draws of the others
//! do not depend on its fate. Links lie in one flat array of eight bytes each, and the fast path
//! of a link without faults is one draw.

use crate::connection::{MS, Streams};
use crate::draw::{Draw, Site, hits, scale};
use crate::fault::{LinkWeather, Weather};
use crate::machine::NodeIndex;
use crate::queue::Tie;
use crate::time::Instant;
use core::time::Duration;

/// The way from one node to another.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether no cut, partition or clog is on it and, in a run with connections, each lane has
    /// one that carries what it is given.
    pub is_connected: bool,
    /// Whether messages of some kind are lost on it.
    pub is_filtered: bool,
    /// How messages travel on it.
    pub weather: Weather,
    /// How long a message waits at least for those before it.
    pub queued: Duration,
}

/// The hot part of one directed link.
#[derive(Copy, Clone, Debug, Default)]
struct Lane {
    counter: u32,
    profile: u16,
    flags: u8,
}

/// A one-way cut.
const CUT: u8 = 1;
/// The two ends are in different groups of a partition.
const PARTED: u8 = 2;
/// Messages wait.
const CLOGGED: u8 = 4;
/// A filter names the link.
const FILTERED: u8 = 8;
/// Messages travel in connections.
const STREAMED: u8 = 16;

/// Weather, ready for drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Profile {
    latency_min: u64,
    /// Number of different latencies.
    latency_span: u64,
    /// Whether anything but latency has to be drawn.
    rough: bool,
    weather: Weather,
}

/// A message kind that is lost on some links.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    message: u16,
    from: Option<NodeIndex>,
    to: Option<NodeIndex>,
}

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

/// All links of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    nodes: usize,
    links: Vec<Lane>,
    /// The first one is the weather the run began with.
    profiles: Vec<Profile>,
    /// What links of their own weather have at least, by their place; empty when no link has one.
    base: Vec<Option<Weather>>,
    filters: Vec<Filter>,
    /// Filters that lost a message.
    met: Vec<Filter>,
    /// The connections, in a run that has them.
    pub(crate) streams: Option<Box<Streams>>,
    /// When each link has carried what it was given; empty until a link has a bandwidth.
    busy_until: Vec<u64>,
}

/// Time after which a message of a connection that was lost is sent again.
const RESENT_AFTER: u64 = 200 * MS;
/// How often it is sent again at most; the last pause is longer than any connection lives.
const RESENT_MAX: u32 = 16;
/// Weathers in use before the table is searched for those that no link has any more.
const PROFILES_MAX: usize = 64;

impl Network {
    pub(crate) fn new(nodes: usize, weather: Weather, matrix: &[LinkWeather]) -> Self {
        let mut network = Self {
            nodes,
            links: vec![Lane::default(); nodes * nodes],
            profiles: vec![Profile::new(weather)],
            base: Vec::new(),
            filters: Vec::new(),
            met: Vec::new(),
            streams: None,
            busy_until: Vec::new(),
        };
        if !matrix.is_empty() {
            let own = |(from, to)| matrix.iter().rev().find(|links| links.names(from, to));
            let base = network
                .pairs()
                .map(|pair| own(pair).map(|links| links.weather));
            network.base = base.collect();
            network.set_weather(None, |_, _| true);
        }
        network
    }

    /// Lets messages between different nodes travel in connections.
    pub(crate) fn connect(&mut self, streams: Streams) {
        for (from, to) in streams.pairs() {
            self.flag(from, to, STREAMED, true);
        }
        self.streams = Some(Box::new(streams));
    }

    /// How long a message of a connection travels once it has left, and how its bytes are
    /// damaged. What is lost is sent again after a time that doubles each time; the second copy of
    /// what is duplicated nobody sees.
    pub(crate) fn travel(
        &self,
        draw: &Draw,
        from: NodeIndex,
        to: NodeIndex,
        counter: u32,
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
            if !hits(bits as u32, weather.loss_ppm) {
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
        draw: &Draw,
        (from, to): (NodeIndex, NodeIndex),
        counter: u64,
    ) -> Option<u64> {
        let profile = self.profile(from, to);
        let bits = draw.bits(Site::Dial, lane(from, to), counter);
        let is_lost = hits(bits as u32, profile.weather.loss_ppm);
        let latency = profile.latency_min + scale(bits & !0xffff_ffff, profile.latency_span);
        (!is_lost).then_some(latency)
    }

    /// The bandwidth of a link; 0 for no limit.
    pub(crate) fn bytes_per_ms(&self, from: NodeIndex, to: NodeIndex) -> u64 {
        self.profile(from, to).weather.bytes_per_ms.into()
    }

    fn profile(&self, from: NodeIndex, to: NodeIndex) -> &Profile {
        let link = self.links[from.at() * self.nodes + to.at()];
        &self.profiles[link.profile as usize]
    }

    /// Decides when a message sent at `now` arrives.
    #[inline(always)]
    pub(crate) fn route(
        &mut self,
        draw: &Draw,
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
        draw: &Draw,
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
        if hits(bits as u32, weather.loss_ppm) {
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

    fn reorder(draw: &Draw, weather: &Weather, lane: u64, counter: u64) -> u64 {
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

    /// Whether messages of a kind are lost.
    pub(crate) fn is_filtered(&mut self, kind: u16, from: NodeIndex, to: NodeIndex) -> bool {
        let link = self.links[from.at() * self.nodes + to.at()];
        let hit = |filter: &&Filter| filter.message == kind && filter.names(from, to);
        if link.flags & FILTERED == 0 {
            return false;
        }
        let mut hits = self.filters.iter().filter(hit).peekable();
        let is_filtered = hits.peek().is_some();
        for filter in hits {
            if !self.met.contains(filter) {
                self.met.push(filter.clone());
            }
        }
        is_filtered
    }

    /// Whether this filter has lost a message since it was last forgotten.
    pub(crate) fn is_met(
        &self,
        message: u16,
        from: Option<NodeIndex>,
        to: Option<NodeIndex>,
    ) -> bool {
        self.met.contains(&Filter { message, from, to })
    }

    /// Forgets that this filter has lost a message; tells whether it had.
    pub(crate) fn forget_met(
        &mut self,
        message: u16,
        from: Option<NodeIndex>,
        to: Option<NodeIndex>,
    ) -> bool {
        let filter = Filter { message, from, to };
        let place = self.met.iter().position(|met| *met == filter);
        place.map(|place| self.met.swap_remove(place)).is_some()
    }

    /// When a message that waited on a clogged link arrives, if it leaves at `now`.
    pub(crate) fn release(&self, draw: &Draw, now: u64, tie: Tie) -> u64 {
        let (from, to) = (tie.sender(), tie.receiver());
        let link = self.links[from.at() * self.nodes + to.at()];
        let profile = &self.profiles[link.profile as usize];
        let bits = draw.bits(Site::Duplicate, lane(from, to), tie.0);
        now + profile.latency_min + scale(bits, profile.latency_span)
    }

    /// Whether messages from `from` to `to` wait.
    pub(crate) fn is_clogged(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.links[from.at() * self.nodes + to.at()].flags & CLOGGED != 0
    }

    /// Whether a message that is sent now can get from `from` to `to`.
    pub(crate) fn is_connected(&self, from: NodeIndex, to: NodeIndex) -> bool {
        let flags = self.links[from.at() * self.nodes + to.at()].flags;
        flags & (CUT | PARTED | CLOGGED) == 0
    }

    /// What a message that is sent at `now` would find.
    pub(crate) fn link(&self, from: NodeIndex, to: NodeIndex, now: Instant) -> Link {
        let place = from.at() * self.nodes + to.at();
        let link = self.links[place];
        let named = |filter: &Filter| filter.names(from, to);
        let busy = self.busy_until.get(place).copied().unwrap_or(0);
        let weather = self.profiles[usize::from(link.profile)].weather;
        if let Some(streams) = self.streams.as_deref().filter(|_| from != to) {
            let rate = u64::from(weather.bytes_per_ms);
            let leaves = streams.bytes(from, to).checked_div(rate).unwrap_or(0);
            let delay = Duration::from_nanos(streams.delay(from, to, now.as_nanos()));
            return Link {
                is_connected: self.is_connected(from, to) && streams.carries(from, to),
                is_filtered: link.flags & FILTERED != 0 && self.filters.iter().any(named),
                weather,
                queued: Duration::from_millis(leaves).max(delay),
            };
        }
        Link {
            is_connected: self.is_connected(from, to),
            is_filtered: link.flags & FILTERED != 0 && self.filters.iter().any(named),
            weather,
            queued: Instant::from_nanos(busy).since(now),
        }
    }

    /// Sets or clears flags; tells whether that changed any. So do all functions below that
    /// change links.
    fn flag(&mut self, from: NodeIndex, to: NodeIndex, flag: u8, on: bool) -> bool {
        let flags = &mut self.links[from.at() * self.nodes + to.at()].flags;
        let wanted = if on { *flags | flag } else { *flags & !flag };
        core::mem::replace(flags, wanted) != wanted
    }

    pub(crate) fn set_cut(&mut self, from: NodeIndex, to: NodeIndex, on: bool) -> bool {
        self.flag(from, to, CUT, on)
    }

    pub(crate) fn set_clog(&mut self, from: NodeIndex, to: NodeIndex, on: bool) -> bool {
        self.flag(from, to, CLOGGED, on)
    }

    /// Nodes of different groups are cut off from each other; unnamed ones are one more group.
    pub(crate) fn part(&mut self, groups: &[Vec<NodeIndex>]) -> bool {
        let mut group_of = vec![usize::MAX; self.nodes];
        for (group, members) in groups.iter().enumerate() {
            for member in members {
                if let Some(slot) = group_of.get_mut(member.at()) {
                    *slot = group;
                }
            }
        }
        let mut changed = false;
        for (from, to) in self.pairs() {
            let apart = group_of[from.at()] != group_of[to.at()];
            changed |= self.flag(from, to, PARTED, apart);
        }
        changed
    }

    pub(crate) fn filter(
        &mut self,
        message: u16,
        from: Option<NodeIndex>,
        to: Option<NodeIndex>,
    ) -> bool {
        let filter = Filter { message, from, to };
        if self.filters.contains(&filter) {
            return false;
        }
        for (from, to) in self.pairs() {
            if filter.names(from, to) {
                self.flag(from, to, FILTERED, true);
            }
        }
        self.filters.push(filter);
        true
    }

    /// Ends cuts, unless they are kept, partitions, clogs and filters on the links that `chosen`
    /// names.
    pub(crate) fn heal(
        &mut self,
        keeps_cuts: bool,
        chosen: impl Fn(NodeIndex, NodeIndex) -> bool,
    ) -> bool {
        let mut changed = false;
        let cut = if keeps_cuts { 0 } else { CUT };
        for (from, to) in self.pairs() {
            if chosen(from, to) {
                changed |= self.flag(from, to, cut | PARTED | CLOGGED | FILTERED, false);
            }
        }
        if self.links.iter().all(|link| link.flags & FILTERED == 0) {
            self.filters.clear();
        }
        changed
    }

    /// Gives the links that `chosen` names other weather, or that of the beginning. A link with
    /// weather of its own never gets better than that.
    pub(crate) fn set_weather(
        &mut self,
        weather: Option<Weather>,
        chosen: impl Fn(NodeIndex, NodeIndex) -> bool,
    ) -> bool {
        let profile = weather.map_or(0, |weather| self.intern(weather));
        let mut changed = false;
        for (from, to) in self.pairs() {
            if chosen(from, to) {
                let place = from.at() * self.nodes + to.at();
                let own = self.base.get(place).copied().flatten();
                let profile = match (own, weather) {
                    (None, _) => profile,
                    (Some(own), None) => self.intern(own),
                    (Some(own), Some(weather)) => self.intern(own.worse(weather)),
                };
                let link = &mut self.links[place];
                changed |= core::mem::replace(&mut link.profile, profile) != profile;
            }
        }
        changed
    }

    fn intern(&mut self, weather: Weather) -> u16 {
        let profile = Profile::new(weather);
        if let Some(place) = self.profiles.iter().position(|known| *known == profile) {
            return place as u16;
        }
        if self.profiles.len() >= PROFILES_MAX {
            let links = &self.links;
            let unused = (1..self.profiles.len())
                .find(|place| links.iter().all(|link| link.profile as usize != *place));
            if let Some(place) = unused {
                self.profiles[place] = profile;
                return place as u16;
            }
        }
        self.profiles.push(profile);
        u16::try_from(self.profiles.len() - 1).expect("fewer than 2^16 weathers are in use")
    }

    fn pairs(&self) -> impl Iterator<Item = (NodeIndex, NodeIndex)> + use<> {
        let nodes = self.nodes as u16;
        (0..nodes).flat_map(move |from| (0..nodes).map(move |to| (NodeIndex(from), NodeIndex(to))))
    }

    /// Entries in tables that faults fill.
    pub(crate) fn tables_len(&self) -> usize {
        self.profiles.len() + self.filters.len()
    }
}

impl Profile {
    const fn new(weather: Weather) -> Self {
        let min = nanos(weather.latency_us_min);
        let max = nanos(weather.latency_us_max);
        Self {
            latency_min: min,
            latency_span: max.saturating_sub(min) + 1,
            rough: weather.loss_ppm > 0
                || weather.duplicate_ppm > 0
                || weather.reorder_ppm > 0
                || weather.corrupt_ppm > 0
                || weather.bytes_per_ms > 0,
            weather,
        }
    }
}

impl Filter {
    fn names(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.from.is_none_or(|node| node == from) && self.to.is_none_or(|node| node == to)
    }
}

/// Microseconds in nanoseconds, at most a year, so that sums cannot overflow.
const fn nanos(us: u64) -> u64 {
    const YEAR_US: u64 = 31_536_000_000_000;
    if us < YEAR_US {
        us * 1_000
    } else {
        YEAR_US * 1_000
    }
}

#[inline]
const fn lane(from: NodeIndex, to: NodeIndex) -> u64 {
    (from.0 as u64) << 16 | to.0 as u64
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
