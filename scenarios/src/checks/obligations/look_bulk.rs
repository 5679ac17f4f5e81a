//! What every look asks of entries on their way: laggards, shares of the budget, retention.

use super::fair_share::Share;
use super::ground::Ground;
use super::level::{Bulk, Speed};
use super::look::Scene;
use super::missing::{cost, missing};
use super::retains::{self, Kept};
use super::{Duty, Known, Obligations, TRAIL};
use crate::model::Host;
use meshos_core::bandwidth::Class;
use meshos_core::id::Seq;
use meshos_core::replica::Chain;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use std::time::Duration;

/// How long a leader keeps for a voter what it lacks when that comes no nearer: a minute, as much
/// again before it hears how far the voter has come, and some spare seconds.
const KEPT: Duration = Duration::from_secs(125);
/// How far a wall clock that counts as true is off at most.
const TRUE_MS: u64 = 1_000;

impl Obligations {
    pub(super) fn look_at_level(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let leader = scene.leader();
        let n = leader.map(|(_, chain)| chain.epoch().n);
        for laggard in self.level.laggards(scene.place).collect::<Vec<_>>() {
            if n != Some(laggard.1) {
                self.level.release(laggard);
            }
        }
        let Some((leader, ahead)) = leader else {
            return Ok(());
        };
        let duty = &self.known.duties[scene.place];
        for (voter, &node) in duty.voters.iter().enumerate() {
            if voter == leader {
                continue;
            }
            let laggard = (scene.place, ahead.epoch().n, node);
            let begun = self.level.load(laggard);
            let Some(since) = self.known.served_since(scene, (leader, voter)) else {
                self.level.release(laggard);
                continue;
            };
            if begun.is_some_and(|load| load.since < since) {
                self.level.release(laggard);
                continue;
            }
            let settled = duty.committed.front();
            let Some(behind) = scene.replicas[voter]
                .filter(|_| settled.is_some_and(|tip| !scene.is_level(voter, *tip)))
            else {
                self.level.level(laggard);
                continue;
            };
            let load = match begun {
                None => {
                    let bytes = missing(&scene.chain.truth, ahead, behind);
                    let bulk = self.known.bulk(duty.voters[leader], bytes);
                    self.level.begin(laggard, scene.at(), bulk)
                }
                Some(load) => {
                    let bytes = duty.appended(ahead);
                    let bulk = self.known.bulk(duty.voters[leader], bytes);
                    self.level.grow(laggard, load, bulk)
                }
            };
            let speed = self.known.speed(scene, (duty.voters[leader], node));
            let facts = self.known.facts(scene, &[duty.voters[leader], node]);
            self.level.hold(laggard, load, speed, facts)?;
        }
        Ok(())
    }

    pub(super) fn look_at_shares(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let leader = scene.leader();
        let duty = &self.known.duties[scene.place];
        let lead = leader.map(|(leader, _)| duty.voters[leader]);
        for stream in self.shares.waiting(scene.place).collect::<Vec<_>>() {
            if lead != Some(stream.0) {
                self.shares.release(stream);
            }
        }
        let Some((leader, ahead)) = leader else {
            return Ok(());
        };
        for (voter, &node) in duty.voters.iter().enumerate() {
            if voter == leader {
                continue;
            }
            let stream = (duty.voters[leader], scene.place, node);
            let link = scene.view.link(stream.0, node);
            // A member lacks what its leader had at the last look already.
            let before = duty.leader_end.filter(|(n, _)| *n == ahead.epoch().n);
            let lacks = |behind: &Chain| {
                before.is_some_and(|(_, end)| behind.log().end() < end && !behind.is_resetting())
            };
            let wants = self.known.reaches_since(scene, (leader, voter)).is_some()
                && link.weather.bytes_per_ms == 0
                && scene.replicas[voter].is_some_and(lacks);
            if !wants {
                self.shares.release(stream);
                continue;
            }
            let share = self.known.share(stream.0, duty.class);
            let facts = self.known.facts(scene, &[stream.0, node]);
            self.shares.hold(stream, share, facts)?;
        }
        Ok(())
    }

    pub(super) fn look_at_retention(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let place = scene.place;
        if !self.known.duties[place].is_bounded() {
            return Ok(());
        }
        self.look_at_drops(scene)?;
        let may_retain = self.known.may_retain(scene);
        let leader = scene.leader().map(|(leader, _)| leader);
        let duty = &self.known.duties[place];
        for (voter, &node) in duty.voters.iter().enumerate() {
            let keeps_up = |leader| self.known.keeps_up(scene, leader, voter);
            let may_retain = may_retain && leader.is_some_and(keeps_up);
            let replica = scene.replicas[voter];
            let Some(replica) = replica.filter(|_| may_retain) else {
                self.retains.release(place, node);
                continue;
            };
            let kept = self.known.kept(scene, replica);
            match retains::excess(duty.retention, kept) {
                None => self.retains.keeps(place, node),
                Some(excess) => {
                    let facts = self.known.facts(scene, &duty.voters);
                    self.retains.hold((place, node), &excess, facts)?;
                }
            }
        }
        Ok(())
    }

