//! The client's end of the control socket.

use super::{Answered, Ask, Asked, Reply, codec};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens, or not to this user.
    #[error("{}", unreached(path, source))]
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
    /// The node takes no question yet, for this reason.
    #[error("the node does not serve yet: {0}")]
    Refused(String),
    /// It answers another question.
    #[error("the node answered another question")]
    Other,
    /// What came is no answer.
    #[error("the node's answer cannot be read: {0}")]
    Garbled(#[from] postcard::Error),
}

impl ClientError {
    /// Whether there is no node at all where it was looked for.
    pub fn is_nobody(&self) -> bool {
        let Self::Connect { source, .. } = self else {
            return false;
        };
        [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&source.kind())
    }
}

fn unreached(path: &Path, source: &io::Error) -> String {
    let path = path.display();
    if source.kind() == io::ErrorKind::PermissionDenied {
        return format!("{path}: {source}; ask as the user who runs the node");
    }
    format!("no node listens on {path}: {source}; `meshosd run` starts one")
}

/// A node from which nothing is heard for this long is asked for a sign of life; after as long again
/// it is taken for one that hangs.
const SILENCE: Duration = Duration::from_millis(500);

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

    /// Asks, and waits for the answer for at most `patience`; less when the node says nothing at
    /// all, not even that it lives. After an error the connection is of no further use.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&mut self, ask: Ask, patience: Duration) -> Result<Reply, ClientError> {
        let asked = Instant::now();
        let is_probe = matches!(ask, Ask::Status | Ask::Ping);
        let number = self.send(ask).await?;
        let mut probed = is_probe;
        loop {
            let left = patience.saturating_sub(asked.elapsed());
            let wait = if is_probe { left } else { left.min(SILENCE) };
            match timeout(wait, self.wire.next()).await {
                Ok(Some(frame)) => {
                    let answered: Answered = postcard::from_bytes(&frame?)?;
                    if answered.number == number {
                        return Ok(answered.answer);
                    }
                    probed = is_probe;
                }
                Ok(None) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Err(_) if probed || wait == left => return Err(ClientError::Timeout),
                Err(_) => {
                    self.send(Ask::Ping).await?;
                    probed = true;
                }
            }
        }
    }

    /// Sends a question, and returns its number.
    async fn send(&mut self, ask: Ask) -> Result<u64, ClientError> {
        self.asked += 1;
        let number = self.asked;
        let frame = postcard::to_allocvec(&Asked { number, ask })?;
        // The socket takes at least what a node that hangs has not read yet, up to its buffer.
        let sent = timeout(SILENCE, self.wire.send(Bytes::from(frame))).await;
        sent.map_err(|_| ClientError::Timeout)??;
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshos_core::client::{Answer, Ask as ChainAsk, ClientRequest};
    use meshos_core::id::ChainId;
    use tokio::net::UnixListener;

    fn question() -> Ask {
        Ask::Chain(ClientRequest {
            chain: ChainId::of("orders"),
            ask: ChainAsk::OpenClient,
        })
    }

    /// A node that takes a connection and what is asked, and answers nothing, like one whose
    /// process is stopped, until it has been asked `until` questions.
    async fn hung_until(path: &Path, until: u64) -> Result<Reply, ClientError> {
        let listener = UnixListener::bind(path).unwrap();
        let node = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut wire = Framed::new(stream, codec());
            loop {
                let asked = wire.next().await.unwrap().unwrap();
                let asked: Asked = postcard::from_bytes(&asked).unwrap();
                assert!(
                    asked.number == 1 || asked.ask == Ask::Ping,
                    "a probe is light"
                );
                let (number, answer) = match asked.number {
                    last if last == until => (1, Reply::Chain(Answer::Unknown)),
                    other => (other, Reply::Alive),
                };
                if until > 0 && asked.number > 1 {
                    let answered = postcard::to_allocvec(&Answered { number, answer });
                    let frame = Bytes::from(answered.unwrap());
                    wire.send(frame).await.unwrap();
                }
            }
        };
        let mut client = Client::connect(path).await.unwrap();
        tokio::select! {
            reply = client.ask(question(), Duration::from_secs(60)) => reply,
            () = node => unreachable!("the node listens for ever"),
        }
    }

    #[tokio::test]
    async fn a_node_that_does_not_serve_yet_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.sock");
        let socket = crate::control::bind(&path).unwrap();
        let mut client = Client::connect(&path).await.unwrap();
        for asked in [Ask::Status, question()] {
            let reply = tokio::select! {
                reply = client.ask(asked, Duration::from_secs(60)) => reply.unwrap(),
                () = socket.refuse("it waits", 1_000) => unreachable!("it listens for ever"),
            };
            assert_eq!(reply, Reply::Refused("it waits".to_owned()));
            client = Client::connect(&path).await.unwrap();
        }
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_says_nothing_is_given_up_before_patience_ends() {
        let directory = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let reply = hung_until(&directory.path().join("silent"), 0).await;
        assert!(matches!(reply, Err(ClientError::Timeout)), "{reply:?}");
        assert!(begun.elapsed() <= SILENCE * 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_says_that_it_lives_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let reply = hung_until(&directory.path().join("slow"), 9).await;
        assert_eq!(reply.unwrap(), Reply::Chain(Answer::Unknown));
        assert!(begun.elapsed() >= SILENCE * 7);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_ever_is_answered() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node");
        let listener = UnixListener::bind(&path).unwrap();
        let mut client = Client::connect(&path).await.unwrap();
        let node = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut wire = Framed::new(stream, codec());
            wire.next().await.unwrap().unwrap();
            let answered = Answered {
                number: 1,
                answer: Reply::Alive,
            };
            let frame = postcard::to_allocvec(&answered).unwrap();
            wire.send(Bytes::from(frame)).await.unwrap();
        };
        let asked = client.ask(Ask::Ping, Duration::from_secs(u64::MAX));
        let (reply, ()) = tokio::join!(asked, node);
        assert_eq!(reply.unwrap(), Reply::Alive);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_is_the_longest_wait_whatever_the_node_says() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node");
        let listener = UnixListener::bind(&path).unwrap();
        let mut client = Client::connect(&path).await.unwrap();
        let begun = Instant::now();
        let silent = client.ask(Ask::Status, Duration::from_secs(5));
        assert!(matches!(silent.await, Err(ClientError::Timeout)));
        assert_eq!(begun.elapsed().as_secs(), 5);
        drop(listener);
    }

    #[test]
    fn a_socket_of_another_user_is_not_said_to_be_without_a_node() {
        let told = |kind: io::ErrorKind| {
            let (path, source) = ("node.sock".into(), kind.into());
            ClientError::Connect { path, source }.to_string()
        };
        let denied = told(io::ErrorKind::PermissionDenied);
        assert_eq!(
            denied,
            "node.sock: permission denied; ask as the user who runs the node"
        );
        assert!(told(io::ErrorKind::NotFound).starts_with("no node listens on node.sock"));
    }
}
