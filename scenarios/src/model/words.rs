//! Peer messages in a line that a person reads: ids short, hashes left out.

use meshos_core::chain::entry::{Entry, LogPosition};
use meshos_core::message::{
    Body, ChainMessage, Confirm, ForwardAsk, Heartbeat, ReplicaMessage, Row,
};
use std::fmt::{self, Formatter};
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
        ReplicaMessage::VoteRequest {
            round,
            purpose,
            asked,
            last_epoch,
            tail,
            ..
        } => {
            write!(
                f,
                "{round:?} vote? {asked} log ({last_epoch}, {tail}) {purpose:?}"
            )?;
        }
        ReplicaMessage::VoteReply {
            round,
            asked,
            granted,
            ..
        } => {
            let word = if *granted { "granted" } else { "refused" };
            write!(f, "{round:?} vote {asked} {word}")?;
        }
        ReplicaMessage::Pull {
            since,
            durable,
            attempt,
            number,
        } => {
            write!(f, "pull {number} stream {} from ", attempt.number)?;
            say_tip(since, f)?;
            match durable {
                Some(end) => write!(f, " durable {end}")?,
                None => f.write_str(" durable none")?,
            }
        }
        ReplicaMessage::Chunk {
            attempt,
            since,
            entries,
            commit,
            floor,
        } => {
            write!(f, "chunk stream {} ", attempt.number)?;
            say_entries(since, entries, f)?;
            write!(f, " commit {commit} floor {floor}")?;
        }
        ReplicaMessage::Conflict {
            attempt,
            failed,
            hint,
            hint_epoch,
            differs,
        } => {
            let stream = attempt.number;
            let kind = if *differs { "conflict" } else { "damage" };
            write!(
                f,
                "{kind} stream {stream} at {} hint {hint} of {hint_epoch}",
                failed.end
            )?;
        }
        ReplicaMessage::InstallSnapshot {
            floor,
            length,
            offset,
            part,
            ..
        } => {
            write!(f, "reset floor ")?;
            say_tip(floor, f)?;
            write!(f, " bytes {offset}+{} of {length}", part.len())?;
        }
        ReplicaMessage::Outdated => f.write_str("outdated")?,
        ReplicaMessage::Regressed { acknowledged } => write!(f, "regressed below {acknowledged}")?,
        ReplicaMessage::TransferNow { .. } => f.write_str("transfer now")?,
        ReplicaMessage::Fetch { from, end, .. } => write!(f, "fetch {from}..{end}")?,
        ReplicaMessage::SnapshotRequest { offset, .. } => write!(f, "parts from {offset}")?,
        ReplicaMessage::CatchUp { since, .. } => {
            f.write_str("catch up from ")?;
            say_tip(since, f)?;
        }
        ReplicaMessage::Fetched { since, entries, .. } => {
            f.write_str("fetched ")?;
            say_entries(since, entries, f)?;
        }
    }
    write!(f, " in {}", message.epoch)
}

fn say_tip(tip: &LogPosition, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{} behind {}", tip.end, tip.epoch)
}

fn say_entries(since: &LogPosition, entries: &[Arc<Entry>], f: &mut Formatter<'_>) -> fmt::Result {
    say_tip(since, f)?;
    write!(f, " + {} entries", entries.len())?;
    match entries.last() {
        Some(last) => write!(f, " to {}", last.epoch),
        None => Ok(()),
    }
}
