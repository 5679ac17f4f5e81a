//! What a client wants kept: bytes that no decision ever reads (payload-blind).

use bytes::Bytes;
use core::hash::{Hash, Hasher};
use serde::{Deserialize, Serialize};

/// The leading 16 bytes of BLAKE3 over a payload.
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PayloadHash(#[serde(with = "sixteen")] pub u128);

/// The leading 16 bytes of a BLAKE3 digest, little endian.
pub(crate) fn leading(hash: &blake3::Hash) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_le_bytes(first)
}

/// A payload: its length, its hash, and its bytes unless they were left out of a recording.
///
/// Two payloads are equal when length and hash are: whether the bytes are at hand never shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Payload {
    length: u32,
    hash: PayloadHash,
    bytes: Option<Bytes>,
}

#[derive(Serialize, Deserialize)]
struct Parts {
    length: u32,
    hash: PayloadHash,
    bytes: Option<Bytes>,
}

/// A payload whose bytes are not the ones that its length and hash name.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload bytes do not match their length and hash")]
pub struct PayloadMismatch;

impl Payload {
    /// A payload of these bytes.
    ///
    /// # Panics
    /// If they are 4 GiB or more; every way in refuses them long before.
    pub fn new(bytes: Bytes) -> Self {
        let length = u32::try_from(bytes.len()).expect("payloads are far below 4 GiB");
        Self {
            length,
            hash: PayloadHash(leading(&blake3::hash(&bytes))),
            bytes: Some(bytes),
        }
    }

    /// A payload of no bytes.
    pub fn empty() -> Self {
        Self::new(Bytes::new())
    }

    /// Length in bytes.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Hash of the bytes.
    pub fn hash(&self) -> PayloadHash {
        self.hash
    }

    /// The bytes, unless they were redacted.
    pub fn bytes(&self) -> Option<&Bytes> {
        self.bytes.as_ref()
    }

    /// The same payload without its bytes.
    pub fn redacted(&self) -> Self {
        Self {
            bytes: None,
            ..*self
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.length == other.length && self.hash == other.hash
    }
}

impl Eq for Payload {}

impl Hash for Payload {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.length.hash(state);
        self.hash.hash(state);
    }
}

impl TryFrom<Parts> for Payload {
    type Error = PayloadMismatch;

    fn try_from(parts: Parts) -> Result<Self, PayloadMismatch> {
        match parts.bytes {
            None => Ok(Self {
                length: parts.length,
                hash: parts.hash,
                bytes: None,
            }),
            Some(bytes) => {
                if bytes.len() as u64 != u64::from(parts.length) {
                    return Err(PayloadMismatch);
                }
                let payload = Self::new(bytes);
                if payload.hash == parts.hash {
                    Ok(payload)
                } else {
                    Err(PayloadMismatch)
                }
            }
        }
    }
}

impl From<Payload> for Parts {
    fn from(payload: Payload) -> Self {
        Self {
            length: payload.length,
            hash: payload.hash,
            bytes: payload.bytes,
        }
    }
}

/// A hash in sixteen bytes, whatever it is: no length may depend on the bytes of a payload.
pub(super) mod sixteen {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::chain) fn serialize<S: Serializer>(
        hash: &u128,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        hash.to_le_bytes().serialize(serializer)
    }

    pub(in crate::chain) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        <[u8; 16]>::deserialize(deserializer).map(u128::from_le_bytes)
    }
}
