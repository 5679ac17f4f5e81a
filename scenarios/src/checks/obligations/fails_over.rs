//! *fails-over*: of three voters the two that know that the process of their leader is gone
//! have another one in less than two heartbeats: they need not wait for its silence. A later run
//! of the node that led takes part in the election as soon as it is heard, and may decide it, so
//! from then on it has to stay.

use super::{Facts, names};
use meshos_core::id::Incarnation;
use meshos_sim::check::obligation::Monitor;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::BTreeMap;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "fails-over";

/// Who led a chain when its process ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Died {
    /// The leader.
    pub leader: NodeIndex,
    /// The number of its epoch.
    pub n: u64,
}

/// What became of the process that led a chain last.
#[derive(Copy, Clone, Debug)]
struct Death {
    died: Died,
    /// Which boot of its node ended.
    run: Incarnation,
    at: Instant,
    /// When a voter first heard a later run of that node.
    back: Option<Instant>,
}

/// Two voters that were told of the same death.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Heirs {
    /// Who died.
    pub died: Died,
    /// Who was told.
    pub voters: [NodeIndex; 2],
    /// When the second one was told.
    pub since: Instant,
    /// How much earlier the first one was.
    pub apart: Duration,
    /// When a voter first heard a later run of the node that led, if one did.
    pub back: Option<Instant>,
}

/// Which chains owe another leader.
#[derive(Clone, Debug)]
pub struct FailsOver {
    owed: Monitor<usize>,
    /// The last process that died while it led each chain.
    deaths: BTreeMap<usize, Death>,
    /// Of whose death each voter was told last, and when.
    told: BTreeMap<(usize, NodeIndex), (Died, Instant)>,
}

impl Default for FailsOver {
    fn default() -> Self {
        Self {
            owed: Monitor::new(ID),
            deaths: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }
}

impl FailsOver {
    /// A process ended that led `chain`, in that run of its node: whoever was owed before led, and
    /// be it for a moment.
    pub fn die(&mut self, chain: usize, (died, run): (Died, Incarnation), at: Instant) {
        self.owed.meet(&chain);
        let death = Death {
            died,
            run,
            at,
            back: None,
        };
        self.deaths.insert(chain, death);
    }

    /// A message of a run of `from` arrives, at a voter of those chains for which `is_voter`;
    /// whether it is the first one since a death there.
    pub fn hear(
        &mut self,
        (from, run): (NodeIndex, Incarnation),
        at: Instant,
        is_voter: impl Fn(usize) -> bool,
    ) -> bool {
        let mut is_first = false;
        for (chain, death) in &mut self.deaths {
            let is_later = death.died.leader == from && run > death.run;
            if is_later && death.back.is_none() && is_voter(*chain) {
                death.back = Some(at);
                is_first = true;
            }
        }
        is_first
    }

    /// `voter` is told that the process of the leader that it follows is gone. It makes one early
    /// attempt in an epoch, so only the first time counts.
    pub fn tell(&mut self, (chain, voter): (usize, NodeIndex), told: Died, at: Instant) {
        let before = self.told.get(&(chain, voter));
        if before.is_none_or(|(before, _)| before.n < told.n) {
            self.told.insert((chain, voter), (told, at));
        }
    }

    /// The two voters of `chain` that were told that the process which led it last is gone.
    pub fn heirs(&self, chain: usize) -> Option<Heirs> {
        let Death { died, at, back, .. } = *self.deaths.get(&chain)?;
        let of_chain = (chain, NodeIndex(0))..(chain + 1, NodeIndex(0));
        let told = self.told.range(of_chain);
        let mut told = told
            .filter(|(_, (of, when))| *of == died && *when >= at)
            .map(|((_, voter), (_, when))| (*voter, *when));
        let (one, two) = (told.next()?, told.next()?);
        let (first, second) = (one.1.min(two.1), one.1.max(two.1));
        Some(Heirs {
            died,
            voters: [one.0, two.0],
            since: second,
            apart: second.since(first),
            back,
        })
    }

    /// Another one leads `chain`.
    pub fn led(&mut self, chain: usize) {
        self.deaths.remove(&chain);
        self.owed.meet(&chain);
    }

    /// Nothing can be asked of `chain` after this death.
    pub fn release(&mut self, chain: usize) {
        self.deaths.remove(&chain);
        self.owed.release(&chain);
    }

    /// Nobody leads `chain` yet; a message there and one back, each with its sync, take `trips`
    /// between the two, and `back` with the node that led, if it is back: its vote may decide.
    ///
    /// # Errors
    /// That has been so for too long.
    pub fn hold(
        &mut self,
        chain: usize,
        heirs: Heirs,
        (trips, back): (Duration, Duration),
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        let bound = facts.heartbeat * 7 / 4 + trips * 4 + back;
        self.owed.hold(chain, heirs.since, bound);
        let tell = || {
            format!(
                "{} were told that {}, which led chain {:?}, is gone, hear each other at once, \
                 and neither leads",
                names(&heirs.voters),
                names(&[heirs.died.leader]),
                facts.chain
            )
        };
        self.owed.judge(&chain, facts.at, tell)
    }
}
