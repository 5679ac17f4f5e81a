use super::*;
use crate::inbox::{Capacity, Receiver, Taken, inbox};
use crate::store::Files;
use crate::store_double::{Author, MemoryFiles, kept, opened_files};
use futures::executor::block_on;
use meshos_core::chain::order::StoreError;
use meshos_core::chain::store::FileName;
use meshos_core::event::Input;
use meshos_core::id::ChainId;
use std::future::poll_fn;
use std::sync::{Condvar, MutexGuard};
use std::time::Duration;

/// A hand on files in memory whose syncs hang, fail or panic when told to.
#[derive(Clone, Debug, Default)]
struct Hand(Arc<Disk>);

#[derive(Debug, Default)]
struct Disk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    files: MemoryFiles,
    /// Syncs of files with such a part in their names hang.
    hanging: Vec<String>,
    /// Syncs of files with such a part in their names panic.
    panicking: Vec<String>,
    /// Syncs that hang now.
    waiting: usize,
}

impl Hand {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.changed.notify_all();
    }

    /// Has the syncs of a chain hang.
    fn hang(&self, chain: &str) {
        self.change(|state| state.hanging.push(ChainId::of(chain).to_string()));
    }

    /// Ends that for all chains.
    fn go_on(&self) {
        self.change(|state| state.hanging.clear());
    }

    /// Waits until so many syncs hang.
    fn until_waiting(&self, count: usize) {
        let changed = &self.0.changed;
        drop(changed.wait_while(self.state(), |state| state.waiting != count));
    }
}

