//! *one-checkpoint*: a member that starts anew is sent one checkpoint, not the next one because
//! retention went on meanwhile.

use meshos_core::id::Seq;
use meshos_sim::check::obligation::Monitor;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::BTreeMap;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "one-checkpoint";

/// A checkpoint that leaves.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Who sends it.
    pub leader: NodeIndex,
    /// The number of its epoch.
    pub n: u64,
    /// Where the log behind it begins.
    pub floor: Seq,
    /// Whether it begins to leave, and no later floor is on its way to the store of its sender.
    pub begins: bool,
}

/// Who is served.
pub type Stream = (usize, NodeIndex);

/// Which members were sent a checkpoint and are not near the end yet.
#[derive(Clone, Debug)]
pub struct OneCheckpoint {
    owed: Monitor<Stream>,
    served: BTreeMap<Stream, (Sent, Instant)>,
}

/// How long a leader keeps what follows a checkpoint for a member that comes no nearer: a minute,
/// and less a spare second.
const KEPT: Duration = Duration::from_secs(59);

impl Default for OneCheckpoint {
    fn default() -> Self {
        Self {
            owed: Monitor::new(ID),
            served: BTreeMap::new(),
        }
    }
}

impl OneCheckpoint {
    /// A checkpoint, or a part of one, leaves for a member; `is_calm` says whether everybody works
    /// with the leader.
    ///
    /// # Errors
    /// An earlier one was for the same purpose, and what followed it is gone.
    pub fn send(
        &mut self,
        stream: Stream,
        sent: Sent,
        at: Instant,
        is_calm: bool,
    ) -> Result<(), Violation> {
        let before = self.served.get(&stream);
        let before =
            before.filter(|(before, _)| (before.leader, before.n) == (sent.leader, sent.n));
        if let Some((before, since)) = before
            && sent.floor > before.floor
            && is_calm
            && at.since(*since) < KEPT
        {
            let (_, member) = stream;
            let text = format!(
                "{} sends {member} a checkpoint at {}, and sent it one at {} at {since}, which it \
                 has not followed to the end yet",
                sent.leader, sent.floor, before.floor
            );
            return self.owed.forbid(text);
        }
        let is_new = before.is_none_or(|(before, _)| sent.floor > before.floor);
        if is_calm && is_new && sent.begins {
            self.served.insert(stream, (sent, at));
            self.owed.hold(stream, at, KEPT);
        }
        Ok(())
    }

    /// What was sent to a member that is not near the end yet.
    pub fn sent(&self, stream: Stream) -> Option<Sent> {
        self.served.get(&stream).map(|(sent, _)| *sent)
    }

    /// Members of `chain` that were sent one.
    pub fn served(&self, chain: usize) -> impl Iterator<Item = (Stream, Sent)> {
        let all = self
            .served
            .iter()
            .map(|(stream, (sent, _))| (*stream, *sent));
        all.filter(move |((of, _), _)| *of == chain)
    }

    /// It has more than half of what is kept behind its checkpoint.
    pub fn near(&mut self, stream: Stream) {
        self.served.remove(&stream);
        self.owed.meet(&stream);
    }

    /// Nothing is owed to it any more.
    pub fn release(&mut self, stream: Stream) {
        self.served.remove(&stream);
        self.owed.release(&stream);
    }
}
