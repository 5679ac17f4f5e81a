//! Leaves payloads out of events.

use super::PayloadMode;
use crate::chain::entry::Entry;
use crate::client::{Ask, ClientRequest};
use crate::event::{Event, Input};
use crate::message::{Body, ChainMessage, Forward, ForwardAsk, Message, Talk};
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
        Body::Chain(message) => {
            redact_talk(&message.talk).map(|talk| Body::Chain(ChainMessage { talk, ..*message }))
        }
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

fn redact_talk(talk: &Talk) -> Option<Talk> {
    match talk {
        Talk::Chunk {
            attempt,
            since,
            entries,
            commit,
            floor,
        } => Some(Talk::Chunk {
            attempt: *attempt,
            since: *since,
            entries: redact_entries(entries),
            commit: *commit,
            floor: *floor,
        }),
        Talk::Fetched {
            attempt,
            since,
            entries,
        } => Some(Talk::Fetched {
            attempt: *attempt,
            since: *since,
            entries: redact_entries(entries),
        }),
        // A part of a checkpoint holds no payload.
        Talk::Reset { .. }
        | Talk::VoteRequest { .. }
        | Talk::VoteReply { .. }
        | Talk::Pull { .. }
        | Talk::Conflict { .. }
        | Talk::Outdated
        | Talk::Regressed { .. }
        | Talk::TransferNow { .. }
        | Talk::Fetch { .. }
        | Talk::CatchUp { .. }
        | Talk::Parts { .. } => None,
    }
}
