//! What every look at the cluster asks of each chain.

use super::super::track::ChainTrack;
use super::commits_go_on::Asking;
use super::ground::Ground;
use super::level::{Speed, takes};
use super::missing::missing;
use super::{Facts, Known, Majority, Obligations};
use crate::model::{Host, node_id};
use meshos_core::chain::entry::LogPosition;
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use std::time::Duration;

/// One chain as it is now.
pub(super) struct Scene<'a> {
    pub(super) view: View<'a, Host>,
    /// The chain, by its place.
    pub(super) place: usize,
    pub(super) chain: &'a ChainTrack,
    /// The running replicas, in the order of the voters.
    pub(super) replicas: Vec<Option<&'a Chain>>,
    /// The leader that a majority follows, by its place among the voters.
    pub(super) led: Option<usize>,
}

impl<'a> Scene<'a> {
    pub(super) fn at(&self) -> Instant {
        self.view.at()
    }

    /// The leader that a majority follows, and its replica.
    pub(super) fn leader(&self) -> Option<(usize, &'a Chain)> {
        let leader = self.led?;
        Some((leader, self.replicas[leader]?))
    }

    /// The running replica of a node.
    pub(super) fn replica(&self, known: &Known, node: NodeIndex) -> Option<&'a Chain> {
        let voters = &known.duties[self.place].voters;
        let place = voters.iter().position(|voter| *voter == node)?;
        self.replicas[place]
    }

    /// Whether a replica holds the committed prefix that ends at `tip`. What lies below its floor
    /// it holds by its checkpoint, though that can no longer be told entry by entry.
    pub(super) fn is_level(&self, voter: usize, tip: LogPosition) -> bool {
        let is_below = |chain: &Chain| chain.log().floor() >= tip.end;
        self.replicas[voter].is_some_and(is_below) || self.holds(voter, tip)
    }

    /// Whether a replica holds the prefix that ends at `tip`.
    pub(super) fn holds(&self, voter: usize, tip: LogPosition) -> bool {
        let holds = |chain: &Chain| self.chain.truth.holds(chain.log().tip(), tip) == Some(true);
        self.replicas[voter].is_some_and(holds)
    }
}

impl Obligations {
    /// Looks at everything, and finds what is overdue.
    pub(in crate::checks) fn look(
        &mut self,
        view: View<'_, Host>,
        chains: &[ChainTrack],
    ) -> Result<(), Violation> {
        self.known.ground.look(view);
        self.known.look_at_walls(view);
        let scenes = chains.iter().enumerate();
        let scenes: Vec<_> = scenes
            .map(|(place, chain)| self.known.scene(view, place, chain))
            .collect();
        self.known.count_streams(&scenes);
        for scene in scenes {
            self.look_at_leader(&scene)?;
            self.look_at_fail_over(&scene)?;
            self.look_at_step_down(&scene)?;
            self.look_at_hung_leader(&scene)?;
            self.look_at_commits(&scene)?;
            self.look_at_transfers(&scene)?;
            self.look_at_pin(&scene)?;
            self.look_at_level(&scene)?;
            self.look_at_shares(&scene)?;
            self.look_at_retention(&scene)?;
            self.look_at_checkpoints(&scene);
            self.look_at_damage(&scene)?;
            self.look_at_reads(&scene)?;
            self.known.duties[scene.place].remember(&scene);
        }
        Ok(())
    }

    fn look_at_leader(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        if scene.led.is_some() {
            self.leader_again.led(scene.place);
            return Ok(());
        }
        let duty = &self.known.duties[scene.place];
        let majority = self
            .known
            .ground
            .majority(&duty.voters, &duty.sound, duty.majority);
        let facts = self.known.facts(scene, members(majority.as_ref()));
        self.leader_again
            .leaderless(scene.place, majority.as_ref(), facts)
    }

