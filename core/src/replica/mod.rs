//! One Quorum chain on one node.
//!
//! Handlers take in what happened; [`Chain::settle_first`] and [`Chain::settle_rest`] then build
//! what is due *now* from the present epoch, role and log: store orders, votes, chunks,
//! pulls, answers and the row that peers hear. Nothing waits in a queue of things once decided. Upholds
//! *one-leader-per-epoch*, *vote-once*, *promise-order*, *log-matching*, *commit-stable*,
//! *leader-complete*, *ack-kept* and *linearizable*; no rule here reads a clock for safety.

mod append;
mod ask;
mod behind;
mod commit;
mod early;
mod election;
mod epoch;
mod follow;
mod forward;
mod helper;
mod hold;
mod lead;
pub mod log;
mod merge;
mod overtake;
mod patience;
mod read;
mod repair;
mod retain;
pub mod role;
mod route;
mod row;
mod serve;
mod ship;
mod snapshot;
mod stall;
mod status;
mod step_context;
#[cfg(test)]
mod tests;
mod transfer;
mod vote;
mod writer;

pub(crate) use lead::Lead;
pub(crate) use ship::Shared;
pub(crate) use status::millis;
pub use status::{ChainStatus, FollowerStatus, Said};
pub(crate) use step_context::StepContext;

use crate::action::{Note, StopReason};
use crate::bandwidth::Class;
use crate::chain::order::{Image, Vote};
use crate::config::{ChainDraft, Config, Retention};
use crate::deadline::{ChainIndex, Timer};
use crate::id::{ChainId, Epoch, Gen, Member, NodeId, Replica, Run, Seq};
use crate::message::RowState;
use crate::time::Instant;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ask::Forwards;
use early::Early;
use election::Campaign;
use follow::Follow;
use log::Log;
use repair::Repair;
use role::{Role, Signal};
use serde::{Deserialize, Serialize};
use serve::Serving;
use stall::Stall;
use transfer::Handed;
use vote::OwedVote;
use writer::Writer;

/// One chain on one node.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub struct Chain {
    pub(crate) index: ChainIndex,
    id: ChainId,
    generation: Gen,
    me: Member,
    pinned: Option<NodeId>,
    retention: Retention,
    class: Class,
    role: Role,
    fault: Option<StopReason>,
    /// The present promise: it counts from when its record is issued (D13b).
    epoch: Epoch,
    voted: Option<NodeId>,
    /// The durable promise.
    promised: Vote,
    owed: Option<OwedVote>,
    leader: Option<NodeId>,
    early: Option<Early>,
    /// When a live leader last showed itself here.
    leader_seen: Instant,
    election_rearmed: bool,
    /// Number of the newest epoch that somebody was seen to lead.
    led: u64,
    /// How often the time of a binding round is doubled: once more for each epoch before the present
    /// one that nobody was seen to lead, once less for each other one.
    doublings: u32,
    /// Until when at most the candidate of the present epoch is waited for.
    held_until: Instant,
    /// End of the prefix compared with the present leader in the present epoch (D13a).
    verified: Seq,
    commit: Seq,
    log: Log,
    writer: Writer,
    campaign: Option<Campaign>,
    lead: Option<Lead>,
    /// Who waits to hear whether leadership went where this replica handed it.
    handed: Option<Handed>,
    /// Who last told this replica to take over.
    given_by: Option<NodeId>,
    /// Who led in vain since commit last moved.
    stall: Stall,
    /// When leadership was last handed, or sought to be handed, to the pinned voter. Every voter
    /// that saw it remembers, for it is the next leader that has to wait.
    pin_tried: Option<Instant>,
    follow: Follow,
    repair: Repair,
    serving: Serving,
    forwards: Forwards,
    /// The row as peers were last told, or are about to be.
    published: Option<RowState>,
    /// Whether the row changed since, in a way that the next heartbeat is soon enough for.
    is_stale: bool,
}

impl Chain {
    /// The chain as recovery found it.
    pub(crate) fn new(
        index: ChainIndex,
        draft: &ChainDraft,
        image: Image,
        run: Run,
        config: &Config,
        now: Instant,
    ) -> Self {
        let me = Member {
            node: run.node,
            store: run.store,
            replica: image.replica,
        };
        let listed = image.checkpoint.membership.voters.contains(&me)
            || image.checkpoint.membership.learners.contains(&me);
        let fault = match image.vote {
            None => Some(StopReason::ReplicaLost),
            Some(_) if !listed => Some(StopReason::NotMember),
            // Something that had been durable is gone, and what else nobody knows.
            Some(_) if image.commit > image.tip.end => Some(StopReason::StoreRegressed),
            Some(_) => None,
        };
        let promised = image.vote.unwrap_or_default();
        let (id, generation, stored) = (image.chain, image.generation, image.commit);
        let log = Log::new(image, config.client_limits());
        // What an earlier run knew to be committed is committed, as far as the entries are here.
        let known = log.first_unknown(log.floor()).unwrap_or(log.end());
        let commit = stored.min(known).max(log.floor());
        Self {
            index,
            id,
            generation,
            me,
            pinned: draft.leader_pinned,
            retention: draft.retention,
            class: draft.class,
            role: if fault.is_none() {
                follower()
            } else {
                Role::Idle
            },
            fault,
            epoch: promised.epoch,
            voted: promised.granted,
            promised,
            owed: None,
            leader: None,
            early: None,
            leader_seen: now,
            election_rearmed: false,
            led: promised.epoch.n,
            doublings: 0,
            held_until: now,
            verified: Seq::ZERO,
            commit,
            follow: Follow::new(log.end()),
            writer: Writer::new(log.end() == log.floor(), stored),
            log,
            campaign: None,
            lead: None,
            handed: None,
            given_by: None,
            stall: Stall::default(),
            pin_tried: None,
            repair: Repair::default(),
            serving: Serving::default(),
            forwards: Forwards::default(),
            published: None,
            is_stale: false,
        }
    }

