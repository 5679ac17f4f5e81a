//! What users send: a parcel fills one stream, and its bytes tell whether they are all there.

use meshos_sim::prelude::*;
use serde::{Deserialize, Serialize};

/// A number that nobody uses twice, and how many bytes follow it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Parcel {
    pub number: u64,
    pub bytes: u32,
}

impl Parcel {
    /// What stands in the stream.
    pub fn content(self) -> Vec<u8> {
        let draw = Draw::new(self.number);
        let mut content = self.number.to_le_bytes().to_vec();
        content.extend(self.bytes.to_le_bytes());
        content
            .extend((0..self.bytes).map(|at| draw.nth(u64::from(at / 64)).any() as u8 ^ at as u8));
        content
    }

    /// The parcel that a stream held, if that is what the stream held to the last byte.
    pub fn read(content: &[u8]) -> Option<Self> {
        let (number, rest) = content.split_first_chunk()?;
        let parcel = Self {
            number: u64::from_le_bytes(*number),
            bytes: u32::from_le_bytes(*rest.first_chunk()?),
        };
        let is_whole = content.len() == HEAD + parcel.bytes as usize;
        (is_whole && parcel.content() == content).then_some(parcel)
    }
}

const HEAD: usize = 12;
