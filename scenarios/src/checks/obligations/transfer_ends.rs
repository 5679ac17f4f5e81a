//! *transfer-ends*: a target that was told to take over leads within eight heartbeats while it
//! lives, is level, may campaign and works with M voters; and `Transferred` is said only when it
//! did. A later run of it knows nothing of what an earlier one was told.

use super::{Facts, names};
use meshos_core::chain::entry::LogPosition;
use meshos_core::id::NodeId;
use meshos_sim::check::obligation::Monitor;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::BTreeMap;

/// Id of the property.
pub const ID: &str = "transfer-ends";

/// Heartbeats from the first word to the target until it leads.
const HEARTBEATS: u32 = 8;

/// A transfer: the chain, the epoch number that is handed over, and the target.
pub type Transfer = (usize, u64, NodeIndex);

/// What a leader told a target.
#[derive(Copy, Clone, Debug)]
pub struct Word {
    /// When.
    pub at: Instant,
    /// The leader.
    pub from: NodeIndex,
    /// The end of its log, with which the target is level.
    pub tip: LogPosition,
}

/// What a client wants.
#[derive(Copy, Clone, Debug)]
pub struct Wish {
    /// The chain.
    pub chain: usize,
    /// The target, unless any will do.
    pub to: Option<NodeId>,
    /// The number of the epoch that the node which was asked knew then: a forwarder may hear of
    /// later ones late.
    pub n: u64,
}

/// Transfers under way.
#[derive(Clone, Debug)]
pub struct TransferEnds {
    owed: Monitor<Transfer>,
    /// The first word that left for each target.
    said: BTreeMap<Transfer, Word>,
    /// The first word that the present run of each target heard.
    told: BTreeMap<Transfer, Word>,
    /// By ticket.
    wishes: BTreeMap<u64, Wish>,
}

impl Default for TransferEnds {
    fn default() -> Self {
        Self {
            owed: Monitor::new(ID),
            said: BTreeMap::new(),
            told: BTreeMap::new(),
            wishes: BTreeMap::new(),
        }
    }
}

impl TransferEnds {
    /// A leader tells a target to take over.
    pub fn say(&mut self, transfer: Transfer, word: Word) {
        self.said.entry(transfer).or_insert(word);
    }

    /// The target hears it: a connection that breaks loses the word, and it owes nothing then.
    pub fn hear(&mut self, transfer: Transfer, at: Instant) {
        if let Some(word) = self.said.get(&transfer) {
            self.told.entry(transfer).or_insert(Word { at, ..*word });
        }
    }

    /// Transfers of a chain whose target was told.
    pub fn told(&self, chain: usize) -> impl Iterator<Item = (Transfer, Word)> {
        let all = self.told.iter().map(|(transfer, word)| (*transfer, *word));
        all.filter(move |((of, ..), _)| *of == chain)
    }

    /// The target leads.
    pub fn end(&mut self, transfer: Transfer) {
        self.said.remove(&transfer);
        self.told.remove(&transfer);
        self.owed.meet(&transfer);
    }

    /// The process of `target` ended, and what it heard with it, unless it had led by then. A word
    /// that is still under way reaches the run after it, which owes it then.
    pub fn forget(&mut self, target: NodeIndex, had_led: impl Fn(&Transfer) -> bool) {
        let heard = self.told.keys().filter(|(.., to)| *to == target);
        for transfer in heard.copied().collect::<Vec<_>>() {
            if had_led(&transfer) {
                self.end(transfer);
            } else {
                self.told.remove(&transfer);
                self.owed.release(&transfer);
            }
        }
    }

    /// The target cannot lead, or somebody else does.
    pub fn release(&mut self, transfer: Transfer) {
        self.said.remove(&transfer);
        self.told.remove(&transfer);
        self.owed.release(&transfer);
    }

    /// The target lives, is level, may campaign and works with a majority.
    ///
    /// # Errors
    /// It has not taken over in time.
    pub fn hold(&mut self, transfer: Transfer, facts: Facts<'_>) -> Result<(), Violation> {
        let Some(word) = self.told.get(&transfer) else {
            return Ok(());
        };
        let bound = facts.heartbeat * HEARTBEATS * facts.pace;
        self.owed.hold(transfer, word.at, bound);
        let tell = || {
            let (_, n, target) = transfer;
            format!(
                "{} was told to take over chain {:?} from the leader of epoch {n}, is level and \
                 works with a majority, and does not lead",
                names(&[target]),
                facts.chain
            )
        };
        self.owed.judge(&transfer, facts.at, tell)
    }

    /// A client wants a transfer.
    pub fn wish(&mut self, ticket: u64, wish: Wish) {
        self.wishes.insert(ticket, wish);
    }

    /// It is answered.
    pub fn answered(&mut self, ticket: u64) -> Option<Wish> {
        self.wishes.remove(&ticket)
    }

    /// It is answered `Transferred`; `led` says whether such a target has led since.
    ///
    /// # Errors
    /// Nobody took over who was meant to.
    pub fn transferred(&self, wish: Wish, led: bool) -> Result<(), Violation> {
        if led {
            return Ok(());
        }
        let whom = match wish.to {
            Some(node) => format!("node {node}"),
            None => "another node".to_owned(),
        };
        let text = format!(
            "a client that wanted {whom} to lead is told `Transferred`, and {whom} has led no \
             epoch from {} on",
            wish.n
        );
        self.owed.forbid(text)
    }
}
