//! The node's end of the control socket.

use super::{Answered, Ask, Asked, Reply, codec, questions};
use crate::rarely::Rarely;
use crate::requests::PendingRequests;
use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, SinkExt, StreamExt};
use meshos_core::client::{Answer, ClientRequest};
use meshos_core::wire::check_client;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::sync::oneshot::Receiver;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::codec::{FramedRead, FramedWrite};

/// Most questions of one connection that wait for their answers; more are left in the socket.
const IN_FLIGHT_MAX: usize = 1024;

/// Most connections at a time; the longest idle one makes room for one more. Together with the files of the store and the connections of peers
/// they stay below 1024 descriptors, the usual limit: a store that cannot open a file has failed.
const CONNECTIONS_MAX: usize = 256;

/// A bound control socket, which is removed when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    listener: UnixListener,
}

/// A control socket on which a node serves.
#[derive(Debug)]
pub struct ControlServer {
    socket: ControlSocket,
    requests: PendingRequests,
}

/// Serves on the socket at `path`, in the place of one that nobody listens on any more.
///
/// # Errors
/// When somebody does listen on it, or it cannot be bound.
pub fn serve(path: &Path, requests: PendingRequests) -> io::Result<ControlServer> {
    let socket = bind(path)?;
    Ok(ControlServer { socket, requests })
}

/// Binds the socket at `path`, in the place of one that nobody listens on any more.
///
/// # Errors
/// When somebody does listen on it, or it cannot be bound.
pub fn bind(path: &Path) -> io::Result<ControlSocket> {
    match StdUnixStream::connect(path) {
        Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        // A file that is no socket refuses connections, too.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            if !fs::symlink_metadata(path)?.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "found something that is no socket, expected a stale socket or nothing",
                ));
            }
            fs::remove_file(path)?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(ControlSocket {
        path: path.to_owned(),
        listener,
    })
}

impl ControlSocket {
    /// Answers all questions, of at most so long an entry, with `why` the node does not serve yet, for
    /// ever, one client after the other.
    pub async fn refuse(&self, why: &str, entry_bytes_max: u32) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            // The next one waits for a client that asks nothing.
            let _ = timeout(REFUSED_MAX, refuse(stream, why, entry_bytes_max)).await;
        }
    }
}

async fn refuse(stream: UnixStream, why: &str, entry_bytes_max: u32) {
    let (source, sink) = stream.into_split();
    let mut source = FramedRead::new(source, questions(entry_bytes_max));
    let mut sink = FramedWrite::new(sink, codec());
    while let Some(Ok(frame)) = source.next().await {
        let Ok(Asked { number, .. }) = postcard::from_bytes(&frame) else {
            return;
        };
        let answer = Reply::Refused(why.to_owned());
        let Ok(frame) = postcard::to_allocvec(&Answered { number, answer }) else {
            return;
        };
        if sink.send(Bytes::from(frame)).await.is_err() {
            return;
        }
    }
}

/// How long a client is attended of a node that does not serve yet.
const REFUSED_MAX: Duration = Duration::from_secs(1);

