//! What a workload asks of a node, in the words of a plan.

use bytes::Bytes;
use meshos_core::chain::entry::Request;
use meshos_core::chain::payload::Payload;
use meshos_core::client::{self, Consistency, Level};
use meshos_core::id::{ClientId, RequestNumber, Seq};
use meshos_sim::machine::NodeIndex;
use serde::{Deserialize, Serialize};

/// One request to one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Op {
    /// The chain, by its place in the genesis.
    #[serde(default)]
    pub chain: u16,
    /// Names the request in its answer; unique within a run.
    pub ticket: u64,
    /// What is asked.
    pub ask: Ask,
}

/// How fresh a read has to be.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// The committed prefix at hand.
    Stale,
    /// All that was acknowledged before.
    #[default]
    Linearizable,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Open a client.
    Open {},
    /// Append a payload.
    Append {
        /// The client, by the position of the entry that opened it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<u64>,
        /// The client's own number of the request, from 1.
        #[serde(default)]
        number: u64,
        /// Makes the payload one of its kind, as far as it is long enough.
        tag: u64,
        /// Length of the payload.
        bytes: u32,
        /// Acknowledge when durable on the leader already.
        #[serde(default)]
        local: bool,
    },
    /// Read from a position on.
    Read {
        /// How fresh.
        #[serde(default)]
        freshness: Freshness,
        /// The position.
        from: u64,
        /// Most bytes of payload to answer with.
        bytes_max: u32,
    },
    /// Hand leadership over.
    Transfer {
        /// To this node; to the one furthest ahead without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<NodeIndex>,
    },
    /// The process is about to stop: hand over every leadership.
    HandOver {},
}

impl Ask {
    /// The request to the core; `None` for what is no client request.
    pub fn request(&self) -> Option<client::Ask> {
        Some(match *self {
            Self::Open {} => client::Ask::OpenClient,
            Self::Append {
                client,
                number,
                tag,
                bytes,
                local,
            } => client::Ask::Append {
                level: if local {
                    Level::Local
                } else {
                    Level::Committed
                },
                request: client.map(|client| Request {
                    client: ClientId(Seq::new(client)),
                    number: RequestNumber::new(number),
                }),
                payload: payload(tag, bytes),
            },
            Self::Read {
                freshness,
                from,
                bytes_max,
            } => client::Ask::Read {
                consistency: match freshness {
                    Freshness::Stale => Consistency::Stale,
                    Freshness::Linearizable => Consistency::Linearizable,
                },
                from: Seq::new(from),
                bytes_max,
            },
            Self::Transfer { to } => client::Ask::Transfer {
                to: to.map(super::node_id),
            },
            Self::HandOver {} => return None,
        })
    }
}

/// A payload of `bytes` bytes that repeats `tag`.
pub fn payload(tag: u64, bytes: u32) -> Payload {
    let pattern = tag.to_le_bytes();
    Payload::new(
        pattern
            .iter()
            .copied()
            .cycle()
            .take(bytes as usize)
            .collect::<Bytes>(),
    )
}
