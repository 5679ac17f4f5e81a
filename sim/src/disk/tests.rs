use super::*;
use crate::draw::Site;
use bytes::Bytes;
use std::collections::BTreeSet;

fn name(file: &str) -> Arc<str> {
    Arc::from(file)
}

fn append(file: &str, bytes: &'static [u8]) -> FileOp {
    let bytes = Bytes::from_static(bytes);
    FileOp::Append {
        file: name(file),
        bytes,
    }
}

fn write(file: &str, offset: u64, bytes: &'static [u8]) -> FileOp {
    let bytes = Bytes::from_static(bytes);
    FileOp::Write {
        file: name(file),
        offset,
        bytes,
    }
}

fn truncate(file: &str, length: u64) -> FileOp {
    FileOp::Truncate {
        file: name(file),
        length,
    }
}

fn sync(file: &str) -> FileOp {
    FileOp::Sync { file: name(file) }
}

fn rename(from: &str, to: &str) -> FileOp {
    FileOp::Rename {
        from: name(from),
        to: name(to),
    }
}

fn remove(file: &str) -> FileOp {
    FileOp::Remove { file: name(file) }
}

fn disk(ops: &[FileOp]) -> Disk {
    let mut disk = Disk::default();
    for op in ops {
        disk.perform(op);
    }
    disk
}

/// Everything that a crash of `disk` may leave of a file, over many draws.
fn outcomes(disk: &Disk, style: Unsynced, file: &str) -> BTreeSet<Option<Vec<u8>>> {
    let crashed = |counter| {
        let mut disk = disk.clone();
        disk.crash(style, &Draws::new(3), 1, counter);
        disk.read(file).map(<[u8]>::to_vec)
    };
    (0..400).map(crashed).collect()
}

