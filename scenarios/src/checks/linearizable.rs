//! *linearizable*: the history of appends at level `Committed` and reads `Linearizable` is
//! linearizable.
//!
//! Positions give the only possible order, so it is judged step by step and exactly: whatever
//! returned before an operation began must not stand behind it. At the end of a run short enough
//! to be kept whole, the engine's own check of logs judges the same history once more.

use super::ack_kept::Ledger;
use crate::history::Key;
use meshos_core::chain::entry::{Entry, EntryKind};
use meshos_core::id::Seq;
use meshos_sim::check::Outcome;
use meshos_sim::check::linear::{self, Answer, Append, Positions};
use meshos_sim::machine::NodeIndex;
use meshos_sim::violation::Violation;
use std::sync::Arc;

/// Id of the property.
pub const ID: &str = "linearizable";

/// Entries in reads that are kept for the judgement at the end.
const ENTRIES_MAX: usize = 16_384;

/// What the clients of one chain know by now.
#[derive(Clone, Debug, Default)]
pub struct Order {
    horizon: Seq,
    reads: Vec<linear::Read<Key>>,
    entries: usize,
}

impl Order {
    /// Everything below was acknowledged or read: what begins now stands behind it.
    pub fn horizon(&self) -> Seq {
        self.horizon
    }

    /// An append that began at `horizon` is acknowledged at `seq`.
    ///
    /// # Errors
    /// It stands before something that had returned before it began.
    #[track_caller]
    pub fn appended(&mut self, seq: Seq, horizon: Seq) -> Result<(), Violation> {
        self.committed(seq, horizon)?;
        self.horizon = self.horizon.max(seq.next());
        Ok(())
    }

    /// An append that began at `horizon` is committed at `seq`, acknowledged or not.
    ///
    /// # Errors
    /// It stands before something that had returned before it began.
    #[track_caller]
    pub fn committed(&self, seq: Seq, horizon: Seq) -> Result<(), Violation> {
        if seq < horizon {
            let text = format!(
                "an append stands at {seq}, and everything below {horizon} had returned before \
                 it began"
            );
            return Err(Violation::new(ID, text));
        }
        Ok(())
    }

    /// A read that began at `horizon` reflects everything below `end`.
    ///
    /// # Errors
    /// Something had returned before it began that it does not reflect.
    #[track_caller]
    pub fn read(&mut self, end: Seq, horizon: Seq) -> Result<(), Violation> {
        if end < horizon {
            let text = format!(
                "a read reflects what ends at {end}, and everything below {horizon} had \
                 returned before it began"
            );
            return Err(Violation::new(ID, text));
        }
        self.horizon = self.horizon.max(end);
        Ok(())
    }

    /// Keeps a read of a range, through a node, for the end of the run, unless its limit cut it
    /// short.
    pub fn keep(
        &mut self,
        times: (u64, u64),
        node: NodeIndex,
        (from, end): (Seq, Seq),
        entries: &[Arc<Entry>],
    ) {
        self.entries += entries.len() + 1;
        if self.entries > ENTRIES_MAX {
            self.reads = Vec::new();
            return;
        }
        let reached = entries.last().map_or(from, |last| last.seq.next());
        if reached < end {
            return;
        }
        let named = entries.iter().filter_map(|entry| {
            let EntryKind::Data(Some(request)) = &entry.kind else {
                return None;
            };
            let (client, number) = (request.client.0.get(), request.number.get());
            Some((entry.seq.get(), Key::Request { client, number }))
        });
        self.reads.push(linear::Read {
            invoked: times.0,
            returned: times.1,
            by: format!("a client at {node}"),
            from: from.get(),
            end: end.get(),
            entries: named.collect(),
        });
    }

    /// Judges the whole history of numbered requests, if all of it was kept.
    pub fn finish(&self, ledger: &Ledger) -> Outcome {
        let Some(requests) = ledger.all().filter(|_| self.entries <= ENTRIES_MAX) else {
            return Outcome::Holds;
        };
        let numbered = requests
            .iter()
            .filter(|(key, _)| matches!(key, Key::Request { .. }));
        let appends = numbered.map(|(key, request)| Append {
            invoked: request.invoked,
            value: *key,
            answer: match request.acked {
                Some((returned, seq)) => Answer::Done {
                    returned,
                    position: seq.get(),
                },
                None if request.refused == request.attempts => Answer::Refused,
                None => Answer::Unknown,
            },
        });
        let history = linear::History {
            positions: Positions::Sparse,
            appends: appends.collect(),
            reads: self.reads.clone(),
        };
        history.check()
    }
}