    /// What was dropped since the last look was old enough, where only age condemns.
    fn look_at_drops(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let duty = &mut self.known.duties[scene.place];
        let ends = scene.replicas.iter().flatten();
        let end = ends.map(|chain| chain.log().end().get()).max();
        duty.ages.look(end.unwrap_or(0), scene.at());
        let (Some(age_max_ms), None, None) = (
            duty.retention.age_max_ms,
            duty.retention.entries_max,
            duty.retention.bytes_max,
        ) else {
            return Ok(());
        };
        let skewed = duty
            .voters
            .iter()
            .filter(|node| self.known.skewed[node.at()]);
        let is_sound = skewed.count() <= duty.voters.len() - duty.majority;
        for (voter, replica) in scene.replicas.iter().enumerate() {
            let floor = replica.map_or(Seq::ZERO, |chain| chain.log().floor());
            let before = core::mem::replace(&mut duty.floors[voter], floor);
            let Some(last) = floor.before().filter(|_| floor > before && is_sound) else {
                continue;
            };
            if let Some(age) = duty.ages.age_max(last.get(), scene.at()) {
                let dropped = (duty.voters[voter], last.get());
                self.retains.dropped(dropped, age, age_max_ms, &duty.name)?;
            }
        }
        Ok(())
    }
}

impl Known {
    /// Notes whose wall clock was ever off.
    pub(super) fn look_at_walls(&mut self, view: View<'_, Host>) {
        let true_ms = self.wall_ms + view.at().as_nanos() / 1_000_000;
        for node in view.nodes() {
            let shown = view.clocks(node).wall_ms;
            self.skewed[node.at()] |= shown.abs_diff(true_ms) > TRUE_MS;
        }
    }

