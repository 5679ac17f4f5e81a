//! quinn-proto 0.11 with TLS 1.3 of rustls as a machine of the simulator: node 0 serves, the
//! others send it parcels.
//!
//! Both crates draw on the system's entropy unless each of a dozen defaults is replaced:
//! [`entropy`] and [`setup`] replace them. What is left is a function of the seed, down to the
//! bytes of the ciphertext.

pub mod checks;
pub mod courier;
pub mod datagram;
pub mod entropy;
pub mod parcel;
pub mod receiver;
pub mod scenario;
pub mod setup;
pub mod wire;

use courier::Courier;
use datagram::Datagram;
use entropy::Dice;
use meshos_sim::prelude::*;
use parcel::Parcel;
use quinn_proto::Event;
use receiver::Receiver;
use serde::{Deserialize, Serialize};
use wire::Wire;

/// What a user asks of a client.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Bring this to the server.
    Send(Parcel),
}

/// What nodes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A stream of the server ended: with a parcel, or with something else.
    Received(Option<Parcel>),
    /// The client hears that all of the parcel arrived.
    Confirmed(Parcel),
    /// A connection is there.
    Connected,
    /// A connection is lost.
    Lost(String),
}

/// One node.
#[derive(Debug)]
pub struct Peer {
    dice: Dice,
    wire: Wire,
    user: User,
}

/// What the node does with its connections.
#[derive(Debug)]
pub enum User {
    Receiver(Receiver),
    Courier(Courier),
}

impl Machine for Peer {
    /// Whether the server lets clients prove their addresses first.
    type Config = bool;
    type Message = Datagram;
    type Op = Ask;
    type Output = Told;

    fn boot(retry: &bool, boot: Boot<'_>, _: &mut Outbox<Self>) -> Self {
        let mut dice = Dice::new(boot.seed);
        let is_server = boot.node == SERVER;
        let config = setup::endpoint(boot.node, &mut dice);
        let server = is_server.then(setup::server);
        let wire = dice.lend(|| Wire::new(config, server, *retry));
        let user = match is_server {
            true => User::Receiver(Receiver::default()),
            false => User::Courier(Courier::new(boot.now.instant)),
        };
        Self { dice, wire, user }
    }

    fn step(&mut self, now: Now, input: Input<Self>, out: &mut Outbox<Self>) {
        let Self { dice, wire, user } = self;
        dice.lend(|| {
            match (input, &mut *user) {
                (Input::Message { from, message }, _) => wire.receive(now, from, message, out),
                (Input::Op(Ask::Send(parcel)), User::Courier(courier)) => {
                    courier.take(parcel, wire);
                }
                (Input::Wake, User::Courier(courier)) => courier.connect(now, wire),
                _ => {}
            }
            // What a connection tells may make its user write, and what is written goes out.
            loop {
                let events = wire.drive(now, out);
                if events.is_empty() {
                    break;
                }
                for (handle, event) in events {
                    let Some(connection) = wire.connection(handle) else {
                        continue;
                    };
                    tell(&event, out);
                    match user {
                        User::Receiver(receiver) => receiver.hear(handle, connection, event, out),
                        User::Courier(courier) => courier.hear(now, connection, event, out),
                    }
                }
            }
        });
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let connect_at = match &self.user {
            User::Courier(courier) => courier.connect_at(),
            User::Receiver(_) => None,
        };
        self.wire.deadline().into_iter().chain(connect_at).min()
    }

    fn state_hash(&self) -> u64 {
        stable_hash(&(self.wire.state(), format!("{:?}", self.user)))
    }

    fn describe(&self) -> Option<String> {
        Some(match &self.user {
            User::Receiver(_) => format!("serves, {} connections", self.wire.connections()),
            User::Courier(courier) => courier.describe(),
        })
    }
}

impl Peer {
    /// Whether this client is connected and has nothing left to bring; of the server, always.
    pub fn is_done(&self) -> bool {
        match &self.user {
            User::Receiver(_) => true,
            User::Courier(courier) => courier.is_done(),
        }
    }
}

fn tell(event: &Event, out: &mut Outbox<Peer>) {
    match event {
        Event::Connected => out.output(Told::Connected),
        Event::ConnectionLost { reason } => out.output(Told::Lost(reason.to_string())),
        _ => {}
    }
}

/// A connection by the number that its endpoint gave it.
pub type Handle = usize;

pub const SERVER: NodeIndex = NodeIndex(0);
