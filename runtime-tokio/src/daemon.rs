//! One node from start to stop.

use crate::clock::SystemClock;
use crate::config::Settings;
use crate::control;
use crate::driver::Driver;
use crate::inbox;
use crate::net::{self, Backoff, Introduction, Links, Network, TcpTransport};
use crate::open::{Found, OpenError, find_store, format_store};
use crate::ports::Clock;
use crate::recording::{self, FileJournal, RecordingError};
use crate::requests::PendingRequests;
use crate::stop::{FINISH_MIN, Signals, asked_to_stop, cut_short, finish, join};
use crate::store::{Gauge, StoreThread};
use crate::tasks::Tasks;
use meshos_core::event::Seed;
use meshos_core::hello::Greeter;
use meshos_core::id::FormatNonce;
use meshos_core::node::{Node, StartError};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Why a node does not start, or stops out of order.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its store cannot be had.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Config and store do not fit.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It cannot listen for peers.
    #[error("cannot listen for peers on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It cannot listen for clients.
    #[error("cannot listen for clients on {path}: {source}")]
    Control {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Its run cannot be recorded.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Something of the system is not to be had.
    #[error("{what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A part of the node stopped by itself; the log says why.
    #[error("the {0} stopped by itself")]
    Ended(&'static str),
    /// A signal came while it waited for its disks.
    #[error("stopped by another signal before everything under way was written")]
    CutShort,
}

/// Whether a run may make a store where there is none.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Formatting {
    /// A directory without a store is a mistake.
    Refuse,
    /// The directory has to be empty and is formatted.
    Format,
}

/// Runs the node of `settings` until SIGTERM or SIGINT, and then until another node leads what
/// it led, but not longer than `node.hand_over_ms`.
///
/// # Errors
/// When the node cannot start, or a part of it fails.
pub async fn run(settings: Settings, formatting: Formatting) -> Result<(), RunError> {
    let system = |what| move |source| RunError::System { what, source };
    let mut signals = Signals::new().map_err(system("cannot handle signals"))?;
    let path = &settings.file.store.path;
    // Looked at first: a start that is refused leaves the store as it was.
    if let Some(directory) = &settings.file.recording.path {
        let identity = &settings.identity;
        recording::check_owner(directory, identity.node, identity.store)?;
    }
    match formatting {
        Formatting::Refuse => {}
        Formatting::Format => {
            let nonce = FormatNonce::new(u64::from_le_bytes(random()?));
            let foundings = settings.foundings();
            let format = || format_store(path, &settings.identity, nonce, &foundings);
            if with_space(format, &mut signals).await?.is_none() {
                return Ok(());
            }
            tracing::info!(path = %path.display(), "store formatted");
        }
    }
    let seed = seed()?;
    let limits = settings.store_limits();
    let find = || find_store(path, &settings.identity, &limits, seed.run());
    let Some(found) = with_space(find, &mut signals).await? else {
        return Ok(());
    };
    let Found {
        boot,
        format,
        boots,
        peers,
        damage,
        torn,
        mut repairs,
    } = found;
    let incarnation = boot.incarnation;
    if let Some(directory) = &settings.file.recording.path {
        recording::check_newest(directory, incarnation)?;
    }
    for damage in damage {
        tracing::warn!(%damage, "store is not as it was written");
    }
    for torn in torn {
        tracing::info!(%torn, "a write that was under way at a crash was cut");
    }
    let clock = SystemClock::start();
    let now = clock.now();
    let core = Arc::clone(&settings.core);
    let node = Node::new(settings.identity.node, Arc::clone(&core), boot, seed, now)?;
    let greeter = Greeter::new(core, &settings.identity, format, boots);
    if with_space(|| repairs.perform(), &mut signals)
        .await?
        .is_none()
    {
        return Ok(());
    }

    let table = &settings.file.recording;
    let (journal, recorder) = match (&table.path, table.payload.mode()) {
        (Some(path), Some(payloads)) => {
            let (journal, thread) = FileJournal::start(path, payloads, table, &node)?;
            (journal, Some(thread))
        }
        (None, _) | (_, None) => (FileJournal::none(), None),
    };
    let (sender, receiver) = inbox::inbox(inbox::Limits::default());
    let mut tasks = Tasks::default();
    let gauge = Gauge::default();
    let executor = repairs.into_executor();
    let started = StoreThread::start(executor, sender.clone(), gauge.clone());
    let (store, mut storing) = started.map_err(system("cannot start a thread"))?;
    let links = Links::new(&settings.peers);
    let introduction = Introduction::new(greeter, settings.identity, peers, Some(store.keeper()));
    let network = network(&settings, introduction, links.clone());
    let acceptor = net::listen(&settings.listen, network.clone(), sender.clone()).await;
    let acceptor = acceptor.map_err(|source| RunError::Listen {
        address: settings.listen.clone(),
        source,
    })?;
    let requests = PendingRequests::new(sender.clone(), &node, gauge, links);
    let leading = requests.leading();
    let socket = &settings.file.node.control;
    let control = control::serve(socket, requests.clone());
    let control = control.map_err(|source| RunError::Control {
        path: socket.display().to_string(),
        source,
    })?;
    let transport = TcpTransport::start(&network, &sender, &mut tasks);
    tasks.spawn("acceptor of peers", acceptor.run());
    tasks.spawn("control socket", control.run());
    let driver = Driver::new(
        node, now, receiver, clock, transport, store, requests, journal,
    );
    let mut driving = tokio::spawn(driver.run());
    let identity = &settings.identity;
    let (node, cluster) = (identity.node, identity.cluster.get());
    tracing::info!(%node, %incarnation, cluster = format!("{cluster:032x}"), "node is up");

    let patience = Duration::from_millis(settings.file.node.hand_over_ms);
    let ended = tokio::select! {
        () = asked_to_stop(&mut signals, &sender, leading, patience) => None,
        _ = &mut driving => Some("driver"),
        _ = &mut storing.ended => Some("store"),
        name = tasks.ended() => Some(name),
    };
    if let Some(part) = ended {
        // The event that stopped it may still wait to be written, and is the one to look at.
        driving.abort();
        if let Some(thread) = recorder {
            let _ = timeout(FINISH_MIN, join(thread, "recording")).await;
        }
        return Err(RunError::Ended(part));
    }
    sender.close();
    tokio::select! {
        finished = finish(driving, storing.thread, recorder) => finished?,
        () = cut_short(&mut signals) => return Err(RunError::CutShort),
    }
    tasks.shutdown().await;
    tracing::info!(%node, "node is down");
    Ok(())
}

