//! The server: it reads every stream to its end.

use crate::parcel::Parcel;
use crate::{Handle, Peer, Told};
use meshos_sim::prelude::*;
use quinn_proto::{Connection, Dir, Event, ReadError, StreamEvent, StreamId};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Receiver {
    /// What came so far, of streams that have not ended.
    streams: BTreeMap<(Handle, StreamId), Vec<u8>>,
}

impl Receiver {
    pub fn hear(
        &mut self,
        handle: Handle,
        connection: &mut Connection,
        event: Event,
        out: &mut Outbox<Peer>,
    ) {
        match event {
            Event::Stream(StreamEvent::Opened { .. }) => {
                while let Some(stream) = connection.streams().accept(Dir::Uni) {
                    self.read(handle, connection, stream, out);
                }
            }
            Event::Stream(StreamEvent::Readable { id }) => self.read(handle, connection, id, out),
            Event::ConnectionLost { .. } => self.streams.retain(|(of, _), _| *of != handle),
            _ => {}
        }
    }

    fn read(
        &mut self,
        handle: Handle,
        connection: &mut Connection,
        stream: StreamId,
        out: &mut Outbox<Peer>,
    ) {
        let content = self.streams.entry((handle, stream)).or_default();
        let mut receive = connection.recv_stream(stream);
        let Ok(mut chunks) = receive.read(true) else {
            return;
        };
        let ended = loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => content.extend_from_slice(&chunk.bytes),
                Ok(None) => break true,
                Err(ReadError::Blocked) => break false,
                Err(ReadError::Reset(_)) => {
                    content.clear();
                    break true;
                }
            }
        };
        // Whether that frees space to tell the sender of, the next poll finds out.
        let _ = chunks.finalize();
        if ended {
            out.output(Told::Received(Parcel::read(content)));
            self.streams.remove(&(handle, stream));
        }
    }
}
