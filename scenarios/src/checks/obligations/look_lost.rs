//! What every look asks of leaders that died, are cut off, or whose disk hangs.

use super::fails_over::{Died, Heirs};
use super::ground::Ground;
use super::look::Scene;
use super::steps_down::Leadership;
use super::{Known, Majority, Obligations};
use crate::checks::track::ChainTrack;
use crate::model::{Host, node_id};
use meshos_core::id::Incarnation;
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use std::time::Duration;

/// More chains than this may have to wait for each other's rounds of votes.
const CHAINS_MAX: usize = 16;
/// The longest that a message takes that left in earlier weather.
const LATE: Duration = Duration::from_secs(1);

impl Obligations {
    /// A process ended.
    pub(super) fn note_death(
        &mut self,
        node: NodeIndex,
        died: &Host,
        chains: &[ChainTrack],
        at: Instant,
    ) {
        let Some(running) = died.node() else { return };
        let run = running.me().incarnation;
        for (place, track) in chains.iter().enumerate() {
            let leads = |chain: &&Chain| chain.role() == Role::Leader;
            if let Some(chain) = running.chain(track.id).filter(leads) {
                let n = chain.epoch().n;
                let died = Died { leader: node, n };
                self.fails_over.die(place, (died, run), at);
            }
        }
    }

    /// A node is told that the process of `peer` is gone, or hears a later one in its place.
    pub(in crate::checks) fn on_gone(
        &mut self,
        view: View<'_, Host>,
        (node, peer): (NodeIndex, NodeIndex),
        chains: &[ChainTrack],
    ) -> Result<(), Violation> {
        let Some(running) = view.node(node).and_then(Host::node) else {
            return Ok(());
        };
        for (place, track) in chains.iter().enumerate() {
            let follows = |chain: &&Chain| {
                chain.role() == Role::Replica && chain.leader() == Some(node_id(peer))
            };
            if let Some(chain) = running.chain(track.id).filter(follows) {
                let n = chain.epoch().n;
                self.fails_over
                    .tell((place, node), Died { leader: peer, n }, view.at());
                let scene = self.known.scene(view, place, track);
                self.look_at_fail_over(&scene)?;
            }
        }
        Ok(())
    }

    /// Something that a run of `from` sent arrives at `node`.
    #[inline]
    pub(in crate::checks) fn on_heard_of(
        &mut self,
        view: View<'_, Host>,
        (node, from): (NodeIndex, NodeIndex),
        run: Incarnation,
    ) {
        let duties = &self.known.duties;
        let is_voter = |chain: usize| duties[chain].voters.contains(&node);
        if self.fails_over.hear((from, run), view.at(), is_voter) {
            // A node runs some time after its boot, which only a look notices.
            self.known.ground.look(view);
        }
    }

    pub(super) fn look_at_fail_over(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(heirs) = self.fails_over.heirs(scene.place) else {
            return Ok(());
        };
        // Also a leadership that began and ended between two looks.
        if scene.chain.leaders.last() > heirs.died.n {
            self.fails_over.led(scene.place);
            return Ok(());
        }
        if !self.known.may_inherit(scene, heirs) {
            self.fails_over.release(scene.place);
            return Ok(());
        }
        let facts = self.known.facts(scene, &heirs.voters);
        let trips = (trips(scene, heirs.voters), trips_back(scene, heirs));
        self.fails_over.hold(scene.place, heirs, trips, facts)
    }

    pub(super) fn look_at_step_down(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let known = &self.known;
        let voters = &known.duties[scene.place].voters;
        let cut_off = voters
            .iter()
            .zip(&scene.replicas)
            .filter_map(|(&node, replica)| {
                let leads =
                    |chain: &&Chain| chain.role() == Role::Leader && chain.fault().is_none();
                let chain = replica.filter(|chain| leads(chain))?;
                let since = known.cut_off_since(scene.place, node)?;
                Some(((scene.place, chain.epoch().n, node), since))
            });
        let cut_off: Vec<(Leadership, Instant)> = cut_off.collect();
        for before in self.steps_down.cut_off(scene.place).collect::<Vec<_>>() {
            if cut_off.iter().any(|(leadership, _)| *leadership == before) {
                continue;
            }
            let (_, n, node) = before;
            let place = voters.iter().position(|voter| *voter == node);
            let replica = place.and_then(|voter| scene.replicas[voter]);
            let claims = |chain: &Chain| chain.role() == Role::Leader && chain.epoch().n == n;
            match replica.is_some_and(|chain| !claims(chain)) {
                true => self.steps_down.end(before),
                false => self.steps_down.release(before),
            }
        }
        for (leadership, since) in cut_off {
            let facts = known.facts(scene, &[leadership.2]);
            let late = known.late(scene, leadership.2);
            self.steps_down.hold(leadership, (since, late), facts)?;
        }
        Ok(())
    }
}

