use super::*;
use crate::chain::boots::Boots;
use crate::chain::recover::{Files, recover};
use crate::chain::store::{FileOp, Identity, StoreLimits, format, peers_name};
use crate::chain::vote::Place;
use crate::config::{ChainDraft, Draft, Founder, Retention};
use crate::id::{DeploymentId, Incarnation, RunNonce};
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

/// Boot `incarnation` of a node whose store was formatted as `format`; `nonce` makes it this run.
fn greeter(node: u64, format: u64, incarnation: u64, nonce: u64) -> Greeter {
    let earlier = (1..incarnation).collect::<Vec<_>>();
    booted(node, format, &[&earlier[..], &[nonce]].concat())
}

/// A node whose store was formatted as `format` and booted as the runs `runs`.
fn booted(node: u64, format: u64, runs: &[u64]) -> Greeter {
    let runs = runs.iter().map(|&run| RunNonce::new(run));
    let boots = runs.fold(Boots::default(), |boots, run| boots.with(run));
    let identity = Identity {
        cluster: config(9, ENTRY).cluster(),
        node: NodeId::new(node),
        store: StoreId::new(100 + u128::from(node)),
    };
    Greeter::new(config(9, ENTRY), &identity, FormatNonce::new(format), boots)
}

/// What it says to `to`, of which it remembers nothing.
fn said(greeter: &Greeter, to: u64) -> Hello {
    greeter.hello(&PeerMemory::default(), NodeId::new(to))
}

fn one() -> Greeter {
    greeter(1, 0x11, 4, 1)
}

fn learn(memory: &mut PeerMemory, hello: &Hello) -> bool {
    memory.learn(hello.from.node, hello.remembered())
}

/// What node 1, which knows nothing, says to what `change` makes of a good hello.
fn why(change: impl FnOnce(&mut Hello)) -> Option<Refusal> {
    let mut hello = said(&greeter(2, 0x22, 5, 2), 1);
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
    let limit = why(|hello| hello.terms.limits = config(9, 2 << 10).limits().of_peers());
    let limit = limit.expect("limits have to be equal").to_string();
    assert_eq!(
        limit,
        "OtherLimit: limits.entry_bytes_max is 2048 there and 262144 here, and has to be equal \
         everywhere"
    );
    let heartbeat = |times: fn(&mut u64)| why(|hello| times(&mut hello.terms.heartbeat_ms));
    assert_eq!(heartbeat(|ms| *ms *= 2), None);
    assert_eq!(heartbeat(|ms| *ms /= 2), None);
    let (ours, theirs) = (500, 1_001);
    let other = Refusal::OtherHeartbeat { theirs, ours };
    assert_eq!(heartbeat(|ms| *ms = *ms * 2 + 1), Some(other));
    assert!(heartbeat(|ms| *ms = *ms / 2 - 1).is_some());
    let keeps = |retention: Retention| {
        let mut draft = Draft::from(config(9, ENTRY).as_ref().clone());
        draft.chains[0].retention = retention;
        let config = Config::try_from(draft).expect("retention may be any");
        why(|hello| hello.terms.policy = config.policy())
    };
    assert_eq!(keeps(Retention::default()), None);
    let entries_max = Some(0);
    let other = keeps(Retention {
        entries_max,
        ..Retention::default()
    });
    assert_eq!(other, Some(Refusal::OtherPolicy));
    let limit = why(|hello| hello.terms.limits.message_bytes_max += 1);
    let limit = limit.expect("limits have to be equal").to_string();
    assert!(limit.contains("limits.message_bytes_max"), "{limit}");
}

