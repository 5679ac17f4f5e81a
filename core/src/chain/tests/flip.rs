//! Damage: flipped bits, missing files, files cut short.

use super::disk::{Crash, Disk};
use super::history::{
    FORMAT, GENERATION, LIMITS, Model, RUN, Step, What, chain, founding, identity, steps,
};
use crate::chain::checkpoint;
use crate::chain::order::{Image, Order, Slot};
use crate::chain::payload::Payload;
use crate::chain::record::{RecordKind, Salt};
use crate::chain::recover::{Files, RecoverError, Recovered, recover};
use crate::chain::segment::{ENTRY_BYTES_MIN, write_entry};
use crate::chain::store::{FileOp, Identity, Layout, StoreLimits, format};
use crate::id::{Seq, StoreId};
use alloc::sync::Arc;
use bytes::Bytes;
use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

/// A disk after a history, booted now and then.
pub(super) fn play(history: &[Step]) -> (Disk, Layout, Model) {
    let mut disk = Disk::default();
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let mut model = Model::new();
    let mut layout = boot(&mut disk).layout;
    for step in history {
        let order = model.order(*step);
        disk.perform(&layout.perform(chain(), GENERATION, &order));
        model.apply(&order);
        if step.salt.is_multiple_of(11) {
            layout = boot(&mut disk).layout;
        }
    }
    (disk, layout, model)
}

pub(super) fn boot(disk: &mut Disk) -> Recovered {
    let recovered = recover(&disk.files(), &LIMITS, RUN).expect("the identity is intact");
    disk.perform(&recovered.repairs);
    recovered
}

pub(super) fn unknown(image: &Image) -> Vec<usize> {
    let slots = image.slots.iter().enumerate();
    let unknown = slots.filter(|(_, slot)| **slot == Slot::Unknown);
    unknown.map(|(index, _)| index).collect()
}

/// Every slot is as it was, or unknown.
fn assert_never_wrong(image: &Image, model: &Model) {
    let whole = model.image();
    assert_eq!(image.tip, whole.tip);
    assert_eq!(image.slots.len(), whole.slots.len());
    for (slot, right) in image.slots.iter().zip(&whole.slots) {
        assert!(
            slot == right || *slot == Slot::Unknown,
            "{slot:?} {right:?}"
        );
    }
}

