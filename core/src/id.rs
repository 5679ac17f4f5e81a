//! Every identity and every count that could be mistaken for another (D1).

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name($inner);

        impl $name {
            /// Wraps a raw value.
            pub const fn new(raw: $inner) -> Self {
                Self(raw)
            }

            /// The raw value.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

newtype! {
    /// A node, named once and never reused.
    NodeId(u64)
}
newtype! {
    /// A formatted store: drawn at random by the driver when it formats (D1).
    StoreId(u128)
}
newtype! {
    /// One formatting of a store, drawn at random by the driver: a store that is formatted anew
    /// under its old id has another one.
    FormatNonce(u64)
}
newtype! {
    /// How many times a store has been booted; durable before the first action of the run.
    Incarnation(u64)
}
newtype! {
    /// One run of a store: two boots that count to the same incarnation have different ones.
    RunNonce(u64)
}
newtype! {
    /// One deployment, minted once: two that are made from one template have different ones.
    DeploymentId(u128)
}
newtype! {
    /// A cluster: the leading bytes of BLAKE3 over its genesis.
    ClusterId(u128)
}
newtype! {
    /// What the chains of a cluster keep and where they are pinned: the leading bytes of BLAKE3.
    PolicyId(u64)
}
newtype! {
    /// Which creation of a chain's name is meant; another one never has an effect (D10).
    Gen(u64)
}
newtype! {
    /// Which membership of one store in one chain is meant; 1 for a founding member (D1).
    Replica(u32)
}
newtype! {
    /// A position in a chain. As an end it is exclusive: a log with end 5 holds 0..=4.
    Seq(u64)
}
newtype! {
    /// The client's own count of its requests, from 1 (D15).
    RequestNumber(u64)
}
newtype! {
    /// The driver's name for one client request to this run of this node.
    Ticket(u64)
}
newtype! {
    /// A run's own count of its operations on the store, from 1.
    OpNumber(u64)
}
newtype! {
    /// A run's own count of its questions to peers, from 1.
    AttemptNumber(u64)
}
newtype! {
    /// A run's own count of its heartbeats to one peer, from 1.
    HeartbeatNumber(u64)
}
newtype! {
    /// A follower's own count of its pulls, from 1.
    PullNumber(u64)
}

impl Seq {
    /// The first position of every chain.
    pub const ZERO: Self = Self(0);

    /// The next position.
    ///
    /// # Panics
    /// At the end of the sequence space, which no chain reaches.
    pub const fn next(self) -> Self {
        Self(
            self.0
                .checked_add(1)
                .expect("a chain holds fewer than 2^64 entries"),
        )
    }

    /// The position before, if there is one.
    pub const fn before(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// How many positions lie in `from..self`; zero when `from` is not before.
    pub const fn distance(self, from: Self) -> u64 {
        self.0.saturating_sub(from.0)
    }
}

/// Numbers that are counted.
macro_rules! counted {
    ($($name:ident),*) => {$(
        impl $name {
            /// Counts one up and returns the new value; the first value ever returned is 1.
            pub fn advance(&mut self) -> Self {
                self.0 = self.0.saturating_add(1);
                *self
            }
        }
    )*};
}

counted!(OpNumber, AttemptNumber, HeartbeatNumber, PullNumber);

/// A chain, by its name: the first 8 bytes of BLAKE3 over the name, never 0 (D10).
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ChainId(u64);

impl ChainId {
    /// The id of the chain called `name`.
    pub fn of(name: &str) -> Self {
        let hash = blake3::hash(name.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        Self(u64::from_le_bytes(first).max(1))
    }

    /// The chain with this raw value, as it stands in a file.
    pub(crate) const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The raw value.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A leadership: a count and the node that led it (D13).
///
/// In Quorum mode epochs are compared by `n` alone, so this type has no order of its own there;
/// the derived one serves as a map key.
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Epoch {
    /// 1 + the highest count seen when the leadership was sought; 0 before the first one.
    pub n: u64,
    /// The node that sought it, the author of its entries.
    pub node: NodeId,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.n, self.node)
    }
}

/// One member of a chain: a store of a node under one membership number (D1).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// Its store.
    pub store: StoreId,
    /// Which membership of that store.
    pub replica: Replica,
}

/// One run of a node.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The node.
    pub node: NodeId,
    /// The store it runs on.
    pub store: StoreId,
    /// Which boot of that store.
    pub incarnation: Incarnation,
}

/// One ordered operation on the store, answered exactly once by `Event::Done`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpId {
    /// The run that ordered it, so that an answer from before a restart is never mistaken.
    pub incarnation: Incarnation,
    /// Its number within the run, from 1.
    pub number: OpNumber,
}

/// One question to a peer, named by the run that asks; the answer repeats it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The asker's run.
    pub incarnation: Incarnation,
    /// Its number within the run, from 1.
    pub number: AttemptNumber,
}

/// A client of a chain: the position of the entry that opened it, so ids never recur (D15).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub Seq);
