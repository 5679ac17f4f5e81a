//! What may happen next in a state.

use super::{Bench, Mail, State};
use crate::explore::Explorable;
use crate::explore::budgets::Spent;
use crate::fault::Unsynced;
use crate::node::NodeIndex;
use crate::plan::Choice;
use crate::world::steering::{Deadline, Standing};

impl<S: Explorable> Bench<'_, S> {
    /// Everything that may happen next.
    pub(in crate::explore) fn choices(&self, state: &State, out: &mut Vec<(Choice, Spent)>) {
        out.clear();
        let (hosts, ops, mail) = self.parts(state);
        let spent = state.spent;
        let standing = |node: NodeIndex| self.hosts.get(hosts[node.at()]).standing;
        for (place, op) in ops.iter().enumerate() {
            let node = self.ops.get(*op).0;
            let is_first = ops[..place].iter().all(|op| self.ops.get(*op).0 != node);
            if is_first && standing(node).is_up {
                out.push((Choice::Op { node }, spent));
            }
        }
        self.choices_of_mail(state, out);
        let nodes = || (0..hosts.len() as u16).map(NodeIndex);
        let is_at_work = |standing: Standing| {
            standing.batch.is_some() || standing.is_up && standing.deadline == Deadline::Due
        };
        let is_early = !mail.is_empty() || nodes().any(|node| is_at_work(standing(node)));
        for node in nodes() {
            let Standing {
                is_up,
                batch,
                deadline,
            } = standing(node);
            if !is_up {
                out.push((Choice::Restart { node }, spent));
                continue;
            }
            if batch.is_some() {
                out.push((Choice::Store { node }, spent));
            }
            let after = match deadline {
                Deadline::None => None,
                Deadline::Due => Some(spent),
                Deadline::ToCome => spent.expire(&self.budgets, is_early),
            };
            out.extend(after.map(|after| (Choice::Expire { node }, after)));
            if spent.crashes < self.budgets.crashes {
                self.choices_of_crashes(node, batch, spent, out);
            }
        }
    }

    fn choices_of_mail(&self, state: &State, out: &mut Vec<(Choice, Spent)>) {
        let (hosts, _, mail) = self.parts(state);
        let spent = state.spent;
        for (place, letter) in mail.iter().enumerate() {
            let Mail { from, to, .. } = *self.mail.get(*letter);
            let before = mail[..place].iter().map(|other| self.mail.get(*other));
            let nth = before.filter(|other| (other.from, other.to) == (from, to));
            let nth = nth.count() as u16;
            let is_up = self.hosts.get(hosts[to.at()]).standing.is_up;
            // What arrives at a node that is down is gone, which is as if it never arrived, but
            // that it is no longer under way.
            if is_up || self.budgets.early.is_some() {
                let again = false;
                let choice = Choice::Deliver {
                    from,
                    to,
                    nth,
                    again,
                };
                out.push((choice, spent));
            }
            if spent.losses < self.budgets.losses {
                let losses = spent.losses + 1;
                out.push((Choice::Lose { from, to, nth }, Spent { losses, ..spent }));
            }
            if is_up && spent.duplicates < self.budgets.duplicates {
                let (again, duplicates) = (true, spent.duplicates + 1);
                let choice = Choice::Deliver {
                    from,
                    to,
                    nth,
                    again,
                };
                out.push((
                    choice,
                    Spent {
                        duplicates,
                        ..spent
                    },
                ));
            }
        }
    }

    fn choices_of_crashes(
        &self,
        node: NodeIndex,
        batch: Option<u16>,
        spent: Spent,
        out: &mut Vec<(Choice, Spent)>,
    ) {
        let crashes = spent.crashes + 1;
        for unsynced in [Unsynced::Lost, Unsynced::Kept] {
            for performed in 0..=batch.unwrap_or(0) {
                let choice = Choice::Crash {
                    node,
                    unsynced,
                    performed,
                };
                out.push((choice, Spent { crashes, ..spent }));
            }
        }
    }
}