/// The index of the entry whose sealed record holds this byte of this file.
fn victim(layout: &Layout, model: &Model, file: &str, offset: u64) -> Option<usize> {
    model.entries.iter().position(|entry| {
        let located = layout.locate(chain(), GENERATION, entry.seq);
        located.is_some_and(|(sealed, is_sealed)| {
            is_sealed && *sealed.file == *file && sealed.range.contains(&offset)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_flip_in_the_sealed_part_costs_the_entry_it_hits(history in steps(4..20)) {
        // A repair of an intact entry would hide the damage.
        let history: Vec<Step> =
            history.into_iter().filter(|step| step.what != What::Repair).collect();
        let (disk, layout, model) = play(&history);
        for sealed in layout.sealed(chain(), GENERATION) {
            for offset in sealed.range.clone() {
                let mut disk = disk.clone();
                disk.flip(&sealed.file, offset as usize, (offset % 8) as u8);
                let image = boot(&mut disk).boot.images[0].clone();
                assert_never_wrong(&image, &model);
                let hit = victim(&layout, &model, &sealed.file, offset);
                prop_assert_eq!(unknown(&image), hit.into_iter().collect::<Vec<_>>());
                prop_assert_eq!(&boot(&mut disk).boot.images[0], &image);
            }
        }
    }

    #[test]
    fn many_flips_never_make_an_entry_wrong_or_absent(
        history in steps(8..30),
        flips in proptest::collection::vec(any::<(u32, u8)>(), 1..12),
    ) {
        let (mut disk, layout, model) = play(&history);
        let sealed = layout.sealed(chain(), GENERATION);
        let bytes: u64 = sealed.iter().map(|sealed| sealed.range.end).sum();
        for (place, bit) in flips {
            let mut place = u64::from(place) % bytes.max(1);
            for sealed in &sealed {
                if place < sealed.range.end {
                    disk.flip(&sealed.file, place as usize, bit % 8);
                    break;
                }
                place -= sealed.range.end;
            }
        }
        let mut recovered = boot(&mut disk);
        assert_never_wrong(&recovered.boot.images[0], &model);

        // A peer repairs what is unknown, run by run as a replica asks for it, from the right.
        let lost = unknown(&recovered.boot.images[0]);
        for index in lost.into_iter().rev() {
            let order = Order::Repair(Arc::from([model.entries[index].clone()]));
            disk.perform(&recovered.layout.perform(chain(), GENERATION, &order));
        }
        recovered = boot(&mut disk);
        let image = &recovered.boot.images[0];
        assert_never_wrong(image, &model);

        // Repaired or not, the log goes on behind it.
        let mut model = model;
        let order = model.order(Step { what: What::Append, salt: 3 });
        disk.perform(&recovered.layout.perform(chain(), GENERATION, &order));
        model.apply(&order);
        assert_never_wrong(&boot(&mut disk).boot.images[0], &model);
    }

    #[test]
    fn a_log_cut_short_anywhere_is_a_prefix(history in steps(2..16)) {
        let (disk, _, model) = play(&history);
        let files = disk.files();
        let last = files.keys().rfind(|name| name.contains("segment"));
        let Some(last) = last else { return Ok(()) };
        for length in 0..files[last].len() {
            let mut files = files.clone();
            let short = files[last].slice(..length);
            files.insert(last.clone(), short);
            let image = recover(&files, &LIMITS, RUN).unwrap().boot.images[0].clone();
            let kept = image.slots.len().min(model.entries.len());
            prop_assert_eq!(unknown(&image), Vec::<usize>::new());
            prop_assert_eq!(image.tip, model.position_at(kept));
            prop_assert_eq!(&image.slots[..], &model.image().slots[..kept]);
        }
    }
}

/// Enough appends for several segments.
/// Damages every segment but the last, and repairs what a boot finds lost, from its end on.
pub(super) fn lose_and_repair(disk: &mut Disk, model: &Model) -> Recovered {
    let files = disk.files();
    let segments = files.iter().filter(|(name, _)| name.contains("segment"));
    let segments: Vec<_> = segments.collect();
    let (_, before) = segments.split_last().expect("there are segments");
    for (name, bytes) in before {
        (0..bytes.len()).for_each(|at| disk.flip(name, at, 3));
    }
    let mut recovered = boot(disk);
    let lost = unknown(&recovered.boot.images[0]);
    assert!(lost.len() > 8, "{lost:?}");
    for index in lost.into_iter().rev() {
        let order = Order::Repair(Arc::from([model.entries[index].clone()]));
        disk.perform(&recovered.layout.perform(chain(), GENERATION, &order));
    }
    recovered
}

pub(super) fn long() -> Vec<Step> {
    let append = |salt: u64| Step {
        what: What::Append,
        salt: salt * 5 + 2,
    };
    (10..40).map(append).collect()
}

/// The entry behind `model` with this payload.
pub(super) fn data(model: &Model, payload: Bytes) -> Order {
    let tip = model.tip();
    let mut entry = (*super::history::entry(tip, tip.epoch, 2)).clone();
    entry.payload = Payload::new(payload);
    Order::Append(Arc::from([Arc::new(entry.linked(tip.hash))]))
}

/// A store of four entries, the second of which has a payload that depends on where it goes.
fn planted(owner: &Identity, plant: &dyn Fn(&Disk, u64) -> Bytes) -> (Disk, Layout, Model) {
    let mut disk = Disk::default();
    disk.perform(&format(owner, FORMAT, &[founding()]));
    let mut layout = boot(&mut disk).layout;
    let mut model = Model::new();
    for seq in 0..4 {
        let mut trial = layout.clone();
        trial.perform(chain(), GENERATION, &data(&model, Bytes::new()));
        let located = trial.locate(chain(), GENERATION, Seq::new(seq));
        let start = located.unwrap().0.range.start + ENTRY_BYTES_MIN;
        let payload = if seq == 1 {
            plant(&disk, start)
        } else {
            Bytes::from(vec![7; 90])
        };
        let order = data(&model, payload);
        disk.perform(&layout.perform(chain(), GENERATION, &order));
        model.apply(&order);
    }
    (disk, layout, model)
}

/// A client may keep copies of segments in a chain. Looking for the next record behind damage
/// must not take one of theirs for ours: neither a record of the same file at another place, nor
/// one of another store at the same place.
#[test]
fn records_inside_a_payload_are_never_found() {
    let segment = |disk: &Disk| {
        let files = disk.files();
        let name = files.keys().find(|name| name.contains("segment"));
        files[name.unwrap()].clone()
    };
    let roomy = StoreLimits {
        segment_bytes_max: 1 << 20,
    };
    let other = Identity {
        store: StoreId::new(99),
        ..identity()
    };
    let long = |_: &Disk, _| Bytes::from(vec![7; 90]);
    let theirs = segment(&planted(&other, &long).0);
    let own_copy = |disk: &Disk, _| segment(disk);
    let their_copy = |_: &Disk, start: u64| theirs.slice(start as usize..);
    for plant in [&own_copy as &dyn Fn(&Disk, u64) -> Bytes, &their_copy] {
        let (disk, layout, model) = planted(&identity(), plant);
        let located = layout.locate(chain(), GENERATION, Seq::new(1)).unwrap();
        let (sealed, is_sealed) = located;
        assert!(is_sealed);
        for offset in sealed.range.clone() {
            let mut disk = disk.clone();
            disk.flip(&sealed.file, offset as usize, 2);
            let image = recover(&disk.files(), &roomy, RUN).unwrap().boot.images[0].clone();
            assert_eq!(unknown(&image), [1]);
            assert_never_wrong(&image, &model);
        }
    }
}

/// A repair that a boot found but that was never synced is synced by the boot.
#[test]
fn a_repair_that_was_read_once_stays() {
    let (mut disk, layout, model) = play(&long());
    let (sealed, _) = layout.locate(chain(), GENERATION, Seq::new(3)).unwrap();
    disk.flip(&sealed.file, sealed.range.start as usize + 40, 1);
    let mut layout = boot(&mut disk).layout;
    let order = Order::Repair(Arc::from([model.entries[3].clone()]));
    let ops = layout.perform(chain(), GENERATION, &order);
    disk.perform_one(&ops[0]);
    let mut disk = disk.crashed(Crash::Kept);
    assert_eq!(boot(&mut disk).boot.images[0], model.image());
    let mut disk = disk.crashed(Crash::Lost);
    assert_eq!(boot(&mut disk).boot.images[0], model.image());
}

/// Even bytes with the right checksums are not an entry of this log if its neighbour names
/// another one.
#[test]
fn an_intact_record_of_another_history_is_unknown() {
    let (disk, layout, model) = play(&long());
    let own = &model.entries[5];
    let mut forged = (**own).clone();
    forged.stamp = crate::time::Wall::from_ms(1);
    let previous = model.position_at(5).hash;
    let forged = forged.linked(previous);
    let (sealed, is_sealed) = layout.locate(chain(), GENERATION, own.seq).unwrap();
    assert!(is_sealed);
    let mut record = Vec::new();
    let salt = Salt::of_store(&identity(), &sealed.file);
    let (kind, start) = (RecordKind::Entry, sealed.range.start);
    write_entry(&mut record, salt, start, kind, &forged, Some(previous));
    let mut files = disk.files();
    let mut bytes = files[&sealed.file].to_vec();
    bytes[start as usize..sealed.range.end as usize].copy_from_slice(&record);
    files.insert(sealed.file, Bytes::from(bytes));
    let recovered = recover(&files, &LIMITS, RUN).unwrap();
    assert_eq!(unknown(&recovered.boot.images[0]), [5]);
    assert_never_wrong(&recovered.boot.images[0], &model);
}

#[test]
fn repairs_are_kept() {
    let (mut disk, layout, model) = play(&long());
    for (at, entry) in model.entries.iter().enumerate().step_by(3) {
        if let Some((sealed, true)) = layout.locate(chain(), GENERATION, entry.seq) {
            disk.flip(&sealed.file, sealed.range.start as usize + at % 90, 3);
        }
    }
    let mut recovered = boot(&mut disk);
    let lost = unknown(&recovered.boot.images[0]);
    assert!(lost.len() > 8, "{lost:?}");
    for index in lost {
        let order = Order::Repair(Arc::from([model.entries[index].clone()]));
        disk.perform(&recovered.layout.perform(chain(), GENERATION, &order));
    }
    for _ in 0..2 {
        recovered = boot(&mut disk);
        assert_eq!(recovered.boot.images[0], model.image());
    }
    // A cut behind a repaired entry keeps the repair.
    let mut model = model;
    let order = Order::Cut(Seq::new(4));
    disk.perform(&recovered.layout.perform(chain(), GENERATION, &order));
    model.apply(&order);
    assert_eq!(boot(&mut disk).boot.images[0], model.image());
}

/// A run is repaired from its end, so of none of its records the entry before is known when it is
/// written.
#[test]
fn repairs_of_a_run_are_kept_where_no_segment_before_the_last_is_left() {
    let (mut disk, _, model) = play(&long());
    lose_and_repair(&mut disk, &model);
    for _ in 0..2 {
        let recovered = boot(&mut disk);
        assert_eq!(recovered.boot.images[0], model.image());
    }
}

#[test]
fn a_repair_that_the_log_does_not_name_is_ignored() {
    let (mut disk, layout, model) = play(&long());
    let (sealed, _) = layout.locate(chain(), GENERATION, Seq::new(3)).unwrap();
    disk.flip(&sealed.file, sealed.range.start as usize + 40, 1);
    let mut recovered = boot(&mut disk);
    let wrong = super::history::entry(model.position_at(3), model.entries[3].epoch, 77);
    let order = Order::Repair(Arc::from([wrong]));
    disk.perform(&recovered.layout.perform(chain(), GENERATION, &order));
    let image = boot(&mut disk).boot.images[0].clone();
    assert_eq!(unknown(&image), [3]);
    assert_never_wrong(&image, &model);
}

#[test]
fn a_lost_segment_leaves_unknown_entries() {
    let (disk, _, model) = play(&long());
    let files = disk.files();
    let segments: Vec<_> = files
        .keys()
        .filter(|name| name.contains("segment"))
        .collect();
    assert!(segments.len() > 4, "{segments:?}");
    let (_, sealed) = segments.split_last().unwrap();
    for lost in sealed {
        for keep in [0, 100, files[*lost].len() / 2] {
            let mut files = files.clone();
            match keep {
                0 => files.remove(*lost),
                _ => files.insert((*lost).clone(), files[*lost].slice(..keep)),
            };
            let image = recover(&files, &LIMITS, RUN).unwrap().boot.images[0].clone();
            assert_never_wrong(&image, &model);
            assert!(!unknown(&image).is_empty());
        }
    }
}

#[test]
fn what_an_interrupted_cut_left_is_not_brought_back_by_a_flip() {
    let append = |salt| Step {
        what: What::Append,
        salt,
    };
    let (mut disk, mut layout, mut model) = play(&[append(3)]);
    let cut = Order::Cut(Seq::new(1));
    let ops = layout.perform(chain(), GENERATION, &cut);
    let named = ops.iter().position(|op| *op == FileOp::SyncDir).unwrap();
    disk.perform(&ops[..=named]);
    model.apply(&cut);
    // The second boot copies what was appended, and the last batch seals the copy.
    for salt in [2, 1] {
        layout = boot(&mut disk).layout;
        let order = model.order(append(salt));
        disk.perform(&layout.perform(chain(), GENERATION, &order));
        model.apply(&order);
    }
    let (located, _) = layout.locate(chain(), GENERATION, Seq::new(1)).unwrap();
    let files = flipped(&disk.files(), &located.file, 20);
    let image = recover(&files, &LIMITS, RUN).unwrap().boot.images[0].clone();
    assert_never_wrong(&image, &model);
    assert_eq!(unknown(&image), [0; 0]);
}

fn flipped(files: &Files, name: &str, offset: usize) -> Files {
    let mut files = files.clone();
    let (name, bytes) = files.get_key_value(name).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[offset] ^= 0x10;
    let name = name.clone();
    files.insert(name, Bytes::from(bytes));
    files
}

#[test]
fn one_place_of_a_vote_is_enough_and_none_counts_as_wiped() {
    let votes = [1, 2, 3].map(|salt| Step {
        what: What::Vote,
        salt,
    });
    let (disk, _, model) = play(&votes);
    let files = disk.files();
    let names = files.keys().filter(|name| name.contains("vote"));
    let [a, b] = names.collect::<Vec<_>>()[..] else {
        panic!("there are two places");
    };
    for offset in 0..files[a].len() {
        for name in [a, b] {
            let recovered = recover(&flipped(&files, name, offset), &LIMITS, RUN).unwrap();
            assert_eq!(recovered.boot.images[0], model.image());
            assert_eq!(recovered.damage.len(), 1);
        }
        let both = flipped(&flipped(&files, a, offset), b, offset);
        let recovered = recover(&both, &LIMITS, RUN).unwrap();
        assert_eq!(recovered.boot.images[0].vote, None);
        assert_eq!(recovered.boot.images[0].slots, model.image().slots);
    }
}

#[test]
fn one_place_of_a_checkpoint_is_enough_and_none_counts_as_wiped() {
    let (disk, layout, model) = play(&long());
    let files = disk.files();
    let names = files.keys().filter(|name| name.contains("checkpoint"));
    let [a, b] = names.collect::<Vec<_>>()[..] else {
        panic!("there are two places");
    };
    let record = checkpoint::record_bytes(&files[a]) as usize;
    for name in [a, b] {
        let found = recover(&flipped(&files, name, record), &LIMITS, RUN).unwrap();
        assert_eq!(found.damage, [], "there is only room behind the record");
    }
    for offset in 0..record {
        for name in [a, b] {
            let mut disk = disk.clone();
            let recovered = recover(&flipped(&files, name, offset), &LIMITS, RUN).unwrap();
            assert_eq!(recovered.boot.images[0], model.image());
            assert_eq!(recovered.damage.len(), 1);
            // Both places are whole again before anything else changes.
            disk.perform(&recovered.repairs);
            assert_eq!(boot(&mut disk).damage, []);
        }
        let both = flipped(&flipped(&files, a, offset), b, offset);
        let recovered = recover(&both, &LIMITS, RUN).unwrap();
        assert_eq!(recovered.boot.images[0].vote, None);
        let mut after = disk.clone();
        after.perform(&recovered.repairs);
        let is_chain = |name: &&crate::chain::store::FileName| !name.starts_with("identity");
        let after = after.files();
        assert!(
            files
                .keys()
                .filter(is_chain)
                .all(|name| files[name] == after[name]),
            "the files are left alone"
        );
    }
    assert_eq!(layout.identity(), &identity());
}

#[test]
fn a_lost_identity_names_both_places() {
    let (disk, _, model) = play(&[]);
    let files = disk.files();
    for offset in 0..files["identity.a"].len() {
        let a = flipped(&files, "identity.a", offset);
        assert_eq!(
            recover(&a, &LIMITS, RUN).unwrap().boot.images[0],
            model.image()
        );
        let b = flipped(&files, "identity.b", offset);
        assert_eq!(
            recover(&b, &LIMITS, RUN).unwrap().boot.images[0],
            model.image()
        );
        let both = flipped(&a, "identity.b", 70);
        let Err(error) = recover(&both, &LIMITS, RUN) else {
            panic!("neither place is readable");
        };
        assert!(matches!(error, RecoverError::Identity { .. }));
        let text = error.to_string();
        assert!(text.contains("identity.a, offset 0: expected"), "{text}");
        assert!(text.contains("identity.b, offset 0: expected"), "{text}");
    }
}