    /// The chain.
    pub fn id(&self) -> ChainId {
        self.id
    }

    /// Which creation of it.
    pub fn generation(&self) -> Gen {
        self.generation
    }

    /// This membership.
    pub fn me(&self) -> Member {
        self.me
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Why this replica does not take part, if it does not.
    pub fn fault(&self) -> Option<StopReason> {
        self.fault
    }

    /// The present epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whom this replica votes for in the present epoch.
    pub fn voted(&self) -> Option<NodeId> {
        self.voted
    }

    /// The durable promise.
    pub fn promised(&self) -> Vote {
        self.promised
    }

    /// The leader of the present epoch, as far as known.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// End of the prefix compared with the leader of the present epoch.
    pub fn verified(&self) -> Seq {
        self.verified
    }

    /// End of the committed prefix that this replica knows.
    pub fn commit(&self) -> Seq {
        self.commit
    }

    /// End of the committed prefix that the store has taken down: a restart knows it again.
    pub fn stored_commit(&self) -> Seq {
        self.writer.stored()
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What came of a checkpoint without a gap: the position that it starts from, and bytes.
    pub fn receiving(&self) -> Option<(Seq, u32)> {
        let receiving = self.follow.receiving.as_ref();
        receiving.map(|receiving| (receiving.floor(), receiving.end()))
    }

    /// Whether a checkpoint is being installed in the place of the log.
    pub fn is_resetting(&self) -> bool {
        self.follow.reset.is_some() || self.writer.is_resetting()
    }

    /// Whether entries that were unknown are known again and not in the store yet.
    pub fn is_repairing(&self) -> bool {
        self.writer.is_repairing()
    }

    /// Builds what is due from the present state before the turns of bulk, and says who wants one.
    pub(crate) fn settle_first(&mut self, cx: &mut StepContext<'_>) {
        if self.fault.is_none() {
            self.keep_promises(cx);
            self.advance_commit(cx);
            self.raise_floor(cx);
            self.look_after_forwards(cx);
            self.answer_reads(cx);
        }
        self.want_turns(cx);
        if self.fault.is_none() {
            self.tell_commit(cx);
        }
    }

    /// Builds everything else that is due from the present state.
    pub(crate) fn settle_rest(&mut self, cx: &mut StepContext<'_>) {
        if self.fault.is_none() {
            self.pull(cx);
            self.ask_repair(cx);
            self.hand_over_if_ready(cx);
            self.write(cx);
            self.watch_leader(cx);
        }
        self.publish(cx);
    }

    /// Whether the present promise is durable, so that it may be acted upon.
    pub(crate) fn is_settled(&self) -> bool {
        self.promised.epoch.n == self.epoch.n && self.promised.granted == self.voted
    }

    pub(crate) fn set_role(&mut self, to: Role, signal: Signal, cx: &mut StepContext<'_>) {
        let was_candidate = self.role == Role::Candidate;
        let changed = self.role.change(to, signal);
        assert!(
            changed.is_ok(),
            "roles change only along the table: {changed:?}"
        );
        *cx.candidates -= u32::from(was_candidate);
        *cx.candidates += u32::from(to == Role::Candidate);
        cx.note(
            self.id,
            Note::Role {
                role: to,
                signal,
                epoch: self.epoch,
            },
        );
    }

    /// Stops this replica for good; a node that is wrong takes no part.
    pub(crate) fn stop(&mut self, fault: StopReason, cx: &mut StepContext<'_>) {
        if self.fault.is_some() {
            return;
        }
        self.abandon_leadership(cx);
        self.set_role(Role::Idle, Signal::ChannelClose, cx);
        self.fault = Some(fault);
        self.campaign = None;
        self.owed = None;
        self.leader = None;
        for kind in [
            Timer::Election,
            Timer::Early,
            Timer::Round,
            Timer::Pull,
            Timer::Repair,
            Timer::Seal,
            Timer::Retry,
        ] {
            cx.deadlines.disarm(self.index, kind);
        }
        cx.note(self.id, Note::Stopped(fault));
    }

    pub(crate) fn voter(&self, node: NodeId) -> Option<&Member> {
        self.log
            .membership()
            .voters
            .iter()
            .find(|member| member.node == node)
    }

    pub(crate) fn member(&self, node: NodeId) -> Option<&Member> {
        let learners = self.log.membership().learners.iter();
        self.voter(node)
            .or_else(|| learners.into_iter().find(|member| member.node == node))
    }

    /// The other voters and learners.
    pub(crate) fn peers(&self) -> Vec<Member> {
        let membership = self.log.membership();
        let all = membership.voters.iter().chain(&membership.learners);
        all.filter(|member| member.node != self.me.node)
            .copied()
            .collect()
    }

    pub(crate) fn redact(&mut self) {
        self.log.redact();
        self.writer.redact();
        self.follow.overtaken.redact();
        self.follow.help.redact();
    }
}

/// A member takes up its role again at every start (R17).
fn follower() -> Role {
    let mut role = Role::Idle;
    let changed = role.change(Role::Replica, Signal::CapabilitySelected);
    assert!(changed.is_ok(), "an idle member may follow");
    role
}

/// Whether a membership number and a run name the same member.
pub(crate) fn same_member(member: &Member, run: Run, replica: Replica) -> bool {
    *member
        == Member {
            node: run.node,
            store: run.store,
            replica,
        }
}

/// Shared, immutable entries.
pub(crate) type Entries = Arc<[Arc<crate::chain::entry::Entry>]>;
