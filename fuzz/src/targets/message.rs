//! Whatever a peer sends, the decoder answers with a message or with an error; what it lets
//! through encodes to the same again.

use meshos_core::wire::{HEAD, decode, encode, seal};

const BYTES_MAX: u32 = 1 << 20;

/// Tries one input.
///
/// # Panics
/// If the code under test breaks its word.
pub fn run(bytes: &[u8]) {
    check(bytes);
    // Few mutations survive the checksum, so the same bytes are tried with a right one.
    if bytes.len() >= HEAD {
        let mut sealed = bytes.to_vec();
        let length = (bytes.len() - HEAD) as u32;
        sealed[0] = 1;
        sealed[1..5].copy_from_slice(&length.to_le_bytes());
        seal(&mut sealed);
        check(&sealed);
    }
}

fn check(bytes: &[u8]) {
    if let Ok(message) = decode(bytes, BYTES_MAX) {
        let again = decode(&encode(&message), BYTES_MAX);
        assert_eq!(again, Ok(message), "a message that was let in comes back");
    }
}
