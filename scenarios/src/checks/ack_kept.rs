//! *ack-kept*: every `Committed` acknowledgement is in the committed history once, at its
//! sequence; a request number all of whose attempts were answered `Rejected` or `NotLeader` is
//! not in it; no request number is in it twice.
//!
//! Acknowledgements are judged when they leave: the history is known by then and only grows.

use super::truth::Truth;
use crate::history::{Asked, Key};
use meshos_core::chain::entry::{Entry, EntryKind};
use meshos_core::id::{Epoch, Seq};
use meshos_sim::violation::Violation;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// Id of the property.
pub const ID: &str = "ack-kept";

/// Requests that are remembered with their attempts.
const REQUESTS_MAX: usize = 8_192;
/// Clients whose committed numbers are remembered.
const CLIENTS_MAX: usize = 2_048;
/// Committed numbers remembered per client; more than any window of the request table.
const NUMBERS_MAX: usize = 512;

/// One request across its attempts.
#[derive(Copy, Clone, Debug, Default)]
pub struct Request {
    /// Attempts that are not answered.
    pub open: u32,
    /// Attempts so far.
    pub attempts: u32,
    /// Attempts that certainly appended nothing.
    pub refused: u32,
    /// Copies in the committed history.
    pub copies: u32,
    /// Everything below was acknowledged or read before the first attempt.
    pub horizon: Seq,
    /// When the first attempt began, in nanoseconds of true time.
    pub invoked: u64,
    /// When it was first acknowledged as committed, and where it stands.
    pub acked: Option<(u64, Seq)>,
}

impl Request {
    fn may_be_in(&self) -> bool {
        self.refused < self.attempts
    }
}

#[derive(Clone, Debug, Default)]
struct Numbers {
    /// Positions by number.
    recent: BTreeMap<u64, Seq>,
    /// The highest number that was forgotten.
    low: u64,
}

/// The requests of one chain instance, and which of them are committed.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    requests: BTreeMap<Key, Request>,
    /// The same in the order in which they were first asked.
    asked: VecDeque<Key>,
    clients: BTreeMap<u64, Numbers>,
    evicted: u64,
}

impl Ledger {
    /// An attempt begins.
    pub fn begin(&mut self, key: Key, invoked: u64, horizon: Seq) {
        if !self.requests.contains_key(&key) {
            self.make_room();
            self.asked.push_back(key);
        }
        // When a request that was forgotten was asked first is not known.
        let horizon = match self.stands(key) {
            true => Seq::ZERO,
            false => horizon,
        };
        let request = self.requests.entry(key).or_insert(Request {
            horizon,
            invoked,
            ..Request::default()
        });
        request.open += 1;
        request.attempts += 1;
    }

    /// Whether a request is committed already, as far as its client's numbers tell.
    fn stands(&self, key: Key) -> bool {
        let Key::Request { client, number } = key else {
            return false;
        };
        let numbers = self.clients.get(&client);
        numbers.is_some_and(|of| number <= of.low || of.recent.contains_key(&number))
    }

    /// Forgets the oldest request that is not open, if there are too many: one of which it is known
    /// what came of it, where there is one. Of the others an attempt may still be committed, and the
    /// next one would be taken for the first.
    fn make_room(&mut self) {
        if self.requests.len() < REQUESTS_MAX {
            return;
        }
        let is_closed = |key: &Key| self.requests.get(key).is_none_or(|it| it.open == 0);
        let is_known = |key: &Key| {
            let request = self.requests.get(key);
            is_closed(key) && request.is_none_or(|it| it.copies > 0 || !it.may_be_in())
        };
        let known = self.asked.iter().position(is_known);
        if let Some(oldest) = known.or_else(|| self.asked.iter().position(is_closed))
            && let Some(key) = self.asked.remove(oldest)
        {
            self.requests.remove(&key);
            self.evicted += 1;
        }
    }

    /// How many higher numbers of the same client were asked for; without bound once requests
    /// were forgotten.
    pub fn above(&self, key: Key) -> u64 {
        let Key::Request { client, .. } = key else {
            return 0;
        };
        if self.evicted > 0 {
            return u64::MAX;
        }
        let last = Key::Request {
            client,
            number: u64::MAX,
        };
        if key == last {
            return 0;
        }
        let higher = (Bound::Excluded(key), Bound::Included(last));
        self.requests.range(higher).count() as u64
    }

    /// An attempt ended without appending anything.
    ///
    /// # Errors
    /// All attempts did, and yet the request is committed.
    pub fn refuse(&mut self, key: Key) -> Result<(), Violation> {
        let Some(request) = self.requests.get_mut(&key) else {
            return Ok(());
        };
        request.open = request.open.saturating_sub(1);
        request.refused += 1;
        if request.copies > 0 && !request.may_be_in() {
            return broken(format!("{key:?} was refused and is committed"));
        }
        Ok(())
    }

    /// An attempt ended, or is lost, and the outcome is open.
    pub fn leave_open(&mut self, key: Key) {
        if let Some(request) = self.requests.get_mut(&key) {
            request.open = request.open.saturating_sub(1);
        }
    }

