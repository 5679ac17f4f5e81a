//! How many bytes have to cross before a replica has what another one has, and how long they may
//! take.

use super::super::truth::Truth;
use meshos_core::chain::checkpoint;
use meshos_core::replica::Chain;
use std::time::Duration;

/// About what an entry costs in a message besides its payload.
const ENTRY_OVERHEAD: u64 = 160;

/// Bytes that `behind` lacks of the log of `ahead`, a checkpoint included where it is needed.
pub(super) fn missing(truth: &Truth, ahead: &Chain, behind: &Chain) -> u64 {
    let (log, own) = (ahead.log(), behind.log());
    let agreed = truth.agreed(own.tip()).min(own.end());
    let checkpoint = match agreed < log.floor() || own.end() < log.floor() {
        true => checkpoint::encode(log.checkpoint()).len() as u64,
        false => 0,
    };
    let mut bytes = checkpoint;
    let mut seq = agreed.max(log.floor());
    while seq < log.end() {
        let payload = log.entry(seq).map_or(0, |entry| entry.payload.length());
        bytes += u64::from(payload) + ENTRY_OVERHEAD;
        seq = seq.next();
    }
    bytes
}

/// Three times what `bytes` take at `per_ms` bytes in a millisecond.
pub(super) fn crossing(bytes: u64, per_ms: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(3) / per_ms.max(1))
}
