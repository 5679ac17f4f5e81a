//! The crate's messages as the simulator carries them.

use meshos_sim::prelude::*;
use protobuf::{Message as _, ProtobufEnum};
use raft::eraftpb;
use std::fmt;
use std::sync::Arc;

/// A message of the crate, shared, because an effect is small.
#[derive(Clone)]
pub struct Letter(pub Arc<eraftpb::Message>);

impl Message for Letter {
    fn fingerprint(&self) -> u64 {
        let bytes = self.0.write_to_bytes().expect("it is encoded");
        stable_hash(&bytes[..])
    }

    /// The crate's own number, for filters: 3 is an append, 4 its answer, 5 asks for a vote.
    fn kind(&self) -> u16 {
        self.0.msg_type.value() as u16
    }

    fn size(&self) -> u32 {
        self.0.compute_size()
    }
}

/// One line for a trace: `MsgAppend in term 2 of 4..=5 after 3@1, commit 2`.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &*self.0;
        write!(f, "{:?} in term {}", message.msg_type, message.term)?;
        if let (Some(first), Some(last)) = (message.entries.first(), message.entries.last()) {
            write!(f, " of {}..={}", first.index, last.index)?;
        }
        if message.index > 0 || message.log_term > 0 {
            write!(f, " after {}@{}", message.index, message.log_term)?;
        }
        if message.commit > 0 {
            write!(f, ", commit {}", message.commit)?;
        }
        if message.reject {
            write!(f, ", rejected, hint {}", message.reject_hint)?;
        }
        Ok(())
    }
}