impl ControlServer {
    /// Runs for ever.
    pub async fn run(self) {
        let mut clients = Clients::default();
        // The one that there is no room for yet.
        let mut next: Option<UnixStream> = None;
        let failed = Rarely::default();
        loop {
            if let Some(stream) = next.take_if(|_| clients.make_room()) {
                clients.attend(stream, self.requests.clone());
            }
            tokio::select! {
                accepted = self.socket.listener.accept(), if next.is_none() => {
                    match accepted {
                        Ok((stream, _)) => next = Some(stream),
                        Err(error) => {
                            if let Some(unsaid) = failed.may() {
                                tracing::warn!(%error, unsaid, "cannot accept a client");
                            }
                            sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
                Some(ended) = clients.tasks.join_next_with_id(), if !clients.tasks.is_empty() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    clients.waits.remove(&id);
                }
                () = clients.idled.notified(), if next.is_some() => {}
            }
        }
    }
}

/// The connections of clients.
#[derive(Default)]
struct Clients {
    tasks: JoinSet<()>,
    waits: BTreeMap<Id, (Arc<Wait>, AbortHandle)>,
    /// Some connection waits for its client now.
    idled: Arc<Notify>,
    /// Clients were dropped for their questions.
    dropped: Arc<Rarely>,
}

impl Clients {
    fn attend(&mut self, stream: UnixStream, requests: PendingRequests) {
        let wait = Arc::new(Wait {
            since: Mutex::new(Some(Instant::now())),
            idled: Arc::clone(&self.idled),
            dropped: Arc::clone(&self.dropped),
        });
        let task = attend(stream, requests, Arc::clone(&wait));
        let handle = self.tasks.spawn(task);
        self.waits.insert(handle.id(), (wait, handle));
    }

    /// Whether there is room for one more, which the one whose client has been idle for longest
    /// may have to make. One that the node owes an answer stays.
    fn make_room(&mut self) -> bool {
        if self.waits.len() < CONNECTIONS_MAX {
            return true;
        }
        let waits = self.waits.iter();
        let idle = waits.filter_map(|(id, (wait, _))| Some((wait.since()?, *id)));
        let oldest = idle.min().and_then(|(_, id)| self.waits.remove(&id));
        oldest.inspect(|(_, task)| task.abort()).is_some()
    }
}

/// Since when a connection waits for its client: to ask, or to take an answer.
struct Wait {
    since: Mutex<Option<Instant>>,
    idled: Arc<Notify>,
    dropped: Arc<Rarely>,
}

impl Wait {
    fn since(&self) -> Option<Instant> {
        *self.since.lock().expect("no holder of the time panics")
    }

    fn set(&self, since: Option<Instant>) {
        *self.since.lock().expect("no holder of the time panics") = since;
        if since.is_some() {
            self.idled.notify_one();
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Left behind, the next start replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Says that a client is dropped for its question: anybody may connect anew and ask it again.
fn drop_client(dropped: &Rarely, what: &str) {
    if let Some(unsaid) = dropped.may() {
        tracing::warn!(unsaid, "a question is {what}, client dropped");
    }
}

/// Asks what a client can have meant, and nothing else: what the node cannot store or forward would
/// take it down.
fn ask_node(
    requests: &PendingRequests,
    request: ClientRequest,
) -> Result<Receiver<Answer>, String> {
    check_client(&request).map_err(|unsound| unsound.to_string())?;
    requests.ask(request).map_err(|refused| refused.to_string())
}

async fn attend(stream: UnixStream, requests: PendingRequests, wait: Arc<Wait>) {
    let (source, sink) = stream.into_split();
    let mut source = FramedRead::new(source, questions(requests.entry_bytes_max()));
    let mut sink = FramedWrite::new(sink, codec());
    let mut waiting = FuturesUnordered::new();
    // One at a time: with many chains each is large, and a client need not take what it asked for.
    let mut is_looking = false;
    loop {
        wait.set(waiting.is_empty().then(Instant::now));
        let answered = tokio::select! {
            frame = source.next(), if waiting.len() < IN_FLIGHT_MAX && !is_looking => {
                let frame = match frame {
                    Some(Ok(frame)) => frame,
                    Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                        return drop_client(&wait.dropped, "too long");
                    }
                    Some(Err(_)) | None => return,
                };
                let Ok(Asked { number, ask }) = postcard::from_bytes(&frame) else {
                    return drop_client(&wait.dropped, "undecodable");
                };
                match ask {
                    Ask::Status => {
                        let requests = requests.clone();
                        let status = async move { requests.status().await.map(Box::new) };
                        let reply = status.map(move |status| (number, status.map(Reply::Status)));
                        waiting.push(reply.boxed());
                        is_looking = true;
                        continue;
                    }
                    Ask::Ping => {
                        let requests = requests.clone();
                        let pong = async move { requests.ping().await };
                        let reply = pong.map(move |pong| (number, pong.map(|()| Reply::Alive)));
                        waiting.push(reply.boxed());
                        continue;
                    }
                    Ask::Chain(request) => match ask_node(&requests, request) {
                        Ok(receiver) => {
                            let reply = receiver.map(move |answer| {
                                (number, answer.ok().map(Reply::Chain))
                            });
                            waiting.push(reply.boxed());
                            continue;
                        }
                        Err(refused) => Answered { number, answer: Reply::Refused(refused) },
                    },
                }
            }
            Some((number, answer)) = waiting.next(), if !waiting.is_empty() => {
                // Without an answer the node is going down; the client learns it by the end of
                // the connection, and that its attempt may have had an effect.
                let Some(answer) = answer else { return };
                is_looking &= !matches!(answer, Reply::Status(_));
                Answered { number, answer }
            }
        };
        let Ok(frame) = postcard::to_allocvec(&answered) else {
            return;
        };
        wait.set(Some(Instant::now()));
        if sink.send(Bytes::from(frame)).await.is_err() {
            return;
        }
    }
}
