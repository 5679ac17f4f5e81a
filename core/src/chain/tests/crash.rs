//! A crash at every operation, and at every byte of the last one, of random histories.

use super::disk::{Crash, Disk};
use super::history::{
    FORMAT, GENERATION, LIMITS, Model, RUN, Step, chain, founding, identity, steps,
};
use crate::chain::order::{Image, Order, Slot, Vote};
use crate::chain::recover::{Damage, Recovered, recover};
use crate::chain::store::{FileOp, Layout, format};
use proptest::prelude::*;
use std::vec::Vec;

/// What may become of a disk whose last operation is not synced.
fn crashes(disk: &Disk, salt: u64) -> Vec<Crash> {
    let bits = |turn: u64| salt.wrapping_mul(0x9e37_79b9) ^ turn << 32;
    let mixed = (1..4).flat_map(|turn| [Crash::Mixed(bits(turn)), Crash::Ragged(bits(turn))]);
    let plain = [
        Crash::Lost,
        Crash::Kept,
        Crash::Nameless,
        Crash::LastName,
        Crash::Empty,
    ];
    let size = disk.last_size().unwrap_or(0);
    // Behind the record of a checkpoint there is nothing but room.
    let is_room = |at| size >= 4_096 && at >= 200 && at % 509 > 0;
    let torn = (0..size).filter(|at| !is_room(*at));
    let torn = torn.flat_map(|at| [Crash::Head(at), Crash::Tail(at)]);
    plain.into_iter().chain(mixed).chain(torn).collect()
}

/// Boots a crashed disk: the image has to be one of `allowed`, also after a crash anywhere in
/// the repairs, and stays as it is once they are done.
fn boot(disk: &Disk, allowed: &[Image], is_thorough: bool) -> (Disk, Layout, Image) {
    let recovered = recover(&disk.files(), &LIMITS, RUN).expect("the identity is intact");
    let image = recovered.boot.images[0].clone();
    assert_sound(&recovered);
    assert!(
        allowed.contains(&image),
        "recovered {image:#?}\nallowed {allowed:#?}\ndamage {:?}",
        recovered.damage
    );
    let mut booted = disk.clone();
    assert_clears_first(disk, &recovered.repairs);
    for (done, op) in recovered.repairs.iter().enumerate() {
        if is_thorough {
            again(&booted, allowed, done as u64);
            boot_of_killed(&booted, allowed);
        }
        booted.perform_one(op);
    }
    assert_tidy(&booted, &recovered.layout);
    // From here on the replica may speak: what it was started with is what it keeps.
    again(&booted, core::slice::from_ref(&image), 99);
    assert_durable(&booted);
    (booted.crashed(Crash::Lost), recovered.layout, image)
}

/// A boot removes what it need not keep before it asks for room, and asks for none but that of a
/// checkpoint whose drafts were there, or a full disk would never start.
fn assert_clears_first(disk: &Disk, repairs: &[FileOp]) {
    let files = disk.files();
    let is_growth = |op: &FileOp| match op {
        FileOp::Append { .. } => true,
        FileOp::Write {
            file,
            offset,
            bytes,
        } => {
            let length = files.get(file).map_or(0, |bytes| bytes.len() as u64);
            offset + bytes.len() as u64 > length
        }
        FileOp::Truncate { .. }
        | FileOp::Sync { .. }
        | FileOp::Rename { .. }
        | FileOp::Remove { .. }
        | FileOp::SyncDir => false,
    };
    let mut growths = repairs.iter().filter(|op| is_growth(op));
    let is_draft_of_checkpoint = |op: &FileOp| {
        let FileOp::Write { file, .. } = op else {
            return false;
        };
        file.contains("checkpoint") && file.ends_with(".tmp")
    };
    assert!(growths.all(is_draft_of_checkpoint), "{repairs:?}");
    let first = repairs.iter().position(is_growth);
    let is_draft = |op: &FileOp| matches!(op, FileOp::Remove { file } if file.ends_with(".tmp"));
    let last = repairs.iter().rposition(is_draft);
    assert!(
        last < Some(first.unwrap_or(repairs.len())),
        "{last:?} {first:?}"
    );
}

/// A boot that is done leaves nothing to a loss of power, whatever the processes before it were
/// killed in: what it read is durable, and what it saw removed or cut does not come back.
fn assert_durable(booted: &Disk) {
    let lengths = |disk: &Disk| -> Vec<_> {
        let files = disk.files().into_iter();
        files.map(|(name, bytes)| (name, bytes.len())).collect()
    };
    let kept = booted.crashed(Crash::Lost);
    assert_eq!(lengths(&kept), lengths(booted));
    assert!(kept.files() == booted.files(), "all bytes are durable");
}

