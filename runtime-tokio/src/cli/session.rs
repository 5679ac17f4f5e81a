//! A client of one chain that goes on through whichever node answers.
//!
//! It repeats an append with the same request number until it is acknowledged or refused for
//! good, so each append ends up in the chain once, whatever breaks on the way (D15).

use super::waiting::{Patience, Waiting};
use super::{Failure, damaged};
use crate::control::{Ask, Client, ClientError, Reply};
use crate::requests::Status;
use meshos_core::chain::entry::Request;
use meshos_core::chain::payload::Payload;
use meshos_core::client::{self, Answer, ClientRequest, Level, Reason};
use meshos_core::id::{ChainId, ClientId, Epoch, NodeId, RequestNumber, Seq};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longest wait for one answer; the node itself answers `Unknown` earlier by default.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// Longest wait for the status of a node that may hang.
const STATUS_PATIENCE: Duration = Duration::from_secs(1);

/// Shortest wait for an answer, however little patience is left.
const PATIENCE_MIN: Duration = Duration::from_millis(100);

/// Pause before the members of a chain that nobody leads are asked for again.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Longest wait for the first sign of life of a node, where there are others to ask.
const SIGN_PATIENCE: Duration = Duration::from_millis(250);

/// For how long a node that hangs is passed over while another one answers.
const HUNG_PAUSE: Duration = Duration::from_secs(5);

/// Pause before another attempt.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Where a node listens.
struct Endpoint {
    path: PathBuf,
    /// Since when it has not answered in time, if that is what it did last.
    hung: Option<Instant>,
}

impl Endpoint {
    fn new(path: PathBuf) -> Self {
        Self { path, hung: None }
    }

    fn hangs(&self) -> bool {
        self.hung.is_some_and(|at| at.elapsed() < HUNG_PAUSE)
    }
}

/// One connection at a time, to one of several nodes.
pub(super) struct Session {
    chain: ChainId,
    name: String,
    endpoints: Vec<Endpoint>,
    /// Which endpoint is or was connected.
    at: usize,
    client: Option<Client>,
    /// Longest time for one request, with all its attempts.
    patience: Patience,
    waiting: Waiting,
    /// Whether some node listened on some endpoint.
    is_heard: bool,
    /// Whether the node that was asked last answered.
    is_answered: bool,
    /// When the members of the chain were last asked for.
    looked: Option<Instant>,
    /// Attempts that had to be repeated.
    pub(super) repeated: u64,
}

/// How many members of a chain a node reaches, how many are needed, and whether it may lead.
fn reach(status: &Status, chain: ChainId) -> Option<String> {
    let listed = status.chains.iter().find(|listed| listed.chain == chain)?;
    let me = status.node.node;
    let is_lost = |node: NodeId| {
        let mut peers = status.node.peers.iter();
        let peer = peers.find(|peer| peer.node == node);
        peer.is_none_or(|peer| peer.is_suspected || peer.silent_ms.is_none())
    };
    let lost = listed
        .members
        .iter()
        .filter(|node| **node != me && is_lost(**node));
    let (members, lost) = (listed.members.len(), lost.count());
    let mut chains = status.node.chains.iter();
    let unknown = chains.find(|known| known.chain == chain && known.unknown > 0);
    let damage = unknown.map_or_else(String::new, |chain| {
        let damaged = damaged(chain.unknown);
        format!("; on its store {damaged}, and until a peer gives it again this node does not lead")
    });
    Some(format!(
        "node {me} reaches {} of its {members} members, itself included, and {} are needed{damage}",
        members - lost,
        members / 2 + 1
    ))
}

impl Session {
    /// A session that tries the endpoint number `at` first.
    pub(super) fn new(
        chain: &str,
        endpoints: &[PathBuf],
        at: usize,
        (patience, waiting): (Patience, Waiting),
    ) -> Self {
        Self {
            chain: ChainId::of(chain),
            name: chain.to_owned(),
            endpoints: endpoints.iter().cloned().map(Endpoint::new).collect(),
            at: at % endpoints.len(),
            client: None,
            patience,
            waiting,
            is_heard: false,
            is_answered: false,
            looked: None,
            repeated: 0,
        }
    }

    /// Refuses what no node takes, before anything is asked of the chain. Without a node that
    /// answers there is nothing to tell: the append says so.
    pub(super) async fn check_size(&mut self, bytes: usize) -> Result<(), Failure> {
        let Ok(Reply::Status(status)) = self.ask(Ask::Status, STATUS_PATIENCE).await else {
            return Ok(());
        };
        let max = status.entry_bytes_max;
        if bytes as u64 <= u64::from(max) {
            return Ok(());
        }
        Err(Failure::Failed(format!(
            "refused: the payload has {bytes} bytes, limits.entry_bytes_max of node {} is {max}",
            status.node.node
        )))
    }

