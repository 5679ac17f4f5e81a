use super::*;
use crate::inbox::{Capacity, Taken, inbox};
use bytes::Bytes;
use futures::executor::block_on;
use meshos_core::chain::entry::{EntryHash, EntryKind, LogPosition, Membership};
use meshos_core::chain::order::{Checkpoint, Slot, Vote};
use meshos_core::chain::payload::Payload;
use meshos_core::chain::recover::{Recovered, recover};
use meshos_core::chain::store::{Founding, Identity, StoreLimits, format};
use meshos_core::event::Input;
use meshos_core::id::{
    ClusterId, Epoch, FormatNonce, Incarnation, Member, NodeId, OpNumber, Replica, RunNonce, Seq,
    StoreId,
};
use meshos_core::time::Wall;
use std::future::poll_fn;

/// Files in memory that know what of them is durable, and fail when told to.
#[derive(Debug, Default)]
struct MemoryFiles {
    files: BTreeMap<FileName, Vec<u8>>,
    durable: BTreeMap<FileName, Vec<u8>>,
    log: Vec<String>,
    /// Bytes by which files may still grow.
    space: Option<usize>,
    /// Files whose sync fails from now on, by a part of the name.
    unsyncable: Option<String>,
}

impl MemoryFiles {
    fn syncs(&mut self) -> usize {
        let log = std::mem::take(&mut self.log);
        log.iter().filter(|line| line.starts_with("sync ")).count()
    }

    /// What is there after the power went: nothing that was not synced.
    fn crashed(&self) -> BTreeMap<FileName, Bytes> {
        let kept = self.durable.iter();
        kept.map(|(name, bytes)| (name.clone(), bytes.clone().into()))
            .collect()
    }
}

