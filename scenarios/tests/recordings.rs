//! `meshos-dst replay DIR`: recordings replay, and every way in which they do not is named.

use meshos_core::action::{Action, Actions};
use meshos_core::chain::recording::{PayloadMode, Recorder, Settings};
use meshos_core::config::{ChainDraft, Config, Draft, Founder};
use meshos_core::event::{Boot, Event, Input, Seed};
use meshos_core::id::{DeploymentId, NodeId, StoreId};
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
        deployment: DeploymentId::new(1),
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
    record_from(directory, forged, |image| image)
}

/// Like [`record`], with a change to the image that the file starts with.
fn record_from(
    directory: &Path,
    forged: Option<u64>,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> PathBuf {
    let mut node = node();
    let mut recorder = Recorder::new(Settings {
        build: "test".to_owned(),
        run: node.me(),
        payloads: PayloadMode::Full,
        file_bytes_max: 1 << 20,
        state_every: 4,
    });
    let mut out = Vec::new();
    let image = change(postcard_image(&node));
    let name = recorder.begin(image.into(), node.state_hash(), &mut out);
    let file = directory.join(&*name);
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
        match replayed(directory.path()) {
            Ok(Replayed::Identical { steps, .. }) => {
                assert!(steps <= last);
                last = steps;
            }
            Err(error) if last <= 1 => {
                assert!(
                    error.contains("recording-000001-000001: nothing to compare"),
                    "{error}"
                );
                last = 0;
            }
            other => panic!("cut at {cut}: {other:?}"),
        }
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

/// What `find` is in the image replaced by `other`.
fn replaced(image: &[u8], find: &[u8], other: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = (0..image.len())
        .filter(|at| image[*at..].starts_with(find))
        .collect();
    assert_eq!(places.len(), 1, "it is there once");
    let (before, behind) = (&image[..places[0]], &image[places[0] + find.len()..]);
    [before, other, behind].concat()
}

#[test]
fn a_build_that_counted_less_or_more_recorded_as_well() {
    let counts = postcard::to_allocvec(node().counters()).unwrap();
    for others in [0, 1, 100] {
        let directory = tempfile::tempdir().unwrap();
        let other = postcard::to_allocvec(&vec![0_u64; others]).unwrap();
        record_from(directory.path(), None, |image| {
            replaced(&image, &counts, &other)
        });
        let replayed = replayed(directory.path());
        assert!(
            matches!(replayed, Ok(Replayed::Identical { steps: 40, .. })),
            "{replayed:?}"
        );
    }
}

#[test]
fn an_image_that_this_build_does_not_keep_is_named() {
    let refused = |change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let directory = tempfile::tempdir().unwrap();
        record_from(directory.path(), None, change);
        replayed(directory.path()).expect_err("it is no image of this build")
    };
    let length = postcard_image(&node()).len();
    for end in 0..length {
        let error = refused(&|image| image[..end].to_vec());
        for part in [
            "recording-000001-000001",
            "expected an image",
            "build test",
            "replay it with the meshos-dst of that commit",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
    refused(&|image| [image, vec![0]].concat());
}

#[test]
fn an_image_with_another_byte_stops_no_node() {
    let length = postcard_image(&node()).len();
    let mut refused = 0;
    for at in 0..length {
        for mask in [1, 0x80, 0xff] {
            let directory = tempfile::tempdir().unwrap();
            record_from(directory.path(), None, |mut image| {
                image[at] ^= mask;
                image
            });
            match replayed(directory.path()) {
                Ok(Replayed::Identical { .. }) => {}
                // What follows from the entries is no part of the state's digest.
                Ok(Replayed::Diverged { difference, .. }) => {
                    assert!(!difference.contains("the node stopped"), "{difference}");
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 2 * length, "{refused} were refused");
}

#[test]
fn a_directory_without_recordings_is_unusable() {
    let directory = tempfile::tempdir().unwrap();
    let error = replayed(directory.path()).unwrap_err();
    assert!(
        error.contains("neither a plan (*.toml) nor a recording"),
        "{error}"
    );
    assert!(error.contains("recording-000001-000001"), "{error}");
}
