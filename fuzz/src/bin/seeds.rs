//! Writes the committed seeds of the corpora: `cargo run --bin seeds`, in this directory.

use bytes::Bytes;
use meshos_core::chain::clients::Clients;
use meshos_core::chain::entry::{Entry, EntryKind, LogPosition, Membership, Request};
use meshos_core::chain::order::{Checkpoint, Order, Vote};
use meshos_core::chain::payload::Payload;
use meshos_core::chain::recover::{Files, recover};
use meshos_core::chain::store::{Founding, Identity, StoreLimits, format};
use meshos_core::client::Level;
use meshos_core::id::{
    Attempt, AttemptNumber, ChainId, ClientId, ClusterId, Epoch, FormatNonce, Gen, HeartbeatNumber,
    Incarnation, Member, NodeId, PullNumber, Replica, RequestNumber, Run, RunNonce, Seq, StoreId,
};
use meshos_core::message::{
    Body, ChainMessage, Forward, ForwardAsk, Heartbeat, Message, Purpose, ReplicaMessage, Round,
    Row,
};
use meshos_core::time::Wall;
use meshos_core::wire::encode;
use meshos_fuzz::{CHAIN, GENERATION, pack, perform};
use std::path::Path;
use std::sync::Arc;

const EPOCH: Epoch = Epoch {
    n: 2,
    node: NodeId::new(1),
};

const ATTEMPT: Attempt = Attempt {
    incarnation: Incarnation::new(1),
    number: AttemptNumber::new(4),
};

fn main() -> std::io::Result<()> {
    for (name, files) in stores() {
        write("recover", name, &pack(&files))?;
    }
    for (name, message) in messages() {
        write("message", name, &encode(&message))?;
    }
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let directory = Path::new("corpus").join(target);
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join(format!("seed-{name}")), bytes)
}

fn member(node: u64) -> Member {
    Member {
        node: NodeId::new(node),
        store: StoreId::new(u128::from(node)),
        replica: Replica::new(1),
    }
}

fn membership() -> Arc<Membership> {
    Arc::new(Membership {
        voters: vec![member(1), member(2), member(3)],
        learners: Vec::new(),
    })
}

fn checkpoint(floor: LogPosition) -> Checkpoint {
    Checkpoint {
        floor,
        membership: membership(),
        membership_seq: Seq::ZERO,
        clients: Clients::default(),
        stamp: Default::default(),
    }
}

/// One entry of each kind, in turn.
fn entries(mut tip: LogPosition, count: u64) -> Vec<Arc<Entry>> {
    let request = Request {
        client: ClientId(Seq::new(1)),
        number: RequestNumber::new(1),
    };
    let entry = |nth| {
        let (kind, payload) = match nth % 5 {
            0 => (EntryKind::Empty, Payload::empty()),
            1 => (EntryKind::OpenClient, Payload::empty()),
            2 => (
                EntryKind::Data(Some(request)),
                Payload::new(Bytes::from_static(b"one")),
            ),
            3 => (
                EntryKind::Data(None),
                Payload::new(Bytes::from_static(b"another")),
            ),
            _ => (EntryKind::Config(membership()), Payload::empty()),
        };
        let entry = Entry {
            generation: Gen::new(GENERATION),
            seq: tip.end,
            epoch: EPOCH,
            store: StoreId::new(1),
            incarnation: Incarnation::new(1),
            stamp: Wall::from_ms(5),
            kind,
            payload,
            hash: tip.hash,
        };
        let entry = Arc::new(entry.linked(tip.hash));
        tip = after(&entry);
        entry
    };
    (0..count).map(entry).collect()
}

fn after(entry: &Entry) -> LogPosition {
    LogPosition {
        end: entry.seq.next(),
        epoch: entry.epoch,
        hash: entry.hash,
    }
}

