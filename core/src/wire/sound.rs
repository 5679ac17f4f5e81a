//! What can be told of a message without knowing anything but the message.

use crate::chain::entry::{Entry, EntryKind, LogPosition, Membership, Request};
use crate::chain::payload::Payload;
use crate::client::{Ask, ClientRequest};
use crate::config::VOTERS_MAX;
use crate::id::{Attempt, Epoch, Gen, Member, Seq};
use crate::message::{
    Body, ChainMessage, Confirm, Forward, ForwardAsk, Forwarded, Heartbeat, Message, ReplicaMessage,
};
use alloc::sync::Arc;

/// Why no peer can have meant a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// Entries do not follow each other from the position named.
    #[error("entries are not contiguous with the position they follow")]
    Gap,
    /// An entry's epoch is lower than the one before it, or higher than the sender's.
    #[error("the epochs of entries go down, or above the sender's")]
    Epochs,
    /// An entry is of another creation of the chain.
    #[error("an entry is of another generation than its message")]
    Generation,
    /// A payload is named and not there.
    #[error("a payload comes without its bytes")]
    Payload,
    /// An entry that holds no data has a payload.
    #[error("an entry of a kind without data has a payload")]
    EntryKind,
    /// Members are not in ascending order, or one is named twice.
    #[error("members are not in strictly ascending order, each once")]
    Membership,
    /// A count that starts at 1 is 0.
    #[error("a count that starts at 1 is 0")]
    Zero,
    /// A position is at the end of the sequence space.
    #[error("a position is at the end of the sequence space")]
    Position,
    /// An interval ends before it starts.
    #[error("an interval ends before it starts")]
    Interval,
    /// A part reaches over the end of the whole.
    #[error("a part reaches over the end of the whole")]
    Part,
}

type Checked = Result<(), InvalidMessage>;

/// Whether a peer can have meant `message`.
pub(super) fn check(message: &Message) -> Checked {
    match &message.body {
        Body::Heartbeat(heartbeat) => check_heartbeat(heartbeat),
        Body::Chain(message) => check_content(message),
        Body::Confirm(confirms) | Body::Confirmed(confirms) => check_confirms(confirms),
        Body::Forward(forward) => check_forward(forward),
        Body::Forwarded { attempt, answer } => {
            check_attempt(*attempt)?;
            match answer {
                Forwarded::Acked { seq, .. } => position(*seq),
                Forwarded::ReadIndex { commit } => position(*commit),
                Forwarded::NotLeader { .. }
                | Forwarded::Rejected(_)
                | Forwarded::Unknown
                | Forwarded::Transferred => Ok(()),
            }
        }
    }
}

