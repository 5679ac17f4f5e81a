//! Members that crash and pause on a bad network, and find each other again.

use crate::Member;
use crate::checks::Gone;
use meshos_sim::prelude::*;
use std::collections::BTreeSet;

/// Five members.
#[derive(Copy, Clone, Debug, Default)]
pub struct Members {
    /// How soon who is gone has to be removed, if not when the protocol promises it.
    pub bound: Option<Duration>,
}

impl Scenario for Members {
    type Machine = Member;
    type Cfg = Nothing;
    type Hook = Gone;

    fn name(&self) -> &str {
        "members"
    }

    fn about(&self) -> &str {
        "who is gone is removed in time, and whoever is there is known to all"
    }

    fn plan(&self, seed: u64) -> PlanOf<Self> {
        let mut plan = PlanOf::<Self>::new(self.name(), seed, 5, Nothing {});
        plan.safety_ms = 20_000;
        plan.storm(&[Family::DISKLESS, Family::NETWORK].concat());
        plan
    }

    fn config(&self, _: &PlanOf<Self>, _: NodeIndex) {}

    fn hook(&self, plan: &PlanOf<Self>) -> Gone {
        Gone::within(self.bound.unwrap_or_else(|| Gone::bound(plan.nodes)))
    }

    /// Every node lists exactly the others, under the names that they have now. A suspect counts:
    /// to the crate it is a member, and a suspicion that nobody refuted may last.
    fn converged(&self, _: &PlanOf<Self>, world: &World<Member>, _: &Gone) -> Result<(), Blocked> {
        let up = || {
            let nodes = world.view().nodes();
            nodes.filter_map(|node| Some((node, world.node(node)?)))
        };
        for (node, member) in up() {
            let others = up().filter(|(other, _)| *other != node);
            let others: BTreeSet<_> = others.map(|(_, other)| other.name()).collect();
            let known: BTreeSet<_> = member.members().collect();
            if known != others {
                let detail = format!("{node} knows {known:?} of {others:?}");
                return Err(Blocked::new("all-known", detail).at_node(node));
            }
        }
        Ok(())
    }

    fn marks(&self) -> Vec<Mark> {
        vec![Mark::required("a crash")]
    }
}
