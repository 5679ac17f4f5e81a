//! Chunks to the followers: pipelined, within the bandwidth budget (D17, D22).

use super::log::ENTRY_OVERHEAD;
use super::{Chain, Cx, Entries};
use crate::chain::entry::Entry;
use crate::count::Count;
use crate::deadline::Kind;
use crate::id::{NodeId, Seq};
use crate::message::Talk;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Chain {
    /// Sends every follower what it lacks, as far as window and budget admit.
    pub(super) fn ship(&mut self, cx: &mut Cx<'_>) {
        let Some(lead) = &self.lead else { return };
        let (end, told) = (self.log.end(), (self.commit, lead.floor));
        let behind: Vec<NodeId> = lead
            .followers
            .values()
            .filter(|follower| {
                let stream = follower.stream.as_ref();
                stream.is_some_and(|stream| stream.next < end || stream.told != Some(told))
            })
            .map(|follower| follower.member.node)
            .collect();
        let mut shared: Option<(Seq, Entries)> = None;
        for node in behind {
            while self.ship_chunk(node, &mut shared, cx) {}
        }
    }

    /// Sends one chunk; whether another one may follow.
    fn ship_chunk(
        &mut self,
        node: NodeId,
        shared: &mut Option<(Seq, Entries)>,
        cx: &mut Cx<'_>,
    ) -> bool {
        let lead = self.lead.as_mut().expect("only a leader ships");
        let told = (self.commit, lead.floor);
        let follower = lead.followers.get_mut(&node).expect("it was found behind");
        let stream = follower.stream.as_mut().expect("it has a stream");
        let limits = cx.config.limits();
        let is_open = stream.in_flight.len() < limits.chunks_in_flight_max as usize;
        let Some(since) = self.log.tip_at(stream.next) else {
            // Retention passed the position: the follower asks anew and gets a checkpoint.
            follower.stream = None;
            return false;
        };
        let entries = if since.end < self.log.end() && is_open {
            match shared {
                Some((from, entries)) if *from == since.end => entries.clone(),
                _ => {
                    let bytes_max = u64::from(limits.message_bytes_max / 2);
                    let entries = self.log.read(since.end, self.log.end(), bytes_max);
                    *shared = Some((since.end, entries.clone()));
                    entries
                }
            }
        } else {
            Entries::from([])
        };
        if entries.is_empty() && stream.told == Some(told) {
            return false;
        }
        let bytes = cost(&entries);
        if let Err(at) = cx.bucket.admit(self.class, bytes, cx.now) {
            cx.counters.add(Count::BudgetWait);
            cx.deadlines.arm_by(self.index, Kind::Budget, at);
            return false;
        }
        let end = Seq::new(since.end.get() + entries.len() as u64);
        let more = !entries.is_empty() && end < self.log.end();
        if !entries.is_empty() {
            stream.sent(end);
        }
        stream.told = Some(told);
        let (attempt, member) = (stream.attempt, follower.member);
        let (commit, floor) = told;
        self.say(
            &member,
            Talk::Chunk {
                attempt,
                since,
                entries,
                commit,
                floor,
            },
            cx,
        );
        more
    }
}

/// What entries cost of the budget.
pub(super) fn cost(entries: &Entries) -> u64 {
    let cost = |entry: &Arc<Entry>| u64::from(entry.payload.length()) + ENTRY_OVERHEAD;
    entries.iter().map(cost).sum()
}
