use super::*;
use crate::directory::read_files;
use crate::driver::Driver;
use crate::inbox::{Capacity, Sender, inbox};
use crate::ports::{Clock, Requests, Store, Transport, Work};
use futures::executor::block_on;
use meshos_core::action::Note;
use meshos_core::chain::payload::Payload;
use meshos_core::client::{Answer, Ask, ClientRequest, Level};
use meshos_core::config::{ChainDraft, Config, Draft, Founder};
use meshos_core::event::{Boot, Input, Seed};
use meshos_core::id::{ChainId, DeploymentId, Incarnation, NodeId, StoreId, Ticket};
use meshos_core::message::Message;
use meshos_core::replay::{Report, Verdict, What, replay_all};
use meshos_core::time::Wall;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Time goes on by itself, a little with every look at the clock.
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.0.fetch_add(100_000_000, Ordering::Relaxed))
    }

    fn wall(&self) -> Wall {
        Wall::from_ms(1)
    }

    fn sleep_until(&self, _: Instant) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Everything is durable at once; after `left` acknowledgements the inbox is closed.
struct Instantly {
    inbox: Sender,
    left: u64,
}

impl Store for Instantly {
    fn submit(&mut self, work: Work) {
        self.inbox.complete(work.op, Ok(()));
    }
}

impl Transport for Instantly {
    fn send(&mut self, _: NodeId, _: Arc<Message>) {}
}

impl Requests<Node> for Instantly {
    fn reply(&mut self, ticket: Ticket, answer: Answer) {
        // Before its election the node knows no leader.
        if matches!(answer, Answer::Acked { .. }) {
            self.left -= 1;
        }
        if self.left == 0 {
            self.inbox.close();
            return;
        }
        ask(&self.inbox, ticket.get() + 1);
    }

    fn note(&mut self, _: ChainId, _: Note) {}

    fn show(&mut self, _: &Node) {}
}

fn ask(inbox: &Sender, number: u64) {
    let payload = Payload::new(format!("secret number {number}").into_bytes().into());
    let request = ClientRequest {
        chain: ChainId::of("a"),
        ask: Ask::Append {
            level: Level::Committed,
            request: None,
            payload,
        },
    };
    let ticket = Ticket::new(number);
    inbox.command(Input::Client { ticket, request }).unwrap();
}

fn node(incarnation: u64) -> Node {
    let (id, store) = (NodeId::new(1), StoreId::new(1));
    let chain = ChainDraft {
        name: "a".to_owned(),
        members: vec![id],
        leader_pinned: None,
        retention: Default::default(),
        class: Default::default(),
    };
    let draft = Draft {
        deployment: DeploymentId::new(1),
        nodes: vec![Founder { node: id, store }],
        chains: vec![chain],
        ..Draft::default()
    };
    let config = Config::try_from(draft).unwrap();
    let boot = Boot {
        incarnation: Incarnation::new(incarnation),
        ..Boot::founding(&config, id).unwrap()
    };
    Node::new(id, Arc::new(config), boot, Seed([1; 32]), Instant::ZERO).unwrap()
}

fn table(rotate_bytes: u64, files_max: u32) -> RecordingTable {
    RecordingTable {
        rotate_bytes,
        files_max,
        hash_steps: 8,
        ..RecordingTable::default()
    }
}

/// Records a node that answers `answers` requests.
fn record(
    path: &Path,
    incarnation: u64,
    (payloads, table): (PayloadMode, &RecordingTable),
    answers: u64,
) {
    let node = node(incarnation);
    let (journal, thread) = FileJournal::start(path, payloads, table, &node).unwrap();
    let (sender, receiver) = inbox(Capacity::default());
    ask(&sender, 1);
    let ports = |left| Instantly {
        inbox: sender.clone(),
        left,
    };
    let clock = Ticking(AtomicU64::new(0));
    let driver = Driver::new(
        node,
        Instant::ZERO,
        receiver,
        clock,
        ports(0),
        ports(0),
        ports(answers),
        journal,
    );
    block_on(driver.run());
    thread.join().unwrap();
}

fn replayed(path: &Path) -> Vec<Report> {
    replay_all(&read_files(path).unwrap())
}

#[test]
fn a_recorded_run_replays_with_and_without_payload_bytes() {
    for payload in [PayloadMode::Full, PayloadMode::Digest] {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path(), 1, (payload, &table(1 << 20, 9)), 50);
        let reports = replayed(directory.path());
        assert_eq!(reports.len(), 1);
        let report = &reports[0];
        assert!(report.is_identical(), "{report}");
        assert!(
            report.has_end && report.steps > 50 && report.states > 5,
            "{report}"
        );
        let files = read_files(directory.path()).unwrap();
        let mut windows = files.values().flat_map(|bytes| bytes.windows(13));
        let has_bytes = windows.any(|window| window == b"secret number");
        assert_eq!(has_bytes, payload == PayloadMode::Full);
    }
}

#[test]
fn files_rotate_and_each_can_start_a_replay() {
    for payload in [PayloadMode::Full, PayloadMode::Digest] {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path(), 1, (payload, &table(4096, 1000)), 100);
        let files = read_files(directory.path()).unwrap();
        assert!(files.len() > 3, "{}", files.len());
        let whole = &replayed(directory.path())[0];
        assert!(whole.is_identical(), "{whole}");
        for skipped in 1..files.len() {
            let rest = files.clone().into_iter().skip(skipped).collect();
            let report = &replay_all(&rest)[0];
            assert!(report.is_identical() && report.first > 1, "{report}");
        }
    }
}

