//! A peer message as the simulated network carries it: shared, hashed once, never encoded.

use meshos_core::hash::stable_hash;
use meshos_core::message::{Body, Message, Talk};
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

    fn kind(&self) -> u16 {
        match &self.message.body {
            Body::Heartbeat(_) => 0,
            Body::Chain(chain) => match chain.talk {
                Talk::VoteRequest { .. } => 10,
                Talk::VoteReply { .. } => 11,
                Talk::Pull { .. } => 12,
                Talk::Chunk { .. } => 13,
                Talk::Conflict { .. } => 14,
                Talk::Reset { .. } => 15,
                Talk::Outdated => 16,
                Talk::Regressed { .. } => 17,
                Talk::TransferNow => 18,
                Talk::Fetch { .. } => 19,
                Talk::Fetched { .. } => 20,
                Talk::CatchUp { .. } => 21,
                Talk::Parts { .. } => 22,
            },
            Body::Confirm(_) => 1,
            Body::Confirmed(_) => 2,
            Body::Forward(_) => 3,
            Body::Forwarded { .. } => 4,
        }
    }

    fn size(&self) -> u32 {
        let entries = self.message.body.entries();
        let payloads = entries.into_iter().flat_map(|entries| entries.iter());
        HEAD + payloads
            .map(|entry| ENTRY + entry.payload.length())
            .sum::<u32>()
    }
}

/// About what a message costs on the wire without its entries.
const HEAD: u32 = 100;
/// About what an entry costs without its payload.
const ENTRY: u32 = 120;