    fn look_at_commits(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let (duty, at) = (&self.known.duties[scene.place], scene.at());
        let committed = scene.chain.truth.committed();
        if duty.committed.back().is_some_and(|last| *last != committed) {
            self.commits.commit(scene.place, at);
            return Ok(());
        }
        let asked =
            |(sound, asking): (&Option<Instant>, &Asking)| Some((*sound)?.max(asking.since(at)?));
        let usable: Vec<_> = duty.sound.iter().zip(&duty.asking).map(asked).collect();
        let majority = self
            .known
            .ground
            .majority(&duty.voters, &usable, duty.majority);
        let facts = self.known.facts(scene, members(majority.as_ref()));
        let crossing = || self.known.crossing(scene, members(majority.as_ref()));
        self.commits
            .asked(scene.place, majority.as_ref(), crossing, facts)
    }

    fn look_at_transfers(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let told: Vec<_> = self.transfers.told(scene.place).collect();
        for (transfer, word) in told {
            let (_, n, target) = transfer;
            let duty = &self.known.duties[scene.place];
            let Some(voter) = duty.voters.iter().position(|node| *node == target) else {
                continue;
            };
            let leads = |chain: &Chain| chain.role() == Role::Leader && chain.epoch().n > n;
            if scene.chain.leaders.has_led(n, node_id(target)) {
                self.transfers.end(transfer);
                continue;
            }
            let may = scene.replicas.iter().flatten().all(|chain| !leads(chain))
                && scene.holds(voter, word.tip)
                && self.known.may_lead(scene, voter, Some(word.from));
            if !may {
                self.transfers.release(transfer);
                continue;
            }
            let facts = self.known.facts(scene, &[target]);
            self.transfers.hold(transfer, facts)?;
        }
        Ok(())
    }

    fn look_at_pin(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let duty = &self.known.duties[scene.place];
        let Some(pinned) = duty.pinned else {
            return Ok(());
        };
        let Some(voter) = duty.voters.iter().position(|node| *node == pinned) else {
            return Ok(());
        };
        if scene.led == Some(voter) {
            self.pinned.leads(scene.place);
            return Ok(());
        }
        let settled = duty.committed.front().copied();
        let is_level = settled.is_some_and(|tip| scene.is_level(voter, tip));
        let leader = scene.led.map(|leader| duty.voters[leader]);
        if !is_level || !self.known.may_lead(scene, voter, leader) {
            self.pinned.release(scene.place);
            return Ok(());
        }
        let facts = self.known.facts(scene, &[pinned]);
        self.pinned.hold(scene.place, pinned, facts)
    }
}

