//! The request table: which requests of which clients are already in the log (D15).
//!
//! It is a fold of the log and of nothing else, so every replica that holds the same prefix
//! holds the same table, and a cut is undone by folding again. Upholds *ack-kept*.

use super::entry::{Entry, EntryKind, Request};
use crate::id::{ClientId, Epoch, RequestNumber, Seq};
use alloc::collections::BTreeMap;
use serde::{Deserialize, Serialize, Serializer};

#[cfg(test)]
mod tests;

/// Limits of the request table, part of the chain's meaning: equal on every node.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientLimits {
    /// How many clients are remembered; the one whose last entry is oldest goes first.
    pub clients_max: u32,
    /// How many of a client's highest request numbers are remembered.
    pub window: u32,
}

/// What the table says of a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Its entry is not in the log.
    New,
    /// Its entry is in the log, here.
    Known {
        /// Position of the entry.
        seq: Seq,
        /// Epoch of the entry.
        epoch: Epoch,
    },
    /// The number is below the client's window: nobody can tell any more.
    TooOld,
    /// The client was never opened or is no longer remembered.
    UnknownClient,
}

/// The request table of one chain at one position of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "Rows")]
pub struct Clients {
    rows: Rows,
    /// What all rows take when they are encoded.
    row_bytes: u64,
}

type Rows = BTreeMap<ClientId, Row>;

impl Serialize for Clients {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rows.serialize(serializer)
    }
}

impl From<Rows> for Clients {
    fn from(rows: Rows) -> Self {
        let row_bytes = rows.iter().map(|(client, row)| row.bytes(*client)).sum();
        Self { rows, row_bytes }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Row {
    /// Every number up to here is too old.
    low: RequestNumber,
    recent: BTreeMap<RequestNumber, (Seq, Epoch)>,
    last_used: Seq,
}

impl Clients {
    /// Takes the next entry of the log into account.
    pub fn apply(&mut self, entry: &Entry, limits: ClientLimits) {
        match &entry.kind {
            EntryKind::Empty | EntryKind::Data(None) | EntryKind::Config(_) => {}
            EntryKind::OpenClient => self.open(ClientId(entry.seq), limits),
            EntryKind::Data(Some(request)) => self.record(*request, entry, limits),
        }
    }

    /// What is known of `request`.
    pub fn lookup(&self, request: Request) -> Lookup {
        let Some(row) = self.rows.get(&request.client) else {
            return Lookup::UnknownClient;
        };
        if let Some(&(seq, epoch)) = row.recent.get(&request.number) {
            Lookup::Known { seq, epoch }
        } else if request.number <= row.low {
            Lookup::TooOld
        } else {
            Lookup::New
        }
    }

    /// How many bytes the table takes in a checkpoint.
    pub fn encoded_bytes(&self) -> u64 {
        number_bytes(self.rows.len() as u64) + self.row_bytes
    }

    /// How many clients are remembered.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no client is remembered.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn open(&mut self, client: ClientId, limits: ClientLimits) {
        let row = Row {
            low: RequestNumber::new(0),
            recent: BTreeMap::new(),
            last_used: client.0,
        };
        self.row_bytes += row.bytes(client);
        self.rows.insert(client, row);
        if self.rows.len() > limits.clients_max as usize {
            let oldest = self.rows.iter().min_by_key(|(_, row)| row.last_used);
            let (&oldest, _) = oldest.expect("a client was just inserted");
            let removed = self.rows.remove(&oldest);
            self.row_bytes -= removed.map_or(0, |row| row.bytes(oldest));
        }
    }

    fn record(&mut self, request: Request, entry: &Entry, limits: ClientLimits) {
        // A leader appends only what `lookup` calls `New`; a client evicted since is gone alike
        // on every replica.
        let Some(row) = self.rows.get_mut(&request.client) else {
            return;
        };
        self.row_bytes -= row.bytes_once(request.client);
        row.last_used = entry.seq;
        let recent = (entry.seq, entry.epoch);
        self.row_bytes += recent_bytes(request.number, recent);
        if let Some(before) = row.recent.insert(request.number, recent) {
            self.row_bytes -= recent_bytes(request.number, before);
        }
        if row.recent.len() > limits.window as usize
            && let Some((number, recent)) = row.recent.pop_first()
        {
            self.row_bytes -= recent_bytes(number, recent);
            row.low = row.low.max(number);
        }
        self.row_bytes += row.bytes_once(request.client);
    }
}

impl Row {
    /// What the row takes when it is encoded.
    fn bytes(&self, client: ClientId) -> u64 {
        let recents = self.recent.iter();
        let recents = recents.map(|(number, recent)| recent_bytes(*number, *recent));
        self.bytes_once(client) + recents.sum::<u64>()
    }

    /// What it takes besides its recent numbers.
    fn bytes_once(&self, client: ClientId) -> u64 {
        number_bytes(client.0.get())
            + number_bytes(self.low.get())
            + number_bytes(self.recent.len() as u64)
            + number_bytes(self.last_used.get())
    }
}

fn recent_bytes(number: RequestNumber, (seq, epoch): (Seq, Epoch)) -> u64 {
    number_bytes(number.get())
        + number_bytes(seq.get())
        + number_bytes(epoch.n)
        + number_bytes(epoch.node.get())
}

/// What a number takes when it is encoded: seven bits to a byte.
const fn number_bytes(number: u64) -> u64 {
    (number | 1).ilog2() as u64 / 7 + 1
}
