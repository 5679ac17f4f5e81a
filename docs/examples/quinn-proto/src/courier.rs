//! A client: it keeps a connection and brings each parcel until it hears that it arrived.

use crate::parcel::Parcel;
use crate::wire::Wire;
use crate::{Handle, Peer, Told, setup};
use meshos_sim::prelude::*;
use quinn_proto::{Connection, Dir, Event, StreamEvent, StreamId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub struct Courier {
    connection: Option<Handle>,
    is_connected: bool,
    connect_at: Instant,
    /// What has no stream yet.
    waiting: BTreeSet<Parcel>,
    sending: BTreeMap<StreamId, Sending>,
}

#[derive(Debug)]
struct Sending {
    parcel: Parcel,
    /// How much of it the stream has taken.
    written: usize,
}

impl Courier {
    pub const fn new(connect_at: Instant) -> Self {
        Self {
            connection: None,
            is_connected: false,
            connect_at,
            waiting: BTreeSet::new(),
            sending: BTreeMap::new(),
        }
    }

    pub fn take(&mut self, parcel: Parcel, wire: &mut Wire) {
        self.waiting.insert(parcel);
        if self.is_connected
            && let Some(connection) = self.connection.and_then(|handle| wire.connection(handle))
        {
            self.send(connection);
        }
    }

    pub fn connect(&mut self, now: Now, wire: &mut Wire) {
        if self.connection.is_none() && now.instant >= self.connect_at {
            self.connection = wire.connect(now, setup::client());
            self.connect_at = now.instant.after(RETRY);
        }
    }

    pub fn connect_at(&self) -> Option<Instant> {
        self.connection.is_none().then_some(self.connect_at)
    }

    pub fn hear(
        &mut self,
        now: Now,
        connection: &mut Connection,
        event: Event,
        out: &mut Outbox<Peer>,
    ) {
        match event {
            Event::Connected => {
                self.is_connected = true;
                self.send(connection);
            }
            // What was on its way may have arrived or not: all of it is brought again.
            Event::ConnectionLost { .. } => {
                let lost = std::mem::take(&mut self.sending);
                self.waiting
                    .extend(lost.into_values().map(|sending| sending.parcel));
                (self.connection, self.is_connected) = (None, false);
                self.connect_at = now.instant.after(RETRY);
            }
            Event::Stream(StreamEvent::Available { .. }) => self.send(connection),
            Event::Stream(StreamEvent::Writable { id }) => self.write(connection, id),
            Event::Stream(StreamEvent::Finished { id }) => {
                if let Some(sent) = self.sending.remove(&id) {
                    out.output(Told::Confirmed(sent.parcel));
                }
            }
            _ => {}
        }
    }

    /// Opens streams for what waits, as many as the server allows.
    fn send(&mut self, connection: &mut Connection) {
        while let Some(parcel) = self.waiting.first().copied()
            && let Some(stream) = connection.streams().open(Dir::Uni)
        {
            self.waiting.remove(&parcel);
            let written = 0;
            self.sending.insert(stream, Sending { parcel, written });
            self.write(connection, stream);
        }
    }

    fn write(&mut self, connection: &mut Connection, id: StreamId) {
        let Some(sending) = self.sending.get_mut(&id) else {
            return;
        };
        let content = sending.parcel.content();
        let mut stream = connection.send_stream(id);
        while sending.written < content.len() {
            match stream.write(&content[sending.written..]) {
                Ok(count) => sending.written += count,
                // It is writable again later, or lost with its connection.
                Err(_) => return,
            }
        }
        let _ = stream.finish();
    }

    pub fn is_done(&self) -> bool {
        self.is_connected && self.waiting.is_empty() && self.sending.is_empty()
    }

    pub fn describe(&self) -> String {
        let state = match (self.is_connected, self.connection) {
            (true, _) => "connected",
            (false, Some(_)) => "connecting",
            (false, None) => "apart",
        };
        let (waiting, sending) = (self.waiting.len(), self.sending.len());
        format!("{state}, {waiting} parcels wait, {sending} on their way")
    }
}

const RETRY: Duration = Duration::from_millis(200);
