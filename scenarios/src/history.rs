//! What clients asked of nodes and how each attempt ended.
//!
//! An attempt begins when a node takes the request in and ends with its one answer, or with the
//! node. Attempts of one client that carry the same number are one request, which takes effect
//! once (`docs/decisions/clients.md`, appends). Everything here is ground truth of the run and in
//! the order of its steps, so no clock is compared.

use crate::model::{Ask, Freshness};
use meshos_core::id::Seq;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use std::collections::BTreeMap;

/// Names one request across its attempts.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The number of a client.
    Request {
        /// The position that opened the client.
        client: u64,
        /// The client's number.
        number: u64,
    },
    /// An append without a number, by what its payload repeats.
    Tag(u64),
}

/// What an attempt asks for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Open a client.
    Open,
    /// Append.
    Append {
        /// The request, unless its payload is too short to tell it from others.
        key: Option<Key>,
        /// What the payload repeats.
        tag: u64,
        /// Length of the payload.
        bytes: u32,
        /// Acknowledged when durable on the leader already.
        local: bool,
    },
    /// Read.
    Read {
        /// The first position wanted.
        from: Seq,
        /// How fresh.
        freshness: Freshness,
        /// Most bytes wanted.
        bytes_max: u32,
    },
    /// Hand leadership over.
    Transfer,
}

impl Asked {
    /// What `ask` asks for; `None` for what is never answered.
    pub fn of(ask: &Ask) -> Option<Self> {
        Some(match *ask {
            Ask::Open {} => Self::Open,
            Ask::Append {
                client,
                number,
                tag,
                bytes,
                local,
            } => {
                let tagged = (bytes >= 8).then_some(Key::Tag(tag));
                let key = client.map(|client| Key::Request { client, number });
                Self::Append {
                    key: key.or(tagged),
                    tag,
                    bytes,
                    local,
                }
            }
            Ask::Read {
                freshness,
                from,
                bytes_max,
            } => Self::Read {
                from: Seq::new(from),
                freshness,
                bytes_max,
            },
            Ask::Transfer { .. } => Self::Transfer,
            Ask::HandOver {} => return None,
        })
    }

    /// The request that the attempt is one of.
    pub fn key(&self) -> Option<Key> {
        match self {
            Self::Append { key, .. } => *key,
            Self::Open | Self::Read { .. } | Self::Transfer => None,
        }
    }
}

/// One request that a node took in.
#[derive(Copy, Clone, Debug)]
pub struct Invocation {
    /// Who took it in.
    pub node: NodeIndex,
    /// The chain, by its place in the genesis.
    pub chain: u16,
    /// What is asked.
    pub asked: Asked,
    /// True time.
    pub invoked: Instant,
    /// Everything below this position had been acknowledged or read before.
    pub horizon: Seq,
}

/// The attempts that wait for their answer.
#[derive(Clone, Debug, Default)]
pub struct History {
    open: BTreeMap<u64, Invocation>,
}

impl History {
    /// A node takes in a request; the attempt that had the ticket before, if one waits.
    pub fn begin(&mut self, ticket: u64, attempt: Invocation) -> Option<Invocation> {
        self.open.insert(ticket, attempt)
    }

    /// A node answers; `None` when nobody waits for it there.
    pub fn end(&mut self, ticket: u64, node: NodeIndex) -> Option<Invocation> {
        let waits = self.open.get(&ticket)?.node == node;
        if waits {
            self.open.remove(&ticket)
        } else {
            None
        }
    }

    /// A node died: its attempts are never answered.
    pub fn lose(&mut self, node: NodeIndex) -> Vec<Invocation> {
        let lost = self.open.values().filter(|attempt| attempt.node == node);
        let lost = lost.copied().collect();
        self.open.retain(|_, attempt| attempt.node != node);
        lost
    }

    /// What waits, by ticket.
    pub fn open(&self) -> impl Iterator<Item = (u64, &Invocation)> {
        self.open.iter().map(|(ticket, attempt)| (*ticket, attempt))
    }
}
