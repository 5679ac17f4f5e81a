use super::{StableHasher, StateHash, SummedMap, stable_hash};
use crate::id::{Epoch, NodeId, Seq};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

/// What every machine and build has to find; another value here means that recordings and
/// digests of older builds no longer compare.
#[test]
fn digests_are_the_same_everywhere() {
    let map: BTreeMap<u64, &str> = [(1, "one"), (2, "two")].into();
    let found: Vec<(&str, u64)> = vec![
        ("nothing", stable_hash(&()).0),
        ("false", stable_hash(&false).0),
        ("u8", stable_hash(&0x12_u8).0),
        ("u16", stable_hash(&0x1234_u16).0),
        ("u32", stable_hash(&0x1234_5678_u32).0),
        ("u64", stable_hash(&0x0123_4567_89ab_cdef_u64).0),
        (
            "u128",
            stable_hash(&0x0123_4567_89ab_cdef_0011_2233_4455_6677_u128).0,
        ),
        ("i64", stable_hash(&-2_i64).0),
        ("bytes", stable_hash(&b"three words"[..]).0),
        ("text", stable_hash("three words").0),
        ("option", stable_hash(&Some(Seq::new(7))).0),
        (
            "epoch",
            stable_hash(&Epoch {
                n: 3,
                node: NodeId::new(2),
            })
            .0,
        ),
        ("map", stable_hash(&map).0),
    ];
    let mut table = alloc::string::String::new();
    for (name, hash) in found {
        table += &alloc::format!("{name:8}{hash:016x}\n");
    }
    insta::assert_snapshot!(table, @"
    nothing 6de18a3629feb9e5
    false   a1335fa809bf8901
    u8      d7593374509943b8
    u16     60a75c4682f0f0c3
    u32     30a1efccd672c184
    u64     9243e89792fb9b7c
    u128    c35a85c224b53e1a
    i64     7503c1e1720995e5
    bytes   934923abf55924f8
    text    df701e9c9dfd7e65
    option  f6642edea726149a
    epoch   4a2f064807998ae7
    map     3a4a4b40f84d3b14
    ");
}

#[test]
fn a_width_is_not_part_of_the_digest_but_every_bit_is() {
    assert_eq!(stable_hash(&5_usize), stable_hash(&5_u64));
    assert_eq!(stable_hash(&-1_isize), stable_hash(&-1_i64));
    let mut seen = BTreeSet::from([stable_hash(&0_u64).0]);
    for bit in 0..64 {
        assert!(
            seen.insert(stable_hash(&(1_u64 << bit)).0),
            "bit {bit} is lost"
        );
    }
}

#[test]
fn where_one_value_ends_is_part_of_the_digest() {
    assert_ne!(stable_hash(&("ab", "c")), stable_hash(&("a", "bc")));
    assert_ne!(stable_hash(&[1_u8, 0][..]), stable_hash(&[1_u8][..]));
    let pair: (Vec<u64>, Vec<u64>) = (vec![1], vec![]);
    let other: (Vec<u64>, Vec<u64>) = (vec![], vec![1]);
    assert_ne!(stable_hash(&pair), stable_hash(&other));
}

#[test]
fn order_is_part_of_the_digest() {
    assert_ne!(stable_hash(&(1_u64, 2_u64)), stable_hash(&(2_u64, 1_u64)));
    assert_ne!(stable_hash(&[0_u64, 0]), stable_hash(&[0_u64, 0, 0]));
}

#[test]
fn asking_for_the_digest_changes_nothing() {
    let mut hasher = StableHasher::default();
    7_u64.hash(&mut hasher);
    assert_eq!(hasher.finish(), hasher.finish());
    assert_eq!(StateHash(hasher.finish()), stable_hash(&7_u64));
}

#[test]
fn a_summed_map_has_one_digest_whatever_it_held_before() {
    let mut map: SummedMap<u64, Seq> = (0..9).map(|key| (key, Seq::new(key))).collect();
    let before = stable_hash(&map);
    assert_eq!(map.insert(3, Seq::new(99)), Some(Seq::new(3)));
    assert_ne!(stable_hash(&map), before);
    assert_eq!(map.remove(&4), Some(Seq::new(4)));
    assert_eq!(map.remove(&4), None);
    map.insert(4, Seq::new(4));
    map.insert(3, Seq::new(3));
    assert_eq!(stable_hash(&map), before);
    let bytes = postcard::to_allocvec(&map).unwrap();
    let again: SummedMap<u64, Seq> = postcard::from_bytes(&bytes).unwrap();
    assert_eq!((stable_hash(&again), &again), (before, &map));
    map.clear();
    assert_eq!(
        stable_hash(&map),
        stable_hash(&SummedMap::<u64, Seq>::default())
    );
}