#[test]
fn a_store_that_comes_back_older_is_known_at_its_first_word() {
    let mut memory = PeerMemory::default();
    assert!(learn(&mut memory, &said(&greeter(2, 0x22, 5, 2), 1)));
    assert!(!learn(&mut memory, &said(&greeter(2, 0x22, 5, 2), 1)));
    let judge = |format, incarnation, seed| {
        let hello = said(&greeter(2, format, incarnation, seed), 1);
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

/// Node 1 heard the third boot of node 2, whose store is then set back to what it was in its first
/// or second, and booted as often as it takes.
#[test]
fn an_older_image_is_refused_at_each_of_its_boots_by_both_ends() {
    let mut memory = PeerMemory::default();
    let newest = booted(2, 0x22, &[21, 22, 23]);
    learn(&mut memory, &said(&newest, 1));
    let nothing = PeerMemory::default();
    let asked = |back: &Greeter| back.judge(&nothing, &one().hello(&memory, NodeId::new(2)));
    for history in [&[21][..], &[21, 22]] {
        let mut runs = history.to_vec();
        for boot in runs.len() as u64 + 1..40 {
            runs.push(70 + boot);
            let back = booted(2, 0x22, &runs);
            let judged = one().judge(&memory, &said(&back, 1));
            assert_eq!(judged.is_err(), boot <= 3, "boot {boot} by its number");
            let why = asked(&back).map_err(|refused| refused.why);
            let (heard, ours) = (Incarnation::new(3), Incarnation::new(boot));
            let node = NodeId::new(2);
            assert_eq!(why, Err(Refusal::OwnStoreRegressed { node, heard, ours }));
        }
    }
    let goes_on = booted(2, 0x22, &[21, 22, 23, 24, 25]);
    assert_eq!(asked(&goes_on), Ok(()));
    assert_eq!(one().judge(&memory, &said(&goes_on, 1)), Ok(()));
}

#[test]
fn a_store_that_was_formatted_anew_says_so_of_itself_at_each_of_its_boots() {
    let mut memory = PeerMemory::default();
    learn(&mut memory, &said(&booted(2, 0x22, &[21, 22]), 1));
    let (heard, ours) = (FormatNonce::new(0x22), FormatNonce::new(0x23));
    let node = NodeId::new(2);
    for runs in [&[71][..], &[71, 72], &[71, 72, 73]] {
        let anew = booted(2, 0x23, runs);
        let why = anew.judge(
            &PeerMemory::default(),
            &one().hello(&memory, NodeId::new(2)),
        );
        let why = why.map_err(|refused| refused.why);
        assert_eq!(why, Err(Refusal::OwnFormattedAnew { node, heard, ours }));
    }
}

#[test]
fn the_gravest_reason_is_the_one_that_is_told() {
    let mut memory = PeerMemory::default();
    learn(&mut memory, &said(&greeter(2, 0x22, 5, 2), 1));
    let mut hello = said(&greeter(2, 0x23, 1, 3), 1);
    hello.terms.limits.entry_bytes_max += 1;
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
    let hello = said(&one(), 3);
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
    let fresh = recover(&files, &limits, RunNonce::new(1)).expect("the store was formatted");
    assert_eq!(fresh.format, FormatNonce::new(0x11));
    let mut memory = fresh.peers;
    assert!(memory.is_empty());
    learn(&mut memory, &said(&greeter(2, 0x22, 5, 2), 1));
    perform(&mut files, &memory.write(&identity));
    learn(&mut memory, &said(&greeter(3, 0x33, 1, 3), 1));
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
            let found = recover(&files, &limits, RunNonce::new(1)).expect("the identity is whole");
            assert_eq!(found.damage.len(), usize::from(broken.is_some()));
            assert!(found.peers.of(NodeId::new(2)).is_some());
            if crashed_at == ops.len() {
                assert!(found.peers.of(NodeId::new(3)).is_some());
            }
            perform(&mut files, &found.repairs);
            let again = recover(&files, &limits, RunNonce::new(1)).expect("the identity is whole");
            assert_eq!(again.damage, [], "recovery writes both places anew");
            let here = NodeId::new(1);
            assert_eq!(again.peers.of(here), found.peers.of(here));
        }
    }
}