/// Tries until there is space enough for it, as the node does for its orders when it runs; `None`
/// when a signal ended the wait.
async fn with_space<T>(
    mut attempt: impl FnMut() -> Result<T, OpenError>,
    signals: &mut Signals,
) -> Result<Option<T>, OpenError> {
    let mut is_told = false;
    loop {
        match attempt() {
            Err(error) if error.is_full() => {
                if !is_told {
                    tracing::warn!(%error, "no space left on the store, waiting for more");
                }
                is_told = true;
            }
            ended => return ended.map(Some),
        }
        tokio::select! {
            () = sleep(SPACE_RETRY) => {}
            () = signals.next() => return Ok(None),
        }
    }
}

/// How long a start waits before it looks again whether there is space.
const SPACE_RETRY: Duration = Duration::from_millis(500);

fn network(settings: &Settings, introduction: Introduction, links: Links) -> Network {
    Network {
        introduction: Arc::new(introduction),
        addresses: Arc::new(settings.peers.clone()),
        links,
        message_bytes_max: settings.core.limits().message_bytes_max,
        queue_messages_max: 1024,
        backoff: Backoff {
            first: Duration::from_millis(50),
            last: Duration::from_millis(500),
        },
        dial_stagger: Duration::from_millis(500),
        hello_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_secs(3),
    }
}

fn seed() -> Result<Seed, RunError> {
    random().map(Seed)
}

/// Bytes from the system's entropy.
///
/// # Errors
/// When the system has none.
pub fn random<const N: usize>() -> Result<[u8; N], RunError> {
    let mut bytes = [0; N];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(count) if count == N => Ok(bytes),
        Ok(_) => Err(RunError::Ended("entropy source")),
        Err(error) => Err(RunError::System {
            what: "no entropy",
            source: error.into(),
        }),
    }
}
