//! Where every random number of TLS and QUIC comes from: the node that is stepping.
//!
//! The provider of rustls is made of statics, so none of its parts can hold a generator. The node
//! lends its own for the time of a call; who asks at any other time is refused, never served by
//! the system.

use meshos_sim::prelude::*;
use quinn_proto::{ConnectionId, ConnectionIdGenerator};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup, ring,
};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use std::cell::Cell;
use x25519_dalek::{PublicKey, StaticSecret};

/// A generator that is a function of a seed and of how often it was asked.
#[derive(Copy, Clone, Debug)]
pub struct Dice {
    draw: Draw,
    asked: u64,
}

impl Dice {
    pub const fn new(seed: u64) -> Self {
        let draw = Draw::new(seed).of("dice");
        Self { draw, asked: 0 }
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.asked += 1;
            let drawn = self.draw.nth(self.asked).any().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Lends these dice to whatever `work` calls.
    pub fn lend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        LENT.set(Some(*self));
        let result = work();
        *self = LENT.take().expect("nobody else takes them");
        result
    }
}

thread_local! {
    static LENT: Cell<Option<Dice>> = const { Cell::new(None) };
}

fn fill(bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
    let mut dice = LENT.get().ok_or(GetRandomFailed)?;
    dice.fill(bytes);
    LENT.set(Some(dice));
    Ok(())
}

/// ring's provider with every source of randomness replaced. It signs with Ed25519, which draws
/// nothing; a key of another kind would sign with ring's own generator.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![&X25519],
        secure_random: &Lent,
        ..ring::default_provider()
    }
}

#[derive(Debug)]
struct Lent;

impl SecureRandom for Lent {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        fill(bytes)
    }
}

/// The key exchange: that of ring draws its secrets from the system whatever it is told.
#[derive(Debug)]
struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut bytes = [0; 32];
        fill(&mut bytes)?;
        let secret = StaticSecret::from(bytes);
        let public = PublicKey::from(&secret);
        Ok(Box::new(Exchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Exchange {
    secret: StaticSecret,
    public: PublicKey,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = || Error::from(PeerMisbehaved::InvalidKeyShare);
        let peer: [u8; 32] = peer.try_into().map_err(|_| invalid())?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(peer));
        match shared.was_contributory() {
            true => Ok(SharedSecret::from(&shared.as_bytes()[..])),
            false => Err(invalid()),
        }
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// Names of connections, from lent dice.
#[derive(Copy, Clone, Debug)]
pub struct Names;

pub fn connection_name() -> ConnectionId {
    let mut bytes = [0; NAME_BYTES];
    fill(&mut bytes).expect("names are made while a node steps");
    ConnectionId::new(&bytes)
}

impl ConnectionIdGenerator for Names {
    fn generate_cid(&mut self) -> ConnectionId {
        connection_name()
    }

    fn cid_len(&self) -> usize {
        NAME_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

const NAME_BYTES: usize = 8;