    /// Opens a client of the chain.
    pub(super) async fn open(&mut self) -> Result<ClientId, Failure> {
        let (seq, _) = self.until_acked(client::Ask::OpenClient).await?;
        Ok(ClientId(seq))
    }

    /// Appends once, however often that takes.
    pub(super) async fn append(
        &mut self,
        client: ClientId,
        number: u64,
        payload: Payload,
    ) -> Result<(Seq, Epoch), Failure> {
        let request = Request {
            client,
            number: RequestNumber::new(number),
        };
        let ask = client::Ask::Append {
            level: Level::Committed,
            request: Some(request),
            payload,
        };
        self.until_acked(ask).await
    }

    /// Asks until there is an answer that is not only for now.
    pub(super) async fn until_answered(&mut self, ask: client::Ask) -> Result<Answer, Failure> {
        let (ended, _) = self.attempts(ask).await;
        ended.map_err(Failure::Failed)
    }

    /// Why the node refuses, for people; of a chain that it does not know, which ones it does.
    pub(super) async fn refusal(&mut self, reason: Reason) -> String {
        if reason == Reason::UnknownChain
            && let Ok(Reply::Status(status)) = self.ask(Ask::Status, STATUS_PATIENCE).await
        {
            let chains = status.chains.iter().map(|listed| &*listed.name);
            return format!(
                "refused: the config of node {} lists no chain {:?}; its chains: {}",
                status.node.node,
                self.name,
                chains.collect::<Vec<_>>().join(", ")
            );
        }
        format!("refused: {reason}")
    }

    async fn until_acked(&mut self, ask: client::Ask) -> Result<(Seq, Epoch), Failure> {
        // A client that was opened without our knowing is never used, and forgotten in time.
        let is_append = matches!(ask, client::Ask::Append { .. });
        let (ended, effect) = self.attempts(ask).await;
        let why = match ended {
            Ok(Answer::Acked { seq, epoch }) => return Ok((seq, epoch)),
            Ok(Answer::Rejected(reason)) => self.refusal(reason).await,
            Ok(
                Answer::NotLeader { .. }
                | Answer::NotMember { .. }
                | Answer::Unknown
                | Answer::Entries { .. }
                | Answer::Corrupt { .. }
                | Answer::Transferred,
            ) => "the node answered something else than an append".to_owned(),
            Err(why) => why,
        };
        Err(Failure::Failed(match effect {
            Effect::Unknown if is_append => format!(
                "it is not known whether this was appended: an attempt was not answered, and the \
                 last one ended so: {why}"
            ),
            Effect::None | Effect::Unknown => why,
        }))
    }

    /// Makes attempts until one has an answer that is not only for now, or none will have; and
    /// whether one of those before may have taken effect.
    async fn attempts(&mut self, ask: client::Ask) -> (Result<Answer, String>, Effect) {
        let asked = Instant::now();
        let mut effect = Effect::None;
        let mut last = format!("an answer at {}", self.endpoints[self.at].path.display());
        loop {
            let left = self.patience.longest.saturating_sub(asked.elapsed());
            let wait = left.clamp(PATIENCE_MIN, ANSWER_PATIENCE);
            let waiting = self.waiting.clone();
            let attempt = self.attempt(ask.clone(), wait);
            let why = match waiting.during(attempt, asked, &last).await {
                Ok(answer) => match &answer {
                    Answer::Unknown => {
                        effect = Effect::Unknown;
                        "it is not known whether it took effect".to_owned()
                    }
                    Answer::NotLeader { .. } => self.why_nobody_leads(&last).await,
                    Answer::NotMember { .. } if self.leave() => continue,
                    Answer::NotMember { members } => return (Err(not_member(members)), effect),
                    Answer::Rejected(reason) if may_pass(*reason) => reason.to_string(),
                    Answer::Acked { .. }
                    | Answer::Rejected(_)
                    | Answer::Entries { .. }
                    | Answer::Corrupt { .. }
                    | Answer::Transferred => return (Ok(answer), effect),
                },
                Err((why, this)) => {
                    effect = effect.max(this);
                    why
                }
            };
            if asked.elapsed() >= self.patience.of(self.is_heard) {
                return (Err(format!("no answer in time: {why}")), effect);
            }
            last = why;
            self.repeated += 1;
            self.elsewhere();
            sleep(RETRY_PAUSE).await;
        }
    }

