//! The ping-pong machine as a scenario: two players, any faults, and one rally.

use super::ping_pong::Player;
use crate::explore::{Budgets, Explorable, Fingerprint};
use crate::hook::{Hook, Schedule};
use crate::marks::Mark;
use crate::node::NodeIndex;
use crate::plan::{InvalidPlan, NODES_MAX, Nothing};
use crate::reached;
use crate::scenario::{Blocked, PlanOf, Scenario};
use crate::storm::Family;
use crate::violation::Violation;
use crate::world::{View, World};

/// Checks that player 0 counts each answer once and in order, and that the rally goes on.
#[derive(Copy, Clone, Debug, Default)]
pub struct Rally;

/// What the check remembers.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Boots of the serving player when it last counted.
    run: u64,
    rally: u64,
    /// Answers counted since the run began.
    pub answers: u64,
}

impl Scenario for Rally {
    type Machine = Player;
    type Cfg = Nothing;
    type Hook = Score;

    fn name(&self) -> &str {
        "ping-pong"
    }

    fn about(&self) -> &str {
        "two players keep up a rally through crashes, pauses and a bad network"
    }

    fn plan(&self, seed: u64) -> PlanOf<Self> {
        let mut plan = PlanOf::<Self>::new("ping-pong", seed, 2, Nothing {});
        plan.liveness_ms = 2_000;
        plan.storm(&[Family::PROCESS, Family::NETWORK].concat());
        plan
    }

    fn check(&self, plan: &PlanOf<Self>) -> Result<(), InvalidPlan> {
        InvalidPlan::unless_within("nodes", plan.nodes.into(), 2..=NODES_MAX.into())
    }

    fn config(&self, _: &PlanOf<Self>, _: NodeIndex) {}

    fn hook(&self, _: &PlanOf<Self>) -> Score {
        Score::default()
    }

    fn converged(&self, _: &PlanOf<Self>, world: &World<Player>, _: &Score) -> Result<(), Blocked> {
        let rally = |node| world.node(NodeIndex(node)).map_or(0, |player| player.rally);
        match rally(0).abs_diff(rally(1)) <= 1 {
            true => Ok(()),
            false => Err(Blocked::new(
                "rally-resumes",
                "the players do not agree on the rally",
            )),
        }
    }

    fn marks(&self) -> Vec<Mark> {
        vec![Mark::required("rally begun again after a crash")]
    }
}

/// A rally has no end, so its search has one.
impl Explorable for Rally {
    fn begin(&self) -> PlanOf<Self> {
        let mut plan = PlanOf::<Self>::new("ping-pong", 0, 2, Nothing {});
        plan.liveness_ms = 0;
        plan
    }

    fn budgets(&self) -> Budgets {
        Budgets {
            depth: Some(16),
            crashes: 1,
            timeouts: Some(3),
            ..Budgets::default()
        }
    }

    fn fold_hook(&self, hook: &Score, into: &mut Fingerprint) {
        into.word(hook.run);
        into.word(hook.rally);
    }
}

impl Hook<Player> for Score {
    fn on_output(
        &mut self,
        view: View<'_, Player>,
        node: NodeIndex,
        rally: &u64,
        _: &mut Schedule<Player>,
    ) -> Result<(), Violation> {
        if view.run(node) != self.run {
            if self.answers > 0 {
                reached!("rally begun again after a crash");
            }
            (self.run, self.rally) = (view.run(node), 0);
        }
        if *rally != self.rally + 1 {
            let detail = format!("counted {rally} after {}", self.rally);
            return Err(Violation::new("answers-in-order", detail).at_node(node));
        }
        self.rally = *rally;
        self.answers += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::assert_holds;

    #[test]
    fn the_rally_holds() {
        assert_holds(&Rally, 0..200);
    }
}
