use super::*;
use crate::ports::Work;
use meshos_core::chain::entry::{LogPosition, Membership};
use meshos_core::chain::order::{Checkpoint, Order, Vote};
use meshos_core::chain::store::FileName;
use meshos_core::id::{
    ChainId, ClusterId, Epoch, FormatNonce, Gen, Incarnation, Member, NodeId, OpId, OpNumber,
    Replica, RunNonce, Seq, StoreId,
};
use std::sync::Arc;

fn identity(store: u128) -> Identity {
    Identity {
        cluster: ClusterId::new(1),
        node: NodeId::new(1),
        store: StoreId::new(store),
    }
}

fn foundings() -> Vec<Founding> {
    let member = Member {
        node: NodeId::new(1),
        store: StoreId::new(1),
        replica: Replica::new(1),
    };
    vec![Founding {
        chain: ChainId::of("a"),
        generation: Gen::new(0),
        checkpoint: Checkpoint {
            floor: LogPosition::default(),
            membership: Arc::new(Membership {
                voters: vec![member],
                learners: Vec::new(),
            }),
            membership_seq: Seq::ZERO,
            clients: Default::default(),
            stamp: Default::default(),
        },
    }]
}

fn find(path: &Path) -> Result<Found, OpenError> {
    find_store(
        path,
        &identity(1),
        &StoreLimits::default(),
        RunNonce::new(1),
    )
}

fn open(path: &Path) -> Result<Found, OpenError> {
    let mut found = find(path)?;
    found.repairs.perform()?;
    Ok(found)
}

#[test]
fn a_formatted_store_opens_once_at_a_time_and_counts_its_boots() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("store");
    format_store(&path, &identity(1), FormatNonce::new(1), &foundings()).unwrap();
    let first = open(&path).unwrap();
    assert_eq!(first.boot.incarnation, Incarnation::new(1));
    assert_eq!(first.boot.images.len(), 1);
    assert!(matches!(
        open(&path),
        Err(OpenError::Directory(DirectoryError::InUse(_)))
    ));
    drop(first);
    for _ in 0..3 {
        let found = find(&path).unwrap();
        assert_eq!(
            found.boot.incarnation,
            Incarnation::new(2),
            "none is counted yet"
        );
    }
    assert_eq!(open(&path).unwrap().boot.incarnation, Incarnation::new(2));
}

#[test]
fn what_was_committed_is_there_at_the_next_start() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("store");
    format_store(&path, &identity(1), FormatNonce::new(1), &foundings()).unwrap();
    let opened = open(&path).unwrap();
    let vote = Vote {
        epoch: Epoch {
            n: 5,
            node: NodeId::new(1),
        },
        granted: Some(NodeId::new(1)),
    };
    let op = OpId {
        incarnation: Incarnation::new(1),
        number: OpNumber::new(1),
    };
    let work = Work {
        op,
        chain: ChainId::of("a"),
        generation: Gen::new(0),
        commit: Seq::ZERO,
        checkpoint_bytes: 0,
        order: Order::Vote(vote),
    };
    let mut store = opened.repairs.into_executor();
    store.push(work);
    assert_eq!(store.commit_next(), [(op, Ok(()))]);
    drop(store);
    assert_eq!(open(&path).unwrap().boot.images[0].vote, Some(vote));
}

#[test]
fn a_wiped_disk_does_not_come_back_by_itself() {
    let parent = tempfile::tempdir().unwrap();
    let missing = parent.path().join("missing");
    for path in [parent.path(), &missing] {
        let error = open(path).unwrap_err();
        assert!(matches!(error, OpenError::Unformatted { .. }));
        assert!(error.to_string().contains("--format"), "{error}");
        assert!(
            error.to_string().contains("go on without this node"),
            "{error}"
        );
    }
    assert!(!missing.exists());
    assert!(read_files(parent.path()).unwrap().is_empty());
}

#[test]
fn only_an_empty_directory_is_formatted() {
    let parent = tempfile::tempdir().unwrap();
    format_store(
        parent.path(),
        &identity(1),
        FormatNonce::new(1),
        &foundings(),
    )
    .unwrap();
    let again = format_store(
        parent.path(),
        &identity(2),
        FormatNonce::new(1),
        &foundings(),
    );
    assert!(matches!(again, Err(OpenError::NotEmpty { .. })));
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("photo.jpg"), b"x").unwrap();
    let error = format_store(
        other.path(),
        &identity(1),
        FormatNonce::new(1),
        &foundings(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("photo.jpg"), "{error}");
}

