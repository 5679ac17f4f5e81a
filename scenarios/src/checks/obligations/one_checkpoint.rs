//! *one-checkpoint*: a member that starts anew is sent one checkpoint, not the next one because
//! retention went on meanwhile, or leadership was handed over.

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
    served: BTreeMap<Stream, Served>,
}

/// A member that was sent a checkpoint.
#[derive(Copy, Clone, Debug)]
struct Served {
    sent: Sent,
    since: Instant,
    /// When its sender was last seen to lead.
    led: Instant,
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
    /// with the leader, which knew the member when it was elected.
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
        if let Some(before) = before
            && sent.floor > before.sent.floor
            && is_calm
            && at.since(before.since) < KEPT
        {
            let (_, member) = stream;
            let text = format!(
                "{} sends {member} a checkpoint at {}, and {} sent it one at {} at {}, which it \
                 has not followed to the end yet",
                sent.leader, sent.floor, before.sent.leader, before.sent.floor, before.since
            );
            return self.owed.forbid(text);
        }
        let is_new = before.is_none_or(|before| sent.floor > before.sent.floor);
        if is_calm && is_new && sent.begins {
            let served = Served {
                sent,
                since: at,
                led: at,
            };
            self.served.insert(stream, served);
            self.owed.hold(stream, at, KEPT);
        }
        Ok(())
    }

    /// The sender of what a member was sent leads still.
    pub fn leads(&mut self, stream: Stream, at: Instant) {
        if let Some(served) = self.served.get_mut(&stream) {
            served.led = at;
        }
    }

    /// What was sent to a member that is not near the end yet, and when its sender led last.
    pub fn sent(&self, stream: Stream) -> Option<(Sent, Instant)> {
        let served = self.served.get(&stream);
        served.map(|served| (served.sent, served.led))
    }

    /// Members of `chain` that were sent one.
    pub fn served(&self, chain: usize) -> impl Iterator<Item = (Stream, Sent)> {
        let all = self.served.iter();
        let all = all.map(|(stream, served)| (*stream, served.sent));
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
