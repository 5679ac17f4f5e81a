//! Messages of every kind.

use crate::chain::entry::{Entry, EntryKind, LogPosition, Membership, Request};
use crate::chain::payload::Payload;
use crate::client::{Level, Reason};
use crate::id::{
    Attempt, AttemptNumber, ChainId, ClientId, ClusterId, Epoch, Gen, HeartbeatNumber, Incarnation,
    Member, NodeId, PullNumber, Replica, RequestNumber, Run, Seq, StoreId,
};
use crate::message::{
    Body, ChainMessage, Confirm, Forward, ForwardAsk, Forwarded, Heartbeat, Message, Purpose,
    ReplicaMessage, Round, Row, RowState,
};
use crate::replica::role::Role;
use crate::time::Wall;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

pub(super) const ATTEMPT: Attempt = Attempt {
    incarnation: Incarnation::new(2),
    number: AttemptNumber::new(9),
};

pub(super) const GENERATION: Gen = Gen::new(4);

pub(super) fn epoch(n: u64) -> Epoch {
    let node = NodeId::new(1);
    Epoch { n, node }
}

pub(super) fn message(body: Body) -> Message {
    Message {
        cluster: ClusterId::new(u128::MAX - 3),
        from: Run {
            node: NodeId::new(1),
            store: StoreId::new(1 << 99),
            incarnation: Incarnation::new(2),
        },
        to: StoreId::new(77),
        body,
    }
}

pub(super) fn content(content: ReplicaMessage) -> Message {
    message(Body::Chain(ChainMessage {
        chain: ChainId::of("orders"),
        generation: GENERATION,
        from: Replica::new(1),
        to: Replica::new(2),
        epoch: epoch(6),
        content,
    }))
}

pub(super) fn member(node: u64) -> Member {
    Member {
        node: NodeId::new(node),
        store: StoreId::new(u128::from(node) << 70),
        replica: Replica::new(1),
    }
}

pub(super) fn membership() -> Membership {
    Membership {
        voters: vec![member(1), member(2), member(3)],
        learners: vec![member(4)],
    }
}

pub(super) const REQUEST: Request = Request {
    client: ClientId(Seq::new(3)),
    number: RequestNumber::new(1),
};

pub(super) fn since() -> LogPosition {
    LogPosition {
        end: Seq::new(10),
        epoch: epoch(5),
        ..LogPosition::default()
    }
}

pub(super) fn entries() -> Vec<Entry> {
    let kinds = [
        EntryKind::Empty,
        EntryKind::OpenClient,
        EntryKind::Data(None),
        EntryKind::Data(Some(REQUEST)),
        EntryKind::Config(Arc::new(membership())),
    ];
    let mut tip = since();
    let entry = |kind: EntryKind| {
        let payload = match kind {
            EntryKind::Data(_) => Payload::new(Bytes::from_static(b"payload")),
            EntryKind::Empty | EntryKind::OpenClient | EntryKind::Config(_) => Payload::empty(),
        };
        let entry = Entry {
            generation: GENERATION,
            seq: tip.end,
            epoch: epoch(6),
            store: StoreId::new(5),
            incarnation: Incarnation::new(2),
            stamp: Wall::from_ms(1_700_000_000_000),
            kind,
            payload,
            hash: tip.hash,
        }
        .linked(tip.hash);
        tip = LogPosition {
            end: entry.seq.next(),
            epoch: entry.epoch,
            hash: entry.hash,
        };
        entry
    };
    kinds.into_iter().map(entry).collect()
}

pub(super) fn chunk(entries: Vec<Entry>) -> ReplicaMessage {
    ReplicaMessage::Chunk {
        attempt: ATTEMPT,
        since: since(),
        entries: entries.into_iter().map(Arc::new).collect(),
        commit: Seq::new(12),
        floor: Seq::new(2),
    }
}

pub(super) fn heartbeat() -> Heartbeat {
    let state = RowState {
        epoch: epoch(6),
        role: Role::Leader,
        distance: Some(0),
        durable: Some(Seq::new(12)),
        commit: Seq::new(11),
        floor: Seq::new(3),
        is_full: true,
    };
    let row = |state| Row {
        chain: ChainId::of("orders"),
        generation: GENERATION,
        replica: Replica::new(1),
        state,
    };
    Heartbeat {
        number: HeartbeatNumber::new(300),
        echo: Some((Incarnation::new(1), HeartbeatNumber::new(299))),
        acknowledged: None,
        wall: Wall::from_ms(5),
        after: 3,
        upto: 5,
        rows: vec![row(Some(state)), row(None)],
    }
}