impl Files for MemoryFiles {
    fn append(&mut self, file: &FileName, bytes: &[u8]) -> io::Result<()> {
        self.log.push(format!("append {file}"));
        let place = self.files.entry(file.clone()).or_default();
        let room = self.space.unwrap_or(usize::MAX);
        if bytes.len() > room {
            place.extend_from_slice(&bytes[..room]);
            self.space = Some(0);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.space = self.space.map(|space| space - bytes.len());
        place.extend_from_slice(bytes);
        Ok(())
    }

    fn write(&mut self, file: &FileName, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.log.push(format!("write {file}"));
        let place = self.files.entry(file.clone()).or_default();
        let end = offset as usize + bytes.len();
        let room = self.space.unwrap_or(usize::MAX);
        let growth = end.saturating_sub(place.len());
        let written = bytes.len() - growth.saturating_sub(room);
        self.space = self.space.map(|space| space.saturating_sub(growth));
        let end = offset as usize + written;
        place.resize(place.len().max(end), 0);
        place[offset as usize..end].copy_from_slice(&bytes[..written]);
        if written < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn truncate(&mut self, file: &FileName, length: u64) -> io::Result<()> {
        self.log.push(format!("truncate {file}"));
        let place = self.files.get_mut(file).ok_or(io::ErrorKind::NotFound)?;
        place.truncate(length as usize);
        Ok(())
    }

    fn sync(&mut self, file: &FileName) -> io::Result<()> {
        self.log.push(format!("sync {file}"));
        if let Some(part) = &self.unsyncable
            && file.contains(part.as_str())
        {
            return Err(io::Error::other("input/output error"));
        }
        let bytes = self.files.get(file).ok_or(io::ErrorKind::NotFound)?;
        self.durable.insert(file.clone(), bytes.clone());
        Ok(())
    }

    fn rename(&mut self, from: &FileName, to: &FileName) -> io::Result<()> {
        let bytes = self.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.files.insert(to.clone(), bytes);
        if let Some(bytes) = self.durable.remove(from) {
            self.durable.insert(to.clone(), bytes);
        }
        Ok(())
    }

    fn remove(&mut self, file: &FileName) -> io::Result<()> {
        self.files.remove(file);
        self.durable.remove(file);
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const GENERATION: Gen = Gen::new(0);

fn identity() -> Identity {
    Identity {
        cluster: ClusterId::new(1),
        node: NodeId::new(1),
        store: StoreId::new(1),
    }
}

fn founding(name: &str) -> Founding {
    let member = Member {
        node: NodeId::new(1),
        store: StoreId::new(1),
        replica: Replica::new(1),
    };
    Founding {
        chain: ChainId::of(name),
        generation: GENERATION,
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
    }
}

fn reopened(files: &BTreeMap<FileName, Bytes>) -> Recovered {
    recover(files, &StoreLimits::default(), RunNonce::new(1)).unwrap()
}

fn opened(chains: &[&str]) -> StoreExecutor<MemoryFiles> {
    let foundings: Vec<Founding> = chains.iter().map(|name| founding(name)).collect();
    let mut files = MemoryFiles::default();
    for op in format(&identity(), FormatNonce::new(1), &foundings) {
        perform(&mut files, &op).unwrap();
    }
    let recovered = reopened(&files.crashed());
    for op in &recovered.repairs {
        perform(&mut files, op).unwrap();
    }
    files.log.clear();
    StoreExecutor::new(files, recovered.layout)
}

/// Makes contiguous entries for one chain, and orders with consecutive numbers.
struct Author {
    chain: ChainId,
    end: Seq,
    hash: EntryHash,
    ops: u64,
}

impl Author {
    fn new(name: &str) -> Self {
        Self {
            chain: ChainId::of(name),
            end: Seq::ZERO,
            hash: EntryHash::default(),
            ops: 0,
        }
    }

    fn work(&mut self, order: Order) -> Work {
        self.ops += 1;
        Work {
            op: op(self.ops),
            chain: self.chain,
            generation: GENERATION,
            commit: Seq::ZERO,
            order,
        }
    }

    fn append(&mut self, count: usize) -> Work {
        let mut entries = Vec::new();
        for _ in 0..count {
            let entry = Entry {
                generation: GENERATION,
                seq: self.end,
                epoch: Epoch {
                    n: 1,
                    node: NodeId::new(1),
                },
                store: StoreId::new(1),
                incarnation: Incarnation::new(1),
                stamp: Wall::from_ms(1),
                kind: EntryKind::Data(None),
                payload: Payload::new(Bytes::from_static(b"bytes")),
                hash: EntryHash::default(),
            };
            let entry = entry.linked(self.hash);
            self.end = entry.seq.next();
            self.hash = entry.hash;
            entries.push(Arc::new(entry));
        }
        self.work(Order::Append(entries.into()))
    }

    fn vote(&mut self) -> Work {
        self.work(Order::Vote(Vote::default()))
    }
}

fn op(number: u64) -> OpId {
    OpId {
        incarnation: Incarnation::new(1),
        number: OpNumber::new(number),
    }
}

fn results(outcomes: &[Outcome]) -> Vec<Result<(), StoreError>> {
    outcomes.iter().map(|(_, result)| *result).collect()
}

fn kept(files: &BTreeMap<FileName, Bytes>, name: &str) -> usize {
    let recovered = reopened(files);
    let mut images = recovered.boot.images.iter();
    let image = images.find(|image| image.chain == ChainId::of(name));
    let slots = &image.unwrap().slots;
    assert!(slots.iter().all(|slot| matches!(slot, Slot::Known(_))));
    slots.len()
}

#[test]
fn appends_that_wait_together_share_one_sync_and_are_answered_in_order() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    store.commit([a.append(1)]);
    store.files.log.clear();
    let works: Vec<Work> = (0..10).map(|_| a.append(3)).collect();
    let outcomes = store.commit(works);
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
    assert_eq!(results(&store.commit(works)), [Ok(()); 4]);
    assert_eq!(store.files.syncs(), 2);
    let crashed = store.files.crashed();
    assert_eq!((kept(&crashed, "a"), kept(&crashed, "b")), (2, 2));
}

#[test]
fn nothing_overtakes_an_order_of_the_same_chain() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    store.commit([a.append(1), a.append(1), a.vote(), a.append(1)]);
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
    store.commit([a.append(2), a.append(0)]);
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
    assert_eq!(results(&store.commit([a.append(4)])), [Ok(())]);
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
    store.commit([a.append(1), b.append(1)]);
    store.files.unsyncable = Some(format!("{}-0.segment", ChainId::of("a")));
    let outcomes = store.commit([a.append(1), a.append(1), a.vote()]);
    assert_eq!(results(&outcomes), [Err(StoreError::Broken); 3]);
    store.files.unsyncable = None;
    store.files.log.clear();
    let outcomes = store.commit([a.append(1), a.vote(), a.append(0)]);
    assert_eq!(results(&outcomes), [Err(StoreError::Broken); 3]);
    assert_eq!(store.files.log, [""; 0], "nothing is tried again");
    assert_eq!(results(&store.commit([b.append(1)])), [Ok(())]);
    let crashed = store.files.crashed();
    assert_eq!((kept(&crashed, "a"), kept(&crashed, "b")), (1, 2));
}

#[test]
fn a_failed_sync_of_a_vote_is_no_vote() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    store.files.unsyncable = Some("vote.b".to_owned());
    assert_eq!(
        results(&store.commit([a.vote()])),
        [Err(StoreError::Broken)]
    );
}

#[test]
fn a_full_disk_refuses_appends_and_keeps_the_log_whole() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    store.commit([a.append(1)]);
    let (end, hash) = (a.end, a.hash);
    store.files.space = Some(20);
    let works = [a.append(1), a.append(1)];
    assert_eq!(results(&store.commit(works)), [Err(StoreError::Full); 2]);
    // Ordered before the node knew.
    let outcomes = store.commit([a.append(1)]);
    assert_eq!(results(&outcomes), [Err(StoreError::Full)]);
    assert_eq!(kept(&store.files.crashed(), "a"), 1);
    store.files.space = None;
    (a.end, a.hash) = (end, hash);
    assert_eq!(results(&store.commit([a.append(2)])), [Ok(())]);
    assert_eq!(kept(&store.files.crashed(), "a"), 3);
}