impl Obligations {
    pub(super) fn look_at_hung_leader(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let hung = self.known.hung_leader(scene);
        for before in self.gives_way.hung(scene.place).collect::<Vec<_>>() {
            if hung.as_ref().is_some_and(|(now, _)| *now == before) {
                continue;
            }
            let (_, n, node) = before;
            let leads = |chain: &Chain| chain.role() == Role::Leader && chain.epoch().n == n;
            match scene.replica(&self.known, node).is_some_and(leads) {
                true => self.gives_way.release(before),
                false => self.gives_way.end(before),
            }
        }
        let Some((leadership, others)) = hung else {
            return Ok(());
        };
        let facts = self.known.facts(scene, &others.members);
        let crossing = self.known.crossing(scene, &others.members);
        self.gives_way
            .hold(leadership, (others.since, crossing), facts)
    }
}

/// A disk that takes so many heartbeats for every batch hangs.
const HUNG_BEATS: u32 = 64;

/// One trip in each direction, with the syncs at both ends.
fn trips(scene: &Scene<'_>, [one, two]: [NodeIndex; 2]) -> Duration {
    Ground::trip(scene.view, one, two) + Ground::trip(scene.view, two, one)
}

/// The longest trips between two heirs and the node that led, if it is back.
fn trips_back(scene: &Scene<'_>, heirs: Heirs) -> Duration {
    let [one, two] = heirs
        .voters
        .map(|voter| trips(scene, [voter, heirs.died.leader]));
    heirs.back.map_or(Duration::ZERO, |_| one.max(two))
}

impl Known {
    /// A leadership whose own disk hangs, and a majority without it that commits more than is
    /// stored there, and that it works with but for that disk.
    fn hung_leader(&self, scene: &Scene<'_>) -> Option<(Leadership, Majority)> {
        let duty = &self.duties[scene.place];
        let (leader, chain) = scene.leader()?;
        let node = duty.voters[leader];
        let least = Duration::from_micros(scene.view.medium(node).us_min);
        let settled = duty.committed.front()?;
        if least < self.heartbeat * HUNG_BEATS
            || chain.log().durable().end >= settled.end
            || self.ground.absent(node).is_some()
            || self.ground.is_leaving(node)
        {
            return None;
        }
        let usable = duty.voters.iter().zip(&duty.sound).map(|(voter, sound)| {
            let reached = self.ground.in_time(node, *voter)?;
            Some((*sound)?.max(reached))
        });
        let mut usable: Vec<_> = usable.collect();
        usable[leader] = None;
        let others = self.ground.majority(&duty.voters, &usable, duty.majority)?;
        Some(((scene.place, chain.epoch().n, node), others))
    }

    /// Whether two voters that were told of a death can elect one of them at once: nothing was
    /// wrong with them and between them for a while before, they are quick. Those that were told
    /// apart may have made their attempts apart. Each of the two may have bound itself by what the
    /// node that led granted it when it was back, and then waits for what decides between them,
    /// its vote: so it may not have gone again since it was heard.
    fn may_inherit(&self, scene: &Scene<'_>, heirs: Heirs) -> bool {
        let duty = &self.duties[scene.place];
        let [one, two] = heirs.voters;
        let is_long = |since: Option<Instant>| {
            since.is_some_and(|since| since.after(self.heartbeat * 2) <= heirs.since)
        };
        let is_ready = |node: &NodeIndex| {
            let voter = duty.voters.iter().position(|voter| voter == node);
            voter.is_some_and(|voter| {
                let is_free = |chain: &Chain| !chain.is_resetting();
                is_long(duty.sound[voter]) && scene.replicas[voter].is_some_and(is_free)
            })
        };
        let leader = heirs.died.leader;
        let stays = |back: Instant| {
            let with = |voter: &NodeIndex| self.ground.stays(scene.view, (*voter, leader), back);
            let fit = self.ground.fit(leader);
            fit.is_some_and(|since| since <= back) && heirs.voters.iter().all(with)
        };
        self.duties.len() <= CHAINS_MAX
            && duty.voters.len() == 3
            && heirs.apart * 8 <= self.heartbeat
            && heirs.voters.iter().all(is_ready)
            && is_long(self.ground.works(one, two))
            && heirs.back.is_none_or(stays)
            && trips(scene, heirs.voters) * 2 < self.heartbeat
            && self.ground.pace(scene.view, &heirs.voters) == 1
    }

    /// Since when fewer than M voters of a chain, itself included, can hear a node and answer it.
    fn cut_off_since(&self, place: usize, node: NodeIndex) -> Option<Instant> {
        let duty = &self.duties[place];
        let awake = self.ground.awake(node)?;
        let others = duty.voters.iter().filter(|other| **other != node);
        let mut severed: Vec<Instant> = others
            .filter_map(|other| self.ground.severed(node, *other))
            .collect();
        severed.sort_unstable();
        let enough = duty.voters.len() - duty.majority;
        severed.get(enough).map(|since| awake.max(*since))
    }

    /// How long what was said before may take to a node.
    fn late(&self, scene: &Scene<'_>, node: NodeIndex) -> Duration {
        let voters = self.duties[scene.place].voters.iter();
        let others = voters.filter(|other| **other != node);
        let trip = |other: &NodeIndex| {
            let links = [scene.view.link(node, *other), scene.view.link(*other, node)];
            let queued: Duration = links.iter().map(|link| link.queued).sum();
            queued + Ground::trip(scene.view, node, *other)
        };
        others.map(trip).max().unwrap_or_default().max(LATE)
    }
}