    /// An entry is committed.
    ///
    /// # Errors
    /// Its request is committed twice, was refused, or was never asked.
    pub fn commit(&mut self, entry: &Entry) -> Result<Option<Request>, Violation> {
        let EntryKind::Data(request) = &entry.kind else {
            return Ok(None);
        };
        let key = match request {
            Some(request) => {
                let (client, number) = (request.client.0.get(), request.number.get());
                self.number(client, number, entry.seq)?;
                Key::Request { client, number }
            }
            None => match tag(entry) {
                Some(tag) => Key::Tag(tag),
                None => return Ok(None),
            },
        };
        let Some(known) = self.requests.get_mut(&key) else {
            if self.evicted == 0 {
                let text = format!("{key:?} is committed at {} and nobody asked it", entry.seq);
                return broken(text);
            }
            return Ok(None);
        };
        if !known.may_be_in() {
            let text = format!("{key:?} was refused and is committed at {}", entry.seq);
            return broken(text);
        }
        known.copies += 1;
        if known.copies > known.attempts - known.refused {
            let text = format!("{key:?} is committed more often than it was asked");
            return broken(text);
        }
        Ok(Some(*known))
    }

    fn number(&mut self, client: u64, number: u64, seq: Seq) -> Result<(), Violation> {
        if self.clients.len() >= CLIENTS_MAX && !self.clients.contains_key(&client) {
            self.clients.pop_first();
        }
        let numbers = self.clients.entry(client).or_default();
        if let Some(first) = numbers.recent.insert(number, seq) {
            return broken(format!(
                "request {number} of client {client} is committed at {first} and at {seq}"
            ));
        }
        if number <= numbers.low {
            return broken(format!(
                "request {number} of client {client} is committed long after {}",
                numbers.low
            ));
        }
        if numbers.recent.len() > NUMBERS_MAX
            && let Some((low, _)) = numbers.recent.pop_first()
        {
            numbers.low = low;
        }
        Ok(())
    }

    /// A client is told that its append stands at `seq`; `at` is true time.
    ///
    /// # Errors
    /// It does not stand there.
    pub fn acked(
        &mut self,
        truth: &Truth,
        asked: &Asked,
        (seq, epoch): (Seq, Epoch),
        at: u64,
    ) -> Result<(), Violation> {
        if let Some(key) = asked.key() {
            self.leave_open(key);
        }
        if matches!(asked, Asked::Append { local: true, .. }) {
            return Ok(());
        }
        if seq >= truth.committed().end {
            let end = truth.committed().end;
            return broken(format!(
                "{asked:?} is acknowledged at {seq}, and committed is up to {end}"
            ));
        }
        match truth.committed_at(seq) {
            Some(line) => {
                if line.entry.epoch != epoch || !is_of(&line.entry, asked) {
                    return broken(format!(
                        "{asked:?} is acknowledged at {seq} in epoch {epoch}, where {:?} of \
                         epoch {} is committed",
                        line.entry.kind, line.entry.epoch
                    ));
                }
            }
            None => self.long_ago(asked, seq)?,
        }
        if let Some(request) = asked.key().and_then(|key| self.requests.get_mut(&key)) {
            request.acked.get_or_insert((at, seq));
        }
        Ok(())
    }

    /// The position is no longer kept: only the number can tell.
    fn long_ago(&self, asked: &Asked, seq: Seq) -> Result<(), Violation> {
        let Some(Key::Request { client, number }) = asked.key() else {
            return Ok(());
        };
        let Some(numbers) = self.clients.get(&client) else {
            return Ok(());
        };
        match numbers.recent.get(&number) {
            Some(first) if *first != seq => broken(format!(
                "request {number} of client {client} is acknowledged at {seq} and stands at \
                 {first}"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Everything below had returned before the first attempt of a request began.
    pub fn horizon(&self, key: Key) -> Option<Seq> {
        self.requests.get(&key).map(|request| request.horizon)
    }

    /// The requests, unless some were forgotten.
    pub fn all(&self) -> Option<&BTreeMap<Key, Request>> {
        (self.evicted == 0).then_some(&self.requests)
    }
}

/// What the payload of an entry repeats.
pub fn tag(entry: &Entry) -> Option<u64> {
    let bytes = entry.payload.bytes()?;
    let first: [u8; 8] = bytes.get(..8)?.try_into().ok()?;
    Some(u64::from_le_bytes(first))
}

/// Whether an entry is what was asked for.
fn is_of(entry: &Entry, asked: &Asked) -> bool {
    match (asked, &entry.kind) {
        (Asked::Open, EntryKind::OpenClient) => true,
        (
            Asked::Append {
                key,
                tag: wanted,
                bytes,
                ..
            },
            EntryKind::Data(request),
        ) => {
            let named = request.map(|request| Key::Request {
                client: request.client.0.get(),
                number: request.number.get(),
            });
            let same = match key {
                Some(Key::Request { .. }) => named == *key,
                Some(Key::Tag(_)) | None => named.is_none(),
            };
            same && entry.payload.length() == *bytes && tag(entry).is_none_or(|tag| tag == *wanted)
        }
        (Asked::Open | Asked::Append { .. } | Asked::Read { .. } | Asked::Transfer, _) => false,
    }
}

#[cold]
#[track_caller]
fn broken<T>(text: String) -> Result<T, Violation> {
    Err(Violation::new(ID, text))
}