fn ensure(holds: bool, otherwise: InvalidMessage) -> Checked {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// No log reaches the last position, so it always has a successor.
fn position(seq: Seq) -> Checked {
    ensure(seq.get() < u64::MAX, InvalidMessage::Position)
}

fn check_number(number: u64) -> Checked {
    ensure(number > 0, InvalidMessage::Zero)
}

fn check_attempt(attempt: Attempt) -> Checked {
    check_number(attempt.number.get())
}

fn check_heartbeat(heartbeat: &Heartbeat) -> Checked {
    check_number(heartbeat.number.get())?;
    ensure(heartbeat.after <= heartbeat.upto, InvalidMessage::Interval)?;
    for state in heartbeat.rows.iter().filter_map(|row| row.state) {
        position(state.commit)?;
        position(state.floor)?;
        position(state.durable.unwrap_or_default())?;
    }
    Ok(())
}

fn check_confirms(confirms: &[Confirm]) -> Checked {
    confirms
        .iter()
        .try_for_each(|confirm| check_attempt(confirm.attempt))
}

fn check_forward(forward: &Forward) -> Checked {
    check_attempt(forward.attempt)?;
    match &forward.ask {
        ForwardAsk::OpenClient | ForwardAsk::ReadIndex | ForwardAsk::Transfer { .. } => Ok(()),
        ForwardAsk::Append {
            request, payload, ..
        } => {
            request.map_or(Ok(()), check_request)?;
            check_payload(payload)
        }
    }
}

/// Whether a client can have meant what it asks, told as for a peer's message: a request that fails
/// this could be neither stored nor forwarded.
pub fn check_client(request: &ClientRequest) -> Result<(), InvalidMessage> {
    match &request.ask {
        Ask::OpenClient | Ask::Read { .. } | Ask::Transfer { .. } => Ok(()),
        Ask::Append {
            request, payload, ..
        } => {
            request.map_or(Ok(()), check_request)?;
            check_payload(payload)
        }
    }
}

fn check_request(request: Request) -> Checked {
    ensure(request.number.get() > 0, InvalidMessage::Zero)?;
    position(request.client.0)
}

/// Only recordings leave the bytes out; whoever took such an entry could not store it.
fn check_payload(payload: &Payload) -> Checked {
    ensure(payload.bytes().is_some(), InvalidMessage::Payload)
}

fn check_content(message: &ChainMessage) -> Checked {
    let content = &message.content;
    content.attempt().map_or(Ok(()), check_attempt)?;
    match content {
        ReplicaMessage::VoteRequest { tail, .. } => position(*tail),
        ReplicaMessage::VoteReply { .. }
        | ReplicaMessage::SnapshotRequest { .. }
        | ReplicaMessage::Outdated => Ok(()),
        ReplicaMessage::Pull {
            since,
            durable,
            number,
            ..
        } => {
            check_number(number.get())?;
            position(since.end)?;
            position(durable.unwrap_or_default())
        }
        ReplicaMessage::Chunk {
            since,
            entries,
            commit,
            floor,
            ..
        } => {
            position(*commit)?;
            ensure(floor <= commit, InvalidMessage::Interval)?;
            let highest = Some(message.epoch);
            check_entries(*since, entries, message.generation, highest)
        }
        ReplicaMessage::Conflict { failed, hint, .. } => {
            position(failed.end)?;
            position(*hint)
        }
        ReplicaMessage::InstallSnapshot {
            floor,
            length,
            offset,
            part,
            ..
        } => {
            position(floor.end)?;
            let end = u64::from(*offset) + part.len() as u64;
            ensure(end <= u64::from(*length), InvalidMessage::Part)
        }
        ReplicaMessage::TransferNow { tried, .. } => {
            let ascends = tried.windows(2).all(|pair| pair[0] < pair[1]);
            ensure(
                ascends && tried.len() <= VOTERS_MAX,
                InvalidMessage::Membership,
            )
        }
        ReplicaMessage::Regressed { acknowledged } => position(*acknowledged),
        ReplicaMessage::CatchUp { since, .. } => position(since.end),
        ReplicaMessage::Fetch { from, end, .. } => {
            position(*end)?;
            ensure(from <= end, InvalidMessage::Interval)
        }
        ReplicaMessage::Fetched { since, entries, .. } => {
            check_entries(*since, entries, message.generation, None)
        }
    }
}

fn check_entries(
    since: LogPosition,
    entries: &[Arc<Entry>],
    generation: Gen,
    highest: Option<Epoch>,
) -> Checked {
    position(since.end)?;
    let (mut end, mut n) = (since.end, since.epoch.n);
    for entry in entries {
        ensure(entry.seq == end, InvalidMessage::Gap)?;
        ensure(entry.generation == generation, InvalidMessage::Generation)?;
        ensure(entry.epoch.n >= n, InvalidMessage::Epochs)?;
        check_entry(entry)?;
        n = entry.epoch.n;
        end = Seq::new(end.get().checked_add(1).ok_or(InvalidMessage::Position)?);
        position(end)?;
    }
    ensure(
        highest.is_none_or(|highest| n <= highest.n),
        InvalidMessage::Epochs,
    )
}

fn check_entry(entry: &Entry) -> Checked {
    check_payload(&entry.payload)?;
    match &entry.kind {
        EntryKind::Data(request) => request.map_or(Ok(()), check_request),
        EntryKind::Empty | EntryKind::OpenClient => {
            ensure(entry.payload.length() == 0, InvalidMessage::EntryKind)
        }
        EntryKind::Config(membership) => {
            ensure(entry.payload.length() == 0, InvalidMessage::EntryKind)?;
            check_membership(membership)
        }
    }
}

fn check_membership(membership: &Membership) -> Checked {
    let ascends = |group: &[Member]| group.windows(2).all(|pair| pair[0] < pair[1]);
    let voters = &membership.voters;
    let learner_votes = |learner| voters.binary_search(learner).is_ok();
    ensure(
        ascends(voters)
            && ascends(&membership.learners)
            && !membership.learners.iter().any(learner_votes),
        InvalidMessage::Membership,
    )
}
