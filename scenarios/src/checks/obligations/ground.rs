//! Ground truth of what could work: processes, clocks, disks and links, and since when.
//!
//! Faults change it, and each of them is looked at when it has been applied, so no break is
//! missed however short it is. What changes without a fault (the queue of a link or of a disk, a
//! store that is still being repaired) is seen at the next look only.

use crate::model::Host;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::weather::Weather;
use meshos_sim::world::{Link, View};
use std::time::Duration;

/// Clock rates that count as true, in parts of a million off.
const TRUE_PPM: i32 = 10_000;
/// Clock rates under which everything takes three times as long, in parts of a million off.
const DRIFT_PPM: core::ops::RangeInclusive<i32> = -300_000..=400_000;

/// Room in bytes with which a disk counts as one that takes what comes.
const ROOM: u64 = 64 << 10;

/// What works, and since when.
#[derive(Clone, Debug)]
pub(in crate::checks) struct Ground {
    heartbeat: Duration,
    nodes: usize,
    /// Since when each node runs as it should, whether or not its disk has room.
    awake: Vec<Option<Instant>>,
    /// The same with room.
    fit: Vec<Option<Instant>>,
    /// Since when small messages travel in time, for each pair of nodes.
    works: Vec<Option<Instant>>,
    /// Since when everything arrives at last, for each pair of nodes.
    carries: Vec<Option<Instant>>,
    /// Since when one node of each pair cannot hear the other, or is not there to hear.
    severed: Vec<Option<Instant>>,
    /// Since when each node does not run, or is paused.
    absent: Vec<Option<Instant>>,
    /// When each pair of nodes ceased to work or was severed, the last time.
    broke: Vec<Option<Instant>>,
    /// Nodes that were told to hand over and stop.
    leaving: Vec<bool>,
}

/// A majority of the voters of a chain that work pairwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Majority {
    /// Since when they do.
    pub since: Instant,
    /// Who they are.
    pub members: Vec<NodeIndex>,
}

impl Ground {
    pub(super) fn new(nodes: u16, heartbeat: Duration) -> Self {
        let nodes = usize::from(nodes);
        Self {
            heartbeat,
            nodes,
            awake: vec![None; nodes],
            fit: vec![None; nodes],
            works: vec![None; nodes * nodes],
            carries: vec![None; nodes * nodes],
            severed: vec![None; nodes * nodes],
            absent: vec![None; nodes],
            broke: vec![None; nodes * nodes],
            leaving: vec![false; nodes],
        }
    }

    /// Looks at everything; the nodes that something broke at.
    pub(super) fn look(&mut self, view: View<'_, Host>) -> Vec<NodeIndex> {
        let at = view.at();
        let mut broken = Vec::new();
        for node in view.nodes() {
            note(&mut self.absent[node.at()], !is_there(view, node), at);
            let is_awake = self.is_awake(view, node);
            let is_fit = is_awake && has_room(view, node);
            note(&mut self.awake[node.at()], is_awake, at);
            if note(&mut self.fit[node.at()], is_fit, at) {
                broken.push(node);
            }
        }
        for one in view.nodes() {
            for two in (one.0 + 1..self.nodes as u16).map(NodeIndex) {
                if self.look_at_pair(view, one, two) {
                    broken.extend([one, two]);
                }
            }
        }
        broken
    }

    /// Looks at the links between two nodes; whether they just ceased to work.
    fn look_at_pair(&mut self, view: View<'_, Host>, one: NodeIndex, two: NodeIndex) -> bool {
        let at = view.at();
        let links = [view.link(one, two), view.link(two, one)];
        let arrives = |link: &Link| latency(link).max(link.in_flight);
        let carries = links.iter().all(is_calm)
            && links.iter().map(arrives).sum::<Duration>() < self.heartbeat;
        let works = self.is_in_time(&links);
        let place = self.place(one, two);
        note(&mut self.carries[place], carries, at);
        let is_open = view.is_connected(one, two) && view.is_connected(two, one);
        let is_severed = !is_open || !is_there(view, one) || !is_there(view, two);
        let is_parted = is_severed && self.severed[place].is_none();
        note(&mut self.severed[place], is_severed, at);
        let ceased = note(&mut self.works[place], works, at);
        if is_parted || ceased {
            self.broke[place] = Some(at);
        }
        ceased
    }

    /// Whether small messages travel in time on both links of a pair.
    fn is_in_time(&self, links: &[Link; 2]) -> bool {
        let trip = links.iter().map(|link| latency(link) + link.queued);
        links.iter().all(is_calm) && trip.sum::<Duration>() < self.heartbeat
    }

    fn place(&self, one: NodeIndex, two: NodeIndex) -> usize {
        one.min(two).at() * self.nodes + one.max(two).at()
    }

