//! Leaves payloads out of events.

use super::PayloadMode;
use crate::chain::entry::Entry;
use crate::chain::payload::Payload;
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
        Input::Wake | Input::Done { .. } | Input::HandOver => None,
        Input::Peer { from, message } => redact_message(message, mode).map(|body| {
            let message = Message { body, ..**message };
            Input::Peer {
                from: *from,
                message: Arc::new(message),
            }
        }),
        Input::Client { ticket, request } => redact_ask(&request.ask, mode).map(|ask| {
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

fn redact_payload(payload: &Payload, mode: PayloadMode) -> Payload {
    match mode {
        PayloadMode::Full => payload.clone(),
        PayloadMode::Digest => payload.redacted(),
        PayloadMode::Off => payload.blanked(),
    }
}

fn redact_ask(ask: &Ask, mode: PayloadMode) -> Option<Ask> {
    match ask {
        Ask::Append {
            level,
            request,
            payload,
        } => Some(Ask::Append {
            level: *level,
            request: *request,
            payload: redact_payload(payload, mode),
        }),
        Ask::OpenClient | Ask::Read { .. } | Ask::Transfer { .. } => None,
    }
}

fn redact_message(message: &Message, mode: PayloadMode) -> Option<Body> {
    match &message.body {
        Body::Chain(message) => redact_talk(&message.talk, mode)
            .map(|talk| Body::Chain(ChainMessage { talk, ..*message })),
        Body::Forward(forward) => {
            redact_forward(&forward.ask, mode).map(|ask| Body::Forward(Forward { ask, ..*forward }))
        }
        Body::Heartbeat(_) | Body::Confirm(_) | Body::Confirmed(_) | Body::Forwarded { .. } => None,
    }
}

fn redact_forward(ask: &ForwardAsk, mode: PayloadMode) -> Option<ForwardAsk> {
    match ask {
        ForwardAsk::Append {
            level,
            request,
            payload,
        } => Some(ForwardAsk::Append {
            level: *level,
            request: *request,
            payload: redact_payload(payload, mode),
        }),
        ForwardAsk::OpenClient | ForwardAsk::ReadIndex | ForwardAsk::Transfer { .. } => None,
    }
}

fn redact_entries(entries: &[Arc<Entry>], mode: PayloadMode) -> Arc<[Arc<Entry>]> {
    let redacted = entries.iter().map(|entry| {
        let payload = redact_payload(&entry.payload, mode);
        let kind = entry.kind.clone();
        Arc::new(Entry {
            payload,
            kind,
            ..**entry
        })
    });
    redacted.collect()
}

fn redact_talk(talk: &Talk, mode: PayloadMode) -> Option<Talk> {
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
            entries: redact_entries(entries, mode),
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
            entries: redact_entries(entries, mode),
        }),
        // A part of a checkpoint holds no payload.
        Talk::Reset { .. }
        | Talk::VoteRequest { .. }
        | Talk::VoteReply { .. }
        | Talk::Pull { .. }
        | Talk::Conflict { .. }
        | Talk::Outdated
        | Talk::Regressed { .. }
        | Talk::TransferNow
        | Talk::Fetch { .. } => None,
    }
}
