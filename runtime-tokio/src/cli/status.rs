//! `meshosd status`: what nodes say of themselves.

use super::output::{Output, Tone};
use super::{Failure, Target};
use crate::control::{Ask, Client, ClientError, Reply};
use crate::requests::Status;
use clap::Args;
use meshos_core::node::PeerStatus;
use meshos_core::replica::ChainStatus;
use meshos_core::replica::role::Role;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    target: Target,
    /// Longest time for the answer of one node, in seconds
    #[arg(long, default_value_t = 5, value_name = "S")]
    patience: u64,
}

/// A store that takes longer for one group of orders is shown: its disk may hang.
const BUSY_SHOWN: Duration = Duration::from_secs(1);

pub(super) async fn status(args: StatusArgs, output: &Output) -> Result<(), Failure> {
    let endpoints = args.target.endpoints()?;
    let patience = Duration::from_secs(args.patience);
    let mut dead = Vec::new();
    for endpoint in &endpoints {
        match ask(endpoint, patience).await {
            Ok(status) => show(&status, output),
            Err(error) => {
                output.json(&json!({
                    "endpoint": endpoint.display().to_string(), "error": error.to_string(),
                }));
                dead.push(error);
            }
        }
    }
    // Nobody there at all is a mistake in the arguments, or a node that is down.
    let is_connect = |error: &ClientError| matches!(error, ClientError::Connect { .. });
    let all = dead.len() == endpoints.len() && dead.iter().all(is_connect);
    let told: Vec<String> = dead.iter().map(ToString::to_string).collect();
    match told.join("\nmeshosd: ") {
        none if none.is_empty() => Ok(()),
        told if all => Err(Failure::Unusable(told)),
        told => Err(Failure::Failed(told)),
    }
}

async fn ask(endpoint: &Path, patience: Duration) -> Result<Status, ClientError> {
    let mut client = Client::connect(endpoint).await?;
    match client.ask(Ask::Status, patience).await? {
        Reply::Status(status) => Ok(*status),
        Reply::Chain(_) | Reply::Refused(_) => Err(ClientError::Other),
    }
}

fn show(status: &Status, output: &Output) {
    let node = &status.node;
    let store = node.store.get();
    let head = format!(
        "node {}: boot {} of store {store:032x}",
        node.node, node.incarnation
    );
    output.line(&(head + &store_trouble(status, output)));
    for (chain, name) in node.chains.iter().zip(&status.names) {
        output.json(&chain_json(status, name, chain));
        output.line(&format!("  {}", chain_line(name, chain, output)));
    }
    for peer in &node.peers {
        output.line(&format!("  {}", peer_line(*peer, output)));
    }
    for link in &status.links {
        if let Some(reason) = &link.refusal {
            let text = format!(
                "  node {} and this node do not content: {reason}",
                link.node
            );
            output.line(&output.paint(Tone::Bad, &text));
        }
    }
}

/// A store that is full or hangs, in words.
fn store_trouble(status: &Status, output: &Output) -> String {
    let mut told = String::new();
    if status.node.chains.iter().any(|chain| chain.is_store_full) {
        told += &output.paint(Tone::Bad, ", its store is full");
    }
    let busy = Duration::from_millis(status.store_busy_ms);
    if busy > BUSY_SHOWN {
        let text = format!(
            ", its store has not answered for {}",
            seconds(status.store_busy_ms)
        );
        told += &output.paint(Tone::Bad, &text);
    }
    told
}

fn chain_line(name: &str, chain: &ChainStatus, output: &Output) -> String {
    let role = format!("{:?}", chain.role).to_lowercase();
    let (epoch, floor, end, commit) = (chain.epoch, chain.floor, chain.end, chain.commit);
    let mut line = format!("{name}: {role} in {epoch}");
    line += &match (chain.role, chain.leader) {
        (Role::Leader, _) => String::new(),
        (_, Some(leader)) => format!(" of node {leader}"),
        (_, None) => output.paint(Tone::Bad, ", without a leader"),
    };
    line += &format!(", entries {floor}..{end}, commit {commit}");
    for follower in &chain.followers {
        line += &format!(", node {} lags {}", follower.node, follower.lag);
    }
    if let (Role::Replica | Role::Candidate | Role::Idle, Some(lag)) = (chain.role, chain.lag) {
        line += &format!(", lag {lag}");
    }
    if chain.unknown > 0 {
        let text = format!(", {} entries are damaged", chain.unknown);
        line += &output.paint(Tone::Bad, &text);
    }
    if let Some(fault) = chain.fault {
        line += &output.paint(Tone::Bad, &format!(", stopped: {fault}"));
    }
    line
}

fn peer_line(peer: PeerStatus, output: &Output) -> String {
    let silent = peer.silent_ms.map(seconds);
    match (peer.is_suspected, silent) {
        (false, Some(silent)) => format!("node {} was heard {silent} ago", peer.node),
        (false, None) => format!("node {} was not heard yet", peer.node),
        (true, Some(silent)) => {
            let text = format!("node {} is unreachable since {silent}", peer.node);
            output.paint(Tone::Bad, &text)
        }
        (true, None) => {
            let text = format!("node {} was never heard in this run", peer.node);
            output.paint(Tone::Bad, &text)
        }
    }
}

fn chain_json(status: &Status, name: &str, chain: &ChainStatus) -> Value {
    let followers = chain
        .followers
        .iter()
        .map(|follower| json!({ "node": follower.node.get(), "lag": follower.lag }));
    let peers = status.node.peers.iter().map(|peer| {
        let mut links = status.links.iter();
        let link = links.find(|link| link.node == peer.node);
        json!({
            "node": peer.node.get(),
            "unreachable": peer.is_suspected,
            "silent_ms": peer.silent_ms,
            "connected": link.map(|link| link.is_up),
            "connected_for_s": link.map(|link| link.for_s),
            "refusal": link.and_then(|link| link.refusal.as_deref()),
        })
    });
    json!({
        "node": status.node.node.get(),
        "incarnation": status.node.incarnation.get(),
        "chain": name,
        "role": format!("{:?}", chain.role).to_lowercase(),
        "epoch": { "n": chain.epoch.n, "node": chain.epoch.node.get() },
        "leader": chain.leader.map(|leader| leader.get()),
        "floor": chain.floor.get(),
        "end": chain.end.get(),
        "commit": chain.commit.get(),
        "lag": chain.lag,
        "followers": followers.collect::<Vec<_>>(),
        "unknown": chain.unknown,
        "store_full": chain.is_store_full,
        "store_busy_ms": status.store_busy_ms,
        "fault": chain.fault.map(|fault| fault.to_string()),
        "peers": peers.collect::<Vec<_>>(),
    })
}

/// Milliseconds as seconds with one decimal.
fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}