impl Known {
    /// One chain as it is now.
    pub(super) fn scene<'a>(
        &mut self,
        view: View<'a, Host>,
        place: usize,
        chain: &'a ChainTrack,
    ) -> Scene<'a> {
        let duty = &mut self.duties[place];
        let of = |node: &NodeIndex| view.node(*node).and_then(Host::node)?.chain(chain.id);
        let replicas: Vec<Option<&Chain>> = duty.voters.iter().map(of).collect();
        for (voter, replica) in replicas.iter().enumerate() {
            let node = duty.voters[voter];
            let is_founding = is_founding(view, &self.refused, node);
            let is_sound = |chain: &Chain| chain.fault().is_none() && chain.log().unknown() == 0;
            match is_founding && replica.is_some_and(is_sound) {
                true => {
                    duty.sound[voter].get_or_insert(view.at());
                }
                false => duty.sound[voter] = None,
            }
        }
        for (following, replica) in duty.following.iter_mut().zip(&replicas) {
            let epoch = replica.filter(|chain| chain.leader().is_some());
            let n = epoch.map(|chain| chain.epoch().n);
            if following.map(|(n, _)| n) != n {
                *following = n.map(|n| (n, view.at()));
            }
        }
        let led = leader(&replicas, &duty.voters, duty.majority);
        Scene {
            view,
            place,
            chain,
            replicas,
            led,
        }
    }

    /// How long the bytes may take that `members` lack of the longest log among them, each message
    /// with its trip and its sync.
    pub(super) fn crossing(&self, scene: &Scene<'_>, members: &[NodeIndex]) -> Duration {
        let duty = &self.duties[scene.place];
        let replicas = || {
            let all = duty.voters.iter().zip(&scene.replicas);
            let members = all.filter(|(node, _)| members.contains(node));
            members.filter_map(|(_, replica)| *replica)
        };
        let Some(ahead) = replicas().max_by_key(|chain| chain.log().end()) else {
            return Duration::ZERO;
        };
        let truth = &scene.chain.truth;
        let bytes = replicas().map(|behind| missing(truth, ahead, behind)).sum();
        let pairs = || {
            let pair = |from: &NodeIndex| {
                let from = *from;
                let others = members.iter().filter(move |to| **to != from);
                others.map(move |to| (from, *to))
            };
            members.iter().flat_map(pair)
        };
        let links = pairs().map(|(from, to)| scene.view.link(from, to).weather.bytes_per_ms);
        let slowest = links.filter(|per_ms| *per_ms > 0).min().map(u64::from);
        let trips = pairs().map(|(from, to)| Ground::trip(scene.view, from, to));
        let share = self.bandwidth / 1_000 / duty.voters.len() as u64;
        let speed = Speed {
            link_per_ms: slowest,
            budget_per_ms: share,
            trip: trips.max().unwrap_or_default(),
        };
        3 * takes(self.bulk_for(1, bytes), speed)
    }

    /// Whether a voter may campaign and works with a majority, `leader` included.
    fn may_lead(&self, scene: &Scene<'_>, voter: usize, leader: Option<NodeIndex>) -> bool {
        let duty = &self.duties[scene.place];
        let node = duty.voters[voter];
        let is_free = |chain: &Chain| !chain.is_resetting();
        let works = |other: NodeIndex| self.ground.works(node, other).is_some();
        let peers = duty.voters.iter().zip(&duty.sound);
        let peers = peers.filter(|(other, sound)| sound.is_some() && works(**other));
        duty.sound[voter].is_some()
            && scene.replicas[voter].is_some_and(is_free)
            && peers.count() >= duty.majority
            && leader.is_none_or(works)
    }

    /// What bounds depend on that concern `members`.
    pub(super) fn facts<'a>(&'a self, scene: &Scene<'_>, members: &[NodeIndex]) -> Facts<'a> {
        let duty = &self.duties[scene.place];
        Facts {
            at: scene.at(),
            chain: &duty.name,
            heartbeat: self.heartbeat,
            pace: self.ground.pace(scene.view, members),
            strangers: self.ground.strangers(scene.view, &duty.voters, members),
        }
    }
}

/// Whether a node runs the store that the chain was founded with, and most others hear it.
pub(super) fn is_founding(view: View<'_, Host>, refused: &[bool], node: NodeIndex) -> bool {
    view.store(node) == 1 && !refused[node.at()]
}

fn members(majority: Option<&Majority>) -> &[NodeIndex] {
    majority.map_or(&[], |majority| &majority.members)
}

/// The leader of the highest epoch, if a majority follows it.
fn leader(replicas: &[Option<&Chain>], voters: &[NodeIndex], majority: usize) -> Option<usize> {
    let leads = |(_, chain): &(usize, &Chain)| chain.role() == Role::Leader;
    let running = || {
        let all = replicas.iter().enumerate();
        all.filter_map(|(voter, chain)| Some((voter, (*chain)?)))
    };
    let (leader, chain) = running()
        .filter(leads)
        .max_by_key(|(_, chain)| chain.epoch().n)?;
    let follows = |(_, other): &(usize, &Chain)| {
        other.leader() == Some(node_id(voters[leader])) && other.epoch().n == chain.epoch().n
    };
    (running().filter(follows).count() >= majority).then_some(leader)
}
