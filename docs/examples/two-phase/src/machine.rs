//! A party as a machine of the simulator.

use super::{Care, Party, Word};
use meshos_sim::draw::mix;
use meshos_sim::explore::Fingerprint;
use meshos_sim::prelude::*;
use std::hash::Hash;

/// What a node is started with: its care, and how many transactions there are.
pub type Config = (Care, u8);

impl Message for Word {
    fn fingerprint(&self) -> u64 {
        let (kind, number) = match self {
            Self::Prepare(number) => (0, number),
            Self::Yes(number) => (1, number),
            Self::No(number) => (2, number),
            Self::Commit(number) => (3, number),
            Self::Abort(number) => (4, number),
        };
        mix(kind << 8 | u64::from(*number))
    }
}

/// A party, and when its deadline is.
#[derive(Clone, Debug)]
pub struct Node {
    pub party: Party,
    until: Instant,
}

const PATIENCE: Duration = Duration::from_millis(20);

impl Machine for Node {
    type Config = Config;
    type Message = Word;
    type Op = ();
    type Output = ();

    fn boot((care, transactions): &Config, boot: Boot<'_>, out: &mut Outbox<Self>) -> Self {
        let who = (boot.node.0 as u8, boot.nodes as u8);
        let say = |to, word| out.send(NodeIndex(u16::from(to)), word);
        Self {
            party: Party::begin(*care, who, *transactions, say),
            until: boot.now.instant.after(PATIENCE),
        }
    }

    fn step(&mut self, _: Now, input: Input<Self>, out: &mut Outbox<Self>) {
        let say = |to, word| out.send(NodeIndex(u16::from(to)), word);
        match input {
            Input::Message { from, message } => self.party.hear(from.0 as u8, message, say),
            Input::Wake => self.party.expire(say),
            Input::Link(_) | Input::Op(()) | Input::Disk { .. } => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.party.waits().then_some(self.until)
    }

    fn state_hash(&self) -> u64 {
        let mut print = Fingerprint::new();
        self.party.hash(&mut print);
        print.value() as u64
    }

    fn describe(&self) -> Option<String> {
        Some(match &self.party {
            Party::Coordinator { polls, .. } => format!("coordinator, {polls:?}"),
            Party::Participant { parts, .. } => format!("participant, {parts:?}"),
        })
    }
}
