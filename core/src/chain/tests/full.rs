//! Orders for which there was no space.

use super::disk::Disk;
use super::history::{
    FORMAT, GENERATION, LIMITS, Model, RUN, Step, What, chain, founding, identity, steps,
};
use crate::chain::order::Order;
use crate::chain::recover::recover;
use crate::chain::store::{FileName, FileOp, Layout, format};
use proptest::prelude::*;

fn boot(disk: &mut Disk, model: &Model) -> Layout {
    let recovered = recover(&disk.files(), &LIMITS, RUN).expect("the identity is intact");
    assert_eq!(recovered.boot.images[0], model.image());
    disk.perform(&recovered.repairs);
    recovered.layout
}

/// The first write of `ops` as far as there was space, or nothing of them at all.
fn partly(ops: &[FileOp], salt: u64) -> Option<FileOp> {
    let part = |bytes: &bytes::Bytes| bytes.slice(..salt as usize % bytes.len().max(1));
    match ops.first()? {
        FileOp::Append { file, bytes } => Some(FileOp::Append {
            file: file.clone(),
            bytes: part(bytes),
        }),
        FileOp::Write {
            file,
            offset,
            bytes,
        } => Some(FileOp::Write {
            file: file.clone(),
            offset: *offset,
            bytes: part(bytes),
        }),
        FileOp::Truncate { .. }
        | FileOp::Sync { .. }
        | FileOp::Rename { .. }
        | FileOp::Remove { .. }
        | FileOp::SyncDir => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_order_without_space_leaves_nothing(history in steps(1..40)) {
        let mut disk = Disk::default();
        let mut model = Model::new();
        disk.perform(&format(&identity(), FORMAT, &[founding()]));
        let mut layout = boot(&mut disk, &model);
        for step in history {
            // A vote overwrites in place, which takes no space.
            if step.what != What::Vote && step.salt.is_multiple_of(2) {
                let failing = Step { salt: step.salt / 2, ..step };
                let failing = model.order(failing);
                let ops = layout.perform(chain(), GENERATION, &failing);
                let is_partial = step.salt.is_multiple_of(4);
                let written = partly(&ops, step.salt).filter(|_| is_partial);
                disk.perform(written.as_slice());
                // An order that has nothing to do needs no space.
                if !ops.is_empty() {
                    let undo = layout.revert(chain(), GENERATION, 0);
                    disk.perform(&undo.expect("a first write is taken back"));
                    let is_draft = |name: &FileName| name.ends_with(".tmp");
                    prop_assert!(!disk.files().keys().any(is_draft));
                }
                prop_assert_eq!(layout.tip(chain(), GENERATION), Some(model.tip()));
                if let Order::Append(batch) = &failing
                    && batch.len() > 1
                {
                    let behind = Order::Append(batch[1..].into());
                    prop_assert!(!layout.fits(chain(), GENERATION, &behind));
                }
            }
            let order = model.order(step);
            prop_assert!(layout.fits(chain(), GENERATION, &order));
            disk.perform(&layout.perform(chain(), GENERATION, &order));
            model.apply(&order);
            let recovered = recover(&disk.files(), &LIMITS, RUN).expect("the identity is intact");
            prop_assert_eq!(&recovered.boot.images[0], &model.image());
            prop_assert_eq!(recovered.damage, []);
            if step.salt.is_multiple_of(7) {
                layout = boot(&mut disk, &model);
            }
        }
    }
}

#[test]
fn a_shorter_checkpoint_replaces_what_a_longer_one_left() {
    let mut disk = Disk::default();
    let model = Model::new();
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let mut layout = boot(&mut disk, &model);
    let shorter = super::history::checkpoint(model.floor);
    let mut longer = shorter.clone();
    let mut membership = (*longer.membership).clone();
    membership.learners = (10..90).map(super::history::member).collect();
    longer.membership = membership.into();
    let ops = layout.perform(chain(), GENERATION, &Order::Retain(longer.into()));
    disk.perform(&ops[..1]);
    let undo = layout.revert(chain(), GENERATION, 0);
    disk.perform(&undo.expect("a first write is taken back"));
    disk.perform(&layout.perform(chain(), GENERATION, &Order::Retain(shorter.into())));
    boot(&mut disk, &model);
}

/// Appends that wait for the same sync become one batch.
#[test]
fn a_group_of_appends_is_one_batch() {
    let mut disk = Disk::default();
    let mut model = Model::new();
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let mut layout = boot(&mut disk, &model);
    let mut batches = std::vec::Vec::new();
    for salt in [7, 11, 15] {
        let what = What::Append;
        let order = model.order(Step { what, salt });
        model.apply(&order);
        if let Order::Append(batch) = order {
            batches.push(batch);
        }
    }
    let ops = layout.perform_appends(chain(), GENERATION, &batches);
    let is_append = |op: &&FileOp| matches!(op, FileOp::Append { .. });
    assert_eq!(ops.iter().filter(is_append).count(), 1);
    disk.perform(&ops);
    assert_eq!(layout.tip(chain(), GENERATION), Some(model.tip()));
    boot(&mut disk, &model);
}
