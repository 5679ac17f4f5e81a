//! `meshosd status`: what nodes say of themselves.

use super::output::{Output, Tone};
use super::{Failure, Target, committed, damaged};
use crate::control::{Ask, Client, ClientError, Reply};
use crate::net::LinkStatus;
use crate::requests::{Listed, Status};
use clap::Args;
use meshos_core::id::NodeId;
use meshos_core::node::PeerStatus;
use meshos_core::replica::role::Role;
use meshos_core::replica::{ChainStatus, FollowerStatus, Said};
use serde_json::{Value, json};
use std::cell::Cell;
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

/// A commit that does not move for longer while entries wait is not well.
const STALL_SHOWN: Duration = Duration::from_secs(1);

/// A follower that lacks what is committed for longer is far behind.
const BEHIND_SHOWN: Duration = Duration::from_secs(5);

pub(super) async fn status(args: StatusArgs, output: &Output) -> Result<(), Failure> {
    let endpoints = args.target.endpoints()?;
    let patience = Duration::from_secs(args.patience);
    let mut dead = Vec::new();
    let report = Report::new(output);
    for endpoint in &endpoints {
        match ask(endpoint, patience).await {
            Ok(status) => report.show(endpoint, &status),
            Err(error) => {
                output.json(&json!({
                    "endpoint": endpoint.display().to_string(), "error": error.to_string(),
                }));
                dead.push((endpoint, error));
            }
        }
    }
    // Nobody there at all is a mistake in the arguments, or a node that is down.
    let is_connect = |(_, error): &(_, ClientError)| matches!(error, ClientError::Connect { .. });
    let all = dead.len() == endpoints.len() && dead.iter().all(is_connect);
    let told = dead.iter().map(|(endpoint, error)| match error {
        ClientError::Connect { .. } => error.to_string(),
        ClientError::Broken(_)
        | ClientError::Timeout
        | ClientError::Refused(_)
        | ClientError::Other
        | ClientError::Garbled(_) => format!("{}: {error}", endpoint.display()),
    });
    let told: Vec<String> = told.collect();
    match told.join("\nmeshosd: ") {
        none if none.is_empty() && report.is_well.get() => Ok(()),
        none if none.is_empty() => Err(Failure::failed("not everything is well")),
        told if all => Err(Failure::Unusable(told)),
        told => Err(Failure::Failed(told)),
    }
}

async fn ask(endpoint: &Path, patience: Duration) -> Result<Status, ClientError> {
    let mut client = Client::connect(endpoint).await?;
    match client.ask(Ask::Status, patience).await? {
        Reply::Status(status) => Ok(*status),
        Reply::Refused(why) => Err(ClientError::Refused(why)),
        Reply::Chain(_) | Reply::Alive => Err(ClientError::Other),
    }
}

/// Shows what nodes say, and takes down whether any of it is not as it should be.
struct Report<'a> {
    output: &'a Output,
    is_well: Cell<bool>,
}

impl<'a> Report<'a> {
    fn new(output: &'a Output) -> Self {
        let is_well = Cell::new(true);
        Self { output, is_well }
    }

    /// What is not as it should be.
    fn bad(&self, text: &str) -> String {
        self.is_well.set(false);
        self.output.paint(Tone::Bad, text)
    }

    fn show(&self, endpoint: &Path, status: &Status) {
        let (node, output) = (&status.node, self.output);
        let store = node.store.get();
        let head = format!(
            "node {} at {}: boot {} of store {store:032x}",
            node.node,
            endpoint.display(),
            node.incarnation
        );
        let mut trouble = self.store_trouble(status);
        if status.is_recording_cut_short {
            trouble += &self.bad(", its recording has ended");
        }
        output.line(&(head + &trouble));
        for listed in &status.chains {
            let chains = &node.chains;
            let at = chains.binary_search_by_key(&listed.chain, |chain| chain.chain);
            let chain = at.ok().map(|at| &chains[at]);
            output.json(&chain_json(endpoint, status, listed, chain));
            let line = match chain {
                Some(chain) => self.chain_line(listed, chain, status),
                None => format!("{}: not here, members {}", listed.name, members(listed)),
            };
            output.line(&format!("  {line}"));
        }
        for peer in &node.peers {
            output.line(&format!("  {}", self.peer_line(*peer)));
        }
        for link in &status.links {
            for trouble in link_troubles(link) {
                output.line(&format!("  {}", self.bad(&trouble)));
            }
        }
    }

