//! The first frames of a connection: who talks to whom, and whether they will.
//!
//! The dialling end says its hello and which lane the connection is for. The accepting end judges
//! it, and answers with its own hello or with the reason for which it refuses. The dialling end
//! judges that, and says so. So each end knows the other's reason.

use super::{Introduction, frames};
use meshos_core::hello::{Hello, HelloError as Unreadable, Refused};
use meshos_core::id::{Incarnation, NodeId};
use meshos_core::message::Lane;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};

/// No frame of a hello is longer.
const FRAME_BYTES_MAX: usize = 4096;

/// What is said after the first hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Answer {
    /// The accepting end will talk, and this is its own hello.
    Hello(Vec<u8>),
    /// The dialling end will talk, too.
    Accepted,
    /// The connection is of no use, for this reason.
    Refused(String),
}

/// Why two nodes do not talk.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// There is no connection to begin with.
    #[error("cannot be reached: {0}")]
    Unreached(io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The other end took too long.
    #[error("the other end did not answer in time")]
    Timeout,
    /// What came is no hello of this version.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// What came is no answer to a hello.
    #[error("expected an answer to a hello")]
    Garbled,
    /// Another node answers than the one that was dialled.
    #[error("node {found} answers where node {expected} was dialled")]
    OtherNode {
        /// Who answers.
        found: NodeId,
        /// Who was dialled.
        expected: NodeId,
    },
    /// This node refuses the other.
    #[error("{0}")]
    Refused(Refused),
    /// The other node refuses this one, for the reason that it says.
    #[error("{0}")]
    RefusedByPeer(String),
}

impl HelloError {
    /// The reason, when one of the two will not talk to the other.
    pub(super) fn refusal(&self) -> Option<String> {
        match self {
            Self::Refused(_) | Self::RefusedByPeer(_) | Self::OtherNode { .. } => {
                Some(self.to_string())
            }
            Self::Unreadable(Unreadable::Protocol { .. }) => Some(self.to_string()),
            Self::Unreached(_)
            | Self::Io(_)
            | Self::Timeout
            | Self::Unreadable(_)
            | Self::Garbled => None,
        }
    }
}

/// Who is at the other end of a connection that was accepted, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) node: NodeId,
    pub(super) lane: Lane,
}

/// Introduces this node to the node `to` on a connection that was just dialled; tells which run of
/// it is there.
pub(super) async fn introduce<S>(
    stream: &mut S,
    introduction: &Introduction,
    to: NodeId,
    lane: Lane,
) -> Result<Incarnation, HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut said = introduction.hello(to).encode();
    said.push(code(lane));
    frames::write(stream, &said).await?;
    let hello = match hear(stream).await? {
        Answer::Hello(bytes) => Hello::decode(&bytes)?,
        Answer::Refused(reason) => return Err(HelloError::RefusedByPeer(reason)),
        Answer::Accepted => return Err(HelloError::Garbled),
    };
    if hello.from.node != to {
        return Err(HelloError::OtherNode {
            found: hello.from.node,
            expected: to,
        });
    }
    if let Err(refused) = introduction.judge(&hello) {
        say(stream, &Answer::Refused(refused.to_string())).await?;
        return Err(HelloError::Refused(refused));
    }
    introduction.learn(&hello);
    say(stream, &Answer::Accepted).await?;
    Ok(hello.from.incarnation)
}

/// Learns who dialled, and tells that node whether it may go on. With the error comes the node
/// that said hello, as far as it did.
pub(super) async fn receive<S>(
    stream: &mut S,
    introduction: &Introduction,
) -> Result<Caller, (Option<NodeId>, HelloError)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let nobody = |error: io::Error| (None, HelloError::from(error));
    let said = frames::read(stream, FRAME_BYTES_MAX)
        .await
        .map_err(nobody)?;
    let (hello, lane) = match said.split_last() {
        Some((lane, hello)) => (Hello::decode(hello), lane_of(*lane)),
        None => (Err(Unreadable::Malformed), None),
    };
    let (hello, lane) = match (hello, lane) {
        (Ok(hello), Some(lane)) => (hello, lane),
        (Err(error), _) => {
            say(stream, &Answer::Refused(error.to_string()))
                .await
                .map_err(|error| (None, error))?;
            return Err((None, error.into()));
        }
        (Ok(_), None) => return Err((None, HelloError::Garbled)),
    };
    let node = hello.from.node;
    let named = |error| (Some(node), error);
    if let Err(refused) = introduction.judge(&hello) {
        let answer = Answer::Refused(refused.to_string());
        say(stream, &answer).await.map_err(named)?;
        return Err(named(HelloError::Refused(refused)));
    }
    let own = Answer::Hello(introduction.hello(node).encode());
    say(stream, &own).await.map_err(named)?;
    match hear(stream).await.map_err(named)? {
        Answer::Accepted => {
            introduction.learn(&hello);
            Ok(Caller { node, lane })
        }
        Answer::Refused(reason) => Err(named(HelloError::RefusedByPeer(reason))),
        Answer::Hello(_) => Err(named(HelloError::Garbled)),
    }
}

const fn code(lane: Lane) -> u8 {
    match lane {
        Lane::Control => 0,
        Lane::Bulk => 1,
    }
}

const fn lane_of(code: u8) -> Option<Lane> {
    match code {
        0 => Some(Lane::Control),
        1 => Some(Lane::Bulk),
        _ => None,
    }
}

async fn say<S>(stream: &mut S, answer: &Answer) -> Result<(), HelloError>
where
    S: AsyncWrite + Unpin,
{
    let bytes = postcard::to_allocvec(answer).map_err(|_| HelloError::Garbled)?;
    Ok(frames::write(stream, &bytes).await?)
}

async fn hear<S>(stream: &mut S) -> Result<Answer, HelloError>
where
    S: AsyncRead + Unpin,
{
    let frame = frames::read(stream, FRAME_BYTES_MAX).await?;
    postcard::from_bytes(&frame).map_err(|_| HelloError::Garbled)
}