/// The next boot of a store whose process was killed while the machine went on: all that was
/// performed is there to be seen, and none of it is any more durable than before.
fn boot_of_killed(disk: &Disk, allowed: &[Image]) {
    let mut disk = disk.crashed(Crash::Kept);
    let recovered = recover(&disk.files(), &LIMITS, RUN).expect("the identity is intact");
    assert!(allowed.contains(&recovered.boot.images[0]));
    disk.perform(&recovered.repairs);
    assert_tidy(&disk, &recovered.layout);
    assert_durable(&disk);
}

/// A crash leaves torn ends and what was replaced, and nothing in a log that counts as damaged.
fn assert_sound(recovered: &Recovered) {
    let is_log = |damage: &&Damage| damage.file.contains("segment");
    let damage = recovered.damage.iter().find(is_log);
    assert_eq!(damage, None, "nobody did any harm");
}

/// Nothing is left but what the layout knows.
fn assert_tidy(disk: &Disk, layout: &Layout) {
    let known = &layout.chains[&(chain(), GENERATION)].segments;
    let known: Vec<_> = known
        .values()
        .map(|file| (&file.name, file.length))
        .collect();
    let files = disk.files();
    let segments = files.iter().filter(|(name, _)| name.contains("segment"));
    let segments: Vec<_> = segments
        .map(|(name, bytes)| (name, bytes.len() as u64))
        .collect();
    assert_eq!(segments, known);
    assert!(files.keys().all(|name| !name.ends_with(".tmp")));
}

/// A second crash, with some of the repairs performed.
fn again(disk: &Disk, allowed: &[Image], salt: u64) {
    let torn = disk.last_size().map(|size| Crash::Head(size / 2));
    let mixed = Crash::Mixed(salt.wrapping_mul(0x51ab));
    let plain = [
        Crash::Lost,
        Crash::Kept,
        Crash::Empty,
        Crash::Nameless,
        Crash::LastName,
        mixed,
    ];
    let ragged = (1..4).map(|turn| Crash::Ragged(salt.wrapping_mul(0x51ab) ^ turn << 32));
    for crash in plain.into_iter().chain(torn).chain(ragged) {
        let disk = disk.crashed(crash);
        let recovered = recover(&disk.files(), &LIMITS, RUN).expect("the identity is intact");
        let image = &recovered.boot.images[0];
        assert_sound(&recovered);
        assert!(
            allowed.contains(image),
            "after a second crash ({crash:?}) {image:#?}\nallowed {allowed:#?}\ndamage {:?}",
            recovered.damage
        );
    }
}

fn model_of(image: &Image) -> Model {
    let known = |slot: &Slot| match slot {
        Slot::Known(entry) => entry.clone(),
        Slot::Unknown => panic!("nothing was flipped"),
    };
    Model {
        vote: image.vote.expect("a vote record is never lost in a crash"),
        floor: image.checkpoint.floor,
        entries: image.slots.iter().map(known).collect(),
    }
}

/// All crashes within one order; gives back one of them to go on from.
fn torture(disk: &Disk, ops: &[FileOp], model: &Model, order: &Order, salt: u64) {
    let before = [model.image()];
    let between = model.between(order);
    let mut disk = disk.clone();
    for done in 0..=ops.len() {
        if let Some(op) = done.checked_sub(1).map(|done| &ops[done]) {
            disk.perform_one(op);
        }
        let allowed = match done {
            0 => &before[..],
            _ if done == ops.len() => &between[between.len() - 1..],
            _ => &between[..],
        };
        for crash in crashes(&disk, salt) {
            let is_torn = matches!(crash, Crash::Head(_) | Crash::Tail(_));
            boot(&disk.crashed(crash), allowed, !is_torn);
        }
    }
}

/// An order that leaves nothing but that the next checkpoint is written over the one before.
fn find_no_space(layout: &mut Layout) {
    layout.perform(chain(), GENERATION, &Order::Vote(Vote::default()));
    layout.revert(chain(), GENERATION, 0);
}