pub(super) fn confirm() -> Confirm {
    Confirm {
        chain: ChainId::of("orders"),
        generation: GENERATION,
        leader: Replica::new(1),
        voter: Replica::new(1),
        epoch: epoch(6),
        attempt: ATTEMPT,
    }
}

pub(super) fn forward(ask: ForwardAsk) -> Message {
    message(Body::Forward(Forward {
        chain: ChainId::of("orders"),
        generation: GENERATION,
        epoch: epoch(6),
        attempt: ATTEMPT,
        ask,
    }))
}

pub(super) fn append(payload: Payload) -> ForwardAsk {
    ForwardAsk::Append {
        level: Level::Committed,
        request: Some(REQUEST),
        payload,
    }
}

pub(super) fn pull() -> ReplicaMessage {
    ReplicaMessage::Pull {
        since: since(),
        durable: None,
        attempt: ATTEMPT,
        number: PullNumber::new(8),
    }
}

pub(super) fn talks() -> Vec<ReplicaMessage> {
    let (attempt, seq) = (ATTEMPT, Seq::new(7));
    vec![
        ReplicaMessage::VoteRequest {
            round: Round::Pre,
            purpose: Purpose::Transfer,
            asked: epoch(7),
            last_epoch: epoch(6),
            tail: seq,
            attempt,
        },
        ReplicaMessage::VoteReply {
            round: Round::Real,
            asked: epoch(7),
            granted: true,
            attempt,
        },
        pull(),
        chunk(Vec::new()),
        chunk(entries()),
        ReplicaMessage::Conflict {
            attempt,
            failed: LogPosition {
                end: seq,
                ..LogPosition::default()
            },
            hint: seq,
            hint_epoch: epoch(2),
            differs: true,
        },
        ReplicaMessage::InstallSnapshot {
            attempt,
            floor: since(),
            checkpoint: since().hash,
            length: 20,
            offset: 15,
            part: Bytes::from_static(b"parts"),
        },
        ReplicaMessage::Outdated,
        ReplicaMessage::Regressed { acknowledged: seq },
        ReplicaMessage::TransferNow {
            tried: vec![NodeId::new(1), NodeId::new(3)],
            pause_ms: 12_000,
        },
        ReplicaMessage::Fetch {
            from: seq,
            end: Seq::new(9),
            attempt,
        },
        ReplicaMessage::Fetched {
            attempt,
            since: since(),
            entries: entries().into_iter().map(Arc::new).collect(),
        },
        ReplicaMessage::CatchUp {
            attempt,
            since: since(),
        },
        ReplicaMessage::SnapshotRequest {
            attempt,
            checkpoint: since().hash,
            offset: 7,
        },
    ]
}

/// One message of every kind.
pub(super) fn samples() -> Vec<Message> {
    let answers = [
        Forwarded::Acked {
            seq: Seq::new(1),
            epoch: epoch(6),
        },
        Forwarded::NotLeader {
            hint: Some(NodeId::new(3)),
        },
        Forwarded::Rejected(Reason::Busy),
        Forwarded::Unknown,
        Forwarded::ReadIndex {
            commit: Seq::new(1),
        },
        Forwarded::Transferred,
    ];
    let asks = [
        ForwardAsk::OpenClient,
        append(Payload::new(Bytes::from_static(b"bytes"))),
        ForwardAsk::ReadIndex,
        ForwardAsk::Transfer { to: None },
    ];
    let mut samples = vec![
        message(Body::Heartbeat(heartbeat())),
        message(Body::Confirm(vec![confirm(); 3])),
        message(Body::Confirmed(Vec::new())),
    ];
    samples.extend(talks().into_iter().map(content));
    samples.extend(asks.into_iter().map(forward));
    samples.extend(answers.map(|answer| {
        message(Body::Forwarded {
            attempt: ATTEMPT,
            answer,
        })
    }));
    samples
}
