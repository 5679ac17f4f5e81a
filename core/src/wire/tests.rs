mod samples;

use super::{HEAD, InvalidMessage, WireError, body_length, decode, encode};
use crate::chain::entry::{Entry, EntryKind, Membership, Request};
use crate::chain::payload::Payload;
use crate::id::{
    Attempt, AttemptNumber, ChainId, ClusterId, Epoch, Gen, HeartbeatNumber, Incarnation, NodeId,
    Replica, RequestNumber, Run, Seq, StoreId,
};
use crate::message::{Body, Confirm, Heartbeat, Message, ReplicaMessage, Row, RowState};
use crate::replica::role::Role;
use crate::time::Wall;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use proptest::prelude::*;
use samples::*;

const LIMIT: u32 = 1 << 20;

/// A frame with this body, whatever it is.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, 0, 0, 0, 0, 0, 0, 0, 0];
    frame[1..5].copy_from_slice(&(body.len() as u32).to_le_bytes());
    frame.extend_from_slice(body);
    super::seal(&mut frame);
    frame
}

#[test]
fn every_message_comes_back() {
    for message in samples() {
        let frame = encode(&message);
        assert_eq!(decode(&frame, LIMIT), Ok(message));
        let head = frame.first_chunk().unwrap();
        assert_eq!(body_length(head, LIMIT), Ok((frame.len() - HEAD) as u32));
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    for message in samples() {
        let frame = encode(&message);
        for at in 0..frame.len() * 8 {
            let mut frame = frame.clone();
            frame[at / 8] ^= 1 << (at % 8);
            assert!(decode(&frame, LIMIT).is_err(), "bit {at} of {message:?}");
        }
    }
}

#[test]
fn a_frame_is_neither_short_nor_long() {
    let frame = encode(&samples()[0]);
    for length in 0..frame.len() {
        let expected = if length < HEAD { HEAD } else { frame.len() } as u64;
        let found = length as u64;
        let error = Err(WireError::Short { expected, found });
        assert_eq!(decode(&frame[..length], LIMIT), error);
    }
    let mut long = frame.clone();
    long.extend_from_slice(b"xy");
    assert_eq!(decode(&long, LIMIT), Err(WireError::Trailing { found: 2 }));
    let mut body = frame[HEAD..].to_vec();
    body.extend_from_slice(b"xyz");
    let trailing = Err(WireError::Trailing { found: 3 });
    assert_eq!(decode(&framed(&body), LIMIT), trailing);
}

#[test]
fn limits_and_versions_are_named() {
    let mut frame = encode(&samples()[0]);
    let found = (frame.len() - HEAD) as u32;
    assert!(decode(&frame, found).is_ok());
    let limit = found - 1;
    let oversize = Err(WireError::Oversize { limit, found });
    assert_eq!(decode(&frame, limit), oversize);
    frame[0] = 2;
    assert_eq!(decode(&frame, LIMIT), Err(WireError::Version { found: 2 }));
}

#[test]
fn a_payload_has_to_match_its_hash() {
    let message = forward(append(Payload::new(Bytes::from_static(b"a payload"))));
    let mut body = encode(&message)[HEAD..].to_vec();
    let at = body
        .windows(9)
        .position(|bytes| bytes == b"a payload")
        .unwrap();
    body[at] = b'x';
    assert_eq!(decode(&framed(&body), LIMIT), Err(WireError::Malformed));
}

#[test]
fn a_claimed_length_allocates_nothing() {
    let confirms = encode(&message(Body::Confirm(Vec::new())));
    let mut body = confirms[HEAD..].to_vec();
    // The empty list becomes one of 2^63 elements.
    assert_eq!(body.pop(), Some(0));
    body.extend_from_slice(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);
    assert_eq!(decode(&framed(&body), LIMIT), Err(WireError::Malformed));
}

/// Entries with one of them changed.
fn but(at: usize, change: impl FnOnce(&mut Entry)) -> Message {
    let mut entries = entries();
    change(&mut entries[at]);
    content(chunk(entries))
}

fn unsound_entries() -> Vec<(Message, InvalidMessage)> {
    let swapped = |group: &mut Membership| group.voters.swap(0, 1);
    let doubled = |group: &mut Membership| group.learners = vec![member(2)];
    let config = |change: &dyn Fn(&mut Membership)| {
        let mut group = membership();
        change(&mut group);
        but(4, |entry| entry.kind = EntryKind::Config(Arc::new(group)))
    };
    let payload = || Payload::new(Bytes::from_static(b"x"));
    let zero = Request {
        number: RequestNumber::new(0),
        ..REQUEST
    };
    vec![
        (but(0, |entry| entry.seq = Seq::new(9)), InvalidMessage::Gap),
        (
            but(3, |entry| entry.seq = Seq::new(14)),
            InvalidMessage::Gap,
        ),
        (but(2, |entry| entry.epoch.n = 5), InvalidMessage::Epochs),
        (but(0, |entry| entry.epoch.n = 4), InvalidMessage::Epochs),
        (but(4, |entry| entry.epoch.n = 7), InvalidMessage::Epochs),
        (
            but(1, |entry| entry.generation = Gen::new(5)),
            InvalidMessage::Generation,
        ),
        (
            but(2, |entry| entry.payload = entry.payload.redacted()),
            InvalidMessage::Payload,
        ),
        (
            but(0, |entry| entry.payload = payload()),
            InvalidMessage::EntryKind,
        ),
        (
            but(4, |entry| entry.payload = payload()),
            InvalidMessage::EntryKind,
        ),
        (
            but(3, |entry| entry.kind = EntryKind::Data(Some(zero))),
            InvalidMessage::Zero,
        ),
        (config(&swapped), InvalidMessage::Membership),
        (config(&doubled), InvalidMessage::Membership),
    ]
}

fn unsound_contents() -> Vec<(Message, InvalidMessage)> {
    let none = Attempt {
        number: AttemptNumber::new(0),
        ..ATTEMPT
    };
    let last = Seq::new(u64::MAX);
    let fetch = |from, end| ReplicaMessage::Fetch {
        from: Seq::new(from),
        end: Seq::new(end),
        attempt: ATTEMPT,
    };
    let part = |offset| ReplicaMessage::InstallSnapshot {
        attempt: ATTEMPT,
        floor: since(),
        checkpoint: since().hash,
        length: 20,
        offset,
        part: Bytes::from_static(b"parts"),
    };
    let mut ahead = chunk(Vec::new());
    if let ReplicaMessage::Chunk { floor, .. } = &mut ahead {
        *floor = Seq::new(13);
    }
    let confirm = Confirm {
        attempt: none,
        ..confirm()
    };
    let backwards = Heartbeat {
        after: 6,
        ..heartbeat()
    };
    vec![
        (content(fetch(4, 3)), InvalidMessage::Interval),
        (content(fetch(4, u64::MAX)), InvalidMessage::Position),
        (
            content(ReplicaMessage::Regressed { acknowledged: last }),
            InvalidMessage::Position,
        ),
        (content(part(16)), InvalidMessage::Part),
        (content(part(u32::MAX)), InvalidMessage::Part),
        (content(ahead), InvalidMessage::Interval),
        (message(Body::Confirm(vec![confirm])), InvalidMessage::Zero),
        (
            message(Body::Heartbeat(backwards)),
            InvalidMessage::Interval,
        ),
        (
            forward(append(Payload::empty().redacted())),
            InvalidMessage::Payload,
        ),
    ]
}

#[test]
fn what_no_peer_can_mean_is_refused() {
    for (message, unsound) in unsound_entries().into_iter().chain(unsound_contents()) {
        let error = decode(&encode(&message), LIMIT);
        assert_eq!(
            error,
            Err(WireError::InvalidMessage(unsound)),
            "{message:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        sample in 0..samples().len(),
        changes in proptest::collection::vec(any::<(u16, u8)>(), 0..6),
        length in any::<u16>(),
    ) {
        let mut body = encode(&samples()[sample])[HEAD..].to_vec();
        for (at, byte) in changes {
            let at = usize::from(at) % body.len();
            body[at] = byte;
        }
        body.truncate(usize::from(length).max(body.len() / 2));
        if let Ok(message) = decode(&framed(&body), LIMIT) {
            prop_assert_eq!(decode(&encode(&message), LIMIT), Ok(message));
        }
    }
}

/// The largest of everything: all its numbers take the most bytes that they can.
fn largest(body: Body) -> Message {
    Message {
        cluster: ClusterId::new(u128::MAX),
        from: Run {
            node: NodeId::new(u64::MAX),
            store: StoreId::new(u128::MAX),
            incarnation: Incarnation::new(u64::MAX),
        },
        to: StoreId::new(u128::MAX),
        body,
    }
}

fn largest_row() -> Row {
    Row {
        chain: ChainId::from_raw(u64::MAX),
        generation: Gen::new(u64::MAX),
        replica: Replica::new(u32::MAX),
        state: Some(RowState {
            epoch: Epoch {
                n: u64::MAX,
                node: NodeId::new(u64::MAX),
            },
            role: Role::Leader,
            distance: Some(u8::MAX),
            durable: Some(Seq::new(u64::MAX)),
            commit: Seq::new(u64::MAX),
            floor: Seq::ZERO,
            is_full: true,
        }),
    }
}

#[test]
fn as_many_items_fit_as_may_be_sent() {
    let row = largest_row();
    let heard = Some(Incarnation::new(u64::MAX));
    let beat = |rows| Heartbeat {
        number: HeartbeatNumber::new(u64::MAX),
        echo: heard.zip(Some(HeartbeatNumber::new(u64::MAX))),
        acknowledged: heard.zip(Some(u64::MAX)),
        wall: Wall::from_ms(u64::MAX),
        after: u64::MAX,
        upto: u64::MAX,
        rows,
    };
    let confirm = Confirm {
        chain: row.chain,
        generation: row.generation,
        leader: row.replica,
        voter: row.replica,
        epoch: row.state.unwrap().epoch,
        attempt: Attempt {
            incarnation: Incarnation::new(u64::MAX),
            number: AttemptNumber::new(u64::MAX),
        },
    };
    for limit in [1_025, 2_048, 1 << 20] {
        let items = super::items_max(limit);
        for body in [
            Body::Heartbeat(beat(vec![row.clone(); items])),
            Body::Confirm(vec![confirm; items]),
        ] {
            let message = largest(body);
            let length = super::encoded_length(&message);
            assert!(length <= limit as usize, "{length} bytes of {limit}");
            assert!(length + HEAD == encode(&message).len());
        }
    }
    assert!(super::items_max(0) == 1, "a page holds something");
}
