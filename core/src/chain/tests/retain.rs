//! Retention: what it leaves on the disk, and where the log begins in damage.

use super::disk::Disk;
use super::flip::{boot, data, long, lose_and_repair, play};
use super::history::{FORMAT, GENERATION, Model, RUN, chain, checkpoint, founding, identity};
use crate::chain::order::Order;
use crate::chain::recover::recover;
use crate::chain::store::{StoreLimits, format};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// The lengths of the segments after each of `count` entries of a kilobyte, of which the last `kept`
/// are retained in steps of a quarter, where only retention ends a segment.
fn lengths(count: usize, kept: usize) -> Vec<Vec<u64>> {
    let limits = StoreLimits {
        segment_bytes_max: 1 << 30,
    };
    let mut disk = Disk::default();
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let recovered = recover(&disk.files(), &limits, RUN).expect("it is whole");
    disk.perform(&recovered.repairs);
    let (mut layout, mut model) = (recovered.layout, Model::new());
    let mut lengths = vec![];
    for _ in 0..count {
        let append = data(&model, vec![7; 1_024].into());
        disk.perform(&layout.perform(chain(), GENERATION, &append));
        model.apply(&append);
        if model.entries.len() > kept + kept / 4 {
            let floor = model.position_at(model.entries.len() - kept);
            let retain = Order::Retain(Arc::new(checkpoint(floor)));
            disk.perform(&layout.perform(chain(), GENERATION, &retain));
            model.apply(&retain);
        }
        let files = disk.files();
        let segments = files.iter().filter(|(name, _)| name.contains("segment"));
        lengths.push(segments.map(|(_, bytes)| bytes.len() as u64).collect());
    }
    lengths
}

#[test]
fn what_is_dropped_leaves_the_disk() {
    for kept in [20, 200, 1_000] {
        let most = lengths(3 * kept + 200, kept)
            .iter()
            .map(|lengths| lengths.iter().sum::<u64>())
            .max();
        let retained = (kept + kept / 4) as u64 * 1_400;
        let most = most.expect("there are segments");
        assert!(most <= retained * 3 / 2 + (64 << 10), "{kept}: {most}");
    }
}

#[test]
fn a_log_that_keeps_everything_has_few_segments() {
    let last = lengths(4_000, 4_000).pop().expect("there are entries");
    assert!(last.len() < 24, "{last:?}");
    let longest = last.iter().max();
    assert!(longest > Some(&(512 << 10)), "{last:?}");
}

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

/// What repairs take on the disk goes with the entries that they repaired, wherever the process ends
/// in the middle of it.
#[test]
fn repairs_leave_the_disk_with_what_they_repaired() {
    let has_repairs = |disk: &Disk| disk.files().keys().any(|name| name.contains("repairs"));
    let (mut disk, _, model) = play(&long());
    let mut recovered = lose_and_repair(&mut disk, &model);
    assert!(has_repairs(&disk));
    let floor = model.tip();
    let retain = Order::Retain(Arc::new(checkpoint(floor)));
    let ops = recovered.layout.perform(chain(), GENERATION, &retain);
    let mut cleared = 0;
    for done in 0..=ops.len() {
        let mut disk = disk.clone();
        disk.perform(&ops[..done]);
        assert!(done < ops.len() || !has_repairs(&disk));
        if boot(&mut disk).boot.images[0].checkpoint.floor == floor {
            assert!(!has_repairs(&disk), "{done} of {ops:?}");
            cleared += 1;
        }
    }
    assert!(cleared > 1);
}
