//! How far a voter has come that lags, and since when it has come no further: its leader keeps for it
//! what it lacks only while it comes nearer.

use meshos_core::id::Seq;
use meshos_core::replica::Chain;
use meshos_sim::time::Instant;

/// The furthest that a voter has come.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Nearing {
    durable: Seq,
    /// The most that was there of the latest checkpoint.
    received: (Seq, u32),
    since: Option<Instant>,
}

impl Nearing {
    /// What a replica has now.
    pub(super) fn look(&mut self, replica: &Chain, at: Instant) {
        let durable = replica.log().durable().end;
        if durable > self.durable {
            (self.durable, self.since) = (durable, Some(at));
        }
        self.receives(replica.receiving().unwrap_or_default(), at);
    }

    /// It is sent the checkpoint at `floor`: a later one than before is waited for anew.
    pub(super) fn is_sent(&mut self, floor: Seq, at: Instant) {
        self.receives((floor, 0), at);
    }

    fn receives(&mut self, received: (Seq, u32), at: Instant) {
        if received > self.received {
            (self.received, self.since) = (received, Some(at));
        }
    }

    /// Another one leads, and waits anew.
    pub(super) fn restart(&mut self, at: Instant) {
        self.since = Some(at);
    }

    /// Since when it has come no further, if it ever did.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }
}
