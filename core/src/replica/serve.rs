//! Entries for members that ask for them, whoever leads: to repair theirs, or to catch up
//! without the leader (D13f, D20); and checkpoints (D17). They wait for the bandwidth budget like chunks (D22).

use super::lead::Stream;
use super::reset::{Parcel, part_max};
use super::ship::cost;
use super::{Chain, Cx, Entries};
use crate::chain::entry::Tip;
use crate::count::Count;
use crate::deadline::Kind;
use crate::id::{Attempt, Member, NodeId, Seq};
use crate::message::Talk;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What members asked for and did not get yet; the newest question of each.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Serving {
    asked: BTreeMap<NodeId, Errand>,
    pub(super) parcels: BTreeMap<NodeId, Parcel>,
}

#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
enum Errand {
    /// The last intact entries of a range, in one message.
    Repair {
        from: Seq,
        end: Seq,
        attempt: Attempt,
    },
    /// Committed entries up to a position, a few messages ahead of what is durable there.
    CatchUp { stream: Stream, until: Seq },
}

impl Chain {
    /// A member asks for entries: it gets the last ones that are intact here and fit a message,
    /// for their successor proves them there.
    pub(super) fn on_fetch(
        &mut self,
        asker: &Member,
        from: Seq,
        end: Seq,
        attempt: Attempt,
        cx: &mut Cx<'_>,
    ) {
        if end <= self.log.floor() {
            return self.send_reset(asker, attempt, cx);
        }
        let errand = Errand::Repair { from, end, attempt };
        self.serving.asked.insert(asker.node, errand);
    }

    /// A member that lags asks for what follows its log, or acknowledges what came. Only
    /// committed entries are given: no leader will ever ask it to cut those.
    pub(super) fn on_catch_up(
        &mut self,
        asker: &Member,
        since: Tip,
        attempt: Attempt,
        cx: &mut Cx<'_>,
    ) {
        let commit = self.commit;
        match self.serving.asked.get_mut(&asker.node) {
            Some(Errand::CatchUp { stream, until }) if stream.attempt == attempt => {
                stream.acknowledge(since.end);
                *until = commit;
            }
            Some(Errand::CatchUp { stream, .. }) if stream.attempt > attempt => {
                cx.count(Count::StaleAnswer);
            }
            Some(_) | None => {
                let stream = Stream::new(attempt, since.end);
                let errand = Errand::CatchUp {
                    stream,
                    until: commit,
                };
                self.serving.asked.insert(asker.node, errand);
                if since.end >= commit || self.log.tip_at(since.end) != Some(since) {
                    self.decline(asker, since, attempt, cx);
                }
            }
        }
    }

    /// Nothing here follows the asker's log.
    fn decline(&mut self, asker: &Member, since: Tip, attempt: Attempt, cx: &mut Cx<'_>) {
        self.serving.asked.remove(&asker.node);
        let entries = Entries::from([]);
        let talk = Talk::Fetched {
            attempt,
            since,
            entries,
        };
        self.say(asker, talk, cx);
    }

    /// Sends members what they asked for, as far as budget and their disks admit.
    pub(super) fn serve(&mut self, cx: &mut Cx<'_>) {
        let askers: Vec<NodeId> = self.serving.asked.keys().copied().collect();
        for node in askers {
            while self.serve_one(node, cx) {}
        }
        let receivers: Vec<NodeId> = self.serving.parcels.keys().copied().collect();
        for node in receivers {
            while self.send_part(node, cx) {}
        }
    }

    /// Sends one message; whether another one may follow.
    fn serve_one(&mut self, node: NodeId, cx: &mut Cx<'_>) -> bool {
        let limits = cx.config.limits();
        let bytes_max = u64::from(limits.message_bytes_max / 2);
        let in_flight_max = limits.chunks_in_flight_max as usize;
        let (Some(&asker), Some(errand)) = (self.member(node), self.serving.asked.get(&node))
        else {
            self.serving.asked.remove(&node);
            return false;
        };
        let (attempt, since, entries) = match errand {
            &Errand::Repair { from, end, attempt } => {
                let entries = self.log.read_back(from, end, bytes_max);
                let since = entries.first().and_then(|first| self.log.tip_at(first.seq));
                (attempt, since, entries)
            }
            Errand::CatchUp { stream, until } => {
                let next = stream.next;
                if stream.in_flight.len() >= in_flight_max || next >= *until {
                    return false;
                }
                let entries = match self.log.tip_at(next) {
                    Some(_) => self.log.read(next, *until, bytes_max),
                    None => Entries::from([]),
                };
                (stream.attempt, self.log.tip_at(next), entries)
            }
        };
        let Some(since) = since.filter(|_| !entries.is_empty()) else {
            // Retention passed it, or it is not intact here: another member may hold it.
            self.serving.asked.remove(&node);
            return false;
        };
        if !self.admit(cost(&entries), cx) {
            return false;
        }
        let more = match self.serving.asked.get_mut(&node) {
            Some(Errand::CatchUp { stream, .. }) => {
                stream.sent(Seq::new(since.end.get() + entries.len() as u64));
                true
            }
            Some(Errand::Repair { .. }) | None => {
                self.serving.asked.remove(&node);
                false
            }
        };
        let talk = Talk::Fetched {
            attempt,
            since,
            entries,
        };
        self.say(&asker, talk, cx);
        more
    }

    /// Sends one part of a checkpoint; whether another one may follow.
    fn send_part(&mut self, node: NodeId, cx: &mut Cx<'_>) -> bool {
        let parcel = self.serving.parcels.get(&node);
        let length = parcel.map_or(0, |parcel| parcel.due(part_max(cx)));
        if length == 0 || !self.admit(u64::from(length), cx) {
            return false;
        }
        if let Some(parcel) = self.serving.parcels.get_mut(&node) {
            let part = parcel.take(length);
            self.say_to(node, part, cx);
        }
        true
    }

    /// Whether the bandwidth budget has that much; if not it is looked at again when it will.
    pub(super) fn admit(&self, bytes: u64, cx: &mut Cx<'_>) -> bool {
        let granted = cx.bucket.admit(self.class, bytes, cx.now);
        if let Err(at) = granted {
            cx.count(Count::BudgetWait);
            cx.deadlines.arm_by(self.index, Kind::Budget, at);
        }
        granted.is_ok()
    }
}
