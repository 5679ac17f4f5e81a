//! Peer messages as bytes.
//!
//! ```text
//! version  1  1
//! length   4  of the body, little endian
//! crc      4  CRC32 of version, length and body, little endian
//! body        postcard of `Message`, all of it
//! ```
//!
//! A decoded message is one that a peer can have meant: besides the checksum, everything that
//! can be told without knowing the receiver's state is checked ([`sound`]). Nothing a peer sends
//! can panic the decoder, nor make it allocate more than the frame's own size warrants: a
//! sequence reserves space only for as many elements as there are bytes left.

mod sound;
#[cfg(test)]
mod tests;

pub use sound::{InvalidMessage, check_client};

use crate::message::Message;
use alloc::vec::Vec;

const VERSION: u8 = 1;

/// Length of a frame without its body.
pub const HEAD: usize = 9;

/// Why a frame is refused; the connection it came on is of no more use.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end before the frame does.
    #[error("expected a frame of {expected} bytes, found {found}")]
    Short {
        /// Length of the frame as far as it is known.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The peer speaks another version.
    #[error("expected wire version 1, found {found}")]
    Version {
        /// Its version.
        found: u8,
    },
    /// The frame is larger than a message may be.
    #[error("expected a message of at most {limit} bytes, found {found}")]
    Oversize {
        /// The limit.
        limit: u32,
        /// Length of its body.
        found: u32,
    },
    /// The frame does not match its checksum.
    #[error("expected a frame with checksum {expected:08x}, found {found:08x}")]
    Crc {
        /// What the head says.
        expected: u32,
        /// What the bytes have.
        found: u32,
    },
    /// The body is no message; a payload that does not match its hash is none either.
    #[error("expected an encoded message")]
    Malformed,
    /// Bytes are left over behind the message or behind the frame.
    #[error("expected the end of the frame, found {found} more bytes")]
    Trailing {
        /// How many.
        found: u64,
    },
    /// No peer can have meant this.
    #[error("expected a sound message: {0}")]
    InvalidMessage(#[from] InvalidMessage),
}

/// Encodes one frame.
///
/// # Panics
/// If the message is 4 GiB or more; every message stays under a configured limit.
pub fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(&[0; HEAD]);
    let mut out = postcard::to_extend(message, out).expect("a message encodes into memory");
    let length = u32::try_from(out.len() - HEAD).expect("a message is far below 4 GiB");
    out[0] = VERSION;
    out[1..5].copy_from_slice(&length.to_le_bytes());
    seal(&mut out);
    out
}

/// Length of the body of a message's frame, in bytes.
pub fn encoded_length(message: &Message) -> usize {
    postcard::experimental::serialized_size(message).expect("every message can be encoded")
}

/// How many rows or confirms fit one message: as many as do when every number in them takes the
/// most bytes that it can. At least one.
pub fn items_max(message_bytes_max: u32) -> usize {
    let items = message_bytes_max.saturating_sub(ENVELOPE_BYTES_MAX) / ITEM_BYTES_MAX;
    items.max(1) as usize
}

/// A message without the items of its list.
const ENVELOPE_BYTES_MAX: u32 = 256;
/// One row or confirm: eight numbers of up to ten bytes.
const ITEM_BYTES_MAX: u32 = 80;

/// Makes the checksum of a frame right. For tests that change frames on purpose.
///
/// # Panics
/// If there is no whole head.
pub fn seal(frame: &mut [u8]) {
    let crc = checksum(&frame[..5], &frame[HEAD..]);
    frame[5..HEAD].copy_from_slice(&crc.to_le_bytes());
}

/// Length of the body behind this head, for a reader that has to know how much to wait for.
pub fn body_length(head: &[u8; HEAD], bytes_max: u32) -> Result<u32, WireError> {
    if head[0] != VERSION {
        return Err(WireError::Version { found: head[0] });
    }
    let found = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    if found > bytes_max {
        return Err(WireError::Oversize {
            limit: bytes_max,
            found,
        });
    }
    Ok(found)
}

/// Decodes one whole frame with a body of at most `bytes_max` bytes.
pub fn decode(frame: &[u8], bytes_max: u32) -> Result<Message, WireError> {
    let short = |expected| WireError::Short {
        expected,
        found: frame.len() as u64,
    };
    let (head, body) = frame
        .split_first_chunk::<HEAD>()
        .ok_or(short(HEAD as u64))?;
    let length = body_length(head, bytes_max)?;
    let behind = body.len() as u64;
    if behind < u64::from(length) {
        return Err(short(HEAD as u64 + u64::from(length)));
    }
    if behind > u64::from(length) {
        let found = behind - u64::from(length);
        return Err(WireError::Trailing { found });
    }
    let expected = u32::from_le_bytes([head[5], head[6], head[7], head[8]]);
    let found = checksum(&head[..5], body);
    if found != expected {
        return Err(WireError::Crc { expected, found });
    }
    let (message, rest): (Message, _) =
        postcard::take_from_bytes(body).map_err(|_| WireError::Malformed)?;
    if !rest.is_empty() {
        let found = rest.len() as u64;
        return Err(WireError::Trailing { found });
    }
    sound::check(&message)?;
    Ok(message)
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}
