//! Retention where the log begins in damage.

use super::flip::{boot, long, play, unknown};
use super::history::{GENERATION, chain, checkpoint};
use crate::chain::order::Order;
use alloc::sync::Arc;
use std::vec::Vec;

/// The first segments are lost in damage, their entries came back from peers, and a cut within them
/// took the files: what is left of the log begins behind its floor.
#[test]
fn a_floor_within_repaired_entries_keeps_the_log() {
    let (mut disk, _, mut model) = play(&long());
    let files = disk.files();
    let segments = files.iter().filter(|(name, _)| name.contains("segment"));
    let segments: Vec<_> = segments.collect();
    let (_, before) = segments.split_last().expect("there are segments");
    for (name, bytes) in before {
        (0..bytes.len()).for_each(|at| disk.flip(name, at, 3));
    }
    let mut recovered = boot(&mut disk);
    for index in unknown(&recovered.boot.images[0]).into_iter().rev() {
        let order = Order::Repair(Arc::from([model.entries[index].clone()]));
        disk.perform(&recovered.layout.perform(chain(), GENERATION, &order));
    }
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