impl SharedFiles for Hand {
    fn another(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl Files for Hand {
    fn append(&mut self, file: &FileName, bytes: &[u8]) -> io::Result<()> {
        self.state().files.append(file, bytes)
    }

    fn write(&mut self, file: &FileName, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.state().files.write(file, offset, bytes)
    }

    fn truncate(&mut self, file: &FileName, length: u64) -> io::Result<()> {
        self.state().files.truncate(file, length)
    }

    fn sync(&mut self, file: &FileName) -> io::Result<()> {
        let is_in = |parts: &[String]| parts.iter().any(|part| file.contains(part.as_str()));
        let panics = is_in(&self.state().panicking);
        assert!(!panics, "as it happens");
        if is_in(&self.state().hanging) {
            self.change(|state| state.waiting += 1);
            let changed = &self.0.changed;
            drop(changed.wait_while(self.state(), |state| is_in(&state.hanging)));
            self.change(|state| state.waiting -= 1);
        }
        self.state().files.sync(file)
    }

    fn rename(&mut self, from: &FileName, to: &FileName) -> io::Result<()> {
        self.state().files.rename(from, to)
    }

    fn remove(&mut self, file: &FileName) -> io::Result<()> {
        self.state().files.remove(file)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.state().files.sync_dir()
    }
}

fn hand_on(chains: &[&str]) -> (Hand, StoreExecutor<Hand>) {
    let hand = Hand::default();
    let (files, layout) = opened_files(chains);
    hand.change(|state| state.files = files);
    (hand.clone(), StoreExecutor::new(hand, layout))
}

struct Started {
    hand: Hand,
    threads: StoreThreads,
    running: Running<Hand>,
    gauge: Gauge,
    sender: Sender,
    receiver: Receiver,
}

fn started(chains: &[&str]) -> Started {
    let (hand, store) = hand_on(chains);
    let (sender, receiver) = inbox(Capacity::default());
    let gauge = Gauge::default();
    let (threads, running) = StoreThreads::start(store, &sender, &gauge).unwrap();
    Started {
        hand,
        threads,
        running,
        gauge,
        sender,
        receiver,
    }
}

type Done = (u64, Result<(), StoreError>);

/// The next completion; `None` when the inbox is closed and empty.
fn next(receiver: &mut Receiver) -> Option<Done> {
    match block_on(poll_fn(|cx| receiver.poll_next(cx))) {
        Taken::Input(Input::Done { op, result }) => Some((op.number.get(), result)),
        Taken::Closed => None,
        Taken::Input(_) | Taken::Look => panic!("only completions come from a store"),
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("chain {number}")).collect()
}

/// Authors whose orders are told apart: those of the second count from 1,001, and so on.
fn authors<'a>(chains: impl IntoIterator<Item = &'a str>) -> Vec<Author> {
    let starts = (0..).step_by(1_000);
    let authors = chains.into_iter().zip(starts);
    authors
        .map(|(name, ops)| Author {
            ops,
            ..Author::new(name)
        })
        .collect()
}

#[test]
fn on_one_thread_a_chain_is_answered_before_the_next_one_is_synced() {
    let mut chains = ["a", "b"];
    chains.sort_by_key(|name| ChainId::of(name));
    let (hand, store) = hand_on(&chains);
    let (sender, mut receiver) = inbox(Capacity::default());
    let (queue, orders) = mpsc::channel();
    let [first, second] = &mut authors(chains)[..] else {
        unreachable!("there are two");
    };
    hand.hang(chains[1]);
    // All of it waits when the thread begins, the first chain with more than one run.
    for work in [first.append(1), second.append(1), first.vote()] {
        queue.send(work).unwrap();
    }
    drop(queue);
    let feeding = sender.clone();
    let thread = std::thread::spawn(move || serve(store, &orders, &feeding, &Gauge::default(), 0));
    hand.until_waiting(1);
    assert_eq!(next(&mut receiver), Some((1, Ok(()))), "it is durable");
    hand.go_on();
    assert_eq!(next(&mut receiver), Some((1_001, Ok(()))));
    assert_eq!(next(&mut receiver), Some((2, Ok(()))), "chains have turns");
    thread.join().unwrap();
}

#[test]
fn as_many_chains_as_there_are_threads_are_synced_at_once() {
    let names = names(THREADS_MAX);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut store = started(&names);
    names.iter().for_each(|name| store.hand.hang(name));
    for author in &mut authors(names) {
        store.threads.submit(author.append(1));
    }
    store.hand.until_waiting(THREADS_MAX);
    store.hand.go_on();
    for _ in 0..THREADS_MAX {
        assert_eq!(next(&mut store.receiver).unwrap().1, Ok(()));
    }
}

#[test]
fn more_chains_than_threads_are_all_served_in_the_order_of_each() {
    let names = names(3 * THREADS_MAX + 1);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut store = started(&names);
    assert_eq!(store.running.threads.len(), THREADS_MAX + 1);
    let mut authors = authors(names.iter().copied());
    for _ in 0..20 {
        for author in &mut authors {
            store.threads.submit(author.append(1));
            store.threads.submit(author.vote());
        }
    }
    drop(store.threads);
    for thread in store.running.threads {
        thread.join().unwrap();
    }
    assert!(block_on(store.running.ended).is_err(), "the end is noticed");
    store.sender.close();
    let mut last = BTreeMap::new();
    while let Some((number, result)) = next(&mut store.receiver) {
        assert_eq!(result, Ok(()));
        let earlier = last.insert(number / 1_000, number % 1_000);
        assert_eq!(earlier.unwrap_or_default() + 1, number % 1_000);
    }
    assert!(last.values().eq(&vec![40; names.len()]), "{last:?}");
    let crashed = store.hand.state().files.crashed();
    assert!(names.iter().all(|name| kept(&crashed, name) == 20));
}

#[test]
fn appends_that_came_during_a_sync_share_the_next_one() {
    let mut store = started(&["a"]);
    let mut a = Author::new("a");
    store.hand.hang("a");
    store.threads.submit(a.append(1));
    store.hand.until_waiting(1);
    store.hand.state().files.syncs();
    for _ in 0..9 {
        store.threads.submit(a.append(1));
    }
    store.hand.go_on();
    for number in 1..=10 {
        assert_eq!(next(&mut store.receiver), Some((number, Ok(()))));
    }
    assert_eq!(store.hand.state().files.syncs(), 2);
}

#[test]
fn a_hanging_sync_shows_and_holds_up_no_chain_of_another_thread() {
    let mut store = started(&["a", "b"]);
    let mut authors = authors(["a", "b"]);
    assert_eq!(store.gauge.busy(), Duration::ZERO);
    store.hand.hang("a");
    store.threads.submit(authors[0].append(1));
    store.hand.until_waiting(1);
    let before = store.gauge.busy();
    for number in 1_001..1_010 {
        store.threads.submit(authors[1].append(1));
        assert_eq!(next(&mut store.receiver), Some((number, Ok(()))));
    }
    assert!(before > Duration::ZERO);
    assert!(store.gauge.busy() > before, "of the run that began first");
    store.hand.go_on();
    assert_eq!(next(&mut store.receiver), Some((1, Ok(()))));
    assert_eq!(store.gauge.busy(), Duration::ZERO);
}

#[test]
fn a_chain_that_failed_stays_stopped_and_the_others_go_on() {
    let mut store = started(&["a", "b"]);
    let mut authors = authors(["a", "b"]);
    let part = format!("{}-0.segment", ChainId::of("a"));
    store
        .hand
        .change(|state| state.files.unsyncable = Some(part));
    store.threads.submit(authors[0].append(1));
    assert_eq!(
        next(&mut store.receiver),
        Some((1, Err(StoreError::Broken)))
    );
    store.hand.change(|state| state.files.unsyncable = None);
    store.threads.submit(authors[0].vote());
    assert_eq!(
        next(&mut store.receiver),
        Some((2, Err(StoreError::Broken)))
    );
    store.threads.submit(authors[1].append(1));
    assert_eq!(next(&mut store.receiver), Some((1_001, Ok(()))));
}

#[test]
fn a_full_disk_refuses_the_appends_of_each_chain_and_takes_them_again() {
    let mut store = started(&["a", "b"]);
    for name in ["a", "b"] {
        let (mut author, mut again) = (Author::new(name), Author::new(name));
        store.hand.change(|state| state.files.space = Some(0));
        store.threads.submit(author.append(1));
        assert_eq!(next(&mut store.receiver), Some((1, Err(StoreError::Full))));
        store.hand.change(|state| state.files.space = None);
        store.threads.submit(again.append(1));
        assert_eq!(next(&mut store.receiver), Some((1, Ok(()))));
    }
}

#[test]
fn the_order_of_a_chain_that_is_not_here_is_refused() {
    let mut store = started(&["a"]);
    store.threads.submit(Author::new("other").append(1));
    assert_eq!(next(&mut store.receiver), Some((1, Err(StoreError::Full))));
}

#[test]
fn the_panic_of_one_thread_is_noticed() {
    let mut store = started(&["a", "b"]);
    let part = ChainId::of("b").to_string();
    store.hand.change(|state| state.panicking.push(part));
    store.threads.submit(Author::new("b").append(1));
    assert!(block_on(store.running.ended).is_err(), "others still run");
    drop(store.threads);
    let joined = store.running.threads.into_iter().map(JoinHandle::join);
    assert_eq!(joined.filter(Result::is_err).count(), 1);
}

#[test]
fn the_end_waits_for_everything_that_was_ordered() {
    let mut store = started(&["a"]);
    let mut a = Author::new("a");
    store.hand.hang("a");
    store.threads.submit(a.append(1));
    store.hand.until_waiting(1);
    store.threads.submit(a.vote());
    drop(store.threads);
    let thread = store.running.threads.swap_remove(0);
    assert!(!thread.is_finished());
    store.hand.go_on();
    thread.join().unwrap();
    store.sender.close();
    let done: Vec<Done> = std::iter::from_fn(|| next(&mut store.receiver)).collect();
    assert_eq!(done, [(1, Ok(())), (2, Ok(()))]);
}

#[test]
fn what_nobody_waits_for_is_written_beside_the_orders() {
    let mut store = started(&["a"]);
    let keeper = store.threads.keeper();
    let file = FileName::from("peers.a");
    let append = |text: &'static str| FileOp::Append {
        file: file.clone(),
        bytes: text.into(),
    };
    let sync = FileOp::Sync { file: file.clone() };
    store
        .hand
        .change(|state| state.hanging.push("peers".to_owned()));
    keeper.keep(vec![append("one "), sync.clone()]);
    store.hand.until_waiting(1);
    store.threads.submit(Author::new("a").append(1));
    assert_eq!(next(&mut store.receiver), Some((1, Ok(()))));
    keeper.keep(vec![append("two"), sync.clone()]);
    drop(store.threads);
    keeper.keep(vec![append("too late"), sync]);
    store.hand.go_on();
    for thread in store.running.threads {
        thread.join().unwrap();
    }
    assert_eq!(store.hand.state().files.crashed()[&file], "one two");
}
