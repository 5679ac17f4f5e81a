//! From a config to a node whose store is ready.
//!
//! Everything that may refuse a start is looked at before anything is written: a start that is
//! refused leaves the store as it was, and counts no boot of it.

use crate::clock::SystemClock;
use crate::config::Settings;
use crate::control;
use crate::directory::Directory;
use crate::open::{Found, OpenError, find_store, format_store, may_format};
use crate::ports::Clock;
use crate::recording;
use crate::run_error::RunError;
use crate::stop::Signals;
use crate::store::StoreExecutor;
use meshos_core::chain::peers::PeerMemory;
use meshos_core::event::Seed;
use meshos_core::hello::Greeter;
use meshos_core::id::FormatNonce;
use meshos_core::node::Node;
use meshos_core::time::Instant;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Whether a run may make a store where there is none.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Formatting {
    /// A directory without a store is a mistake.
    Refuse,
    /// The directory has to be empty and is formatted.
    Format,
}

/// A node before its first step.
pub(crate) struct Booted {
    pub(crate) node: Node,
    /// When it was made, by `clock`.
    pub(crate) now: Instant,
    pub(crate) clock: SystemClock,
    /// Who it is to its peers.
    pub(crate) greeter: Greeter,
    /// What it remembers of their stores.
    pub(crate) peers: PeerMemory,
    /// Takes its orders.
    pub(crate) executor: StoreExecutor<Directory>,
}

/// Makes the node of `settings` and its store ready for a run; `None` when a signal ended the wait
/// for space.
pub(crate) async fn boot(
    settings: &Settings,
    formatting: Formatting,
    seed: Seed,
    signals: &mut Signals,
) -> Result<Option<Booted>, RunError> {
    let (path, identity) = (&settings.file.store.path, &settings.identity);
    let recording = settings.file.recording.path.as_ref();
    if let Some(directory) = recording {
        recording::check_owner(directory, identity.node, identity.store)?;
    }
    if formatting == Formatting::Format {
        may_format(path)?;
        if let Some(directory) = recording {
            recording::check_never_ran(directory)?;
        }
        let nonce = FormatNonce::new(u64::from_le_bytes(random()?));
        let foundings = settings.foundings();
        let format = || format_store(path, identity, nonce, &foundings);
        if with_space(format, settings, signals).await?.is_none() {
            return Ok(None);
        }
        tracing::info!(path = %path.display(), "store formatted");
    }
    let limits = settings.store_limits();
    let find = || find_store(path, identity, &limits, seed.run());
    let Some(found) = with_space(find, settings, signals).await? else {
        return Ok(None);
    };
    let Found {
        boot,
        format,
        boots,
        peers,
        damage,
        mended,
        torn,
        mut repairs,
    } = found;
    if let Some(directory) = recording {
        recording::check_newest(directory, boot.incarnation)?;
    }
    let clock = SystemClock::start();
    let now = clock.now();
    let core = Arc::clone(&settings.core);
    let node = Node::new(identity.node, Arc::clone(&core), boot, seed, now)?;
    for damage in damage {
        let chain = settings.chain_of(&damage.file);
        tracing::warn!(chain, %damage, "store is not as it was written");
    }
    if !mended.is_empty() {
        let places = mended.len();
        tracing::info!(
            places,
            "damage of earlier runs is still in the files, and nothing is missing for it"
        );
    }
    for torn in torn {
        tracing::info!(%torn, "a write that was under way at a crash was cut");
    }
    let repaired = with_space(|| repairs.perform(), settings, signals).await?;
    Ok(repaired.map(|()| Booted {
        node,
        now,
        clock,
        greeter: Greeter::new(core, identity, format, boots),
        peers,
        executor: repairs.into_executor(),
    }))
}

/// Tries until there is space enough for it, as the node does for its orders when it runs, and says
/// so on the control socket meanwhile; `None` when a signal ended the wait.
async fn with_space<T>(
    mut attempt: impl FnMut() -> Result<T, OpenError>,
    settings: &Settings,
    signals: &mut Signals,
) -> Result<Option<T>, OpenError> {
    match attempt() {
        Err(error) if error.is_full() => {
            tracing::warn!(%error, "no space left on the store, waiting for more");
        }
        ended => return ended.map(Some),
    }
    let trying = async {
        loop {
            sleep(SPACE_RETRY).await;
            match attempt() {
                Err(error) if error.is_full() => {}
                ended => return ended.map(Some),
            }
        }
    };
    let refusing = async {
        // Who has the socket otherwise, the start says once there is space.
        if let Ok(socket) = control::bind(&settings.file.node.control) {
            let entry_bytes_max = settings.core.limits().entry_bytes_max;
            socket.refuse(WAITS, entry_bytes_max).await;
        }
        pending().await
    };
    tokio::select! {
        ended = trying => ended,
        ended = refusing => ended,
        () = signals.next() => Ok(None),
    }
}

/// What a node says that waits so.
const WAITS: &str = "there is no space left on its store, and its start waits for some";

/// How long a start waits before it looks again whether there is space.
const SPACE_RETRY: Duration = Duration::from_millis(500);

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
