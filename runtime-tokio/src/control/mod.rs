//! The unix socket through which clients on the same machine talk to a node.
//!
//! Each frame is a length and a postcard value: an [`Asked`] one way, an [`Answered`] with the
//! same number the other way, in any order. The socket belongs to the user that runs the node. Of too
//! many connections the one ends whose client has been idle for longest: nothing
//! that it asked is open.

mod client;
mod server;

pub use client::{Client, ClientError};
pub use server::{ControlServer, ControlSocket, bind, serve};

use crate::requests::Status;
use meshos_core::client::{Answer, ClientRequest};
use serde::{Deserialize, Serialize};
use tokio_util::codec::LengthDelimitedCodec;

/// A question, with the number that its answer repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Chosen by the client.
    pub number: u64,
    /// The question.
    pub ask: Ask,
}

/// What a client may ask of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Something of a chain.
    Chain(ClientRequest),
    /// What the node says of itself.
    Status,
    /// A sign of life, between two of its steps.
    Ping,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Of which question.
    pub number: u64,
    /// The answer.
    pub answer: Reply,
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// How the attempt ended.
    Chain(Answer),
    /// What the node says of itself.
    Status(Box<Status>),
    /// The node did not take the question, for this reason, or none yet; nothing came of it.
    Refused(String),
    /// The node steps.
    Alive,
}

/// Largest answer: to a read it is the largest there is, and stays far below.
const ANSWER_BYTES_MAX: usize = 512 << 20;

/// Largest question beside the payload of an append.
const QUESTION_BYTES_MAX: usize = 1024;

/// What a client sends and takes: it may ask what the node finds too large, and is cut off then.
fn codec() -> LengthDelimitedCodec {
    bounded(ANSWER_BYTES_MAX)
}

/// What a node takes that stores entries of `entry_bytes_max`. Anybody may open many connections, so
/// no frame that is longer is even begun.
fn questions(entry_bytes_max: u32) -> LengthDelimitedCodec {
    bounded(entry_bytes_max as usize + QUESTION_BYTES_MAX)
}

fn bounded(bytes_max: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(bytes_max)
        .new_codec()
}
