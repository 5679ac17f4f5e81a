//! tikv's `raft` 0.7.0 as a machine of the simulator: the crate decides, this crate around it
//! keeps its log on the simulated disk, its promises are checked by [`checks`].
//!
//! The crate draws its election timeouts from the thread's generator, and no setting changes
//! that. [`Peer::tame`] puts a draw of the node's own seed in the place of each one.

pub mod checks;
pub mod letter;
pub mod scenario;
pub mod storage;

use letter::Letter;
use meshos_sim::prelude::*;
use raft::eraftpb::{Entry, MessageType};
use raft::{Config, RawNode, StateRole};
use serde::{Deserialize, Serialize};
use slog::{Logger, o};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use storage::Log;

/// How the crate is used.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Care {
    /// As its manual says.
    Published,
    /// The same, and what a late rejection does to a leader's view of a follower is undone.
    Mended,
    /// A planted mistake: a vote is answered before it is on disk.
    ForgottenVote,
}

/// What a group is started with.
#[derive(Copy, Clone, Debug)]
pub struct Setup {
    pub care: Care,
    pub check_quorum: bool,
    pub pre_vote: bool,
}

/// What a user asks of a node.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Append this value, which nobody asks for twice.
    Append(u64),
}

/// What a node tells: the checks listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The entry is in the log, behind one of the term `after`.
    Wrote { entry: Brief, after: u64 },
    /// The state machine took the entry.
    Applied(Brief),
    /// The user who asked for this value hears that it is kept.
    Acknowledged(u64),
}

/// An entry; the value of one that a new leader makes for itself is nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    pub index: u64,
    pub term: u64,
    pub value: Option<u64>,
}

impl From<&Entry> for Brief {
    fn from(entry: &Entry) -> Self {
        let value = entry.data.as_ref().try_into().map(u64::from_le_bytes);
        Self {
            index: entry.index,
            term: entry.term,
            value: value.ok(),
        }
    }
}

/// One node of the group.
pub struct Peer {
    raft: RawNode<Log>,
    care: Care,
    seed: u64,
    tick_at: Instant,
    /// What waits for the disk, by the number of the batch.
    held: BTreeMap<u64, Held>,
    /// What its own users wait for.
    asked: BTreeSet<u64>,
    applied: Vec<Brief>,
}

/// What becomes of a batch that is on disk.
struct Held {
    /// Up to this `Ready` everything is kept then.
    number: u64,
    letters: Vec<Letter>,
}

impl Machine for Peer {
    type Config = Setup;
    type Message = Letter;
    type Op = Ask;
    type Output = Told;

    fn boot(setup: &Setup, boot: Boot<'_>, out: &mut Outbox<Self>) -> Self {
        let voters = (0..boot.nodes).map(|node| id(NodeIndex(node))).collect();
        let (log, length) = Log::read(boot.disk, voters);
        out.disk(0, storage::open(length));
        let config = Config {
            id: id(boot.node),
            election_tick: ELECTION,
            heartbeat_tick: 2,
            // One entry in a message: the most messages that can overtake each other.
            max_size_per_msg: 0,
            max_inflight_msgs: 16,
            check_quorum: setup.check_quorum,
            pre_vote: setup.pre_vote,
            ..Config::default()
        };
        let logger = Logger::root(slog::Discard, o!());
        let raft = RawNode::new(&config, log, &logger).expect("a group of these nodes");
        let mut peer = Self {
            raft,
            care: setup.care,
            seed: boot.seed,
            tick_at: boot.now.instant.after(TICK),
            held: BTreeMap::new(),
            asked: BTreeSet::new(),
            applied: Vec::new(),
        };
        peer.tame();
        peer.report(0, out);
        peer
    }

    fn step(&mut self, now: Now, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Wake if now.instant < self.tick_at => return,
            Input::Wake => {
                self.raft.tick();
                self.tick_at = now.instant.after(TICK);
            }
            Input::Message { message, .. } => self.receive(message),
            Input::Op(Ask::Append(value)) => {
                // Refused where no leader is known: then nobody is promised anything.
                if self
                    .raft
                    .propose(vec![], value.to_le_bytes().into())
                    .is_ok()
                {
                    self.asked.insert(value);
                }
            }
            Input::Disk { token, result } => {
                result.expect("the disks of this group neither fail nor fill");
                if let Some(held) = self.held.remove(&token) {
                    self.persisted(held, out);
                }
            }
            Input::Link(_) => return,
        }
        self.tame();
        while self.raft.has_ready() {
            self.take_ready(out);
            self.tame();
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.tick_at)
    }

    fn state_hash(&self) -> u64 {
        let raft = &self.raft.raft;
        let progress: BTreeMap<_, _> = raft.prs().iter().collect();
        let progress = progress
            .into_iter()
            .map(|(id, of)| (*id, of.matched, of.next_idx, of.committed_index));
        let entries = self
            .log()
            .entries
            .iter()
            .map(|entry| (entry.index, entry.term));
        stable_hash(&(
            (raft.term, raft.vote, raft.state as u8, raft.leader_id),
            (raft.raft_log.committed, self.applied.len()),
            entries.collect::<Vec<_>>(),
            progress.collect::<Vec<_>>(),
            (self.tick_at, &self.asked),
        ))
    }

    fn describe(&self) -> Option<String> {
        let raft = &self.raft.raft;
        Some(format!(
            "{}, term {}, log {}, commit {}",
            format!("{:?}", raft.state).to_lowercase(),
            raft.term,
            self.log().entries.len(),
            raft.raft_log.committed,
        ))
    }
}

