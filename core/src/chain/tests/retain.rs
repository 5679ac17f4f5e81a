//! Retention where the log begins in damage.

use super::flip::{boot, long, lose_and_repair, play};
use super::history::{GENERATION, chain, checkpoint};
use crate::chain::order::Order;
use alloc::sync::Arc;

/// The first segments are lost in damage, their entries came back from peers, and a cut within them
/// took the files: what is left of the log begins behind its floor.
#[test]
fn a_floor_within_repaired_entries_keeps_the_log() {
    let (mut disk, _, mut model) = play(&long());
    let mut recovered = lose_and_repair(&mut disk, &model);
    let cut = Order::Cut(model.position_at(4).end);
    let whole = model.clone();
    let retain = |index| Order::Retain(Arc::new(checkpoint(whole.position_at(index))));
    for order in [cut, retain(0), retain(1), retain(3), retain(4)] {
        disk.perform(&recovered.layout.perform(chain(), GENERATION, &order));
        model.apply(&order);
        recovered = boot(&mut disk);
        assert_eq!(recovered.boot.images[0], model.image(), "{order:?}");
    }
}
