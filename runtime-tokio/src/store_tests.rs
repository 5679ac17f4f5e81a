use super::*;
use crate::store_double::{Author, GENERATION, founding, kept, op, opened, reopened};
use meshos_core::chain::entry::LogPosition;
use meshos_core::chain::order::Checkpoint;
use meshos_core::id::{Epoch, NodeId};

/// Performs everything at once.
fn commit<F: Files>(
    store: &mut StoreExecutor<F>,
    works: impl IntoIterator<Item = Work>,
) -> Vec<Outcome> {
    for work in works {
        store.push(work);
    }
    let runs = std::iter::from_fn(|| Some(store.commit_next()).filter(|run| !run.is_empty()));
    runs.flatten().collect()
}

fn results(outcomes: &[Outcome]) -> Vec<Result<(), StoreError>> {
    outcomes.iter().map(|(_, result)| *result).collect()
}

#[test]
fn appends_that_wait_together_share_one_sync_and_are_answered_in_order() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    commit(&mut store, [a.append(1)]);
    store.files.log.clear();
    let works: Vec<Work> = (0..10).map(|_| a.append(3)).collect();
    let outcomes = commit(&mut store, works);
    let expected: Vec<Outcome> = (2..=11).map(|number| (op(number), Ok(()))).collect();
    assert_eq!(outcomes, expected);
    assert_eq!(store.files.syncs(), 1);
    assert_eq!(kept(&store.files.crashed(), "a"), 31);
}

#[test]
fn each_chain_has_its_own_sync() {
    let mut store = opened(&["a", "b"]);
    let (mut a, mut b) = (Author::new("a"), Author::new("b"));
    let works = [a.append(1), b.append(1), a.append(1), b.append(1)];
    assert_eq!(results(&commit(&mut store, works)), [Ok(()); 4]);
    assert_eq!(store.files.syncs(), 2);
    let crashed = store.files.crashed();
    assert_eq!((kept(&crashed, "a"), kept(&crashed, "b")), (2, 2));
}

#[test]
fn nothing_overtakes_an_order_of_the_same_chain() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    commit(
        &mut store,
        [a.append(1), a.append(1), a.vote(), a.append(1)],
    );
    let log = store.files.log.iter();
    let kinds: Vec<&str> = log
        .map(|line| line.split_once('.').unwrap().1.split('-').next().unwrap())
        .collect();
    let append = ["segment", "segment"];
    let vote = ["vote.a", "vote.a", "vote.b", "vote.b"];
    assert_eq!(kinds, [&append[..], &vote, &append].concat());
}

#[test]
fn an_empty_append_seals_what_is_in_front_of_it() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    commit(&mut store, [a.append(2), a.append(0)]);
    let crashed = store.files.crashed();
    let layout = reopened(&crashed).layout;
    let sealed = layout.sealed(ChainId::of("a"), GENERATION);
    assert!(!sealed.is_empty());
    assert_eq!(kept(&crashed, "a"), 2);
}

#[test]
fn what_was_answered_survives_a_crash_and_what_was_not_may_not() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    assert_eq!(results(&commit(&mut store, [a.append(4)])), [Ok(())]);
    let late = a.append(4);
    let Order::Append(entries) = &late.order else {
        unreachable!("it was just made");
    };
    let batch = [Arc::clone(entries)];
    let ops = store
        .layout
        .perform_appends(late.chain, late.generation, &batch);
    for op in ops {
        if !matches!(op, FileOp::Sync { .. }) {
            perform(&mut store.files, &op).unwrap();
        }
    }
    assert_eq!(kept(&store.files.crashed(), "a"), 4);
}

#[test]
fn a_failed_sync_stops_the_chain_for_good_and_no_other() {
    let mut store = opened(&["a", "b"]);
    let (mut a, mut b) = (Author::new("a"), Author::new("b"));
    commit(&mut store, [a.append(1), b.append(1)]);
    store.files.unsyncable = Some(format!("{}-0.segment", ChainId::of("a")));
    let outcomes = commit(&mut store, [a.append(1), a.append(1), a.vote()]);
    assert_eq!(results(&outcomes), [Err(StoreError::Broken); 3]);
    store.files.unsyncable = None;
    store.files.log.clear();
    let outcomes = commit(&mut store, [a.append(1), a.vote(), a.append(0)]);
    assert_eq!(results(&outcomes), [Err(StoreError::Broken); 3]);
    assert_eq!(store.files.log, [""; 0], "nothing is tried again");
    assert_eq!(results(&commit(&mut store, [b.append(1)])), [Ok(())]);
    let crashed = store.files.crashed();
    assert_eq!((kept(&crashed, "a"), kept(&crashed, "b")), (1, 2));
}

#[test]
fn a_failed_sync_of_a_vote_is_no_vote() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    store.files.unsyncable = Some("vote.b".to_owned());
    assert_eq!(
        results(&commit(&mut store, [a.vote()])),
        [Err(StoreError::Broken)]
    );
}

#[test]
fn a_full_disk_refuses_appends_and_keeps_the_log_whole() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    commit(&mut store, [a.append(1)]);
    let (end, hash) = (a.end, a.hash);
    store.files.space = Some(20);
    let works = [a.append(1), a.append(1)];
    assert_eq!(
        results(&commit(&mut store, works)),
        [Err(StoreError::Full); 2]
    );
    // Ordered before the node knew.
    let outcomes = commit(&mut store, [a.append(1)]);
    assert_eq!(results(&outcomes), [Err(StoreError::Full)]);
    assert_eq!(kept(&store.files.crashed(), "a"), 1);
    store.files.space = None;
    (a.end, a.hash) = (end, hash);
    assert_eq!(results(&commit(&mut store, [a.append(2)])), [Ok(())]);
    assert_eq!(kept(&store.files.crashed(), "a"), 3);
}

#[test]
fn a_vote_is_written_on_a_full_disk() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    store.files.space = Some(0);
    let outcomes = commit(&mut store, [a.append(1), a.vote()]);
    assert_eq!(results(&outcomes), [Err(StoreError::Full), Ok(())]);
}

#[test]
fn retention_frees_a_full_disk() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    commit(&mut store, [a.append(3)]);
    let floor = LogPosition {
        end: a.end,
        epoch: Epoch {
            n: 1,
            node: NodeId::new(1),
        },
        hash: a.hash,
    };
    let checkpoint = Checkpoint {
        floor,
        ..founding("a").checkpoint
    };
    let retain = Order::Retain(Arc::new(checkpoint));
    store.files.space = Some(10);
    let outcomes = commit(&mut store, [a.work(retain.clone())]);
    assert_eq!(results(&outcomes), [Err(StoreError::Full)]);
    assert_eq!(kept(&store.files.crashed(), "a"), 3);
    store.files.space = Some(0);
    let outcomes = commit(&mut store, [a.work(retain)]);
    assert_eq!(
        results(&outcomes),
        [Ok(())],
        "it is written over the last one"
    );
    assert_eq!(kept(&store.files.crashed(), "a"), 0);
    store.files.space = None;
    let outcomes = commit(&mut store, [a.append(1)]);
    assert_eq!(results(&outcomes), [Ok(())]);
    assert_eq!(kept(&store.files.crashed(), "a"), 1);
}
