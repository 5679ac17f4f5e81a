//! Orders for which there was no space.

use super::disk::Disk;
use super::history::{
    FORMAT, GENERATION, LIMITS, Model, RUN, Step, What, chain, founding, identity, steps,
};
use crate::chain::checkpoint;
use crate::chain::order::Order;
use crate::chain::recover::recover;
use crate::chain::store::{FileName, FileOp, Layout, format};
use proptest::prelude::*;
use std::vec::Vec;

fn boot(disk: &mut Disk, model: &Model) -> Layout {
    let recovered = recover(&disk.files(), &LIMITS, RUN).expect("the identity is intact");
    assert_eq!(recovered.boot.images[0], model.image());
    disk.perform(&recovered.repairs);
    recovered.layout
}

/// Where the writes of `ops` are.
fn writes(ops: &[FileOp]) -> Vec<usize> {
    let is_write = |op: &FileOp| matches!(op, FileOp::Append { .. } | FileOp::Write { .. });
    let writes = ops.iter().enumerate().filter(|(_, op)| is_write(op));
    writes.map(|(at, _)| at).collect()
}

/// A write as far as there was space.
fn partly(op: &FileOp, salt: u64) -> Option<FileOp> {
    let part = |bytes: &bytes::Bytes| bytes.slice(..salt as usize % bytes.len().max(1));
    match op {
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
                if step.salt.is_multiple_of(3) {
                    layout.reserve(chain(), GENERATION, step.salt % 20_000);
                }
                let (mut tried, mut full) = (layout.clone(), disk.clone());
                let ops = tried.perform(chain(), GENERATION, &failing);
                let writes = writes(&ops);
                // An order that has nothing to do needs no space.
                if !writes.is_empty() {
                    let turn = step.salt as usize / 12 % writes.len();
                    let at = writes[turn];
                    full.perform(&ops[..at]);
                    let is_partial = step.salt.is_multiple_of(4);
                    let written = partly(&ops[at], step.salt).filter(|_| is_partial);
                    full.perform(written.as_slice());
                    let undo = tried.revert(chain(), GENERATION, at);
                    if let Some(undo) = undo {
                        full.perform(&undo);
                        // Room for a checkpoint stays, for the next batch needs it as well.
                        let is_batch = matches!(failing, Order::Append(_));
                        let is_last = turn + 1 == writes.len();
                        prop_assert!(is_batch && is_last || bytes(&full) == bytes(&disk));
                        let is_draft = |name: &FileName| name.ends_with(".tmp");
                        prop_assert!(!full.files().keys().any(is_draft));
                        (layout, disk) = (tried, full);
                    } else {
                        // The first place of the checkpoint is overwritten, and so it counts.
                        prop_assert_eq!(turn + 1, writes.len());
                        model.apply(&failing);
                        layout = boot(&mut full, &model);
                        disk = full;
                        continue;
                    }
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

/// The bytes of all files together.
fn bytes(disk: &Disk) -> u64 {
    let files = disk.files();
    files.values().map(|bytes| bytes.len() as u64).sum()
}

/// The bytes that `ops` add to the files, in each file and together.
fn added(disk: &Disk, ops: &[FileOp]) -> u64 {
    let mut most = bytes(disk);
    let mut after = disk.clone();
    for op in ops {
        after.perform_one(op);
        most = most.max(bytes(&after));
    }
    most - bytes(disk)
}

/// A batch takes room for the checkpoint of what it brings, so a full disk has some for it.
#[test]
fn a_full_disk_has_room_for_a_checkpoint_of_what_it_holds() {
    let mut disk = Disk::default();
    let mut model = Model::new();
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let mut layout = boot(&mut disk, &model);
    let mut longer = super::history::checkpoint(model.floor);
    let mut membership = (*longer.membership).clone();
    membership.learners = (10..900).map(super::history::member).collect();
    longer.membership = membership.into();
    let length = checkpoint::encode(&longer).len() as u64;
    layout.reserve(
        chain(),
        GENERATION,
        checkpoint::file_bytes_max(&longer.membership, 0),
    );
    let order = model.order(Step {
        what: What::Append,
        salt: 7,
    });
    let ops = layout.perform(chain(), GENERATION, &order);
    assert!(added(&disk, &ops) > 2 * length - 8_192);
    disk.perform(&ops);
    model.apply(&order);
    let retain = Order::Retain(longer.into());
    let ops = layout.perform(chain(), GENERATION, &retain);
    assert!(added(&disk, &ops) > 2 * length, "there are drafts");
    let undo = layout.revert(chain(), GENERATION, 0);
    disk.perform(&undo.expect("a first write is taken back"));
    let ops = layout.perform(chain(), GENERATION, &retain);
    assert_eq!(added(&disk, &ops), 0, "it is written over the last one");
    disk.perform(&ops);
    let ops = layout.perform(chain(), GENERATION, &retain);
    assert!(added(&disk, &ops) > 2 * length, "there are drafts again");
}

/// A store of some batches, of which the last order found no space.
fn full_store() -> (Disk, Model, Layout) {
    let mut disk = Disk::default();
    let mut model = Model::new();
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let mut layout = boot(&mut disk, &model);
    for salt in 0..12 {
        let order = model.order(Step {
            what: What::Append,
            salt: salt * 4 + 3,
        });
        disk.perform(&layout.perform(chain(), GENERATION, &order));
        model.apply(&order);
    }
    layout.perform(chain(), GENERATION, &Order::Vote(model.vote));
    layout.revert(chain(), GENERATION, 0);
    (disk, model, layout)
}

/// A log that gives way to another one is cut although there is no space for the header of a
/// segment, wherever that is, and goes on.
#[test]
fn a_cut_on_a_full_disk_needs_no_space() {
    for salt in 0..36 {
        let (mut disk, mut model, mut layout) = full_store();
        let before = bytes(&disk);
        let order = model.order(Step {
            what: What::Cut,
            salt,
        });
        let ops = layout.perform(chain(), GENERATION, &order);
        assert_eq!(added(&disk, &ops), 0, "{order:?}");
        disk.perform(&ops);
        assert!(bytes(&disk) < before);
        model.apply(&order);
        boot(&mut disk.clone(), &model);
        let order = model.order(Step {
            what: What::Append,
            salt: 7,
        });
        disk.perform(&layout.perform(chain(), GENERATION, &order));
        model.apply(&order);
        boot(&mut disk, &model);
    }
}

/// The checkpoint of a peer may be longer than those of what was stored here: the files are made
/// longer, which takes less room than drafts.
#[test]
fn a_longer_checkpoint_is_written_over_a_shorter_one() {
    let (mut disk, mut model, mut layout) = full_store();
    let mut floor = model.tip();
    floor.end = crate::id::Seq::new(47);
    let longer = super::history::checkpoint(floor);
    let length = checkpoint::encode(&longer).len() as u64;
    let order = Order::Reset(longer.into());
    let ops = layout.perform(chain(), GENERATION, &order);
    let added = added(&disk, &ops);
    assert!(added > 0 && added < 2 * length, "{added} {length}");
    // One of the files found room, the other one did not.
    let (mut tried, mut full) = (layout.clone(), disk.clone());
    let writes = writes(&ops);
    full.perform(&ops[..writes[1]]);
    let undo = tried.revert(chain(), GENERATION, writes[1]);
    full.perform(&undo.expect("nothing of it counts yet"));
    assert_eq!(bytes(&full), bytes(&disk));
    boot(&mut full, &model);
    // A checkpoint of its own, which lets the log go that takes the room, fits all the same.
    let retain = model.order(Step {
        what: What::Retain,
        salt: 0,
    });
    let over = tried.perform(chain(), GENERATION, &retain);
    assert_eq!(self::added(&full, &over), 0, "{retain:?}");
    disk.perform(&ops);
    model.apply(&order);
    boot(&mut disk, &model);
}

/// Appends that wait for the same sync become one batch.
#[test]
fn a_group_of_appends_is_one_batch() {
    let mut disk = Disk::default();
    let mut model = Model::new();
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let mut layout = boot(&mut disk, &model);
    let mut batches = Vec::new();
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