    /// Whether a node runs, its clocks do, and its disk is fast enough.
    fn is_awake(&self, view: View<'_, Host>, node: NodeIndex) -> bool {
        let runs = view.node(node).is_some_and(|host| host.node().is_some());
        if !runs || view.is_paused(node) || self.leaving[node.at()] {
            return false;
        }
        let (clock, disk) = (view.clock(node), view.medium(node));
        let in_time = !clock.is_stopped()
            && DRIFT_PPM.contains(&clock.rate_ppm())
            && clock.late() * 2 < self.heartbeat;
        // What is queued was begun while the disk was slower, perhaps.
        let sync = disk.queued.max(Duration::from_micros(disk.us_max));
        in_time && !disk.sync_fails && sync < self.heartbeat
    }

    /// The clocks of a node leapt, which no waiting peer can tell from silence.
    pub(super) fn leapt(&mut self, node: NodeIndex) {
        self.awake[node.at()] = None;
        self.fit[node.at()] = None;
    }

    /// A node was told to hand over what it leads: it seeks leadership no more.
    pub(super) fn leaves(&mut self, node: NodeIndex) {
        self.leaving[node.at()] = true;
        self.awake[node.at()] = None;
        self.fit[node.at()] = None;
    }

    /// Whether a node was told to hand over what it leads.
    pub(super) fn is_leaving(&self, node: NodeIndex) -> bool {
        self.leaving[node.at()]
    }

    /// A node runs anew.
    pub(super) fn booted(&mut self, node: NodeIndex) {
        self.leaving[node.at()] = false;
    }

    /// Since when two nodes work with each other, both being fit.
    pub(super) fn works(&self, one: NodeIndex, two: NodeIndex) -> Option<Instant> {
        self.both((&self.fit, &self.works), one, two)
    }

    /// Since when two nodes hear each other in time, whether or not their disks have room.
    pub(super) fn hears(&self, one: NodeIndex, two: NodeIndex) -> Option<Instant> {
        self.both((&self.awake, &self.works), one, two)
    }

    /// Since when small messages travel in time between two nodes, fit or not.
    pub(super) fn in_time(&self, one: NodeIndex, two: NodeIndex) -> Option<Instant> {
        self.works[self.place(one, two)]
    }

    /// Since when whatever two nodes send each other arrives at last, both being fit.
    pub(super) fn carries(&self, one: NodeIndex, two: NodeIndex) -> Option<Instant> {
        self.both((&self.fit, &self.carries), one, two)
    }

    /// Since when two nodes work with each other and what they said before has arrived, provided
    /// that now what one of them asks, stores and answers takes the other a sixteenth of a
    /// heartbeat at most.
    pub(super) fn calm(
        &self,
        view: View<'_, Host>,
        (one, two): (NodeIndex, NodeIndex),
    ) -> Option<Instant> {
        let since = self.works(one, two)?.max(self.carries(one, two)?);
        let trip: Duration = [(one, two), (two, one)]
            .into_iter()
            .map(|(from, to)| arrives_within(view, from, to))
            .sum();
        let sync = |node| {
            let disk = view.medium(node);
            disk.queued.max(Duration::from_micros(disk.us_max))
        };
        let is_prompt = (trip + sync(one).max(sync(two))) * 16 <= self.heartbeat;
        is_prompt.then(|| since.after(self.heartbeat * 2))
    }

    /// Since when a node is fit: awake, with space on its disk.
    pub(super) fn fit(&self, node: NodeIndex) -> Option<Instant> {
        self.fit[node.at()]
    }

    /// Since when a node is awake: it runs and is not paused, and its clocks and disk keep time.
    pub(super) fn awake(&self, node: NodeIndex) -> Option<Instant> {
        self.awake[node.at()]
    }

    /// Since when a node does not run, or is paused.
    pub(super) fn absent(&self, node: NodeIndex) -> Option<Instant> {
        self.absent[node.at()]
    }

    /// Since when one of two nodes cannot hear the other, or nobody is there to hear.
    pub(super) fn severed(&self, one: NodeIndex, two: NodeIndex) -> Option<Instant> {
        self.severed[self.place(one, two)]
    }

    /// Whether nothing broke after `since` between two nodes of which one began to run then: they
    /// work, or are not connected yet.
    pub(super) fn stays(
        &self,
        view: View<'_, Host>,
        (one, two): (NodeIndex, NodeIndex),
        since: Instant,
    ) -> bool {
        let links = [view.link(one, two), view.link(two, one)];
        let is_awaited =
            !links.iter().all(|link| link.is_connected) && self.severed(one, two).is_none();
        self.broke[self.place(one, two)].is_none_or(|at| at <= since)
            && (is_awaited || self.is_in_time(&links))
    }

    fn both(
        &self,
        (nodes, links): (&[Option<Instant>], &[Option<Instant>]),
        one: NodeIndex,
        two: NodeIndex,
    ) -> Option<Instant> {
        let fit = nodes[one.at()]?.max(nodes[two.at()]?);
        if one == two {
            return Some(fit);
        }
        let link = links[self.place(one, two)]?;
        Some(fit.max(link))
    }

