//! *leader-again*, *caught-up* and *quiesce*: what a healed core of nodes has to reach.
//!
//! Asked of a chain only as long as a majority of its founding replicas lives in the core, and of
//! those members only whom its leader reaches and whose disks hold what they need: a plan may keep
//! cuts, and bound the room of disks.

use super::{Checks, conserved, roomy};
use crate::model::{Host, node_id, node_index};
use meshos_core::action::StopReason;
use meshos_core::id::NodeId;
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use meshos_sim::machine::NodeIndex;
use meshos_sim::scenario::Blocked;
use meshos_sim::world::View;
use std::time::Duration;

/// Id of the property that a chain has one leader whom everybody follows.
pub const LEADER_AGAIN: &str = "leader-again";
/// Id of the property that everybody has what the leader has.
pub const CAUGHT_UP: &str = "caught-up";
/// Id of the property that an idle cluster says nothing new.
pub const QUIESCE: &str = "quiesce";

/// How long nobody may ask anything before silence is demanded: a batch is sealed a second after
/// it was written, and commit and rows have to travel.
const IDLE: Duration = Duration::from_millis(4_000);
/// How long the cluster has to be silent then.
const SILENT: Duration = Duration::from_millis(1_500);

/// A replica of the core, as liveness sees it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its node.
    pub node: NodeId,
    /// Its role.
    pub role: Role,
    /// The number of its epoch.
    pub n: u64,
    /// Whom it follows.
    pub leader: Option<NodeId>,
    /// Hash of its log, and where log, durable log and commit end.
    pub ends: (u128, u64, u64, u64),
    /// The first position that it retains.
    pub floor: u64,
    /// Its first unknown entry.
    pub unknown: Option<u64>,
}

impl Member {
    fn of(node: NodeId, chain: &Chain) -> Self {
        let log = chain.log();
        let tip = log.tip();
        Self {
            node,
            role: chain.role(),
            n: chain.epoch().n,
            leader: chain.leader(),
            ends: (
                tip.hash.0,
                tip.end.get(),
                log.durable().end.get(),
                chain.commit().get(),
            ),
            floor: log.floor().get(),
            unknown: log.first_unknown(log.floor()).map(|seq| seq.get()),
        }
    }

    fn leads(&self) -> bool {
        self.role == Role::Leader
    }
}

/// Whether the healthy members of one chain have one leader and all that it has.
///
/// # Errors
/// The first obligation that is not met.
pub fn settled(chain: &str, members: &[Member]) -> Result<(), Blocked> {
    let mut leaders = members.iter().filter(|member| member.leads());
    let Some(leader) = leaders.next() else {
        let text = format!("chain {chain:?} has no leader");
        return Err(Blocked::new(LEADER_AGAIN, text));
    };
    if let Some(other) = leaders.next() {
        let (one, two) = (leader.node, other.node);
        let text = format!("chain {chain:?} is led by nodes {one} and {two}");
        return Err(Blocked::new(LEADER_AGAIN, text));
    }
    let strays = |member: &&Member| member.leader != Some(leader.node) || member.n != leader.n;
    if let Some(stray) = members.iter().find(strays) {
        let text = format!(
            "node {} of chain {chain:?} follows {:?} in epoch {}, not node {} in epoch {}",
            stray.node, stray.leader, stray.n, leader.node, leader.n
        );
        return Err(Blocked::new(LEADER_AGAIN, text).at_node(node_index(stray.node)));
    }
    for member in members {
        let (hash, end, durable, commit) = member.ends;
        let (leader_hash, leader_end, ..) = leader.ends;
        if (hash, end) != (leader_hash, leader_end) || durable != end || commit != end {
            let text = format!(
                "node {} of chain {chain:?} has end {end}, durable {durable} and commit \
                 {commit}, the leader's log ends at {leader_end}",
                member.node
            );
            return Err(Blocked::new(CAUGHT_UP, text).at_node(node_index(member.node)));
        }
        // What every other member has dropped nobody can repair: damage is repaired from peers
        // that still hold the entry (`docs/decisions/quorum.md`, sealing).
        let unknown = member.unknown.filter(|unknown| {
            let mut others = members.iter().filter(|other| other.node != member.node);
            others.any(|other| {
                other.floor <= *unknown && other.unknown.is_none_or(|first| first > *unknown)
            })
        });
        if let Some(unknown) = unknown {
            let text = format!(
                "node {} of chain {chain:?} has not repaired entry {unknown}",
                member.node
            );
            return Err(Blocked::new(CAUGHT_UP, text).at_node(node_index(member.node)));
        }
    }
    Ok(())
}

