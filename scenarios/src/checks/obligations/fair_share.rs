//! *fair-share*: of several chains and followers that want bandwidth of one node in one class,
//! none waits longer than twice its share allows.

use super::{Facts, names};
use meshos_sim::check::obligation::Monitor;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::BTreeMap;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "fair-share";

/// Who wants bandwidth: of this node, for this chain, to this follower.
pub type Stream = (NodeIndex, usize, NodeIndex);

/// What a stream may expect.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Streams of its class that want bandwidth of its node.
    pub streams: u64,
    /// How long its class may wait for others that want bandwidth of the node, too.
    pub patience: Duration,
    /// The most bytes that one of them sends at a time.
    pub turn_bytes: u64,
    /// Bytes that the node may send in a second.
    pub bytes_per_s: u64,
    /// Messages that all rows of a node take.
    pub pages: u32,
}

/// Who waits for bandwidth.
#[derive(Clone, Debug)]
pub struct FairShare {
    owed: Monitor<Stream>,
    /// Since when each stream waits for its turn.
    waiting: BTreeMap<Stream, Instant>,
}

impl Default for FairShare {
    fn default() -> Self {
        Self {
            owed: Monitor::new(ID),
            waiting: BTreeMap::new(),
        }
    }
}

/// Twice what everybody's turn takes, with the patience of its class before each while other
/// classes want the budget, the longest pause of a follower that asks again, and the time
/// until it knows of its leader: of rows that overtake each other one page in a heartbeat counts.
pub fn bound(share: Share, heartbeat: Duration) -> Duration {
    let turns = share
        .streams
        .saturating_mul(share.turn_bytes)
        .saturating_mul(2_000);
    let turns = Duration::from_millis(turns / share.bytes_per_s.max(1));
    let count = u32::try_from(share.streams).unwrap_or(u32::MAX);
    let others = share.patience.saturating_mul(count.saturating_mul(2));
    turns + others + heartbeat * (9 + share.pages)
}

impl FairShare {
    /// Something of `chain` leaves for a follower.
    pub fn serve(&mut self, chain: usize, follower: NodeIndex) {
        let served = |(_, of, to): &Stream| (*of, *to) == (chain, follower);
        let Some(stream) = self.waiting.keys().copied().find(served) else {
            return;
        };
        self.waiting.remove(&stream);
        self.owed.meet(&stream);
    }

    /// Streams of `chain` that wait.
    pub fn waiting(&self, chain: usize) -> impl Iterator<Item = Stream> {
        let all = self.waiting.keys();
        all.copied().filter(move |(_, of, _)| *of == chain)
    }

    /// The follower wants nothing, or cannot be served.
    pub fn release(&mut self, stream: Stream) {
        self.waiting.remove(&stream);
        self.owed.release(&stream);
    }

    /// The follower waits for its turn.
    ///
    /// # Errors
    /// It has waited for too long.
    pub fn hold(
        &mut self,
        stream: Stream,
        share: Share,
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        let since = *self.waiting.entry(stream).or_insert(facts.at);
        let bound = bound(share, facts.heartbeat) * facts.pace;
        self.owed.hold(stream, since, bound);
        let tell = || {
            let (leader, _, follower) = stream;
            format!(
                "{} lacks entries of chain {:?}, is one of {} that want bandwidth of {}, and is \
                 sent nothing",
                names(&[follower]),
                facts.chain,
                share.streams,
                names(&[leader])
            )
        };
        self.owed.judge(&stream, facts.at, tell)
    }
}
