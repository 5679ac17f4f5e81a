//! *payload-blind*: payload bytes influence no decision.
//!
//! Two runs of one plan whose payloads differ in their bytes, and in nothing else, have to take
//! the same steps. The fingerprints of entries differ, so what is compared is the shape of each
//! step: when, who, why, and what kinds of things of what size it wants done.

use crate::model::{Host, Output};
use meshos_core::hash::stable_hash;
use meshos_sim::hook::{Cause, Hook, Schedule, Step};
use meshos_sim::machine::{Effect, Message};
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "payload-blind";

/// A digest over the shapes of all steps of a run.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    digest: u64,
    steps: u64,
}

impl Shape {
    /// The digest.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    fn fold(&mut self, part: impl core::hash::Hash) {
        self.digest = stable_hash(&(self.digest, part)).0;
    }
}

impl Hook<Host> for Shape {
    fn on_step(&mut self, step: &Step<'_, Host>, _: &mut Schedule<Host>) -> Result<(), Violation> {
        self.steps += 1;
        let cause = match step.cause {
            Cause::Wake => (0, 0),
            Cause::Message { from } => (1, u64::from(from.0)),
            Cause::Op => (2, 0),
            Cause::Disk { token, .. } => (3, token),
            Cause::Boot => (4, 0),
            Cause::Link { peer } => (5, u64::from(peer.0)),
        };
        self.fold((step.view.at().as_nanos(), step.node.0, cause));
        for effect in step.effects {
            match effect {
                Effect::Send { to, message } => {
                    self.fold((0, to.0, message.kind(), message.size()));
                }
                Effect::Broadcast { message } => self.fold((1, message.kind(), message.size())),
                Effect::Disk { token, ops } => self.fold((2, *token, ops.len())),
                Effect::Output(Output::Answer { ticket, answer }) => {
                    self.fold((3, *ticket, core::mem::discriminant(answer)));
                }
                Effect::Output(Output::Refused { ticket }) => self.fold((4, *ticket)),
                Effect::Output(Output::Note { chain, note }) => self.fold((5, chain, note)),
                Effect::Exit => self.fold(6),
            }
        }
        Ok(())
    }
}

/// Two runs that differ in payload bytes only.
///
/// # Errors
/// They took different steps.
pub fn twins(one: &Shape, other: &Shape) -> Result<(), Violation> {
    if one == other {
        return Ok(());
    }
    let text = format!(
        "runs that differ in payload bytes alone took {} and {} steps, or different ones",
        one.steps, other.steps
    );
    Err(Violation::new(ID, text))
}