fn run(history: &[Step]) {
    let mut disk = Disk::default();
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let mut model = Model::new();
    let (mut disk, mut layout, _) = boot(&disk, &[model.image()], true);
    for step in history {
        let order = model.order(*step);
        if step.salt.is_multiple_of(5) {
            find_no_space(&mut layout);
        }
        if step.salt.is_multiple_of(11) {
            layout.reserve(chain(), GENERATION, 4_000 + step.salt % 9_000);
        }
        let mut next = layout.clone();
        let ops = next.perform(chain(), GENERATION, &order);
        torture(&disk, &ops, &model, &order, step.salt);
        let done = step.salt as usize % (ops.len() + 1);
        if step.salt.is_multiple_of(3) && done < ops.len() {
            // Go on from the middle of the order.
            disk.perform(&ops[..done]);
            let allowed = model.between(&order);
            let crash = Crash::Mixed(step.salt);
            let (booted, recovered, image) = boot(&disk.crashed(crash), &allowed, false);
            model = model_of(&image);
            (disk, layout) = (booted, recovered);
        } else {
            disk.perform(&ops);
            disk = disk.crashed(Crash::Lost);
            model.apply(&order);
            layout = next;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_crash_in_a_short_history_keeps_what_was_reported(history in steps(1..7)) {
        run(&history);
    }
}

// A few of each, beside each other.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn a_crash_in_a_long_history_keeps_what_was_reported(history in steps(7..11)) {
        run(&history);
    }

    #[test]
    fn a_crash_in_a_longer_history_keeps_what_was_reported(history in steps(10..14)) {
        run(&history);
    }
}

#[test]
fn formatting_can_be_interrupted_and_repeated() {
    let ops = format(&identity(), FORMAT, &[founding()]);
    let mut disk = Disk::default();
    for op in &ops {
        for crash in crashes(&disk, 5) {
            let mut disk = disk.crashed(crash);
            if let Ok(recovered) = recover(&disk.files(), &LIMITS, RUN) {
                assert_eq!(recovered.boot.images[0], Model::new().image());
            } else {
                disk.perform(&ops);
                boot(&disk.crashed(Crash::Lost), &[Model::new().image()], false);
            }
        }
        disk.perform_one(op);
    }
}

proptest! {
    #[test]
    fn a_boot_can_be_interrupted_any_number_of_times(
        history in steps(0..8),
        interruptions in proptest::collection::vec((0_usize..40, any::<u16>(), 0..3), 1..9),
    ) {
        let mut disk = Disk::default();
        disk.perform(&format(&identity(), FORMAT, &[founding()]));
        let mut model = Model::new();
        let (mut disk, mut layout, _) = boot(&disk, &[model.image()], false);
        for step in history {
            let order = model.order(step);
            disk.perform(&layout.perform(chain(), GENERATION, &order));
            model.apply(&order);
        }
        let mut incarnation = 0;
        for (done, byte, how) in interruptions {
            let recovered = recover(&disk.files(), &LIMITS, RUN).expect("one place is always whole");
            prop_assert_eq!(&recovered.boot.images[0], &model.image());
            let done = done.min(recovered.repairs.len());
            disk.perform(&recovered.repairs[..done]);
            if done == recovered.repairs.len() {
                prop_assert!(recovered.boot.incarnation.get() > incarnation);
                incarnation = recovered.boot.incarnation.get();
            }
            let byte = usize::from(byte) % disk.last_size().unwrap_or(1).max(1);
            disk = disk.crashed(match how {
                0 => Crash::Head(byte),
                1 => Crash::Tail(byte),
                _ => Crash::Kept,
            });
        }
        boot_of_killed(&disk, &[model.image()]);
    }
}

#[test]
fn a_crash_keeps_a_log_of_many_segments() {
    use super::history::What;
    let mut history: Vec<Step> = (1..9)
        .map(|salt| Step {
            what: What::Append,
            // Three entries each, and no two histories the same.
            salt: salt * 4 + 3,
        })
        .collect();
    let entries = 24;
    let last = [
        (What::Retain, entries / 2),
        (What::Cut, entries / 4),
        (What::Append, 7),
        (What::Reset, 1),
    ];
    history.extend(last.map(|(what, salt)| Step { what, salt }));
    run(&history);
}

#[test]
fn a_boot_syncs_the_segment_before_the_last_only_while_it_may_have_been_cut() {
    use super::history::What;
    let mut disk = Disk::default();
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let mut model = Model::new();
    let mut synced = Vec::new();
    // Appends of each run, as counts of entries; one without entries seals the last.
    for run in [&[3, 1][..], &[], &[1], &[1, 0], &[]] {
        let recovered = recover(&disk.files(), &LIMITS, RUN).expect("the identity is intact");
        disk.perform(&recovered.repairs);
        let is_segment = |op: &&FileOp| {
            let FileOp::Sync { file } = op else {
                return false;
            };
            file.contains("segment") && !file.ends_with(".tmp")
        };
        synced.push(recovered.repairs.iter().filter(is_segment).count());
        let mut layout = recovered.layout;
        for salt in run {
            let what = What::Append;
            let order = model.order(Step { what, salt: *salt });
            disk.perform(&layout.perform(chain(), GENERATION, &order));
            model.apply(&order);
        }
    }
    // What the fourth boot finds was written by one batch behind what the third may have cut. The
    // last one finds a log that was sealed in order.
    assert_eq!(synced, [0, 1, 1, 2, 1]);
}
