//! Connections: links that keep order, and break.
//!
//! Each node dials every other one, once for each lane of its messages, and sends on what it
//! dialled; it receives on what the others dialled. A connection hides loss, duplication and
//! reordering as TCP does: what is lost is sent again later, and what is behind it waits. It breaks
//! when an end crashes, when its receiver cannot read what arrives, or when it carried nothing for
//! too long; everything on its way is lost then, and its dialler tries again and again.
//!
//! This file has what a plan and a machine know of it; [`streams`] has the state that the engine
//! keeps, and `world/connecting.rs` what happens to it.

mod streams;

pub(crate) use streams::{Dial, Happening, Parcel, Place, Streams, WORK};

use crate::node::NodeIndex;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How the connections of a run behave.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Pause before the second attempt to dial, doubled each time.
    pub pause_ms_first: u64,
    /// The longest pause between two attempts.
    pub pause_ms_last: u64,
    /// Time after which an attempt that is not answered is repeated, again and again.
    pub again_ms: u64,
    /// How long an attempt may go without an answer.
    pub answer_ms_max: u64,
    /// How long a connection may carry nothing of what it was given before it is given up.
    pub stall_ms_max: u64,
    /// How many bytes may wait or be on their way in a connection; what does not fit is lost.
    pub queue_bytes_max: u64,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            pause_ms_first: 50,
            pause_ms_last: 500,
            again_ms: 500,
            answer_ms_max: 5_000,
            stall_ms_max: 3_000,
            queue_bytes_max: 8 << 20,
        }
    }
}

impl Connections {
    /// The pause after `failures` failures in a row, in nanoseconds.
    pub(crate) fn pause(&self, failures: u32) -> u64 {
        let factor = 1_u64.checked_shl(failures).unwrap_or(u64::MAX);
        let ms = self.pause_ms_first.saturating_mul(factor);
        ms.min(self.pause_ms_last).saturating_mul(MS)
    }
}

/// Nanoseconds of a millisecond.
pub(crate) const MS: u64 = 1_000_000;

/// Which end of a connection a node is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// It dialled, and sends.
    Dialled,
    /// It was dialled, and receives.
    Accepted,
}

/// What a node learns of one of its connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notice {
    /// The node at the other end.
    pub peer: NodeIndex,
    /// The lane whose messages it carries.
    pub lane: u8,
    /// Which end this node is.
    pub end: End,
    /// What happened.
    pub news: News,
}

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// It is made.
    Up {
        /// What the other end said of itself.
        hello: Arc<[u8]>,
    },
    /// It broke, and what was on its way is lost.
    Broken(Break),
    /// Nobody listens at the other end: its process is gone, its host is not.
    Refused,
    /// The attempt was not answered in time.
    Silent,
    /// One of the ends will not talk to the other, for a reason that it gives.
    Unfit {
        /// The end that refuses.
        by: NodeIndex,
        /// Its reason.
        reason: Arc<str>,
        /// What the other end said of itself.
        hello: Arc<[u8]>,
    },
}

/// Why a connection broke.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Break {
    /// The other end closed it or knows nothing of it.
    Reset,
    /// It carried nothing for too long.
    Stalled,
    /// What arrived cannot be read.
    Unreadable,
    /// The other end dialled anew.
    Replaced,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.end {
            End::Dialled => "to",
            End::Accepted => "from",
        };
        write!(f, "{way} {}", self.peer)?;
        if self.lane > 0 {
            write!(f, " lane {}", self.lane)?;
        }
        match &self.news {
            News::Up { .. } => write!(f, " up"),
            News::Broken(cause) => write!(f, " broken: {cause}"),
            News::Refused => write!(f, " refused: nobody listens"),
            News::Silent => write!(f, " not answered"),
            News::Unfit { by, reason, .. } => write!(f, " refused by {by}: {reason}"),
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "reset",
            Self::Stalled => "stalled",
            Self::Unreadable => "unreadable",
            Self::Replaced => "replaced",
        })
    }
}

impl Notice {
    /// A number that tells it from others, for the digest of a run.
    pub(crate) fn word(&self) -> u64 {
        let what = match &self.news {
            News::Up { hello } => 1 ^ crate::digest::digest_bytes(hello) << 8,
            News::Broken(cause) => 2 | (*cause as u64) << 8,
            News::Refused => 3,
            News::Silent => 4,
            News::Unfit { by, reason, .. } => {
                5 ^ crate::digest::digest_bytes(reason.as_bytes()) << 8 ^ u64::from(by.0) << 3
            }
        };
        what.rotate_left(32)
            ^ u64::from(self.peer.0) << 8
            ^ u64::from(self.lane) << 1
            ^ self.end as u64
    }
}