    /// That nobody leads the chain, and what the node that says so knows of the members; asked anew
    /// only from time to time: attempts follow each other quickly.
    async fn why_nobody_leads(&mut self, last: &str) -> String {
        let nobody = "nobody leads the chain";
        let is_fresh = self.looked.is_some_and(|at| at.elapsed() < LOOK_PAUSE);
        if is_fresh && last.starts_with(nobody) {
            return last.to_owned();
        }
        self.looked = Some(Instant::now());
        let Ok(Reply::Status(status)) = self.ask(Ask::Status, STATUS_PATIENCE).await else {
            return nobody.to_owned();
        };
        match reach(&status, self.chain) {
            Some(reach) => format!("{nobody}: {reach}"),
            None => nobody.to_owned(),
        }
    }

    async fn attempt(
        &mut self,
        ask: client::Ask,
        patience: Duration,
    ) -> Result<Answer, (String, Effect)> {
        let chain = self.chain;
        let ask = Ask::Chain(ClientRequest { chain, ask });
        match self.ask(ask, patience).await {
            Ok(Reply::Chain(answer)) => Ok(answer),
            Ok(Reply::Refused(reason)) => Err((reason, Effect::None)),
            Ok(Reply::Status(_) | Reply::Alive) => {
                Err((ClientError::Other.to_string(), Effect::Unknown))
            }
            Err(error) => {
                let effect = match &error {
                    ClientError::Connect { .. } | ClientError::Refused(_) => Effect::None,
                    ClientError::Broken(_)
                    | ClientError::Timeout
                    | ClientError::Other
                    | ClientError::Garbled(_) => Effect::Unknown,
                };
                Err((error.to_string(), effect))
            }
        }
    }

    /// Asks once, whoever is connected.
    async fn ask(&mut self, ask: Ask, patience: Duration) -> Result<Reply, ClientError> {
        self.is_answered = false;
        let client = match &mut self.client {
            Some(client) => client,
            empty => {
                let connected = Client::connect(&self.endpoints[self.at].path).await;
                self.is_heard |= !matches!(&connected, Err(error) if error.is_nobody());
                let mut client = connected?;
                if self.endpoints.len() > 1 && client.ask(Ask::Ping, SIGN_PATIENCE).await.is_err() {
                    self.endpoints[self.at].hung = Some(Instant::now());
                    return Err(ClientError::Refused("it gives no sign of life".into()));
                }
                empty.insert(client)
            }
        };
        let reply = client.ask(ask, patience).await;
        if reply.is_err() {
            self.client = None;
        }
        self.is_answered = reply.is_ok();
        self.endpoints[self.at].hung = match &reply {
            Err(ClientError::Timeout) => Some(Instant::now()),
            Ok(_) | Err(_) => None,
        };
        reply
    }

    /// Asks the present endpoint never again; whether another one is left to ask.
    fn leave(&mut self) -> bool {
        self.client = None;
        self.endpoints.remove(self.at);
        self.at = self.at.checked_rem(self.endpoints.len()).unwrap_or(0);
        !self.endpoints.is_empty()
    }

    /// Goes on with the next endpoint that does not hang. Where all others do it stays with one that
    /// answers, and otherwise goes on with the next one: a node may hang for a moment only.
    fn elsewhere(&mut self) {
        let count = self.endpoints.len();
        if count > 1 {
            self.client = None;
            let mut others = (1..count).map(|step| (self.at + step) % count);
            let sound = others.find(|at| !self.endpoints[*at].hangs());
            let stay = self.is_answered.then_some(self.at);
            self.at = sound.or(stay).unwrap_or((self.at + 1) % count);
        }
    }
}

/// What an attempt without an answer may have done.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    /// Nothing.
    None,
    /// Perhaps what was asked.
    Unknown,
}

fn not_member(members: &[NodeId]) -> String {
    let members: Vec<String> = members.iter().map(ToString::to_string).collect();
    format!(
        "no node that was asked is a member of the chain; its members are the nodes {}",
        members.join(", ")
    )
}

/// Whether the same attempt may succeed later.
fn may_pass(reason: Reason) -> bool {
    match reason {
        Reason::Busy | Reason::Transferring | Reason::StoreFull | Reason::Stopped => true,
        Reason::UnknownChain
        | Reason::TooLarge
        | Reason::TooOld
        | Reason::UnknownClient
        | Reason::BadNumber
        | Reason::NoSuchTarget => false,
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
