//! Peer messages in a line that a person reads: ids short, hashes left out.

use meshos_core::chain::entry::{Entry, LogPosition};
use meshos_core::message::{
    Body, ChainMessage, Confirm, ForwardAsk, Heartbeat, ReplicaMessage, Row,
};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// Says what a message says.
pub(super) fn say(body: &Body, f: &mut Formatter<'_>) -> fmt::Result {
    match body {
        Body::Heartbeat(heartbeat) => say_heartbeat(heartbeat, f),
        Body::Chain(message) => say_chain(message, f),
        Body::Confirm(confirms) => say_confirms("confirm?", confirms, f),
        Body::Confirmed(confirms) => say_confirms("confirmed", confirms, f),
        Body::Forward(forward) => {
            write!(f, "forward #{} {}", forward.attempt.number, forward.epoch)?;
            match &forward.ask {
                ForwardAsk::OpenClient => f.write_str(" open"),
                ForwardAsk::Append {
                    level,
                    request,
                    payload,
                } => {
                    write!(f, " append {} bytes {level:?}", payload.length())?;
                    match request {
                        Some(request) => {
                            write!(f, " client {} number {}", request.client.0, request.number)
                        }
                        None => Ok(()),
                    }
                }
                ForwardAsk::ReadIndex => f.write_str(" read index"),
                ForwardAsk::Transfer { to } => write!(f, " transfer {to:?}"),
            }
        }
        Body::Forwarded { attempt, answer } => {
            write!(f, "forwarded #{} {answer:?}", attempt.number)
        }
    }
}

fn say_heartbeat(heartbeat: &Heartbeat, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "heartbeat {}", heartbeat.number)?;
    if let Some((_, number)) = heartbeat.echo {
        write!(f, " echo {number}")?;
    }
    heartbeat.rows.iter().try_for_each(|row| say_row(row, f))
}

fn say_row(row: &Row, f: &mut Formatter<'_>) -> fmt::Result {
    match &row.state {
        None => f.write_str(" [gone]"),
        Some(state) => {
            write!(f, " [{:?} {} durable ", state.role, state.epoch)?;
            match state.durable {
                Some(end) => write!(f, "{end}")?,
                None => f.write_str("none")?,
            }
            write!(f, " commit {}]", state.commit)
        }
    }
}

fn say_confirms(word: &str, confirms: &[Confirm], f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(word)?;
    for confirm in confirms {
        write!(f, " {} round {}", confirm.epoch, confirm.attempt.number)?;
    }
    Ok(())
}

fn say_chain(message: &ChainMessage, f: &mut Formatter<'_>) -> fmt::Result {
    match &message.content {
        vote @ (ReplicaMessage::VoteRequest { .. } | ReplicaMessage::VoteReply { .. }) => {
            say_vote(vote, f)?;
        }
        ReplicaMessage::Pull {
            since,
            durable,
            attempt,
            number,
        } => {
            let durable = durable.map_or("none".to_owned(), |end| end.to_string());
            let (stream, tip) = (attempt.number, Tip(since));
            write!(
                f,
                "pull {number} stream {stream} from {tip} durable {durable}"
            )?;
        }
        ReplicaMessage::Chunk {
            attempt,
            since,
            entries,
            commit,
            floor,
        } => {
            let (stream, entries) = (attempt.number, Entries(since, entries));
            write!(
                f,
                "chunk stream {stream} {entries} commit {commit} floor {floor}"
            )?;
        }
        ReplicaMessage::Conflict {
            attempt,
            failed,
            hint,
            hint_epoch,
            differs,
        } => {
            let kind = if *differs { "conflict" } else { "damage" };
            let (stream, end) = (attempt.number, failed.end);
            write!(
                f,
                "{kind} stream {stream} at {end} hint {hint} of {hint_epoch}"
            )?;
        }
        ReplicaMessage::InstallSnapshot {
            floor,
            length,
            offset,
            part,
            ..
        } => {
            let (tip, bytes) = (Tip(floor), part.len());
            write!(f, "reset floor {tip} bytes {offset}+{bytes} of {length}")?;
        }
        ReplicaMessage::Outdated => f.write_str("outdated")?,
        ReplicaMessage::Regressed { acknowledged } => write!(f, "regressed below {acknowledged}")?,
        ReplicaMessage::TransferNow { .. } => f.write_str("transfer now")?,
        ReplicaMessage::Fetch { from, end, .. } => write!(f, "fetch {from}..{end}")?,
        ReplicaMessage::SnapshotRequest { offset, .. } => write!(f, "parts from {offset}")?,
        ReplicaMessage::CatchUp { since, .. } => write!(f, "catch up from {}", Tip(since))?,
        ReplicaMessage::Fetched { since, entries, .. } => {
            write!(f, "fetched {}", Entries(since, entries))?;
        }
    }
    write!(f, " in {}", message.epoch)
}

fn say_vote(vote: &ReplicaMessage, f: &mut Formatter<'_>) -> fmt::Result {
    if let ReplicaMessage::VoteRequest {
        round,
        purpose,
        asked,
        last_epoch,
        tail,
        ..
    } = vote
    {
        write!(f, "{round:?} vote? {asked} ")?;
        write!(f, "log ({last_epoch}, {tail}) {purpose:?}")?;
    }
    if let ReplicaMessage::VoteReply {
        round,
        asked,
        granted,
        ..
    } = vote
    {
        let word = if *granted { "granted" } else { "refused" };
        write!(f, "{round:?} vote {asked} {word}")?;
    }
    Ok(())
}

struct Tip<'a>(&'a LogPosition);

impl Display for Tip<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} behind {}", self.0.end, self.0.epoch)
    }
}

struct Entries<'a>(&'a LogPosition, &'a [Arc<Entry>]);

impl Display for Entries<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(since, entries) = self;
        write!(f, "{} + {} entries", Tip(since), entries.len())?;
        match entries.last() {
            Some(last) => write!(f, " to {}", last.epoch),
            None => Ok(()),
        }
    }
}