/// Whether a cluster that nobody asks anything has fallen silent.
///
/// # Errors
/// It has not.
pub fn silent(idle: Duration, quiet: Duration) -> Result<(), Blocked> {
    if idle < IDLE {
        let text = format!("a client was served {} ms ago", idle.as_millis());
        return Err(Blocked::new(QUIESCE, text));
    }
    if quiet < SILENT {
        let text = format!(
            "more than a bare heartbeat was sent or stored {} ms ago, {} ms after the last \
             request",
            quiet.as_millis(),
            idle.as_millis()
        );
        return Err(Blocked::new(QUIESCE, text));
    }
    Ok(())
}

pub(super) fn converged(
    checks: &Checks,
    view: View<'_, Host>,
    core: &[NodeIndex],
) -> Result<(), Blocked> {
    for chain in &checks.chains {
        let mut members = Vec::with_capacity(core.len());
        for &node in core {
            let track = &checks.nodes[node.at()];
            let id = node_id(node);
            // A store that was wiped is no member, and one that is refused reaches nobody; one
            // that failed says so and stays out.
            let is_out = track.wiped || track.harm.recounted || checks.is_refused(node);
            if chain.voter(id).is_none() || is_out {
                continue;
            }
            let running = view.node(node).and_then(Host::node);
            let Some(replica) = running.and_then(|running| running.chain(chain.id)) else {
                if track.harm.unsynced || track.harm.unreadable || track.harm.lost {
                    continue;
                }
                let text = format!("node {id} does not run");
                return Err(Blocked::new(LEADER_AGAIN, text).at_node(node));
            };
            match replica.fault() {
                None => members.push(Member::of(id, replica)),
                Some(StopReason::StoreRegressed | StopReason::Contradicted) if track.harm.lost => {}
                Some(StopReason::StoreBroken | StopReason::ReplicaLost | StopReason::NotMember) => {
                }
                Some(fault @ (StopReason::StoreRegressed | StopReason::Contradicted)) => {
                    let text = format!("node {id} stopped: {fault}");
                    return Err(Blocked::new(LEADER_AGAIN, text).at_node(node));
                }
            }
        }
        if members.len() < chain.founding.majority() {
            continue;
        }
        reached(view, &mut members);
        if members.len() < chain.founding.majority() {
            let text = format!(
                "the leader of a chain reaches {} members only",
                members.len()
            );
            return Err(Blocked::new(LEADER_AGAIN, text));
        }
        let is_led = members.iter().any(Member::leads);
        members.retain(|member| roomy::holds(checks, view, core, node_index(member.node)));
        // Whoever else there is can only wait, and so can a chain that is led by one of those.
        let is_led_still = members.iter().any(Member::leads);
        if members.len() < chain.founding.majority() || is_led != is_led_still {
            continue;
        }
        let drafts = checks.configs[0].chains();
        let draft = drafts
            .iter()
            .find(|draft| meshos_core::id::ChainId::of(&draft.name) == chain.id);
        settled(draft.map_or("", |draft| &draft.name), &members)?;
    }
    answered(checks, view, core)?;
    let is_roomy = |node: &NodeIndex| roomy::holds(checks, view, core, *node);
    if checks.quiet && core.iter().all(is_roomy) {
        let now = view.at();
        silent(now.since(checks.asked), now.since(checks.stirred))?;
    }
    Ok(())
}

/// Leaves out whom a cut that stays parts from the leader: nobody can ask of it to follow.
fn reached(view: View<'_, Host>, members: &mut Vec<Member>) {
    let leaders = members.iter().filter(|member| member.leads());
    let Some(leader) = leaders.max_by_key(|member| member.n) else {
        return;
    };
    let leader = node_index(leader.node);
    members.retain(|member| {
        let node = node_index(member.node);
        view.is_connected(leader, node) && view.is_connected(node, leader)
    });
}

/// Nobody waits longer than a request may take.
fn answered(checks: &Checks, view: View<'_, Host>, core: &[NodeIndex]) -> Result<(), Blocked> {
    for (ticket, attempt) in checks.history.open() {
        let request_ms = checks.config(attempt.node).timing().request_ms;
        let waited = view.at().since(attempt.invoked).as_nanos() as u64;
        if core.contains(&attempt.node) && conserved::is_overdue(waited, request_ms) {
            let text = format!(
                "{} has not answered ticket {ticket}, {:?}, for {} ms",
                attempt.node,
                attempt.asked,
                waited / 1_000_000
            );
            return Err(Blocked::new(conserved::ID, text).at_node(attempt.node));
        }
    }
    Ok(())
}
