//! `meshos-dst replay DIR`: recordings replay, and every way in which they do not is named.

use meshos_core::action::{Action, Actions};
use meshos_core::chain::recording::{PayloadMode, Recorder, Settings};
use meshos_core::config::{ChainDraft, Config, Draft, Founder};
use meshos_core::event::{Boot, Event, Input, Seed};
use meshos_core::id::{NodeId, StoreId};
use meshos_core::node::Node;
use meshos_core::time::{Instant, Wall};
use meshos_scenarios::recordings::NodeRecordings;
use meshos_sim::cli::{Recordings, Replayed};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn node() -> Node {
    let (id, store) = (NodeId::new(1), StoreId::new(1));
    let chain = ChainDraft {
        name: "a".to_owned(),
        members: vec![id],
        leader_pinned: None,
        retention: Default::default(),
        class: Default::default(),
    };
    let draft = Draft {
        nodes: vec![Founder { node: id, store }],
        chains: vec![chain],
        ..Draft::default()
    };
    let config = Config::try_from(draft).unwrap();
    let boot = Boot::founding(&config, id).unwrap();
    Node::new(id, Arc::new(config), boot, Seed([1; 32]), Instant::ZERO).unwrap()
}

/// Records a single node that elects itself on a disk without delay. What is recorded of step
/// `forged` is what the node would have done at another wall time.
fn record(directory: &Path, forged: Option<u64>) -> PathBuf {
    let mut node = node();
    let mut recorder = Recorder::new(Settings {
        build: "test".to_owned(),
        run: node.me(),
        payloads: PayloadMode::Full,
        file_bytes_max: 1 << 20,
        state_every: 4,
    });
    let mut out = Vec::new();
    let image = postcard_image(&node);
    let file = directory.join(&*recorder.begin(image.into(), &mut out));
    let mut inputs = VecDeque::from([Input::Wake]);
    let mut now = Instant::ZERO;
    for step in 1..=40 {
        let input = inputs.pop_front().unwrap_or(Input::Wake);
        if input == Input::Wake {
            now = node.poll_timeout().map_or(now, |at| at.max(now));
        }
        let mut event = Event {
            wall: Wall::from_ms(1),
            input,
        };
        recorder.event(now, &event, &mut out);
        if Some(step) == forged {
            event.wall = Wall::from_ms(2);
        }
        let mut actions = Actions::new();
        node.step(now, event, &mut actions);
        recorder.outcome(actions.as_slice(), || node.state_hash(), &mut out);
        for action in actions.drain() {
            if let Action::Store { op, .. } = action {
                let result = Ok(());
                inputs.push_back(Input::Done { op, result });
            }
        }
    }
    recorder.end(node.state_hash(), &mut out);
    assert!(!node.leads_nothing(), "something happened");
    fs::write(&file, out).unwrap();
    file
}

fn postcard_image(node: &Node) -> Vec<u8> {
    postcard::to_allocvec(node).unwrap()
}

fn replayed(directory: &Path) -> Result<Replayed, String> {
    NodeRecordings.replay(directory)
}

#[test]
fn a_recording_is_identical() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path(), None);
    let Ok(Replayed::Identical { steps, notes }) = replayed(directory.path()) else {
        panic!("{:?}", replayed(directory.path()));
    };
    assert_eq!(steps, 40);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].ends_with("stopped in order"), "{notes:?}");
}

#[test]
fn another_behaviour_is_a_divergence() {
    for forged in 1..=40 {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path(), Some(forged));
        match replayed(directory.path()) {
            // A step that authors nothing looks at no wall clock but in what it remembers.
            Ok(Replayed::Identical { .. }) => {}
            Ok(Replayed::Diverged { steps, difference }) => {
                assert!(steps + 1 >= forged, "{difference}");
                assert!(difference.contains("expected"), "{difference}");
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no step differed");
}

#[test]
fn a_cut_recording_is_identical_up_to_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let file = record(directory.path(), None);
    let whole = fs::read(&file).unwrap();
    let mut last = u64::MAX;
    for cut in (0..whole.len()).rev() {
        fs::write(&file, &whole[..cut]).unwrap();
        let Ok(Replayed::Identical { steps, .. }) = replayed(directory.path()) else {
            panic!("cut at {cut}: {:?}", replayed(directory.path()));
        };
        assert!(steps <= last);
        last = steps;
    }
    assert_eq!(last, 0);
}

#[test]
fn a_flipped_byte_is_named_with_file_and_offset() {
    let directory = tempfile::tempdir().unwrap();
    let file = record(directory.path(), None);
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&file, &flipped).unwrap();
        let error = replayed(directory.path()).unwrap_err();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(error.contains(name) && error.contains("offset"), "{error}");
    }
}

#[test]
fn a_directory_without_recordings_is_unusable() {
    let directory = tempfile::tempdir().unwrap();
    let error = replayed(directory.path()).unwrap_err();
    assert!(error.contains("recording-000001-000001"), "{error}");
}
