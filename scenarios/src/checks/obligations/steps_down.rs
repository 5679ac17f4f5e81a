//! *steps-down*: a leader that fewer than M voters can answer stops saying that it leads, whether
//! or not it is asked for anything.

use super::{Facts, names};
use meshos_sim::check::obligation::Monitor;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "steps-down";

/// A leadership: the chain, the number of the epoch, and who leads it.
pub type Leadership = (usize, u64, NodeIndex);

/// Which leaderships have to end.
#[derive(Clone, Debug)]
pub struct StepsDown {
    owed: Monitor<Leadership>,
    cut_off: Vec<Leadership>,
}

impl Default for StepsDown {
    fn default() -> Self {
        Self {
            owed: Monitor::new(ID),
            cut_off: Vec::new(),
        }
    }
}

impl StepsDown {
    /// The leaderships of `chain` that have to end.
    pub fn cut_off(&self, chain: usize) -> impl Iterator<Item = Leadership> {
        let all = self.cut_off.iter().copied();
        all.filter(move |(of, ..)| *of == chain)
    }

    /// It ended.
    pub fn end(&mut self, leadership: Leadership) {
        self.cut_off.retain(|other| *other != leadership);
        self.owed.meet(&leadership);
    }

    /// Nothing is asked of it.
    pub fn release(&mut self, leadership: Leadership) {
        self.cut_off.retain(|other| *other != leadership);
        self.owed.release(&leadership);
    }

    /// Fewer than M voters could hear it and answer since `since`; what they said before takes
    /// `late` at most.
    ///
    /// # Errors
    /// It still says that it leads.
    pub fn hold(
        &mut self,
        leadership: Leadership,
        (since, late): (Instant, Duration),
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        if !self.cut_off.contains(&leadership) {
            self.cut_off.push(leadership);
        }
        let bound = (facts.heartbeat * 6 + late) * facts.pace;
        self.owed.hold(leadership, since, bound);
        let tell = || {
            let (_, n, leader) = leadership;
            format!(
                "{} leads chain {:?} in epoch {n}, and fewer than a majority of its voters can \
                 answer it",
                names(&[leader]),
                facts.chain
            )
        };
        self.owed.judge(&leadership, facts.at, tell)
    }
}
