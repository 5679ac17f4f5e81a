//! Whatever the files of a store hold, recovery answers with a store or with an error; and once
//! its repairs are made, the store is the one that it said.

use crate::{CHAIN, perform, unpack};
use meshos_core::chain::read::{dump, verify};
use meshos_core::chain::recover::recover;
use meshos_core::chain::store::StoreLimits;
use meshos_core::id::{ChainId, RunNonce};

const LIMITS: StoreLimits = StoreLimits {
    segment_bytes_max: 1_500,
};

const LAST: [u8; 8] = (u64::MAX - 1).to_le_bytes();

/// Tries one input.
///
/// # Panics
/// If the code under test breaks its word.
pub fn run(input: &[u8]) {
    let mut files = unpack(input);
    // What was counted to its end cannot be counted on, and no store gets there.
    if files
        .values()
        .any(|file| file.windows(8).any(|field| field == LAST))
    {
        return;
    }
    let _ = dump(&files, ChainId::of(CHAIN));
    let Ok(recovered) = recover(&files, &LIMITS, RunNonce::new(1)) else {
        return;
    };
    for op in &recovered.repairs {
        perform(&mut files, op);
    }
    let again = recover(&files, &LIMITS, RunNonce::new(1)).expect("a store stays one");
    assert_eq!(recovered.boot.images, again.boot.images);
    assert!(verify(&files, &LIMITS).is_ok());
}