    /// How much longer than with true clocks everything may take among `nodes`.
    pub(super) fn pace(&self, view: View<'_, Host>, nodes: &[NodeIndex]) -> u32 {
        let is_true = |node: &NodeIndex| view.clock(*node).rate_ppm().abs() <= TRUE_PPM;
        if nodes.iter().all(is_true) { 1 } else { 3 }
    }

    /// The `size` of `voters` that have worked pairwise for the longest time. `since` says of
    /// each voter from when on it may be counted, if at all.
    pub(super) fn majority(
        &self,
        voters: &[NodeIndex],
        since: &[Option<Instant>],
        size: usize,
    ) -> Option<Majority> {
        let count = voters.len();
        let usable = since.iter().flatten().count();
        if usable < size || size == 0 {
            return None;
        }
        let mut best: Option<(Instant, u32)> = None;
        let mut set: u32 = (1 << size) - 1;
        while set < 1 << count {
            if let Some(from) = self.clique(voters, since, set)
                && best.is_none_or(|(held, _)| from < held)
            {
                best = Some((from, set));
            }
            // The next larger number with as many bits.
            let low = set & set.wrapping_neg();
            let ripple = set + low;
            set = ripple | (((set ^ ripple) >> 2) / low);
        }
        let (since, set) = best?;
        let members = (0..count).filter(|at| set & 1 << at != 0);
        Some(Majority {
            since,
            members: members.map(|at| voters[at]).collect(),
        })
    }

    fn clique(&self, voters: &[NodeIndex], since: &[Option<Instant>], set: u32) -> Option<Instant> {
        let mut from = Instant::ZERO;
        for (at, one) in voters
            .iter()
            .enumerate()
            .filter(|(at, _)| set & 1 << at != 0)
        {
            from = from.max(since[at]?).max(self.fit(*one)?);
            for (_, two) in voters
                .iter()
                .enumerate()
                .filter(|(to, _)| *to > at && set & 1 << to != 0)
            {
                from = from.max(self.works(*one, *two)?);
            }
        }
        Some(from)
    }

    /// The longest time for a message from one node to another, its sync there and the answer.
    pub(super) fn trip(view: View<'_, Host>, from: NodeIndex, to: NodeIndex) -> Duration {
        let there = latency(&view.link(from, to)) + latency(&view.link(to, from));
        there + Duration::from_micros(view.medium(to).us_max)
    }

    /// How many of `voters` hear one of `members` but do not work with all of them: they cannot
    /// be followed, and may be tried in vain.
    pub(super) fn strangers(
        &self,
        view: View<'_, Host>,
        voters: &[NodeIndex],
        members: &[NodeIndex],
    ) -> u32 {
        let strange = |voter: &&NodeIndex| {
            !members.contains(voter)
                && view.is_up(**voter)
                && members
                    .iter()
                    .any(|member| view.is_connected(*member, **voter))
                && members
                    .iter()
                    .any(|member| self.works(*member, **voter).is_none())
        };
        voters.iter().filter(strange).count() as u32
    }
}

/// Whether a node runs and is not paused.
fn is_there(view: View<'_, Host>, node: NodeIndex) -> bool {
    view.is_up(node) && !view.is_paused(node)
}

/// Whether the disk of a node has room for what comes.
fn has_room(view: View<'_, Host>, node: NodeIndex) -> bool {
    let disk = view.medium(node);
    !disk.is_full && disk.room.is_none_or(|bytes| bytes >= ROOM)
}

/// Notes whether something holds; whether it just ceased to.
fn note(slot: &mut Option<Instant>, holds: bool, at: Instant) -> bool {
    if holds {
        slot.get_or_insert(at);
        return false;
    }
    slot.take().is_some()
}

/// Whether whatever is sent on a link arrives.
fn is_calm(link: &Link) -> bool {
    let weather = &link.weather;
    let loses = weather.loss_ppm > 0 || weather.corrupt_ppm > 0 || weather.message_bytes_max > 0;
    link.is_connected && !link.is_filtered && !loses
}

/// How long what leaves now takes at most, as the link is.
pub(in crate::checks) fn arrives_within(
    view: View<'_, Host>,
    from: NodeIndex,
    to: NodeIndex,
) -> Duration {
    let link = view.link(from, to);
    latency(&link).max(link.in_flight) + link.queued
}

/// The longest time that a link takes for a small message.
fn latency(link: &Link) -> Duration {
    let Weather {
        latency_us_max,
        reorder_ppm,
        ..
    } = link.weather;
    // A message that is reordered is late by up to eight times the longest latency.
    let times = if reorder_ppm > 0 { 9 } else { 1 };
    Duration::from_micros(latency_us_max.saturating_mul(times))
}
