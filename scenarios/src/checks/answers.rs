//! Answers that leave a node, judged against what was asked.

use super::bounded::{self, Measure};
use super::stale_prefix::Shows;
use super::{Checks, conserved, refusals, stale_prefix};
use crate::history::{Asked, Invocation};
use crate::model::{Freshness, Host};
use meshos_core::chain::entry::Entry;
use meshos_core::client::{Answer, Reason};
use meshos_core::id::Seq;
use meshos_sim::hook::Step;
use meshos_sim::machine::NodeIndex;
use meshos_sim::violation::Violation;
use std::sync::Arc;

impl Checks {
    pub(super) fn check_answer(
        &mut self,
        step: &Step<'_, Host>,
        ticket: u64,
        answer: &Answer,
    ) -> Result<(), Violation> {
        let waiting = self.history.end(ticket, step.node);
        let attempt = conserved::answered(ticket, waiting)?;
        let at = step.view.at().as_nanos();
        let place = usize::from(attempt.chain);
        let (about, when) = ((place, &self.chains[place]), (step.node, step.view));
        self.obligations.on_answer(about, when, (ticket, answer))?;
        if let Answer::Rejected(reason) = answer {
            self.check_refusal(step.node, &attempt, *reason)?;
        }
        if let Answer::NotMember { members } = answer {
            let draft = self.config(step.node).chain(self.chains[place].id);
            let listed = draft.map_or(&[][..], |draft| &draft.members);
            let me = self.nodes[step.node.at()].id;
            refusals::not_member(&attempt.asked, me, members, listed)?;
        }
        let chain = &mut self.chains[place];
        match answer {
            Answer::Acked { seq, epoch } => {
                let asked = &attempt.asked;
                chain
                    .ledger
                    .acked(&chain.truth, asked, (*seq, *epoch), at)?;
                if !matches!(asked, Asked::Append { local: true, .. }) {
                    let first = asked.key().and_then(|key| chain.ledger.horizon(key));
                    let horizon = first.unwrap_or(attempt.horizon);
                    chain.order.appended(*seq, horizon)?;
                }
                Ok(())
            }
            Answer::NotLeader { .. } | Answer::NotMember { .. } | Answer::Rejected(_) => {
                match attempt.asked.key() {
                    Some(key) => chain.ledger.refuse(key),
                    None => Ok(()),
                }
            }
            Answer::Unknown => {
                if let Some(key) = attempt.asked.key() {
                    chain.ledger.leave_open(key);
                }
                Ok(())
            }
            Answer::Entries {
                floor,
                commit,
                entries,
            } => self.check_entries(step, &attempt, (*floor, *commit), entries),
            Answer::Corrupt { .. } | Answer::Transferred => Ok(()),
        }
    }

    fn check_refusal(
        &self,
        node: NodeIndex,
        attempt: &Invocation,
        reason: Reason,
    ) -> Result<(), Violation> {
        let chain = &self.chains[usize::from(attempt.chain)];
        if reason == Reason::UnknownChain {
            let track = &self.nodes[node.at()];
            return refusals::unknown_chain(&attempt.asked, self.place(track, chain.id).is_some());
        }
        let above = attempt.asked.key().map_or(0, |key| chain.ledger.above(key));
        refusals::observe(reason, &attempt.asked, above, chain.causes, self.lowest)
    }

    fn check_entries(
        &mut self,
        step: &Step<'_, Host>,
        attempt: &Invocation,
        (floor, commit): (Seq, Seq),
        entries: &[Arc<Entry>],
    ) -> Result<(), Violation> {
        let Asked::Read {
            from, freshness, ..
        } = attempt.asked
        else {
            let text = format!("{:?} is answered with entries", attempt.asked);
            return Err(Violation::new(conserved::ID, text));
        };
        let chain = &mut self.chains[usize::from(attempt.chain)];
        let id = chain.id;
        if freshness == Freshness::Linearizable {
            chain.order.read(commit, attempt.horizon)?;
            let times = (attempt.invoked.as_nanos(), step.view.at().as_nanos());
            let range = (from.max(floor), commit);
            chain.order.keep(times, attempt.node, range, entries);
        }
        if entries.len() > 1 {
            let bytes = entries
                .iter()
                .map(|entry| u64::from(entry.payload.length()));
            let limits = self.config(step.node).limits();
            bounded::observe(Measure::ReadBytes, bytes.sum(), limits)?;
        }
        let Some(place) = self.place(&self.nodes[step.node.at()], id) else {
            return Ok(());
        };
        let shows = Shows {
            from,
            floor,
            commit,
            entries,
        };
        let replica = &mut self.nodes[step.node.at()].replicas[place];
        let shown: &mut stale_prefix::Shown = &mut replica.shown;
        shown.observe(&self.chains[replica.chain].truth, shows)
    }
}
