//! The log as the crate reads it, and the file that it comes back from.
//!
//! The file holds one record after the other, each with its length and a check over it: hard
//! states, and runs of entries, of which the first one replaces what stood at its index and
//! behind. A crash tears the file anywhere behind the last sync; what can be read up to there is
//! the log.

use bytes::Bytes;
use meshos_sim::prelude::*;
use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError, util::limit_size};

pub const FILE: &str = "wal";

/// Everything that was written, in memory.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub hard_state: HardState,
    /// Entry 1 comes first: nothing is compacted.
    pub entries: Vec<Entry>,
    pub voters: Vec<u64>,
}

impl Log {
    /// The log that a disk holds, and how many bytes of the file are whole.
    pub fn read(disk: &Disk, voters: Vec<u64>) -> (Self, u64) {
        let mut log = Self {
            voters,
            ..Self::default()
        };
        let file = disk.read(FILE).unwrap_or_default();
        let mut whole = 0;
        while let Some((body, length)) = record(&file[whole..]) {
            log.replay(body);
            whole += length;
        }
        (log, whole as u64)
    }

    fn replay(&mut self, body: &[u8]) {
        let message = &body[1..];
        match body[0] {
            HARD_STATE => {
                self.hard_state = HardState::parse_from_bytes(message).expect("a hard state");
            }
            _ => self.append(vec![Entry::parse_from_bytes(message).expect("an entry")]),
        }
    }

    /// Puts `entries` at their indexes; what stood there and behind is gone.
    pub fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else {
            return;
        };
        assert!(
            first.index <= self.entries.len() as u64 + 1,
            "a log has no gap"
        );
        self.entries.truncate(first.index as usize - 1);
        self.entries.extend(entries);
    }

    /// Term of the entry at `index`; that of nothing is 0.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        match index {
            0 => Some(0),
            _ => self.entries.get(index as usize - 1).map(|entry| entry.term),
        }
    }
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let conf_state = ConfState::from((self.voters.clone(), vec![]));
        Ok(RaftState::new(self.hard_state.clone(), conf_state))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        size_max: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let mut entries = self.entries[low as usize - 1..high as usize - 1].to_vec();
        limit_size(&mut entries, size_max.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let unavailable = Error::Store(StorageError::Unavailable);
        self.term_at(index).ok_or(unavailable)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.entries.len() as u64)
    }

    fn snapshot(&self, _: u64, _: u64) -> raft::Result<Snapshot> {
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}

/// What makes a file of it that is there and whole: writing to it creates it, and its name has to
/// be synced, too. Records behind one that a crash tore would never be read, so it ends at `length`.
pub fn open(length: u64) -> Vec<FileOp> {
    let (file, bytes) = (|| FILE.into(), Bytes::new());
    let create = FileOp::Append {
        file: file(),
        bytes,
    };
    let cut = FileOp::Truncate {
        file: file(),
        length,
    };
    vec![create, cut, FileOp::Sync { file: file() }, FileOp::SyncDir]
}

/// The operations that put `bytes` behind the file.
pub fn write(bytes: Bytes, is_synced: bool) -> Vec<FileOp> {
    let file = || FILE.into();
    let append = FileOp::Append {
        file: file(),
        bytes,
    };
    let sync = is_synced.then(|| FileOp::Sync { file: file() });
    [append].into_iter().chain(sync).collect()
}

/// The records of what one `Ready` wants kept. The hard state comes last: it may name an entry
/// as committed that is written with it.
pub fn records(hard_state: Option<&HardState>, entries: &[Entry]) -> Bytes {
    let mut bytes = Vec::new();
    for entry in entries {
        add(&mut bytes, ENTRY, entry.write_to_bytes());
    }
    if let Some(state) = hard_state {
        add(&mut bytes, HARD_STATE, state.write_to_bytes());
    }
    bytes.into()
}

fn add(bytes: &mut Vec<u8>, kind: u8, message: protobuf::ProtobufResult<Vec<u8>>) {
    let body = [&[kind][..], &message.expect("it is encoded")].concat();
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(stable_hash(&body[..]).to_le_bytes());
    bytes.extend(body);
}

/// The first record of `bytes`, and how long it is with its head; nothing if it is not whole.
fn record(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (check, rest) = rest.split_first_chunk()?;
    let body = rest.get(..u32::from_le_bytes(*length) as usize)?;
    let is_whole = !body.is_empty() && stable_hash(body) == u64::from_le_bytes(*check);
    is_whole.then_some((body, HEAD + body.len()))
}

const HEAD: usize = 12;
const HARD_STATE: u8 = 1;
const ENTRY: u8 = 2;
