//! One node from start to stop.

use crate::boot::{Booted, Formatting, boot, random};
use crate::config::Settings;
use crate::control;
use crate::driver::Driver;
use crate::inbox;
use crate::net::{self, Acceptor, Backoff, Introduction, Links, Network, TcpTransport};
use crate::recording::FileJournal;
use crate::requests::PendingRequests;
use crate::run_error::RunError;
use crate::stop::{FINISH_MIN, Signals, asked_to_stop, command, cut_short, finish, join};
use crate::store_gauge::Gauge;
use crate::store_threads::StoreThreads;
use crate::tasks::Tasks;
use meshos_core::event::{Input, Seed};
use meshos_core::node::Node;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::timeout;

/// Runs the node of `settings` until SIGTERM or SIGINT, and then until another node leads what
/// it led, but not longer than `node.hand_over_ms`.
///
/// # Errors
/// When the node cannot start, or a part of it fails.
pub async fn run(settings: Settings, formatting: Formatting) -> Result<(), RunError> {
    let system = |what| move |source| RunError::System { what, source };
    let mut signals = Signals::new().map_err(system("cannot handle signals"))?;
    let seed = Seed(random()?);
    let Some(booted) = boot(&settings, formatting, seed, &mut signals).await? else {
        return Ok(());
    };
    let Booted {
        node,
        now,
        clock,
        greeter,
        peers,
        executor,
    } = booted;
    let incarnation = node.me().incarnation;

    let (journal, recorder) = record(&settings, &node)?;
    let (sender, receiver) = inbox::inbox(inbox::Capacity::default());
    let mut tasks = Tasks::default();
    let gauge = Gauge::default();
    let started = StoreThreads::start(executor, &sender, &gauge);
    let (store, mut storing) = started.map_err(system("cannot start a thread"))?;
    let links = Links::new(&settings.peers);
    let introduction = Introduction::new(greeter, settings.identity, peers, Some(store.keeper()));
    let introduction = Arc::new(introduction);
    let network = network(&settings, Arc::clone(&introduction), links.clone());
    let acceptor = listen(&settings, network.clone(), sender.clone()).await?;
    let requests = PendingRequests::new(sender.clone(), &node, gauge, links, journal.cut_short());
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
    tasks.spawn(
        "watch over the store",
        stop_if_disowned(introduction, sender.clone()),
    );
    let driver = Driver::new(
        node, now, receiver, clock, transport, store, requests, journal,
    );
    let mut driving = tokio::spawn(driver.run());
    let (node, cluster) = (settings.identity.node, settings.identity.cluster.get());
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
        write_down(recorder).await;
        return Err(RunError::Ended(part));
    }
    sender.close();
    tokio::select! {
        finished = finish(driving, storing, recorder) => finished?,
        () = cut_short(&mut signals) => return Err(RunError::CutShort),
    }
    tasks.shutdown().await;
    tracing::info!(%node, "node is down");
    Ok(())
}

/// The journal of what the node is fed, and the thread that writes it down if anything does.
fn record(
    settings: &Settings,
    node: &Node,
) -> Result<(FileJournal, Option<JoinHandle<()>>), RunError> {
    let table = &settings.file.recording;
    Ok(match (&table.path, table.payload.mode()) {
        (Some(path), Some(payloads)) => {
            let (journal, thread) = FileJournal::start(path, payloads, table, node)?;
            (journal, Some(thread))
        }
        (None, _) | (_, None) => (FileJournal::none(), None),
    })
}

async fn listen(
    settings: &Settings,
    network: Network,
    inbox: inbox::Sender,
) -> Result<Acceptor, RunError> {
    let acceptor = net::listen(&settings.listen, network, inbox).await;
    acceptor.map_err(|source| RunError::Listen {
        address: settings.listen.clone(),
        source,
    })
}

/// Gives the recording the time to write what it has.
async fn write_down(recorder: Option<JoinHandle<()>>) {
    if let Some(thread) = recorder {
        let _ = timeout(FINISH_MIN, join(thread, "recording")).await;
    }
}

/// Stops every replica once a peer tells that the store is an older one: the node stays, to say so.
async fn stop_if_disowned(introduction: Arc<Introduction>, inbox: inbox::Sender) {
    let why = introduction.disowned().await;
    tracing::error!(%why, "this store is not the newest of this node, all its replicas stop");
    command(&inbox, Input::Disowned).await;
    std::future::pending::<()>().await;
}

fn network(settings: &Settings, introduction: Arc<Introduction>, links: Links) -> Network {
    Network {
        introduction,
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