impl Peer {
    fn receive(&mut self, Letter(message): Letter) {
        let from = message.from;
        // Refused is what is out of date; the crate says no more than we need to know.
        let _ = self.raft.step(Arc::unwrap_or_clone(message));
        if self.care != Care::Published
            && let Some(progress) = self.raft.raft.mut_prs().get_mut(from)
        {
            // A rejection that was late is taken for a new one by a leader that probes. It must
            // not take back what the follower acknowledged in the meantime.
            progress.next_idx = progress.next_idx.max(progress.matched + 1);
        }
    }

    /// Puts a draw of this node in the place of the one that the crate makes for itself whenever
    /// it changes its term: a function of the term, so it does not matter when the crate draws.
    fn tame(&mut self) {
        let raft = &mut self.raft.raft;
        let drawn = Draw::new(self.seed).of("election").nth(raft.term);
        let ticks = ELECTION + drawn.below(ELECTION as u64) as usize;
        raft.set_randomized_election_timeout(ticks);
    }

    fn take_ready(&mut self, out: &mut Outbox<Self>) {
        let mut ready = self.raft.ready();
        let number = ready.number();
        post(letters(ready.take_messages()), out);
        for entry in ready.take_committed_entries() {
            let entry = Brief::from(&entry);
            self.applied.push(entry);
            out.output(Told::Applied(entry));
            if entry.value.is_some_and(|value| self.asked.remove(&value)) {
                out.output(Told::Acknowledged(entry.value.unwrap_or_default()));
            }
        }
        let bytes = storage::records(ready.hs(), ready.entries());
        let is_synced = ready.must_sync();
        let mut letters = letters(ready.take_persisted_messages());
        if self.care == Care::ForgottenVote {
            let is_vote =
                |letter: &mut Letter| letter.0.msg_type == MessageType::MsgRequestVoteResponse;
            post(letters.extract_if(.., is_vote).collect(), out);
        }
        let entries = ready.take_entries();
        let first = entries.first().map(|entry| entry.index);
        let store = self.raft.mut_store();
        store.append(entries);
        if let Some(state) = ready.hs() {
            store.hard_state = state.clone();
        }
        self.raft.advance_append_async(ready);
        self.raft.advance_apply();
        if !bytes.is_empty() {
            out.disk(number, storage::write(bytes, is_synced));
            self.held.insert(number, Held { number, letters });
        } else if let Some(mut last) = self.held.last_entry() {
            // Nothing of its own to keep, but what it says rests on what is being written.
            let held = last.get_mut();
            held.number = number;
            held.letters.extend(letters);
        } else {
            self.persisted(Held { number, letters }, out);
        }
        if let Some(first) = first {
            self.report(first as usize - 1, out);
        }
    }

    fn persisted(&mut self, held: Held, out: &mut Outbox<Self>) {
        self.raft.on_persist_ready(held.number);
        post(held.letters, out);
    }

    /// Tells of all entries from place `first` on.
    fn report(&self, first: usize, out: &mut Outbox<Self>) {
        for entry in &self.log().entries[first..] {
            let after = self.log().term_at(entry.index - 1).unwrap_or_default();
            let entry = Brief::from(entry);
            out.output(Told::Wrote { entry, after });
        }
    }

    /// Its log, with what is not on disk yet.
    pub fn log(&self) -> &Log {
        self.raft.store()
    }

    pub fn term(&self) -> u64 {
        self.raft.raft.term
    }

    /// The term in which it leads.
    pub fn leads(&self) -> Option<u64> {
        let raft = &self.raft.raft;
        (raft.state == StateRole::Leader).then_some(raft.term)
    }

    /// What it applied since it was started.
    pub fn applied(&self) -> &[Brief] {
        &self.applied
    }

    /// Of a leader: the follower whose next entry is one that it has already, with both indexes.
    pub fn goes_back(&self) -> Option<(NodeIndex, u64, u64)> {
        let progress = self.raft.raft.prs().iter();
        let back = progress.filter(|(_, of)| of.next_idx <= of.matched);
        back.map(|(id, of)| (node(*id), of.next_idx, of.matched))
            .min()
    }
}

fn letters(messages: Vec<raft::eraftpb::Message>) -> Vec<Letter> {
    messages.into_iter().map(Arc::new).map(Letter).collect()
}

/// Sends `letters`. The crate keeps followers in an unordered map, whose order another platform
/// may not share, so the order between followers is ours.
fn post(mut letters: Vec<Letter>, out: &mut Outbox<Peer>) {
    letters.sort_by_key(|letter| letter.0.to);
    for letter in letters {
        out.send(node(letter.0.to), letter);
    }
}

/// The crate's ids begin with 1.
fn id(node: NodeIndex) -> u64 {
    u64::from(node.0) + 1
}

fn node(id: u64) -> NodeIndex {
    NodeIndex(id as u16 - 1)
}

/// Least ticks without a leader before an election; twice as many are never reached.
const ELECTION: usize = 6;
const TICK: Duration = Duration::from_millis(20);