#[test]
fn only_the_newest_files_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    record(
        directory.path(),
        1,
        (PayloadMode::Full, &table(4096, 2)),
        100,
    );
    assert_eq!(read_files(directory.path()).unwrap().len(), 2);
    let report = &replayed(directory.path())[0];
    assert!(report.is_identical() && report.has_end, "{report}");
}

#[test]
fn runs_follow_each_other_in_one_directory_but_never_repeat() {
    let directory = tempfile::tempdir().unwrap();
    let table = table(1 << 20, 9);
    record(directory.path(), 1, (PayloadMode::Full, &table), 3);
    record(directory.path(), 2, (PayloadMode::Full, &table), 3);
    let reports = replayed(directory.path());
    assert!(reports.iter().all(Report::is_identical));
    assert_eq!(reports.len(), 2);
    let check = |run| check_newest(directory.path(), Incarnation::new(run));
    assert!(matches!(check(1), Err(RecordingError::Taken { .. })));
    assert!(matches!(check(2), Err(RecordingError::Taken { .. })));
    assert!(check(3).is_ok());
}

#[test]
fn a_directory_belongs_to_one_store() {
    let directory = tempfile::tempdir().unwrap();
    let run = node(1).me();
    let check = |path: &Path, store| check_owner(path, run.node, store);
    let nowhere = directory.path().join("nowhere");
    assert!(check(&nowhere, run.store).is_ok() && !nowhere.exists());
    assert!(check(directory.path(), run.store).is_ok());
    let table = table(1 << 20, 9);
    record(directory.path(), 1, (PayloadMode::Full, &table), 3);
    assert!(check(directory.path(), run.store).is_ok());
    let error = check(directory.path(), StoreId::new(77)).unwrap_err();
    assert!(matches!(error, RecordingError::Foreign { .. }), "{error}");
}

#[test]
fn a_run_that_was_killed_replays_up_to_where_it_is_torn() {
    let directory = tempfile::tempdir().unwrap();
    record(
        directory.path(),
        1,
        (PayloadMode::Full, &table(1 << 20, 9)),
        20,
    );
    let mut files = read_files(directory.path()).unwrap();
    let (name, bytes) = files.pop_first().unwrap();
    let mut last = u64::MAX;
    for cut in (0..bytes.len()).rev().step_by(37) {
        let torn = [(name.clone(), bytes.slice(..cut))].into_iter().collect();
        let report = &replay_all(&torn)[0];
        assert!(report.is_identical() && !report.has_end, "{report}");
        assert!(report.steps <= last);
        last = report.steps;
    }
    assert_eq!(last, 0);
}

#[test]
fn a_flipped_byte_is_named() {
    let directory = tempfile::tempdir().unwrap();
    record(
        directory.path(),
        1,
        (PayloadMode::Full, &table(1 << 20, 9)),
        5,
    );
    let mut files = read_files(directory.path()).unwrap();
    let (name, bytes) = files.pop_first().unwrap();
    for at in (0..bytes.len()).step_by(11) {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1;
        let flipped = [(name.clone(), flipped.into())].into_iter().collect();
        let report = &replay_all(&flipped)[0];
        assert!(!report.is_identical(), "byte {at}: {report}");
    }
}

#[test]
fn another_behaviour_is_named_by_step_event_and_action() {
    let directory = tempfile::tempdir().unwrap();
    record(
        directory.path(),
        1,
        (PayloadMode::Full, &table(1 << 20, 9)),
        20,
    );
    let files = read_files(directory.path()).unwrap();
    // Recorded by a node that believed in another wall clock.
    let mut out = Vec::new();
    let runs = meshos_core::chain::recording::runs(&files);
    let mut recorder = None;
    let mut forged = None;
    for said in runs[0].replay() {
        use meshos_core::chain::recording::Said;
        match said.unwrap() {
            Said::Start(start) => {
                let mut fresh = Recorder::new(Settings {
                    build: start.build.clone(),
                    run: start.run,
                    payloads: start.payloads,
                    file_bytes_max: u64::MAX,
                    state_every: 1,
                });
                forged = Some(fresh.begin(start.image.clone(), start.state, &mut out));
                let node: Node = postcard::from_bytes(&start.image).unwrap();
                recorder = Some((fresh, node));
            }
            Said::Step(step) => {
                let (recorder, node) = recorder.as_mut().unwrap();
                recorder.event(step.now, &step.event, &mut out);
                let mut event = step.event.clone();
                if step.number >= 7 {
                    event.wall = Wall::from_ms(999);
                }
                let mut actions = meshos_core::action::Actions::new();
                node.step(step.now, event, &mut actions);
                recorder.outcome(actions.as_slice(), || node.state_hash(), &mut out);
                actions.drain();
            }
            Said::End(_) => {}
        }
    }
    let forged = [(forged.unwrap(), Bytes::from(out))].into_iter().collect();
    let report = &replay_all(&forged)[0];
    let Verdict::Differs(difference) = &report.verdict else {
        panic!("{report}");
    };
    assert!(difference.step >= 7, "{report}");
    assert!(difference.fed.is_some());
    assert!(matches!(
        difference.what,
        What::Action { .. } | What::State { .. }
    ));
    assert!(report.to_string().contains("expected"), "{report}");
}

#[test]
fn a_node_that_keeps_much_is_not_imaged_at_every_step() {
    let directory = tempfile::tempdir().unwrap();
    // Smaller than the image of the node soon is.
    record(
        directory.path(),
        1,
        (PayloadMode::Full, &table(1000, 1000)),
        300,
    );
    let report = &replayed(directory.path())[0];
    assert!(report.is_identical(), "{report}");
    let files = read_files(directory.path()).unwrap();
    assert!(
        files.len() as u64 * 20 < report.steps,
        "{} files",
        files.len()
    );
}
