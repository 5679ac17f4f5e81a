use super::*;
use crate::chain::recover::{Files, recover};
use crate::chain::store::{FileOp, Identity, Limits as StoreLimits, format, peers_name};
use crate::chain::vote::Place;
use crate::config::{ChainDraft, Draft, Founder, Retention};
use crate::id::DeploymentId;
use alloc::string::ToString;
use core::mem::discriminant;

fn config(deployment: u128, entry_bytes_max: u32) -> Arc<Config> {
    let founder = |node: u64| Founder {
        node: NodeId::new(node),
        store: StoreId::new(100 + u128::from(node)),
    };
    let mut draft = Draft {
        deployment: DeploymentId::new(deployment),
        nodes: (1..=3).map(founder).collect(),
        chains: [ChainDraft {
            name: "orders".into(),
            members: (1..=3).map(NodeId::new).collect(),
            leader_pinned: None,
            retention: Retention::default(),
            class: Default::default(),
        }]
        .into(),
        ..Draft::default()
    };
    draft.limits.entry_bytes_max = entry_bytes_max;
    Arc::new(Config::try_from(draft).expect("the draft is a config"))
}

const ENTRY: u32 = 256 << 10;

fn run(node: u64, incarnation: u64) -> Run {
    Run {
        node: NodeId::new(node),
        store: StoreId::new(100 + u128::from(node)),
        incarnation: Incarnation::new(incarnation),
    }
}

/// Boot `incarnation` of a node whose store was formatted as `format`; `seed` makes it this run.
fn greeter(node: u64, format: u64, incarnation: u64, seed: u8) -> Greeter {
    let me = run(node, incarnation);
    Greeter::new(
        config(9, ENTRY),
        me,
        FormatNonce::new(format),
        &Seed([seed; 32]),
    )
}

fn one() -> Greeter {
    greeter(1, 0x11, 4, 1)
}

/// What node 1, which knows nothing, says to what `change` makes of a good hello.
fn why(change: impl FnOnce(&mut Hello)) -> Option<Refusal> {
    let mut hello = greeter(2, 0x22, 5, 2).hello(NodeId::new(1));
    change(&mut hello);
    let judged = one().judge(&PeerMemory::default(), &hello);
    judged.err().map(|refused| refused.why)
}

#[test]
fn nodes_of_one_cluster_accept_each_other() {
    assert_eq!(why(|_| {}), None);
    assert_eq!(
        why(|hello| hello.from.incarnation = Incarnation::new(1)),
        None
    );
}

#[test]
fn each_difference_has_a_name() {
    let other = why(|hello| hello.cluster = config(10, ENTRY).cluster());
    assert!(matches!(other, Some(Refusal::OtherCluster { .. })));
    let elsewhere = why(|hello| hello.to = NodeId::new(3));
    assert!(matches!(elsewhere, Some(Refusal::NotHere { .. })));
    let elsewhere = why(|hello| hello.to_store = StoreId::new(103));
    assert!(matches!(elsewhere, Some(Refusal::NotHere { .. })));
    let unknown = why(|hello| hello.from.node = NodeId::new(4));
    assert_eq!(unknown, Some(Refusal::UnknownNode));
    let store = why(|hello| hello.from.store = StoreId::new(103));
    assert!(matches!(store, Some(Refusal::OtherStore { .. })));
    let limit = why(|hello| hello.limits = config(9, 2 << 10).limits().of_peers());
    let limit = limit.expect("limits have to be equal").to_string();
    assert_eq!(
        limit,
        "OtherLimit: limits.entry_bytes_max is 2048 there and 262144 here, and has to be equal \
         everywhere"
    );
    let limit = why(|hello| hello.limits.message_bytes_max += 1);
    let limit = limit.expect("limits have to be equal").to_string();
    assert!(limit.contains("limits.message_bytes_max"), "{limit}");
}

#[test]
fn a_store_that_comes_back_older_is_known_at_its_first_word() {
    let mut memory = PeerMemory::default();
    let to = NodeId::new(1);
    assert!(memory.learn(&greeter(2, 0x22, 5, 2).hello(to)));
    assert!(!memory.learn(&greeter(2, 0x22, 5, 2).hello(to)));
    let judge = |format, incarnation, seed| {
        let hello = greeter(2, format, incarnation, seed).hello(to);
        one().judge(&memory, &hello).map_err(|refused| refused.why)
    };
    assert_eq!(judge(0x22, 5, 2), Ok(()), "the same run connects again");
    assert_eq!(judge(0x22, 6, 7), Ok(()));
    assert_eq!(judge(0x22, 9, 7), Ok(()));
    let regressed = |theirs| {
        let (theirs, ours) = (Incarnation::new(theirs), Incarnation::new(5));
        Err(Refusal::StoreRegressed { theirs, ours })
    };
    assert_eq!(judge(0x22, 4, 7), regressed(4));
    assert_eq!(judge(0x22, 1, 7), regressed(1));
    assert_eq!(
        judge(0x22, 5, 7),
        regressed(5),
        "another run counts as this one"
    );
    let anew = Refusal::FormattedAnew {
        theirs: FormatNonce::new(0x23),
        ours: FormatNonce::new(0x22),
    };
    for incarnation in [1, 5, 6, 100] {
        assert_eq!(judge(0x23, incarnation, 7), Err(anew.clone()));
    }
    let refused = Refused {
        by: NodeId::new(1),
        node: NodeId::new(2),
        why: anew,
    };
    let text = refused.to_string();
    assert!(
        text.starts_with("node 1 refuses node 2: FormattedAnew"),
        "{text}"
    );
}

