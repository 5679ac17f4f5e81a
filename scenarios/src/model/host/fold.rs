//! What the future of a node depends on, for a search through its states.

use super::{Host, State};
use std::hash::{Hash, Hasher};

impl Host {
    /// Takes in the node, and which of its orders the disk has not answered. Where its files are
    /// follows from what is in them and from the orders under way, which the search sees itself.
    pub fn fold(&self, into: &mut impl Hasher) {
        match &self.state {
            State::Repairing { boot, repairs, .. } => {
                into.write_u8(0);
                boot.hash(into);
                repairs.hash(into);
            }
            State::Running(running) => {
                into.write_u8(1);
                running.node.hash(into);
                for (number, ordered) in &running.orders {
                    into.write_u64(*number);
                    into.write_u8(u8::from(ordered.reverting));
                }
            }
            State::Broken => into.write_u8(2),
        }
    }
}
