use super::{Outcome, PayloadMode, Recorder, Said, Settings, Step, file_name, redacted, runs};
use crate::action::{Action, Note};
use crate::chain::payload::Payload;
use crate::chain::recover::{Damage, Files};
use crate::client::{Answer, Ask, ClientRequest, Level};
use crate::event::{Event, Input};
use crate::hash::StateHash;
use crate::id::{ChainId, Incarnation, NodeId, Run, Seq, StoreId, Ticket};
use crate::time::{Instant, Wall};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

const RUN: Run = Run {
    node: NodeId::new(1),
    store: StoreId::new(5),
    incarnation: Incarnation::new(3),
};

fn settings() -> Settings {
    Settings {
        build: "test build".to_string(),
        run: RUN,
        payloads: PayloadMode::Full,
        file_bytes_max: 600,
        state_every: 4,
    }
}

fn event(step: u64) -> Event {
    let input = if step.is_multiple_of(3) {
        Input::Wake
    } else {
        Input::Client {
            ticket: Ticket::new(step),
            request: ClientRequest {
                chain: ChainId::of("orders"),
                ask: Ask::Append {
                    level: Level::Local,
                    request: None,
                    payload: Payload::new(Bytes::from(vec![step as u8; step as usize])),
                },
            },
        }
    };
    Event {
        wall: Wall::from_ms(step),
        input,
    }
}

fn actions(step: u64) -> Vec<Action> {
    let note = |end| Action::Note {
        chain: ChainId::of("orders"),
        note: Note::Commit { end: Seq::new(end) },
    };
    (0..step % 3).map(|nth| note(step + nth)).collect()
}

fn now(step: u64) -> Instant {
    Instant::from_nanos(step * 1_000)
}

fn image(step: u64) -> Bytes {
    Bytes::from(vec![step as u8; 40])
}

/// A run of some steps; every step is begun, the last one may be left without its outcome.
fn record(steps: u64, ends: bool) -> Files {
    let mut recorder = Recorder::new(settings());
    let mut files = Files::new();
    let mut name = file_name(RUN.incarnation, 0);
    let mut bytes = Vec::new();
    for step in 1..=steps {
        if recorder.is_due() {
            files.insert(name, Bytes::from(core::mem::take(&mut bytes)));
            name = recorder.begin(image(step), StateHash(step), &mut bytes);
        }
        recorder.event(now(step), &event(step), &mut bytes);
        recorder.outcome(&actions(step), || StateHash(step), &mut bytes);
    }
    if ends {
        recorder.end(StateHash(77), &mut bytes);
    }
    files.insert(name, Bytes::from(bytes));
    files.remove(&file_name(RUN.incarnation, 0));
    files
}

/// Everything up to the first error, and that error or the torn end.
fn read(files: &Files) -> (Vec<Said>, Option<Damage>, Option<Damage>) {
    let runs = runs(files);
    let mut replay = runs[0].replay();
    let mut said = Vec::new();
    let mut error = None;
    for next in replay.by_ref() {
        match next {
            Ok(next) => said.push(next),
            Err(damage) => error = Some(damage),
        }
    }
    (said, error, replay.torn().cloned())
}

fn steps(said: &[Said]) -> Vec<&Step> {
    let steps = said.iter().filter_map(|said| match said {
        Said::Step(step) => Some(step),
        Said::Start(_) | Said::End(_) => None,
    });
    steps.collect()
}

#[test]
fn a_recording_says_what_was_recorded() {
    let files = record(30, true);
    assert!(files.len() > 3);
    let (said, error, torn) = read(&files);
    assert_eq!((error, torn), (None, None));
    let mut number = 0;
    for said in &said {
        match said {
            Said::Start(start) => {
                assert_eq!((start.step, &start.image), (number + 1, &image(number + 1)));
                assert_eq!((start.run, &*start.build), (RUN, "test build"));
            }
            Said::Step(step) => {
                number += 1;
                assert_eq!(step.number, number);
                assert_eq!((step.now, &step.event), (now(number), &event(number)));
                let outcome = step.outcome.as_ref().unwrap();
                let state = number.is_multiple_of(4).then_some(StateHash(number));
                assert_eq!(*outcome, Outcome::of(&actions(number), state));
            }
            Said::End(state) => assert_eq!(*state, StateHash(77)),
        }
    }
    assert_eq!(number, 30);
    assert!(matches!(said.last(), Some(Said::End(_))));
}

#[test]
fn a_difference_is_named_by_its_action() {
    let outcome = Outcome::of(&actions(5), None);
    assert_eq!(outcome.first_difference(&actions(5)), None);
    assert_eq!(outcome.first_difference(&actions(5)[..1]), Some(1));
    assert_eq!(outcome.first_difference(&actions(8)), Some(0));
    let mut more = actions(5);
    more.extend(actions(4));
    assert_eq!(outcome.first_difference(&more), Some(2));
}