fn stores() -> Vec<(&'static str, Files)> {
    let identity = Identity {
        cluster: ClusterId::new(7),
        node: NodeId::new(1),
        store: StoreId::new(1),
    };
    let limits = StoreLimits {
        segment_bytes_max: 1_500,
    };
    let (chain, generation) = (ChainId::of(CHAIN), Gen::new(GENERATION));
    let founding = Founding {
        chain,
        generation,
        checkpoint: checkpoint(LogPosition::default()),
    };
    let mut files = Files::new();
    let boot = |files: &mut Files| {
        let recovered = recover(files, &limits, RunNonce::new(1)).expect("it was just formatted");
        recovered.repairs.iter().for_each(|op| perform(files, op));
        recovered.layout
    };
    for op in format(&identity, FormatNonce::new(1), &[founding]) {
        perform(&mut files, &op);
    }
    let mut stores = vec![("fresh", files.clone())];
    let log = entries(LogPosition::default(), 14);
    let vote = Vote {
        epoch: EPOCH,
        granted: Some(NodeId::new(1)),
    };
    let orders = [
        ("voted", Order::Vote(vote)),
        ("entries", Order::Append(log[..6].into())),
        ("segments", Order::Append(log[6..12].into())),
        ("cut", Order::Cut(Seq::new(9))),
        ("repaired", Order::Repair(log[3..5].into())),
        (
            "retained",
            Order::Retain(Arc::new(checkpoint(after(&log[6])))),
        ),
        ("further", Order::Append(log[9..].into())),
        ("reset", Order::Reset(Arc::new(checkpoint(after(&log[13]))))),
    ];
    let mut layout = boot(&mut files);
    for (name, order) in orders {
        for op in layout.perform(chain, generation, &order) {
            perform(&mut files, &op);
        }
        stores.push((name, files.clone()));
    }
    boot(&mut files);
    stores.push(("booted", files));
    stores
}

fn message(body: Body) -> Message {
    Message {
        cluster: ClusterId::new(7),
        from: Run {
            node: NodeId::new(1),
            store: StoreId::new(1),
            incarnation: Incarnation::new(1),
        },
        to: StoreId::new(2),
        body,
    }
}

fn content(content: ReplicaMessage) -> Message {
    message(Body::Chain(ChainMessage {
        chain: ChainId::of(CHAIN),
        generation: Gen::new(GENERATION),
        from: Replica::new(1),
        to: Replica::new(1),
        epoch: EPOCH,
        content,
    }))
}

fn messages() -> Vec<(&'static str, Message)> {
    let since = LogPosition::default();
    let heartbeat = Heartbeat {
        number: HeartbeatNumber::new(2),
        echo: Some((Incarnation::new(1), HeartbeatNumber::new(1))),
        acknowledged: None,
        wall: Wall::from_ms(5),
        after: 0,
        upto: 1,
        rows: vec![Row {
            chain: ChainId::of(CHAIN),
            generation: Gen::new(GENERATION),
            replica: Replica::new(1),
            state: None,
        }],
    };
    let chunk = ReplicaMessage::Chunk {
        attempt: ATTEMPT,
        since,
        entries: entries(since, 6).into(),
        commit: Seq::new(3),
        floor: Seq::ZERO,
    };
    let vote = ReplicaMessage::VoteRequest {
        round: Round::Real,
        purpose: Purpose::Silence,
        asked: EPOCH,
        last_epoch: EPOCH,
        tail: Seq::new(4),
        attempt: ATTEMPT,
    };
    let pull = ReplicaMessage::Pull {
        since,
        durable: Some(Seq::ZERO),
        attempt: ATTEMPT,
        number: PullNumber::new(1),
    };
    let reset = ReplicaMessage::InstallSnapshot {
        attempt: ATTEMPT,
        floor: since,
        checkpoint: since.hash,
        length: 4,
        offset: 0,
        part: Bytes::from_static(b"part"),
    };
    let forward = Forward {
        chain: ChainId::of(CHAIN),
        generation: Gen::new(GENERATION),
        epoch: EPOCH,
        attempt: ATTEMPT,
        ask: ForwardAsk::Append {
            level: Level::Committed,
            request: None,
            payload: Payload::new(Bytes::from_static(b"bytes")),
        },
    };
    vec![
        ("heartbeat", message(Body::Heartbeat(heartbeat))),
        ("chunk", content(chunk)),
        ("vote-request", content(vote)),
        ("pull", content(pull)),
        ("reset", content(reset)),
        ("forward", message(Body::Forward(forward))),
    ]
}
