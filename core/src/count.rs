//! What a node counts: input that it refused, and turns that are rare enough to be proven seen.
//!
//! Counts influence no action, so they are no part of the state hash.

use core::hash::{Hash, Hasher};
use serde::{Deserialize, Serialize};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something counted.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Count {
            $($(#[$doc])* $name,)*
        }

        impl Count {
            /// Every count, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

counts! {
    /// A message of another cluster.
    WrongCluster,
    /// A message for another store than this one.
    WrongStore,
    /// A message from a node or store that the genesis does not name.
    UnknownSender,
    /// A message about a chain, or a creation of it, that is not held here.
    UnknownChain,
    /// A message from or to another membership of a store (D1).
    WrongReplica,
    /// An answer to a question of an earlier run, or that is no longer asked.
    StaleAnswer,
    /// A message of an older epoch.
    OlderEpoch,
    /// A heartbeat that is not newer than the last one.
    StaleHeartbeat,
    /// A chunk answered an older request than the present one, and was taken.
    ChunkLate,
    /// A chunk that came before what it follows was taken once that was there.
    ChunkEarly,
    /// A member waits for what may still be on its way, so it is not sent again.
    StillUnderWay,
    /// What should have come long ago was sent again.
    SentAgain,
    /// A chunk whose predecessor is not ours.
    ChunkGap,
    /// A chunk that is not linked or not in order.
    ChunkUnsound,
    /// A conflict answered a pull that is no longer asked.
    ConflictIgnored,
    /// A reset that was not asked for or that brings nothing (D17).
    ResetIgnored,
    /// A reset was installed.
    ResetInstalled,
    /// What a checkpoint replaces was dropped before it, which found no space.
    MadeWay,
    /// Parts of a checkpoint that came before a loss were kept, and the rest was asked for.
    ResetContinued,
    /// A suffix was cut.
    Cut,
    /// A write completed after a cut had overtaken it (D13b).
    WriteOvertaken,
    /// A vote was granted while a write to the log was in flight.
    VoteDuringWrite,
    /// A suspicion came so late that it was armed anew.
    SuspicionRearmed,
    /// A replica sought election early, because the process of its leader was gone.
    EarlyElection,
    /// A query ended in favour of another candidate's.
    QueryGaveWay,
    /// The process of a peer was found gone.
    PeerGone,
    /// The same of an older run than the newest heard, or of no peer.
    PeerGoneIgnored,
    /// The leader's commit was above what is verified here (D13a).
    CommitAboveVerified,
    /// A leader lost contact to its quorum and stepped down (D12).
    QuorumLost,
    /// A repeated request was answered from the request table.
    RequestRepeated,
    /// A repeated request met its first copy uncommitted.
    RequestRepeatedUncommitted,
    /// That copy was of an earlier leader.
    RequestRepeatedInherited,
    /// A repeated request was answered though retention had dropped its entry.
    RequestRepeatedRetained,
    /// A leader could not answer a request in time.
    RequestLate,
    /// A forwarded try ended because its leadership was over, or its leader out of reach.
    ForwardEnded,
    /// A linearizable read was asked again of another leadership.
    ReadAskedAgain,
    /// A forwarded try came twice.
    ForwardRepeated,
    /// An unknown entry was repaired from a peer.
    Repaired,
    /// An entry came from another member than the leader, to catch up (D20).
    Helped,
    /// A replica's durable tail was below what it had acknowledged (D13g).
    StoreRegressed,
    /// Leadership was handed over on request.
    Transferred,
    /// Another node than the target won the election after a hand-over.
    TransferFailed,
    /// A leader that could not commit handed leadership on.
    StalledLeader,
    /// A leader whose store ends nothing while others commit wanted to hand leadership on.
    HungLeader,
    /// The log's prefix was dropped by retention.
    Retained,
    /// A leader decided to drop entries because of their age.
    Expired,
    /// Retention went to the store before entries that waited for it.
    RetainedFirst,
    /// A chunk waited for the bandwidth budget.
    BudgetWait,
    /// The store was full.
    StoreFull,
    /// A completion that no operation waits for.
    UnknownOperation,
    /// The leader's chunk contradicts what is committed or verified here.
    Contradicted,
}

/// How often each thing happened in this run.
///
/// What is read may have been written by a build that counts less, or more: no count decides
/// anything, so those that it lacks are zero and those that are unknown here are dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "alloc::vec::Vec<u64>")]
pub struct Counters {
    counts: alloc::vec::Vec<u64>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            counts: alloc::vec![0; Count::ALL.len()],
        }
    }
}

impl From<alloc::vec::Vec<u64>> for Counters {
    fn from(mut counts: alloc::vec::Vec<u64>) -> Self {
        counts.resize(Count::ALL.len(), 0);
        Self { counts }
    }
}

impl Counters {
    /// How often `count` happened.
    pub fn of(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    pub(crate) fn add(&mut self, count: Count) {
        self.counts[count as usize] = self.counts[count as usize].saturating_add(1);
    }

    pub(crate) fn add_many(&mut self, count: Count, times: u64) {
        self.counts[count as usize] = self.counts[count as usize].saturating_add(times);
    }
}

impl Hash for Counters {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