fn some(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

/// A file with a durable name and the durable bytes `abcd`.
fn durable() -> Vec<FileOp> {
    vec![append("f", b"abcd"), sync("f"), FileOp::SyncDir]
}

fn with(more: &[FileOp]) -> Disk {
    let mut ops = durable();
    ops.extend_from_slice(more);
    disk(&ops)
}

#[test]
fn operations_are_visible_at_once() {
    let disk = disk(&[
        append("f", b"abc"),
        append("f", b"def"),
        write("f", 1, b"XY"),
        write("f", 8, b"!"),
        append("g", b"gone"),
        rename("g", "h"),
        truncate("h", 2),
        truncate("h", 9),
        append("x", b"x"),
        remove("x"),
    ]);
    assert_eq!(disk.read("f"), Some(&b"aXYdef\0\0!"[..]));
    assert_eq!(disk.read("h"), Some(&b"go"[..]));
    assert_eq!(disk.read("g"), None);
    assert_eq!(disk.files().count(), 2);
}

#[test]
fn what_is_synced_survives_every_crash() {
    let styles = [
        Unsynced::Drawn,
        Unsynced::Lost,
        Unsynced::Kept,
        Unsynced::Reordered,
        Unsynced::Torn,
    ];
    for style in styles {
        assert_eq!(outcomes(&with(&[]), style, "f"), [some(b"abcd")].into());
    }
}

#[test]
fn lost_takes_every_unsynced_byte_back() {
    let disk = with(&[
        truncate("f", 1),
        append("f", b"xyz"),
        write("f", 0, b"QQQQQQ"),
    ]);
    assert_eq!(disk.read("f"), Some(&b"QQQQQQ"[..]));
    assert_eq!(outcomes(&disk, Unsynced::Lost, "f"), [some(b"abcd")].into());
}

#[test]
fn a_sync_of_bytes_is_not_a_sync_of_the_name() {
    let disk = disk(&[append("f", b"abcd"), sync("f")]);
    assert_eq!(outcomes(&disk, Unsynced::Lost, "f"), [None].into());
    let reordered = outcomes(&disk, Unsynced::Reordered, "f");
    assert_eq!(reordered, [None, some(b"abcd")].into());
}

#[test]
fn a_sync_of_the_name_is_not_a_sync_of_bytes() {
    let disk = disk(&[append("f", b"abcd"), FileOp::SyncDir]);
    assert_eq!(outcomes(&disk, Unsynced::Lost, "f"), [some(b"")].into());
}

#[test]
fn kept_bytes_are_still_not_synced() {
    let mut disk = with(&[append("f", b"ef")]);
    let draw = Draws::new(1);
    disk.crash(Unsynced::Kept, &draw, 0, 1);
    assert_eq!(disk.read("f"), Some(&b"abcdef"[..]));
    assert_eq!(disk.synced("f"), 4);
    disk.crash(Unsynced::Lost, &draw, 0, 2);
    assert_eq!(disk.read("f"), Some(&b"abcd"[..]));
}

#[test]
fn reordered_keeps_any_subset_and_leaves_gaps_of_zeros() {
    let disk = with(&[append("f", b"ef"), append("f", b"gh")]);
    let expected = [
        some(b"abcd"),
        some(b"abcdef"),
        some(b"abcd\0\0gh"),
        some(b"abcdefgh"),
    ];
    assert_eq!(outcomes(&disk, Unsynced::Reordered, "f"), expected.into());
}

#[test]
fn a_truncation_may_be_lost_behind_a_kept_append() {
    let disk = with(&[truncate("f", 2), append("f", b"X")]);
    let expected = [some(b"abcd"), some(b"ab"), some(b"abXd"), some(b"abX")];
    assert_eq!(outcomes(&disk, Unsynced::Reordered, "f"), expected.into());
}

#[test]
fn torn_cuts_at_every_byte() {
    let disk = with(&[append("f", b"ef"), append("f", b"gh")]);
    let seen = outcomes(&disk, Unsynced::Torn, "f");
    for length in 4..=8 {
        assert!(seen.contains(&some(&b"abcdefgh"[..length])), "{length}");
    }
    // Now and then the later bytes of the torn write arrive and the earlier ones do not.
    assert!(seen.contains(&some(b"abcd\0f")));
    assert!(seen.contains(&some(b"abcdef\0h")));
    assert!(
        !seen.contains(&some(b"abcd\0\0gh")),
        "operations kept out of order"
    );
}

#[test]
fn an_unsynced_rename_leaves_one_of_two_whole_files() {
    let disk = with(&[append("tmp", b"new"), sync("tmp"), rename("tmp", "f")]);
    for style in [Unsynced::Reordered, Unsynced::Torn, Unsynced::Drawn] {
        let expected = [some(b"abcd"), some(b"new")];
        assert_eq!(outcomes(&disk, style, "f"), expected.into());
    }
    let mut synced = disk;
    synced.perform(&FileOp::SyncDir);
    let expected = [some(b"new")];
    assert_eq!(outcomes(&synced, Unsynced::Drawn, "f"), expected.into());
}

#[test]
fn an_unsynced_removal_may_come_back() {
    let disk = with(&[remove("f")]);
    assert_eq!(disk.read("f"), None);
    assert_eq!(outcomes(&disk, Unsynced::Lost, "f"), [some(b"abcd")].into());
    let seen = outcomes(&disk, Unsynced::Reordered, "f");
    assert_eq!(seen, [None, some(b"abcd")].into());
}

#[test]
fn bytes_of_removed_files_are_forgotten_once_that_is_durable() {
    let mut disk = with(&[remove("f"), append("g", b"1")]);
    assert_eq!(disk.size(), 5);
    disk.perform(&FileOp::SyncDir);
    assert_eq!(disk.size(), 1);
}

#[test]
fn a_write_without_room_leaves_what_fits() {
    let with_room = |room, op| {
        let mut disk = with(&[]);
        let fits = disk.perform_within(room, &op);
        (fits, disk.read("f").map(<[u8]>::to_vec))
    };
    assert_eq!(with_room(2, append("f", b"ef")), (true, some(b"abcdef")));
    assert_eq!(with_room(1, append("f", b"ef")), (false, some(b"abcde")));
    assert_eq!(with_room(0, append("f", b"ef")), (false, some(b"abcd")));
    assert_eq!(with_room(0, write("f", 1, b"xyz")), (true, some(b"axyz")));
    assert_eq!(with_room(0, write("f", 3, b"xyz")), (false, some(b"abcx")));
    // The gap before an offset takes up room, too.
    assert_eq!(with_room(1, write("f", 5, b"xyz")), (false, some(b"abcd")));
    assert_eq!(with_room(0, truncate("f", 2)), (true, some(b"ab")));
    let mut disk = with(&[]);
    assert!(!disk.perform_within(0, &append("g", b"1")));
    assert_eq!(disk.read("g"), Some(&b""[..]), "a name needs no room");
    disk.perform(&remove("f"));
    assert_eq!(disk.used(), 0, "a file that is removed frees its room");
}

#[test]
fn a_failed_sync_keeps_or_loses_and_a_later_one_does_not_help() {
    let mut seen = BTreeSet::new();
    for counter in 0..200 {
        let mut disk = with(&[append("f", b"ef")]);
        disk.fail_sync(&name("f"), &Draws::new(3), 0, counter);
        assert_eq!(disk.read("f").map(<[u8]>::len), Some(6));
        disk.perform(&sync("f"));
        disk.crash(Unsynced::Kept, &Draws::new(3), 0, counter);
        seen.insert(disk.read("f").map(<[u8]>::to_vec));
    }
    let expected = [some(b"abcd\0\0"), some(b"abcde\0"), some(b"abcdef")];
    assert_eq!(seen, expected.into());
}

#[test]
fn only_synced_bytes_flip() {
    let mut disk = with(&[append("f", b"ef")]);
    assert_eq!(disk.synced("f"), 4);
    assert!(disk.flip("f", 3, 0));
    assert!(!disk.flip("f", 4, 0));
    assert!(!disk.flip("none", 0, 0));
    assert_eq!(disk.read("f"), Some(&b"abceef"[..]));
    disk.crash(Unsynced::Lost, &Draws::new(1), 0, 0);
    assert_eq!(disk.read("f"), Some(&b"abce"[..]));
}

#[test]
fn a_clone_does_not_see_later_writes() {
    let mut disk = with(&[]);
    let snapshot = disk.clone();
    disk.perform(&append("f", b"later"));
    assert_eq!(snapshot.read("f"), Some(&b"abcd"[..]));
}

/// Drawn histories: the bytes and names that were synced last, and not changed since, survive
/// every kind of crash.
#[test]
fn synced_prefixes_survive_drawn_histories() {
    let files = ["a", "b", "c"];
    for seed in 0..300 {
        let draw = Draws::new(seed);
        let mut disk = Disk::default();
        for step in 0..60 {
            let bits = draw.bits(Site::Latency, 0, step);
            let file = files[(bits >> 8) as usize % 3];
            let other = files[(bits >> 16) as usize % 3];
            let number = (bits >> 24) % 12;
            disk.perform(&match bits % 10 {
                0..=2 => append(file, &b"0123456789"[..number.min(10) as usize]),
                3 => write(file, number, b"WW"),
                4 => truncate(file, number),
                5 | 6 => sync(file),
                7 => rename(file, other),
                8 => remove(file),
                _ => FileOp::SyncDir,
            });
            let mut crashed = disk.clone();
            crashed.crash(Unsynced::Drawn, &draw, 0, step);
            for file in files {
                let synced = disk.synced(file) as usize;
                let settled = disk.name_ops.is_empty();
                if let (true, Some(before)) = (settled, disk.read(file)) {
                    let after = crashed.read(file).expect("its name is durable");
                    assert_eq!(before[..synced], after[..synced], "seed {seed} step {step}");
                }
            }
            if bits >> 60 == 0 {
                disk = crashed;
            }
        }
    }
}

#[test]
fn a_lost_write_leaves_what_was_there() {
    let unwritten = |op: &FileOp| {
        let mut disk = with(&[]);
        disk.perform(&disk.unwritten(op));
        disk.read("f").map(<[u8]>::to_vec)
    };
    assert_eq!(unwritten(&append("f", b"ef")), some(b"abcd\0\0"));
    assert_eq!(unwritten(&write("f", 1, b"xy")), some(b"abcd"));
    assert_eq!(unwritten(&write("f", 3, b"xy")), some(b"abcd\0"));
}

#[test]
fn a_write_that_misses_its_place_replaces_synced_bytes() {
    let mut seen = BTreeSet::new();
    for bits in (0..64).map(|high| high << 58) {
        let mut disk = with(&[append("g", b"unsynced")]);
        disk.misdirect(&append("f", b"XY"), bits);
        assert_eq!(disk.read("g"), Some(&b"unsynced"[..]));
        seen.insert(disk.read("f").map(<[u8]>::to_vec));
    }
    let expected = [b"XYcd", b"aXYd", b"abXY", b"abcX"].map(|bytes| some(bytes));
    assert_eq!(seen, expected.into());
}

#[test]
fn an_image_holds_what_is_durable() {
    let image = with(&[append("f", b"ef"), append("g", b"new")]).durable();
    assert_eq!(image.read("f"), Some(&b"abcd"[..]));
    assert_eq!(image.read("g"), None);
}

#[test]
fn what_cannot_be_read_can_be_written_again() {
    let mut disk = with(&[]);
    assert_eq!(disk.unreadable("f"), None);
    disk.damage("f", 2..9);
    assert_eq!(disk.unreadable("f"), Some(2..4));
    disk.perform(&rename("f", "g"));
    assert_eq!(disk.unreadable("g"), Some(2..4));
    disk.perform(&write("g", 0, b"xy"));
    assert_eq!(disk.unreadable("g"), Some(2..4));
    disk.perform(&write("g", 3, b"z"));
    assert_eq!(disk.unreadable("g"), None);
    disk.damage("g", 0..1);
    disk.mend();
    assert_eq!(disk.unreadable("g"), None);
}