#[test]
fn a_vote_is_written_on_a_full_disk() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    store.files.space = Some(0);
    let outcomes = store.commit([a.append(1), a.vote()]);
    assert_eq!(results(&outcomes), [Err(StoreError::Full), Ok(())]);
}

#[test]
fn retention_waits_for_space_on_a_full_disk_and_then_frees_it() {
    let mut store = opened(&["a"]);
    let mut a = Author::new("a");
    store.commit([a.append(3)]);
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
    for room in [0, 10] {
        store.files.space = Some(room);
        let outcomes = store.commit([a.work(retain.clone())]);
        assert_eq!(results(&outcomes), [Err(StoreError::Full)]);
        assert_eq!(kept(&store.files.crashed(), "a"), 3);
    }
    store.files.space = None;
    let outcomes = store.commit([a.work(retain), a.append(1)]);
    assert_eq!(results(&outcomes), [Ok(()); 2]);
    assert_eq!(kept(&store.files.crashed(), "a"), 1);
}

#[test]
fn the_thread_answers_each_order_once_and_ends_when_it_is_dropped() {
    let store = opened(&["a"]);
    let mut a = Author::new("a");
    let (sender, mut receiver) = inbox(Capacity::default());
    let (mut thread, running) =
        StoreThread::start(store, sender.clone(), Gauge::default()).unwrap();
    for _ in 0..100 {
        thread.submit(a.append(1));
    }
    drop(thread);
    let store = running.thread.join().unwrap();
    sender.close();
    let mut answered = Vec::new();
    while let Taken::Input(input) = block_on(poll_fn(|cx| receiver.poll_next(cx))) {
        let Input::Done { op, result } = input else {
            panic!("only completions come from a store");
        };
        assert_eq!(result, Ok(()));
        answered.push(op.number.get());
    }
    assert_eq!(answered, (1..=100).collect::<Vec<_>>());
    assert!(block_on(running.ended).is_err(), "the end is noticed");
    assert_eq!(kept(&store.into_files().crashed(), "a"), 100);
}