    /// A store that is full or hangs, in words.
    fn store_trouble(&self, status: &Status) -> String {
        let mut told = String::new();
        if status.node.chains.iter().any(|chain| chain.is_store_full) {
            told += &self.bad(", its store is full");
        }
        let busy = Duration::from_millis(status.store_busy_ms);
        if busy > BUSY_SHOWN {
            let busy = seconds(status.store_busy_ms);
            told += &self.bad(&format!(", its store has not answered for {busy}"));
        }
        told
    }

    fn chain_line(&self, listed: &Listed, chain: &ChainStatus, status: &Status) -> String {
        let role = format!("{:?}", chain.role).to_lowercase();
        let (epoch, floor, end, commit) = (chain.epoch, chain.floor, chain.end, chain.commit);
        let mut line = format!("{}: {role} in {epoch}", listed.name);
        line += &match (chain.role, chain.leader) {
            (Role::Leader, _) => String::new(),
            (_, Some(leader)) if lost(status, leader).is_some() => {
                self.bad(&format!(" of node {leader}, which is not heard"))
            }
            (_, Some(leader)) => format!(" of node {leader}"),
            (_, None) => self.bad(", without a leader"),
        };
        line += &format!(", members {}", members(listed));
        line += &format!(", entries {floor}..{end}, {}", committed(commit));
        line += &self.stall(chain);
        for follower in &chain.followers {
            line += &self.follower(follower, status);
        }
        if let (Role::Replica | Role::Candidate | Role::Idle, Some(lag)) = (chain.role, chain.lag) {
            line += &match chain.leader.and_then(|leader| lost(status, leader)) {
                None => format!(", lag {lag}"),
                Some(Some(ago)) => self.bad(&format!(", lag {lag} as of {ago} ago")),
                Some(None) => self.bad(", lag not known"),
            };
        }
        if chain.unknown > 0 {
            line += &self.bad(&format!(", {}", damaged(chain.unknown)));
        }
        if let Some(fault) = chain.fault {
            line += &self.bad(&format!(", stopped: {fault}"));
        }
        line
    }

    /// That a leader cannot commit, and who could not before.
    fn stall(&self, chain: &ChainStatus) -> String {
        let mut told = String::new();
        let stalled = chain.stalled_ms.unwrap_or_default();
        if Duration::from_millis(stalled) > STALL_SHOWN {
            let (waiting, span) = (chain.end.distance(chain.commit), seconds(stalled));
            let what = format!(", {waiting} wait and none was committed for {span}");
            told += &self.bad(&what);
        }
        if !chain.stalled_before.is_empty() {
            let nodes: Vec<u64> = chain.stalled_before.iter().map(|node| node.get()).collect();
            let nodes = super::listed(&nodes);
            told += &self.bad(&format!(", none since before the turn to lead of {nodes}"));
        }
        told
    }

    /// A follower as its leader knows it.
    fn follower(&self, follower: &FollowerStatus, status: &Status) -> String {
        let (node, lag) = (follower.node, follower.lag);
        match (lost(status, node), lag) {
            (None, _) => {}
            (Some(Some(ago)), Some(lag)) => {
                return self.bad(&format!(
                    ", node {node} lagged {lag} when last heard {ago} ago"
                ));
            }
            (Some(Some(ago)), None) => {
                return self.bad(&format!(
                    ", node {node} was last heard {ago} ago, before this leader could ask what it \
                     lacks"
                ));
            }
            (Some(None), _) => return self.bad(&format!(", node {node} was never heard")),
        }
        let mut told = match lag {
            Some(lag) => format!(", node {node} lags {lag}"),
            None => format!(", node {node} has not said yet what it lacks"),
        };
        match follower.said {
            Said::TakesPart => {}
            Said::Full => told += &self.bad(" and its store is full"),
            Said::Stopped => told += &self.bad(" and its replica is stopped"),
            Said::Nothing => told += &self.bad(" and says nothing of the chain"),
        }
        let behind = follower.behind_ms.unwrap_or_default();
        if Duration::from_millis(behind) > BEHIND_SHOWN {
            told += &self.bad(&format!(" and is {} behind", seconds(behind)));
        }
        told
    }

