//! What travels: sealed bytes.

use bytes::Bytes;
use meshos_sim::prelude::*;
use std::fmt;

/// A datagram of QUIC. All of its bytes count for the digest of a run, sealed ones too, because
/// every key comes from the seed.
#[derive(Clone)]
pub struct Datagram(pub Bytes);

impl Message for Datagram {
    fn fingerprint(&self) -> u64 {
        stable_hash(&self.0[..])
    }

    /// With the heads of UDP and IP.
    fn size(&self) -> u32 {
        self.0.len() as u32 + 28
    }

    /// UDP's checksum is weak; whatever comes through it has to fail at the seal.
    fn corrupt(&self, bits: u64) -> Option<Self> {
        let mut bytes = self.0.to_vec();
        let bit = bits as usize % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        Some(Self(bytes.into()))
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.0.first() {
            Some(first) if first & 0x80 != 0 => "handshake",
            _ => "data",
        };
        write!(f, "{form}, {} bytes", self.0.len())
    }
}
