//! An endpoint of QUIC with its connections, between steps and datagrams.

use crate::datagram::Datagram;
use crate::{Handle, Peer, SERVER};
use bytes::{Bytes, BytesMut};
use meshos_sim::prelude::*;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Event,
    Incoming, ServerConfig, Transmit,
};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Instant as Moment;

pub struct Wire {
    endpoint: Endpoint,
    connections: BTreeMap<Handle, Connection>,
    retry: bool,
    deadline: Option<Instant>,
}

impl Wire {
    pub fn new(config: EndpointConfig, server: Option<ServerConfig>, retry: bool) -> Self {
        Self {
            endpoint: Endpoint::new(Arc::new(config), server.map(Arc::new), true, None),
            connections: BTreeMap::new(),
            retry,
            deadline: None,
        }
    }

    pub fn receive(&mut self, now: Now, from: NodeIndex, data: Datagram, out: &mut Outbox<Peer>) {
        let (at, mut buffer) = (moment(now), Vec::new());
        let bytes = BytesMut::from(&data.0[..]);
        let event = self
            .endpoint
            .handle(at, address(from), None, None, bytes, &mut buffer);
        match event {
            None => {}
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(connection) = self.connections.get_mut(&handle.0) {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::Response(transmit)) => post(&transmit, &buffer, out),
            Some(DatagramEvent::NewConnection(incoming)) => self.accept(at, incoming, out),
        }
    }

    fn accept(&mut self, at: Moment, incoming: Incoming, out: &mut Outbox<Peer>) {
        let mut buffer = Vec::new();
        if self.retry && incoming.may_retry() && !incoming.remote_address_validated() {
            if let Ok(transmit) = self.endpoint.retry(incoming, &mut buffer) {
                post(&transmit, &buffer, out);
            }
            return;
        }
        match self.endpoint.accept(incoming, at, &mut buffer, None) {
            Ok((handle, connection)) => {
                self.connections.insert(handle.0, connection);
            }
            Err(error) => {
                if let Some(transmit) = error.response {
                    post(&transmit, &buffer, out);
                }
            }
        }
    }

    /// A new connection to the server.
    pub fn connect(&mut self, now: Now, config: ClientConfig) -> Option<Handle> {
        let to = address(SERVER);
        let (handle, connection) = self
            .endpoint
            .connect(moment(now), config, to, "pairs.example")
            .ok()?;
        self.connections.insert(handle.0, connection);
        Some(handle.0)
    }

    /// Lets all connections do what is due and sends what they have to say; the result is what
    /// their users should hear.
    pub fn drive(&mut self, now: Now, out: &mut Outbox<Peer>) -> Vec<(Handle, Event)> {
        let at = moment(now);
        let mut events = Vec::new();
        for (handle, connection) in &mut self.connections {
            if connection.poll_timeout().is_some_and(|due| due <= at) {
                connection.handle_timeout(at);
            }
            while let Some(event) = connection.poll_endpoint_events() {
                let answer = self.endpoint.handle_event(ConnectionHandle(*handle), event);
                if let Some(answer) = answer {
                    connection.handle_event(answer);
                }
            }
            let mut buffer = Vec::new();
            while let Some(transmit) = connection.poll_transmit(at, 1, &mut buffer) {
                post(&transmit, &buffer, out);
                buffer.clear();
            }
            while let Some(event) = connection.poll() {
                events.push((*handle, event));
            }
        }
        if events.is_empty() {
            self.connections
                .retain(|_, connection| !connection.is_drained());
            let deadlines = self.connections.values_mut();
            let first = deadlines.filter_map(Connection::poll_timeout).min();
            self.deadline = first.map(instant);
        }
        events
    }

    pub fn connection(&mut self, handle: Handle) -> Option<&mut Connection> {
        self.connections.get_mut(&handle)
    }

    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// When a connection has to do something.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What is seen of the connections from outside.
    pub fn state(&self) -> String {
        let of = |(handle, connection): (&Handle, &Connection)| {
            let stats = connection.stats();
            format!("{handle} {} {stats:?};", connection.is_closed())
        };
        self.connections.iter().map(of).collect()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.state())
    }
}

fn post(transmit: &Transmit, buffer: &[u8], out: &mut Outbox<Peer>) {
    let bytes = Bytes::copy_from_slice(&buffer[..transmit.size]);
    out.send(node(transmit.destination), Datagram(bytes));
}

fn address(node: NodeIndex) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 1_000 + node.0))
}

fn node(address: SocketAddr) -> NodeIndex {
    NodeIndex(address.port() - 1_000)
}

/// The crate counts in the time of the standard library, which has no zero. Any moment does:
/// only differences to it are ever looked at.
static EPOCH: LazyLock<Moment> = LazyLock::new(Moment::now);

fn moment(now: Now) -> Moment {
    *EPOCH + Duration::from_nanos(now.instant.as_nanos())
}

fn instant(moment: Moment) -> Instant {
    Instant::ZERO.after(moment.saturating_duration_since(*EPOCH))
}
