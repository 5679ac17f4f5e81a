//! A small group that elects often, on a network that reorders and processes that die as they
//! write.

use crate::checks::Promises;
use crate::{Ask, Brief, Care, Peer, Setup};
use meshos_sim::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Three nodes and their users.
#[derive(Copy, Clone, Debug)]
pub struct Group {
    pub care: Care,
}

/// What a plan decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cfg {
    pub care: Care,
    pub check_quorum: bool,
    pub pre_vote: bool,
}

impl Scenario for Group {
    type Machine = Peer;
    type Cfg = Cfg;
    type Hook = Promises;

    fn name(&self) -> &str {
        match self.care {
            Care::Published => "published",
            Care::Mended => "mended",
            Care::ForgottenVote => "forgotten-vote",
        }
    }

    fn about(&self) -> &str {
        match self.care {
            Care::Published => "the crate as it is; finds tikv/raft-rs#555",
            Care::Mended => "the same with late rejections undone; holds",
            Care::ForgottenVote => "a vote leaves before it is on disk; two leaders of one term",
        }
    }

    fn plan(&self, seed: u64) -> PlanOf<Self> {
        let draw = Draw::new(seed).of("group");
        let cfg = Cfg {
            care: self.care,
            check_quorum: draw.of("check quorum").chance(500_000),
            pre_vote: draw.of("pre-vote").chance(500_000),
        };
        let mut plan = PlanOf::<Self>::new(self.name(), seed, 3, cfg);
        plan.safety_ms = 5_000;
        plan.disk_us = (100, 40_000);
        plan.weather.latency_us_max = draw.of("latency").within(2_000..=50_000);
        // Where little is appended, most of what is written is a vote.
        let appends = *draw.of("appends").pick(&[10, 100]);
        for index in 0..appends {
            let draw = draw.of("append").nth(index);
            let at = Instant::from_millis(draw.of("at").below(plan.safety_ms));
            plan.op(at, draw.of("node").below(3) as u16, Ask::Append(index));
        }
        // An election writes once or twice on each node and is over after a few latencies, so a
        // crash has to hit the next write, and has to be over as soon.
        for index in 0..draw.of("crashes").within(0..=20) {
            let draw = draw.of("crash").nth(index);
            let fault = Fault::CrashAtPersist {
                node: NodeIndex(draw.of("node").below(3) as u16),
                op: draw.of("op").within(1..=2),
                unsynced: Unsynced::Drawn,
                restart_after_ms: Some(draw.of("down").within(1..=20)),
            };
            let at = Instant::from_millis(draw.of("at").below(plan.safety_ms));
            plan.fault(at, fault);
        }
        plan.storm(&[Family::PROCESS, Family::NETWORK, &[Family::SlowDisk]].concat());
        plan
    }

    fn config(&self, plan: &PlanOf<Self>, _: NodeIndex) -> Setup {
        let cfg = &plan.cfg;
        Setup {
            care: cfg.care,
            check_quorum: cfg.check_quorum,
            pre_vote: cfg.pre_vote,
        }
    }

    fn hook(&self, _: &PlanOf<Self>) -> Promises {
        Promises::default()
    }

    /// There is a leader, and every node has applied all of its log.
    fn converged(
        &self,
        _: &PlanOf<Self>,
        world: &World<Peer>,
        _: &Promises,
    ) -> Result<(), Blocked> {
        let peers = || {
            let nodes = world.view().nodes();
            nodes.filter_map(|node| Some((node, world.node(node)?)))
        };
        let leader = peers().filter_map(|(_, peer)| Some((peer.leads()?, peer)));
        let Some((_, leader)) = leader.max_by_key(|(term, _)| *term) else {
            return Err(Blocked::new("a-leader", "nobody leads"));
        };
        let length = leader.log().entries.len();
        match peers().find(|(_, peer)| peer.applied().len() != length) {
            Some((node, peer)) => {
                let applied = peer.applied().len();
                let detail = format!("{node} has applied {applied} of {length} entries");
                Err(Blocked::new("all-applied", detail).at_node(node))
            }
            None => Ok(()),
        }
    }

    /// What was acknowledged is in the state machine of every node, at the end.
    fn finish(
        &self,
        _: &PlanOf<Self>,
        world: &World<Peer>,
        promises: &mut Promises,
        _: &mut NotChecked,
    ) -> Result<(), Violation> {
        for node in world.view().nodes() {
            let applied = world.node(node).map_or(&[][..], Peer::applied);
            let kept: BTreeSet<u64> = applied
                .iter()
                .filter_map(|Brief { value, .. }| *value)
                .collect();
            if let Some(lost) = promises.acknowledged.difference(&kept).next() {
                let detail = format!("{lost} was acknowledged, and {node} lacks it");
                return Err(Violation::new("acknowledged-kept", detail).at_node(node));
            }
        }
        Ok(())
    }

    fn marks(&self) -> Vec<Mark> {
        let marks = ["a value acknowledged", "a leader after a crash"];
        marks.map(Mark::required).into()
    }
}
