use super::*;

#[test]
fn the_lock_lasts_as_long_as_any_hand() {
    let parent = tempfile::tempdir().unwrap();
    let is_held = || {
        matches!(
            Directory::open(parent.path()),
            Err(DirectoryError::InUse(_))
        )
    };
    let first = Directory::open(parent.path()).unwrap();
    let second = first.another().unwrap();
    let third = second.another().unwrap();
    drop(first);
    assert!(is_held());
    drop(third);
    assert!(is_held());
    drop(second);
    assert!(!is_held());
}

#[test]
fn hands_write_beside_each_other_to_more_files_than_they_hold_open() {
    let parent = tempfile::tempdir().unwrap();
    let first = Directory::open(parent.path()).unwrap();
    let hands = ["x", "y"].map(|prefix| (prefix, first.another().unwrap()));
    let threads = hands.map(|(prefix, mut hand)| {
        std::thread::spawn(move || {
            for text in ["once", " and again"] {
                for number in 0..3 * OPEN_MAX {
                    let file = FileName::from(format!("{prefix}{number}"));
                    hand.append(&file, text.as_bytes()).unwrap();
                    hand.sync(&file).unwrap();
                    hand.sync_dir().unwrap();
                    assert!(hand.open.len() <= OPEN_MAX);
                }
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    let files = first.read().unwrap();
    assert_eq!(files.len(), 6 * OPEN_MAX);
    assert!(files.values().all(|bytes| &bytes[..] == b"once and again"));
}

#[test]
fn no_hand_holds_what_was_open_before_a_store_was_divided() {
    use crate::store::StoreExecutor;
    use crate::store_double::opened_files;
    use std::num::NonZeroUsize;
    let parent = tempfile::tempdir().unwrap();
    let mut booting = Directory::open(parent.path()).unwrap();
    let segment = FileName::from("segment");
    booting.append(&segment, b"repaired").unwrap();
    booting.sync(&segment).unwrap();
    assert_eq!(booting.open.len(), 1);
    let store = StoreExecutor::new(booting, opened_files(&["orders"]).1);
    let (_stores, spare) = store.divide(NonZeroUsize::MIN).unwrap();
    assert!(spare.open.is_empty());
}