    fn peer_line(&self, peer: PeerStatus) -> String {
        let silent = peer.silent_ms.map(seconds);
        match (peer.is_suspected, silent) {
            (false, Some(silent)) => format!("node {} was heard {silent} ago", peer.node),
            (false, None) => format!("node {} was not heard yet", peer.node),
            (true, Some(silent)) => {
                self.bad(&format!("node {} is unreachable since {silent}", peer.node))
            }
            (true, None) => self.bad(&format!("node {} was never heard in this run", peer.node)),
        }
    }
}

/// Of a peer that is not heard any more, how long ago it was, if it ever was in this run: what is
/// known of it is as old.
fn lost(status: &Status, node: NodeId) -> Option<Option<String>> {
    let mut peers = status.node.peers.iter();
    let peer = peers.find(|peer| peer.node == node && peer.is_suspected)?;
    Some(peer.silent_ms.map(seconds))
}

/// Why a peer is not reached, or does not reach this node.
fn link_troubles(link: &LinkStatus) -> impl Iterator<Item = String> {
    let LinkStatus { node, address, .. } = link;
    let dialled = link.failure.as_ref();
    let call = link.refusal.as_ref();
    let call = call.filter(|refusal| Some(*refusal) != dialled);
    let dialled = dialled.map(|why| format!("node {node}, dialled at {address}: {why}"));
    let call = call.map(|why| format!("a call of node {node}: {why}"));
    dialled.into_iter().chain(call)
}

fn members(listed: &Listed) -> String {
    let members: Vec<u64> = listed.members.iter().map(|node| node.get()).collect();
    super::listed(&members)
}

/// What is said of a chain; of one that is not here, who holds it.
fn chain_json(
    endpoint: &Path,
    status: &Status,
    listed: &Listed,
    chain: Option<&ChainStatus>,
) -> Value {
    let members = listed.members.iter().map(|node| node.get());
    let mut shown = json!({
        "endpoint": endpoint.display().to_string(),
        "node": status.node.node.get(),
        "incarnation": status.node.incarnation.get(),
        "chain": listed.name,
        "members": members.collect::<Vec<_>>(),
        "role": null,
        "store_busy_ms": status.store_busy_ms,
        "recording_ended": status.is_recording_cut_short,
        "peers": peers_json(status),
    });
    let Some(chain) = chain else {
        return shown;
    };
    let followers = chain.followers.iter().map(|follower| {
        let mut peers = status.node.peers.iter();
        let peer = peers.find(|peer| peer.node == follower.node);
        json!({
            "node": follower.node.get(),
            "lag": follower.lag,
            "behind_ms": follower.behind_ms,
            "says": said(follower.said),
            "unreachable": peer.map(|peer| peer.is_suspected),
            "silent_ms": peer.and_then(|peer| peer.silent_ms),
        })
    });
    let replica = json!({
        "role": format!("{:?}", chain.role).to_lowercase(),
        "epoch": { "n": chain.epoch.n, "node": chain.epoch.node.get() },
        "leader": chain.leader.map(|leader| leader.get()),
        "floor": chain.floor.get(),
        "end": chain.end.get(),
        "commit": chain.commit.get(),
        "lag": chain.lag,
        "stalled_ms": chain.stalled_ms,
        "stalled_before": chain.stalled_before.iter().map(|node| node.get()).collect::<Vec<_>>(),
        "followers": followers.collect::<Vec<_>>(),
        "unknown": chain.unknown,
        "store_full": chain.is_store_full,
        "fault": chain.fault.map(|fault| fault.to_string()),
    });
    for (key, value) in replica.as_object().into_iter().flatten() {
        shown[key] = value.clone();
    }
    shown
}

/// What a follower says of its replica, for programs.
fn said(said: Said) -> Option<&'static str> {
    match said {
        Said::Nothing => None,
        Said::Stopped => Some("stopped"),
        Said::Full => Some("full"),
        Said::TakesPart => Some("takes part"),
    }
}

fn peers_json(status: &Status) -> Vec<Value> {
    let peers = status.node.peers.iter().map(|peer| {
        let mut links = status.links.iter();
        let link = links.find(|link| link.node == peer.node);
        json!({
            "node": peer.node.get(),
            "unreachable": peer.is_suspected,
            "silent_ms": peer.silent_ms,
            "address": link.map(|link| &*link.address),
            "connected": link.map(|link| link.is_up),
            "connected_for_s": link.map(|link| link.for_s),
            "refusal": link.and_then(|link| link.refusal.as_deref()),
            "failure": link.and_then(|link| link.failure.as_deref()),
        })
    });
    peers.collect()
}

/// Milliseconds as seconds with one decimal.
fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}