#[test]
fn a_recording_cut_anywhere_is_good_up_to_there() {
    let files = record(9, true);
    let whole = read(&files).0;
    let last = files.keys().next_back().unwrap().clone();
    for length in 0..files[&last].len() {
        let mut files = files.clone();
        let short = files[&last].slice(..length);
        files.insert(last.clone(), short);
        let (said, error, torn) = read(&files);
        if length > 0 {
            assert_eq!(error, None, "cut at {length}");
        }
        let (short, whole) = (steps(&said), steps(&whole));
        for (short, whole) in short.iter().zip(&whole) {
            assert_eq!((&short.event, short.now), (&whole.event, whole.now));
            assert!(short.outcome == whole.outcome || short.outcome.is_none());
        }
        if let Some(torn) = torn {
            assert_eq!(torn.file, last);
            assert!(torn.offset <= length as u64);
        }
    }
}

#[test]
fn every_flipped_byte_is_named() {
    let files = record(9, true);
    for (name, bytes) in &files {
        for at in 0..bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 0x20;
            let mut files = files.clone();
            files.insert(name.clone(), Bytes::from(flipped));
            let (_, error, _) = read(&files);
            let error = error.expect("a flip is never taken for a torn end");
            assert_eq!(error.file, *name, "byte {at}");
            assert!(error.offset <= at as u64, "byte {at}: {error}");
            assert!(error.to_string().contains("expected"), "{error}");
        }
    }
}

#[test]
fn a_torn_file_is_only_good_at_the_end() {
    let files = record(30, true);
    let first = files.keys().next().unwrap().clone();
    let mut short = files.clone();
    short.insert(
        first.clone(),
        files[&first].slice(..files[&first].len() - 1),
    );
    let error = read(&short).1.unwrap();
    assert_eq!(error.file, first);
    let mut missing = files.clone();
    let second = files.keys().nth(1).unwrap();
    missing.remove(second);
    let error = read(&missing).1.unwrap();
    assert_eq!(&error.file, files.keys().nth(2).unwrap());
    // What was removed from the front is not missed.
    let mut front = files.clone();
    front.remove(&first);
    assert_eq!(read(&front).1, None);
}

#[test]
fn runs_are_told_apart_and_foreign_files_ignored() {
    let mut files = Files::new();
    for incarnation in [10, 2, 1_000_000] {
        files.insert(file_name(Incarnation::new(incarnation), 1), Bytes::new());
        files.insert(file_name(Incarnation::new(incarnation), 2), Bytes::new());
    }
    files.insert("recording-7-1".into(), Bytes::new());
    files.insert("notes.txt".into(), Bytes::new());
    let found: Vec<u64> = runs(&files)
        .iter()
        .map(|run| run.incarnation.get())
        .collect();
    assert_eq!(found, [2, 10, 1_000_000]);
}

#[test]
fn what_a_driver_says_of_a_peer_is_recorded_as_it_is() {
    let node = NodeId::new(2);
    let incarnation = Incarnation::new(7);
    let inputs = [
        Input::PeerGone { node, incarnation },
        Input::LinkUp { peer: node },
        Input::LinkDown { peer: node },
    ];
    for input in inputs {
        let wall = Wall::from_ms(1);
        let event = Event { wall, input };
        let bytes = postcard::to_allocvec(&*redacted(&event, PayloadMode::Digest)).unwrap();
        assert_eq!(postcard::from_bytes::<Event>(&bytes).unwrap(), event);
    }
}

#[test]
fn payloads_are_left_out_as_asked() {
    let event = event(50);
    let bytes = postcard::to_allocvec(&event).unwrap();
    let payload = [50_u8; 50];
    let holds = |bytes: &[u8]| bytes.windows(50).any(|window| window == payload);
    assert!(holds(&bytes));
    for mode in [PayloadMode::Full, PayloadMode::Digest] {
        let redacted = redacted(&event, mode);
        let bytes = postcard::to_allocvec(&*redacted).unwrap();
        assert_eq!(holds(&bytes), mode == PayloadMode::Full);
        // A payload without its bytes is still the same payload.
        assert_eq!(*redacted, event);
        assert_eq!(postcard::from_bytes::<Event>(&bytes).unwrap(), *redacted);
    }
    let reply = |answer| Action::Reply {
        ticket: Ticket::new(1),
        answer,
    };
    let outcome = Outcome::of(&[reply(Answer::Unknown)], None);
    assert_eq!(
        outcome.first_difference(&[reply(Answer::Transferred)]),
        Some(0)
    );
}