#[test]
fn an_interrupted_formatting_is_done_again() {
    let whole = tempfile::tempdir().unwrap();
    format_store(
        whole.path(),
        &identity(1),
        FormatNonce::new(1),
        &foundings(),
    )
    .unwrap();
    let files = read_files(whole.path()).unwrap();
    let partial = tempfile::tempdir().unwrap();
    for (name, bytes) in files
        .iter()
        .filter(|(name, _)| !name.starts_with("identity"))
    {
        fs::write(partial.path().join(&**name), bytes).unwrap();
    }
    assert!(matches!(
        open(partial.path()),
        Err(OpenError::Unformatted { .. })
    ));
    format_store(
        partial.path(),
        &identity(1),
        FormatNonce::new(1),
        &foundings(),
    )
    .unwrap();
    open(partial.path()).unwrap();
}

#[test]
fn a_foreign_store_is_refused_and_not_touched() {
    let parent = tempfile::tempdir().unwrap();
    format_store(
        parent.path(),
        &identity(2),
        FormatNonce::new(1),
        &foundings(),
    )
    .unwrap();
    let before = read_files(parent.path()).unwrap();
    let error = open(parent.path()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(read_files(parent.path()).unwrap(), before);
}

#[test]
fn a_store_of_another_config_says_what_may_have_changed() {
    let parent = tempfile::tempdir().unwrap();
    let before = Identity {
        cluster: ClusterId::new(2),
        ..identity(1)
    };
    format_store(parent.path(), &before, FormatNonce::new(1), &foundings()).unwrap();
    let error = open(parent.path()).unwrap_err();
    assert!(matches!(error, OpenError::OtherCluster { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("the chains, their members, cluster.deployment"),
        "{error}"
    );
}

#[test]
fn a_directory_does_what_each_operation_says() {
    let parent = tempfile::tempdir().unwrap();
    let mut directory = Directory::open(parent.path()).unwrap();
    let (a, b) = (FileName::from("a"), FileName::from("b"));
    let bytes = |text: &'static str| bytes::Bytes::from_static(text.as_bytes());
    let ops = [
        FileOp::Append {
            file: a.clone(),
            bytes: bytes("hello "),
        },
        FileOp::Append {
            file: a.clone(),
            bytes: bytes("world"),
        },
        FileOp::Sync { file: a.clone() },
        FileOp::Write {
            file: a.clone(),
            offset: 0,
            bytes: bytes("J"),
        },
        FileOp::Truncate {
            file: a.clone(),
            length: 8,
        },
        FileOp::Append {
            file: a.clone(),
            bytes: bytes("!"),
        },
        FileOp::Sync { file: a.clone() },
        FileOp::Append {
            file: b.clone(),
            bytes: bytes("old"),
        },
        FileOp::Rename {
            from: a.clone(),
            to: b.clone(),
        },
        FileOp::SyncDir,
        FileOp::Append {
            file: b.clone(),
            bytes: bytes("?"),
        },
        FileOp::Append {
            file: a.clone(),
            bytes: bytes("gone"),
        },
        FileOp::Remove { file: a.clone() },
        FileOp::Remove { file: a },
    ];
    perform_all(&mut directory, &ops).unwrap();
    let files = directory.read().unwrap();
    assert_eq!(
        files.into_iter().collect::<Vec<_>>(),
        [(b, bytes("Jello wo!?"))]
    );
}

/// A name at which every write finds no space.
fn without_space(path: &Path) {
    std::os::unix::fs::symlink("/dev/full", path).unwrap();
}

#[test]
fn formatting_without_space_may_be_done_again() {
    let parent = tempfile::tempdir().unwrap();
    for file in ["identity.a", "identity.b"] {
        let full = parent.path().join(file);
        without_space(&full);
        let error = format_store(
            parent.path(),
            &identity(1),
            FormatNonce::new(1),
            &foundings(),
        )
        .unwrap_err();
        assert!(error.is_full(), "{error}");
        fs::remove_file(full).unwrap();
    }
    format_store(
        parent.path(),
        &identity(1),
        FormatNonce::new(1),
        &foundings(),
    )
    .unwrap();
    open(parent.path()).unwrap();
}

#[test]
fn a_store_without_space_for_its_repairs_may_be_opened_again() {
    let parent = tempfile::tempdir().unwrap();
    format_store(
        parent.path(),
        &identity(1),
        FormatNonce::new(1),
        &foundings(),
    )
    .unwrap();
    let place = parent.path().join("identity.a");
    let bytes = fs::read(&place).unwrap();
    fs::remove_file(&place).unwrap();
    without_space(&place);
    let error = open(parent.path()).unwrap_err();
    assert!(error.is_full(), "{error}");
    fs::remove_file(&place).unwrap();
    fs::write(&place, bytes).unwrap();
    open(parent.path()).unwrap();
}
