//! A server and two clients on a bad network.

use crate::checks::Streams;
use crate::parcel::Parcel;
use crate::{Ask, Peer};
use meshos_sim::prelude::*;
use serde::{Deserialize, Serialize};

/// Parcels from two clients to one server.
#[derive(Copy, Clone, Debug)]
pub struct Parcels;

/// What a plan decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cfg {
    /// Whether clients prove their addresses before the server keeps anything of them.
    pub retry: bool,
}

impl Scenario for Parcels {
    type Machine = Peer;
    type Cfg = Cfg;
    type Hook = Streams;

    fn name(&self) -> &str {
        "parcels"
    }

    fn about(&self) -> &str {
        "what streams carry arrives whole, and what is confirmed has arrived"
    }

    fn plan(&self, seed: u64) -> PlanOf<Self> {
        let draw = Draw::new(seed).of("parcels");
        let retry = draw.of("retry").chance(500_000);
        let mut plan = PlanOf::<Self>::new(self.name(), seed, 3, Cfg { retry });
        plan.safety_ms = 8_000;
        for number in 0..20 {
            let draw = draw.of("parcel").nth(number);
            let bytes = draw.of("bytes").below(1 << draw.of("scale").within(1..=15)) as u32;
            let at = Instant::from_millis(draw.of("at").below(plan.safety_ms));
            let client = draw.of("client").within(1..=2) as u16;
            plan.op(at, client, Ask::Send(Parcel { number, bytes }));
        }
        plan.storm(&[Family::DISKLESS, Family::NETWORK].concat());
        plan
    }

    fn config(&self, plan: &PlanOf<Self>, _: NodeIndex) -> bool {
        plan.cfg.retry
    }

    fn hook(&self, _: &PlanOf<Self>) -> Streams {
        Streams::default()
    }

    fn converged(&self, _: &PlanOf<Self>, world: &World<Peer>, _: &Streams) -> Result<(), Blocked> {
        let is_done = |node: &NodeIndex| world.node(*node).is_some_and(Peer::is_done);
        match world.view().nodes().find(|node| !is_done(node)) {
            Some(node) => {
                let detail = format!("{node} is apart or has parcels left");
                Err(Blocked::new("all-confirmed", detail).at_node(node))
            }
            None => Ok(()),
        }
    }

    fn marks(&self) -> Vec<Mark> {
        let marks = [
            "a parcel confirmed",
            "a parcel confirmed after a connection was lost",
        ];
        marks.map(Mark::required).into()
    }
}
