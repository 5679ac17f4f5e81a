//! What a stream promises.

use crate::{Peer, Told};
use meshos_sim::prelude::*;
use std::collections::BTreeSet;

/// What was seen in a run.
#[derive(Debug, Default)]
pub struct Streams {
    received: BTreeSet<u64>,
    lost: bool,
}

impl Hook<Peer> for Streams {
    fn on_output(
        &mut self,
        _: View<'_, Peer>,
        node: NodeIndex,
        told: &Told,
        later: &mut Schedule<Peer>,
    ) -> Result<(), Violation> {
        match told {
            Told::Received(Some(parcel)) => {
                self.received.insert(parcel.number);
            }
            Told::Received(None) => {
                let detail = "a stream ended with something that nobody sent";
                return Err(Violation::new("content-intact", detail).at_node(node));
            }
            Told::Confirmed(parcel) if !self.received.contains(&parcel.number) => {
                let detail =
                    format!("{parcel:?} is called received, and the server has not read it");
                return Err(Violation::new("confirmed-is-received", detail).at_node(node));
            }
            Told::Confirmed(_) => {
                reached!("a parcel confirmed");
                if self.lost {
                    reached!("a parcel confirmed after a connection was lost");
                }
            }
            Told::Connected => later.note(Some(node), || "connected".into()),
            Told::Lost(reason) => {
                self.lost = true;
                later.note(Some(node), || format!("connection lost: {reason}"));
            }
        }
        Ok(())
    }
}
