//! The links between nodes: weather, cuts, partitions, clogs and filters.
//!
//! A link's faults decide when a message is sent; what is already on its way arrives. Every
//! message advances the counter of its link, also one that is lost, so the draws of the others
//! do not depend on its fate. Links lie in one flat array of eight bytes each, and the fast path
//! of a link without faults is one draw.

mod filter;
mod route;

pub(crate) use route::Route;

use crate::connection::Streams;
use crate::node::NodeIndex;
use crate::time::Instant;
use crate::weather::{LinkWeather, Weather};
use core::time::Duration;
use filter::Filter;

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
    /// How long what has left takes to arrive, which in a run with connections is longer than the
    /// weather says while something is sent again.
    pub in_flight: Duration,
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

/// Weathers in use before the table is searched for those that no link has any more.
const PROFILES_MAX: usize = 64;

impl Network {
    /// Lets every way count its messages from the first one.
    pub(crate) fn forget_counts(&mut self) {
        self.links.iter_mut().for_each(|lane| lane.counter = 0);
    }

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
                in_flight: delay,
            };
        }
        Link {
            is_connected: self.is_connected(from, to),
            is_filtered: link.flags & FILTERED != 0 && self.filters.iter().any(named),
            weather,
            queued: Instant::from_nanos(busy).since(now),
            in_flight: Duration::ZERO,
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
                || weather.bytes_per_ms > 0
                || weather.message_bytes_max > 0,
            weather,
        }
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
mod tests;