#[test]
fn the_gravest_reason_is_the_one_that_is_told() {
    let mut memory = PeerMemory::default();
    let to = NodeId::new(1);
    memory.learn(&greeter(2, 0x22, 5, 2).hello(to));
    let mut hello = greeter(2, 0x23, 1, 3).hello(to);
    hello.limits.entry_bytes_max += 1;
    let why = |hello: &Hello| {
        let refused = one().judge(&memory, hello).expect_err("it is refused");
        discriminant(&refused.why)
    };
    let (theirs, ours) = Default::default();
    let anew = Refusal::FormattedAnew { theirs, ours };
    assert_eq!(why(&hello), discriminant(&anew));
    hello.cluster = config(10, ENTRY).cluster();
    let (theirs, ours) = Default::default();
    let other = Refusal::OtherCluster { theirs, ours };
    assert_eq!(why(&hello), discriminant(&other));
}

#[test]
fn a_hello_is_read_back_and_nothing_else_is_one() {
    let hello = one().hello(NodeId::new(3));
    let bytes = hello.encode();
    assert_eq!(Hello::decode(&bytes), Ok(hello));
    for cut in 0..bytes.len() {
        assert_eq!(Hello::decode(&bytes[..cut]), Err(HelloError::Malformed));
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Hello::decode(&longer), Err(HelloError::Malformed));
    let mut other = bytes;
    other[0] = 9;
    assert_eq!(
        Hello::decode(&other),
        Err(HelloError::Protocol { theirs: 9 })
    );
}

fn perform(files: &mut Files, ops: &[FileOp]) {
    for op in ops {
        match op {
            FileOp::Write { file, bytes, .. } => {
                files.insert(file.clone(), bytes.clone());
            }
            FileOp::Rename { from, to } => {
                let bytes = files.remove(from).expect("what is renamed is there");
                files.insert(to.clone(), bytes);
            }
            FileOp::Truncate { .. } | FileOp::Sync { .. } | FileOp::SyncDir => {}
            FileOp::Append { .. } | FileOp::Remove { .. } => {
                unreachable!("neither a format nor a memory needs it")
            }
        }
    }
}

#[test]
fn the_memory_survives_a_restart_and_one_bad_place() {
    let identity = Identity {
        cluster: config(9, ENTRY).cluster(),
        node: NodeId::new(1),
        store: StoreId::new(101),
    };
    let limits = StoreLimits::default();
    let mut files = Files::new();
    perform(&mut files, &format(&identity, FormatNonce::new(0x11), &[]));
    let fresh = recover(&files, &limits).expect("the store was formatted");
    assert_eq!(fresh.format, FormatNonce::new(0x11));
    let mut memory = fresh.peers;
    assert!(memory.is_empty());
    let to = NodeId::new(1);
    memory.learn(&greeter(2, 0x22, 5, 2).hello(to));
    perform(&mut files, &memory.write(&identity));
    memory.learn(&greeter(3, 0x33, 1, 3).hello(to));
    let ops = memory.write(&identity);
    for crashed_at in 0..=ops.len() {
        let mut files = files.clone();
        perform(&mut files, &ops[..crashed_at]);
        for broken in [None, Some(Place::A), Some(Place::B)] {
            let mut files = files.clone();
            if let Some(place) = broken {
                let file = peers_name(place);
                let mut bytes = files[&file].to_vec();
                *bytes.last_mut().expect("a record has bytes") ^= 1;
                files.insert(file, bytes.into());
            }
            let found = recover(&files, &limits).expect("the identity is whole");
            assert_eq!(found.damage.len(), usize::from(broken.is_some()));
            assert!(found.peers.of(NodeId::new(2)).is_some());
            if crashed_at == ops.len() {
                assert!(found.peers.of(NodeId::new(3)).is_some());
            }
            perform(&mut files, &found.repairs);
            let again = recover(&files, &limits).expect("the identity is whole");
            assert_eq!(again.damage, [], "recovery writes both places anew");
            assert_eq!(again.peers.of(to), found.peers.of(to));
        }
    }
}
