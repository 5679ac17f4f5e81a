//! Leaves payloads out of events.

use super::PayloadMode;
use crate::chain::entry::Entry;
use crate::client::{Ask, ClientRequest};
use crate::event::{Event, Input};
use crate::message::{Body, ChainMessage, Forward, ForwardAsk, Message, ReplicaMessage};
use alloc::borrow::Cow;
use alloc::sync::Arc;

/// The event as `mode` lets it be recorded.
pub fn redacted(event: &Event, mode: PayloadMode) -> Cow<'_, Event> {
    if mode == PayloadMode::Full {
        return Cow::Borrowed(event);
    }
    let input = match &event.input {
        Input::Wake
        | Input::Done { .. }
        | Input::HandOver
        | Input::Disowned
        | Input::PeerGone { .. }
        | Input::LinkUp { .. }
        | Input::LinkDown { .. } => None,
        Input::Peer { from, message } => redact_message(message).map(|body| {
            let message = Message { body, ..**message };
            Input::Peer {
                from: *from,
                message: Arc::new(message),
            }
        }),
        Input::Client { ticket, request } => redact_ask(&request.ask).map(|ask| {
            let chain = request.chain;
            Input::Client {
                ticket: *ticket,
                request: ClientRequest { chain, ask },
            }
        }),
    };
    match input {
        None => Cow::Borrowed(event),
        Some(input) => Cow::Owned(Event {
            wall: event.wall,
            input,
        }),
    }
}

fn redact_ask(ask: &Ask) -> Option<Ask> {
    match ask {
        Ask::Append {
            level,
            request,
            payload,
        } => Some(Ask::Append {
            level: *level,
            request: *request,
            payload: payload.redacted(),
        }),
        Ask::OpenClient | Ask::Read { .. } | Ask::Transfer { .. } => None,
    }
}

fn redact_message(message: &Message) -> Option<Body> {
    match &message.body {
        Body::Chain(message) => redact_content(&message.content).map(|content| {
            Body::Chain(ChainMessage {
                content,
                ..*message
            })
        }),
        Body::Forward(forward) => {
            redact_forward(&forward.ask).map(|ask| Body::Forward(Forward { ask, ..*forward }))
        }
        Body::Heartbeat(_) | Body::Confirm(_) | Body::Confirmed(_) | Body::Forwarded { .. } => None,
    }
}

fn redact_forward(ask: &ForwardAsk) -> Option<ForwardAsk> {
    match ask {
        ForwardAsk::Append {
            level,
            request,
            payload,
        } => Some(ForwardAsk::Append {
            level: *level,
            request: *request,
            payload: payload.redacted(),
        }),
        ForwardAsk::OpenClient | ForwardAsk::ReadIndex | ForwardAsk::Transfer { .. } => None,
    }
}

fn redact_entries(entries: &[Arc<Entry>]) -> Arc<[Arc<Entry>]> {
    let redacted = entries.iter().map(|entry| Arc::new(entry.redacted()));
    redacted.collect()
}

fn redact_content(content: &ReplicaMessage) -> Option<ReplicaMessage> {
    match content {
        ReplicaMessage::Chunk {
            attempt,
            since,
            entries,
            commit,
            floor,
        } => Some(ReplicaMessage::Chunk {
            attempt: *attempt,
            since: *since,
            entries: redact_entries(entries),
            commit: *commit,
            floor: *floor,
        }),
        ReplicaMessage::Fetched {
            attempt,
            since,
            entries,
        } => Some(ReplicaMessage::Fetched {
            attempt: *attempt,
            since: *since,
            entries: redact_entries(entries),
        }),
        // A part of a checkpoint holds no payload.
        ReplicaMessage::InstallSnapshot { .. }
        | ReplicaMessage::VoteRequest { .. }
        | ReplicaMessage::VoteReply { .. }
        | ReplicaMessage::Pull { .. }
        | ReplicaMessage::Conflict { .. }
        | ReplicaMessage::Outdated
        | ReplicaMessage::Regressed { .. }
        | ReplicaMessage::TransferNow { .. }
        | ReplicaMessage::Fetch { .. }
        | ReplicaMessage::CatchUp { .. }
        | ReplicaMessage::SnapshotRequest { .. } => None,
    }
}
