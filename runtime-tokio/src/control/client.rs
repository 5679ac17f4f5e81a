//! The client's end of the control socket.

use super::{Answered, Ask, Asked, Reply, codec};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no node listens on {path}: {source}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The connection broke with the question under way; it may have had an effect.
    #[error("the connection to the node broke: {0}")]
    Broken(#[from] io::Error),
    /// The node said nothing in time; the question may have had an effect.
    #[error("the node did not answer in time")]
    Timeout,
    /// It answers another question.
    #[error("the node answered another question")]
    Other,
    /// What came is no answer.
    #[error("the node's answer cannot be read: {0}")]
    Garbled(#[from] postcard::Error),
}

/// A connection to one node, with one question under way at a time.
#[derive(Debug)]
pub struct Client {
    wire: Framed<UnixStream, LengthDelimitedCodec>,
    asked: u64,
}

impl Client {
    /// Connects to the node that listens on `path`.
    ///
    /// # Errors
    /// When nobody does.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).await;
        let stream = stream.map_err(|source| ClientError::Connect {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            wire: Framed::new(stream, codec()),
            asked: 0,
        })
    }

    /// Asks, and waits for the answer for at most `patience`. After an error the connection is of
    /// no further use.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&mut self, ask: Ask, patience: Duration) -> Result<Reply, ClientError> {
        self.asked += 1;
        let number = self.asked;
        let frame = postcard::to_allocvec(&Asked { number, ask })?;
        let exchange = async {
            self.wire.send(Bytes::from(frame)).await?;
            while let Some(frame) = self.wire.next().await {
                let answered: Answered = postcard::from_bytes(&frame?)?;
                if answered.number == number {
                    return Ok(answered.answer);
                }
            }
            Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
        };
        match timeout(patience, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Timeout),
        }
    }
}
