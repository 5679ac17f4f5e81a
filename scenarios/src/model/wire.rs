//! A peer message as the simulated network carries it: shared, hashed once, and encoded where the
//! run says so or bytes are damaged.

use meshos_core::hash::stable_hash;
use meshos_core::message::{Body, ForwardAsk, Lane, Message, ReplicaMessage};
use meshos_core::wire;
use std::fmt;
use std::sync::Arc;

/// A message with its fingerprint.
#[derive(Clone)]
pub struct Wire {
    /// The message.
    pub message: Arc<Message>,
    fingerprint: u64,
}

impl Wire {
    /// Wraps a message.
    pub fn new(message: Arc<Message>) -> Self {
        let fingerprint = stable_hash(&*message).0;
        Self {
            message,
            fingerprint,
        }
    }

    /// Whether its body has at most `bytes_max` bytes.
    pub fn fits(&self, bytes_max: u32) -> bool {
        // What is estimated to be small is far from any limit, and need not be measured.
        size(&self.message) <= bytes_max / 4
            || wire::encoded_length(&self.message) <= bytes_max as usize
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::words::say(&self.message.body, f)
    }
}

impl meshos_sim::machine::Message for Wire {
    fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// One connection for what somebody waits for, one for what may be large.
    const LANES: u8 = super::links::LANES as u8;

    fn lane(&self) -> u8 {
        match self.message.lane() {
            Lane::Control => 0,
            Lane::Bulk => 1,
        }
    }

    fn kind(&self) -> u16 {
        match &self.message.body {
            Body::Heartbeat(_) => 0,
            Body::Chain(chain) => match chain.content {
                ReplicaMessage::VoteRequest { .. } => 10,
                ReplicaMessage::VoteReply { .. } => 11,
                ReplicaMessage::Pull { .. } => 12,
                ReplicaMessage::Chunk { .. } => 13,
                ReplicaMessage::Conflict { .. } => 14,
                ReplicaMessage::InstallSnapshot { .. } => 15,
                ReplicaMessage::Outdated => 16,
                ReplicaMessage::Regressed { .. } => 17,
                ReplicaMessage::TransferNow { .. } => 18,
                ReplicaMessage::Fetch { .. } => 19,
                ReplicaMessage::Fetched { .. } => 20,
                ReplicaMessage::CatchUp { .. } => 21,
                ReplicaMessage::SnapshotRequest { .. } => 22,
            },
            Body::Confirm(_) => 1,
            Body::Confirmed(_) => 2,
            Body::Forward(_) => 3,
            Body::Forwarded { .. } => 4,
        }
    }

    fn size(&self) -> u32 {
        size(&self.message)
    }

    fn decoded(self) -> Self {
        let frame = wire::encode(&self.message);
        match wire::decode(&frame, u32::MAX) {
            Ok(message) => Self {
                message: Arc::new(message),
                ..self
            },
            Err(error) => panic!("a node says what its peers can read: {error}: {self:?}"),
        }
    }

    fn corrupt(&self, bits: u64) -> Option<Self> {
        let mut frame = wire::encode(&self.message);
        let place = (bits >> 5) as usize % frame.len();
        match bits & 3 {
            0 => frame.truncate(place),
            _ => frame[place] ^= 1 << (bits >> 2 & 7),
        }
        let message = wire::decode(&frame, u32::MAX).ok()?;
        Some(Self::new(Arc::new(message)))
    }
}

/// About how many bytes a message has on the wire, without encoding it.
pub fn size(message: &Message) -> u32 {
    let items = |count: usize| HEAD + ITEM * count as u32;
    match &message.body {
        Body::Heartbeat(beat) => items(beat.rows.len()),
        Body::Confirm(asked) | Body::Confirmed(asked) => items(asked.len()),
        Body::Forward(forward) => match &forward.ask {
            ForwardAsk::Append { payload, .. } => HEAD + payload.length(),
            ForwardAsk::OpenClient | ForwardAsk::ReadIndex | ForwardAsk::Transfer { .. } => HEAD,
        },
        Body::Forwarded { .. } => HEAD,
        Body::Chain(chain) => {
            if let ReplicaMessage::InstallSnapshot { part, .. } = &chain.content {
                return HEAD + part.len() as u32;
            }
            let entries = message.body.entries();
            let payloads = entries.into_iter().flat_map(|entries| entries.iter());
            HEAD + payloads
                .map(|entry| ENTRY + entry.payload.length())
                .sum::<u32>()
        }
    }
}

/// About what a message costs on the wire without its entries.
const HEAD: u32 = 100;
/// About what one row or confirm costs.
const ITEM: u32 = 25;
/// About what an entry costs without its payload.
const ENTRY: u32 = 120;
