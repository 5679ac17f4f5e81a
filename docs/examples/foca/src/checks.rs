//! What a membership list is for: who is gone leaves it within a bound, whatever the network does.

use crate::{Member, Name, PROBE_PERIOD, SUSPICION};
use foca::Error;
use meshos_sim::check::obligation::Monitor;
use meshos_sim::prelude::*;
use std::collections::BTreeSet;

/// Watches what each node believes of those that are gone.
#[derive(Debug)]
pub struct Gone {
    /// Of (who believes, whom it takes for a member).
    removed: Monitor<(NodeIndex, Name)>,
    believed: BTreeSet<(NodeIndex, Name)>,
    bound: Duration,
    watching: bool,
}

impl Gone {
    /// Who is gone has to be removed within `bound`.
    pub fn within(bound: Duration) -> Self {
        Self {
            removed: Monitor::new("gone-is-removed"),
            believed: BTreeSet::new(),
            bound,
            watching: false,
        }
    }

    /// What the protocol needs: a node probes all others in drawn orders, so one may be the first of
    /// a round and the last of the next; the round may be at its end as its name is heard of; then
    /// the probe fails at the end of its period, and the suspicion has to last.
    pub fn bound(nodes: u16) -> Duration {
        PROBE_PERIOD * (2 * u32::from(nodes) + 1) + SUSPICION
    }

    /// Whether its node is down, or has another name by now.
    fn is_gone(view: View<'_, Member>, name: Name) -> bool {
        let now = view.node(NodeIndex(name.node)).map(Member::name);
        now != Some(name)
    }

    fn look(&mut self, view: View<'_, Member>, node: NodeIndex, member: &Member) {
        let listed = member.members().map(|name| (node, name));
        let listed: BTreeSet<_> = listed
            .filter(|(_, name)| Self::is_gone(view, *name))
            .collect();
        let of_node = (node, Name { node: 0, life: 0 })
            ..=(
                node,
                Name {
                    node: u16::MAX,
                    life: u64::MAX,
                },
            );
        let before: Vec<_> = self.believed.range(of_node).copied().collect();
        for belief in before.iter().filter(|belief| !listed.contains(belief)) {
            self.removed.meet(belief);
            self.believed.remove(belief);
        }
        for belief in listed {
            if self.believed.insert(belief) {
                self.removed.hold(belief, view.at(), self.bound);
            }
        }
    }

    /// A node that does not run believes nothing.
    fn forget(&mut self, node: NodeIndex) {
        let (kept, gone) = std::mem::take(&mut self.believed)
            .into_iter()
            .partition(|(who, _)| *who != node);
        self.believed = kept;
        let gone: BTreeSet<_> = gone;
        gone.iter().for_each(|belief| {
            self.removed.release(belief);
        });
    }
}

impl Hook<Member> for Gone {
    fn on_step(
        &mut self,
        step: &Step<'_, Member>,
        later: &mut Schedule<Member>,
    ) -> Result<(), Violation> {
        if !std::mem::replace(&mut self.watching, true) {
            later.alarm(step.view.at().after(LOOK), 0);
        }
        self.look(step.view, step.node, step.machine);
        Ok(())
    }

    /// Errors that the crate itself calls bugs are bugs; the others are strangers' packets.
    fn on_output(
        &mut self,
        _: View<'_, Member>,
        node: NodeIndex,
        error: &Error,
        _: &mut Schedule<Member>,
    ) -> Result<(), Violation> {
        match error {
            Error::NotConnected | Error::IncompleteProbeCycle | Error::Encode(_) => {
                Err(Violation::new("no-bug-reported", error.to_string()).at_node(node))
            }
            _ => Ok(()),
        }
    }

    fn on_alarm(
        &mut self,
        view: View<'_, Member>,
        _: u64,
        later: &mut Schedule<Member>,
    ) -> Result<(), Violation> {
        later.alarm(view.at().after(LOOK), 0);
        for node in view.nodes() {
            match view.node(node) {
                Some(member) if !view.is_paused(node) => self.look(view, node, member),
                _ => self.forget(node),
            }
        }
        for belief in &self.believed {
            let (node, name) = belief;
            let tell = || format!("{node} takes {name:?}, which is gone, for a member");
            self.removed
                .judge(belief, view.at(), tell)
                .map_err(|violation| violation.named("overdue").at_node(*node))?;
        }
        Ok(())
    }

    fn on_crash(
        &mut self,
        _: View<'_, Member>,
        node: NodeIndex,
        _: &Member,
        _: &mut Schedule<Member>,
    ) -> Result<(), Violation> {
        reached!("a crash");
        self.forget(node);
        Ok(())
    }

    fn on_fault(
        &mut self,
        _: View<'_, Member>,
        fault: &Fault,
        _: &mut Schedule<Member>,
    ) -> Result<(), Violation> {
        if let Fault::Pause { node } | Fault::Resume { node } = fault {
            self.forget(*node);
        }
        Ok(())
    }
}

const LOOK: Duration = Duration::from_millis(100);
