//! How many bytes have to cross before a replica has what another one has.

use super::super::truth::Truth;
use meshos_core::chain::checkpoint;
use meshos_core::id::Seq;
use meshos_core::replica::Chain;

/// About what an entry costs in a message besides its payload.
const ENTRY_OVERHEAD: u64 = 160;

/// Bytes that `behind` lacks of the log of `ahead`, a checkpoint included where it is needed.
pub(super) fn missing(truth: &Truth, ahead: &Chain, behind: &Chain) -> u64 {
    let (log, own) = (ahead.log(), behind.log());
    let agreed = truth.agreed(own.tip()).min(own.end());
    let checkpoint = match agreed < log.floor() {
        true => checkpoint_bytes(ahead),
        false => 0,
    };
    checkpoint + cost(ahead, agreed)
}

/// Bytes of the retained entries from `from` on.
pub(super) fn cost(chain: &Chain, from: Seq) -> u64 {
    let log = chain.log();
    let retained = from.max(log.floor()).get()..log.end().get();
    let cost = |seq| {
        let payload = log
            .entry(Seq::new(seq))
            .map_or(0, |entry| entry.payload.length());
        u64::from(payload) + ENTRY_OVERHEAD
    };
    retained.map(cost).sum()
}

/// Bytes of the checkpoint of a replica.
pub(super) fn checkpoint_bytes(chain: &Chain) -> u64 {
    checkpoint::encode(chain.log().checkpoint()).len() as u64
}