    /// Counts what may want bandwidth of each node: followers of busy chains.
    pub(super) fn count_streams(&mut self, scenes: &[Scene<'_>]) {
        self.streams.fill(0);
        self.classes.fill([false; 3]);
        for scene in scenes {
            let duty = &self.duties[scene.place];
            let Some((leader, chain)) = scene.leader() else {
                continue;
            };
            let tip = chain.log().tip();
            let is_idle = duty.committed.front() == Some(&tip)
                && (0..duty.voters.len()).all(|voter| {
                    scene.replicas[voter].is_none_or(|other| other.log().tip().hash == tip.hash)
                });
            if !is_idle {
                let leader = duty.voters[leader].at();
                self.streams[leader] += duty.voters.len() as u64 - 1;
                self.classes[leader][duty.class as usize] = true;
            }
        }
    }

    /// Since when a leader can serve a member of its chain everything, both being sound.
    fn served_since(&self, scene: &Scene<'_>, pair: (usize, usize)) -> Option<Instant> {
        let duty = &self.duties[scene.place];
        // Background traffic has only what the other classes leave over.
        let is_last = duty.class == Class::Background && self.class_count(duty.voters[pair.0]) > 1;
        self.reaches_since(scene, pair).filter(|_| !is_last)
    }

    /// Since when what a leader sends to a member of its chain arrives, both being sound.
    fn reaches_since(&self, scene: &Scene<'_>, (leader, voter): (usize, usize)) -> Option<Instant> {
        let duty = &self.duties[scene.place];
        let sound = duty.sound[leader]?.max(duty.sound[voter]?);
        let carries = self
            .ground
            .carries(duty.voters[leader], duty.voters[voter])?;
        Some(sound.max(carries))
    }

    pub(super) fn class_count(&self, node: NodeIndex) -> u64 {
        let used = self.classes[node.at()].iter().filter(|used| **used);
        used.count() as u64
    }

    /// What `bytes` for one follower mean to its leader, which has others to serve as well.
    pub(super) fn bulk(&self, leader: NodeIndex, bytes: u64) -> Bulk {
        self.bulk_for(self.streams[leader.at()].max(1), bytes)
    }

    /// What `bytes` for one follower mean where so many are served.
    pub(super) fn bulk_for(&self, streams: u64, bytes: u64) -> Bulk {
        let message = u64::from(self.message_bytes.0 / 2).max(1);
        Bulk {
            bytes,
            budget: bytes.saturating_mul(streams),
            messages: bytes.div_ceil(message),
        }
    }

    pub(super) fn speed(&self, scene: &Scene<'_>, (leader, node): (NodeIndex, NodeIndex)) -> Speed {
        let per_ms = scene.view.link(leader, node).weather.bytes_per_ms;
        let classes = self.class_count(leader).max(1);
        Speed {
            link_per_ms: (per_ms > 0).then_some(u64::from(per_ms)),
            budget_per_ms: self.bandwidth / 1_000 / classes,
            trip: Ground::trip(scene.view, leader, node),
        }
    }

    fn share(&self, leader: NodeIndex, class: Class) -> Share {
        let patience = match (self.class_count(leader), class) {
            (0 | 1, _) => Duration::ZERO,
            (_, Class::Background) => self.background_patience,
            (_, Class::Foreground | Class::Realtime) => self.patience,
        };
        Share {
            streams: self.streams[leader.at()].max(1),
            patience,
            turn_bytes: u64::from(self.message_bytes.1),
            bytes_per_s: self.bandwidth,
            pages: self.pages,
        }
    }

    /// Whether a voter is sound, level with a leader that hears it, and has no reason to keep what
    /// is past its bounds: the leader has committed its tail, or cannot while disks are full, for
    /// what is dropped makes room there; and all other voters are level, too, or have come no nearer
    /// for as long as the leader waits for them.
    fn may_retain(&self, scene: &Scene<'_>) -> bool {
        let duty = &self.duties[scene.place];
        let Some((leader, chain)) = scene.leader() else {
            return false;
        };
        let is_full = duty
            .voters
            .iter()
            .any(|node| self.ground.fit(*node).is_none());
        let before = duty.ends.front().copied();
        let is_settled = is_full || before.is_some_and(|end| chain.commit() >= end);
        let level = (0..duty.voters.len()).filter(|voter| self.keeps_up(scene, leader, *voter));
        let level: Vec<_> = level.collect();
        let facts = self.facts(scene, &duty.voters);
        let is_left = |voter: usize| {
            let since = duty.nearing[voter].since();
            since.is_some_and(|since| since.after(KEPT * facts.pace) <= scene.at())
        };
        is_settled
            && level.len() >= duty.majority
            && (0..duty.voters.len()).all(|voter| level.contains(&voter) || is_left(voter))
    }

    /// Whether a voter is sound, level, and heard by the leader.
    fn keeps_up(&self, scene: &Scene<'_>, leader: usize, voter: usize) -> bool {
        let duty = &self.duties[scene.place];
        let (leader, node) = (duty.voters[leader], duty.voters[voter]);
        duty.sound[voter].is_some()
            && self.ground.hears(leader, node).is_some()
            && duty.committed.len() == TRAIL
            && duty
                .committed
                .front()
                .is_some_and(|tip| scene.is_level(voter, *tip))
    }

    fn kept(&self, scene: &Scene<'_>, replica: &Chain) -> Kept {
        let duty = &self.duties[scene.place];
        let log = replica.log();
        let settled = duty.committed.front().map_or(Seq::ZERO, |tip| tip.end);
        let settled = settled.min(log.durable().end);
        let recent = settled.max(log.floor()).get()..log.end().get();
        let bytes = recent.clone().filter_map(|seq| log.entry(Seq::new(seq)));
        let is_true = duty.voters.iter().all(|node| !self.skewed[node.at()]);
        let true_ms = self.wall_ms + scene.at().as_nanos() / 1_000_000;
        let oldest = log
            .entry(log.floor())
            .filter(|_| is_true && log.floor() < replica.commit());
        Kept {
            entries: replica.commit().distance(log.floor()),
            bytes: log.bytes(),
            age_ms: oldest.map(|entry| true_ms.saturating_sub(entry.stamp.as_ms())),
            recent: recent.end.saturating_sub(recent.start),
            recent_bytes: bytes.map(|entry| u64::from(entry.payload.length())).sum(),
        }
    }
}

impl Duty {
    fn is_bounded(&self) -> bool {
        self.retention.entries_max.is_some()
            || self.retention.bytes_max.is_some()
            || self.retention.age_max_ms.is_some()
    }

    /// Bytes that the leader appended since the last look.
    fn appended(&self, ahead: &Chain) -> u64 {
        let from = self.leader_end.filter(|(n, _)| *n == ahead.epoch().n);
        let Some((_, from)) = from else { return 0 };
        cost(ahead, from)
    }

    /// Keeps what the next look compares with.
    pub(super) fn remember(&mut self, scene: &Scene<'_>) {
        let leader = scene.leader().map(|(_, chain)| chain);
        let n = |known: &Chain| known.epoch().n;
        let is_new = leader.map(n) != self.leader_end.map(|(n, _)| n);
        for (nearing, replica) in self.nearing.iter_mut().zip(&scene.replicas) {
            if let Some(replica) = replica {
                nearing.look(replica, scene.at());
            }
            if is_new {
                nearing.restart(scene.at());
            }
        }
        self.leader_end = leader.map(|chain| (chain.epoch().n, chain.log().end()));
        let ends = scene
            .replicas
            .iter()
            .flatten()
            .map(|chain| chain.log().end());
        self.ends.push_back(ends.max().unwrap_or(Seq::ZERO));
        self.committed.push_back(scene.chain.truth.committed());
        if self.committed.len() > TRAIL {
            self.committed.pop_front();
            self.ends.pop_front();
        }
    }
}
