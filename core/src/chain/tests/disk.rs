//! A disk for tests: what is durable, and everything that a crash may make of the rest.

use crate::chain::recover::Files;
use crate::chain::store::{FileName, FileOp};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::vec::Vec;

/// What becomes of the operations that were not synced.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// Nothing of them is there.
    Lost,
    /// All of them are there, and still not durable.
    Kept,
    /// All but the last, of which this many bytes are there. Names as they are.
    Head(usize),
    /// As before, but of the last only what is *behind* this many bytes; zeros are before.
    Tail(usize),
    /// The bytes are there, the names are not.
    Nameless,
    /// The names are there, the bytes are not.
    Empty,
    /// The bytes are there, but of the names only the last that changed.
    LastName,
    /// Each operation, in turn, as the bits say.
    Mixed(u64),
    /// Of every file the last operation in part, its head or its end behind zeros, and names, in
    /// turn, as the bits say.
    Ragged(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Bytes },
    Truncate { length: usize },
}

#[derive(Clone, Debug, Default)]
struct Node {
    synced: Vec<u8>,
    changes: Vec<Change>,
}

impl Node {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        self.changes
            .iter()
            .for_each(|change| change.apply(&mut bytes));
        bytes
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                file.resize(file.len().max(end), 0);
                file[*offset..end].copy_from_slice(bytes);
            }
            Self::Truncate { length } => file.truncate(*length),
        }
    }

    /// The part of a write between two of its bytes.
    fn part(&self, from: usize, upto: usize) -> Option<Self> {
        match self {
            Self::Write { offset, bytes } => {
                let upto = upto.min(bytes.len());
                let from = from.min(upto);
                Some(Self::Write {
                    offset: offset + from,
                    bytes: bytes.slice(from..upto),
                })
            }
            Self::Truncate { .. } => None,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Write { bytes, .. } => bytes.len(),
            Self::Truncate { .. } => 0,
        }
    }
}

#[derive(Clone, Debug)]
enum NameChange {
    Set(FileName, u64),
    Clear(FileName),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<FileName, u64>) {
        match self {
            Self::Set(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Clear(name) => {
                names.remove(name);
            }
        }
    }
}

/// One directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    names: BTreeMap<FileName, u64>,
    durable: BTreeMap<FileName, u64>,
    name_changes: Vec<NameChange>,
    last: Option<u64>,
}

impl Disk {
    pub(super) fn perform(&mut self, ops: &[FileOp]) {
        ops.iter().for_each(|op| self.perform_one(op));
    }

    pub(super) fn perform_one(&mut self, op: &FileOp) {
        self.last = None;
        match op {
            FileOp::Append { file, bytes } => {
                let node = self.open(file);
                let offset = self.nodes[&node].bytes().len();
                self.change(node, offset, bytes);
            }
            FileOp::Write {
                file,
                offset,
                bytes,
            } => {
                let node = self.open(file);
                self.change(node, *offset as usize, bytes);
            }
            FileOp::Truncate { file, length } => {
                let node = *self
                    .names
                    .get(file)
                    .expect("only files that exist are truncated");
                let length = *length as usize;
                let node = self.nodes.get_mut(&node).expect("a name has a node");
                assert!(
                    length <= node.bytes().len(),
                    "a file never gets longer by a truncate"
                );
                node.changes.push(Change::Truncate { length });
            }
            FileOp::Sync { file } => {
                let node = *self
                    .names
                    .get(file)
                    .expect("only files that exist are synced");
                let node = self.nodes.get_mut(&node).expect("a name has a node");
                node.synced = node.bytes();
                node.changes.clear();
            }
            FileOp::Rename { from, to } => {
                let node = *self
                    .names
                    .get(from)
                    .expect("only files that exist are renamed");
                self.rename(NameChange::Clear(from.clone()));
                self.rename(NameChange::Set(to.clone(), node));
            }
            FileOp::Remove { file } => self.rename(NameChange::Clear(file.clone())),
            FileOp::SyncDir => {
                self.durable.clone_from(&self.names);
                self.name_changes.clear();
            }
        }
    }

    fn open(&mut self, file: &FileName) -> u64 {
        if let Some(node) = self.names.get(file) {
            return *node;
        }
        self.next += 1;
        self.nodes.insert(self.next, Node::default());
        self.rename(NameChange::Set(file.clone(), self.next));
        self.next
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }

    fn change(&mut self, node: u64, offset: usize, bytes: &Bytes) {
        self.last = Some(node);
        let bytes = bytes.clone();
        let node = self.nodes.get_mut(&node).expect("a name has a node");
        node.changes.push(Change::Write { offset, bytes });
    }

    /// How many bytes the last operation wrote, if it is one that writes.
    pub(super) fn last_size(&self) -> Option<usize> {
        self.nodes[&self.last?].changes.last().map(Change::size)
    }

    pub(super) fn files(&self) -> Files {
        let bytes = |node: &u64| Bytes::from(self.nodes[node].bytes());
        let names = self.names.iter();
        names
            .map(|(name, node)| (name.clone(), bytes(node)))
            .collect()
    }

    pub(super) fn flip(&mut self, file: &str, offset: usize, bit: u8) {
        let node = self.names[file];
        self.nodes.get_mut(&node).expect("a name has a node").synced[offset] ^= 1 << bit;
    }

    /// The disk as the next boot finds it.
    pub(super) fn crashed(&self, crash: Crash) -> Self {
        let mut disk = self.clone();
        let mut bits = crash.bits();
        for (number, node) in &mut disk.nodes {
            let is_last = self.last == Some(*number);
            node.settle(crash, is_last, &mut bits);
        }
        let keep_names = match crash {
            Crash::Lost | Crash::Nameless => Some(false),
            Crash::Kept | Crash::Head(_) | Crash::Tail(_) | Crash::Empty => Some(true),
            Crash::Mixed(_) | Crash::Ragged(_) | Crash::LastName => None,
        };
        let changes = core::mem::take(&mut disk.name_changes);
        let last = changes.len().saturating_sub(1);
        for (at, change) in changes.iter().enumerate() {
            let survives = match crash {
                Crash::LastName => at == last,
                Crash::Lost
                | Crash::Kept
                | Crash::Head(_)
                | Crash::Tail(_)
                | Crash::Nameless
                | Crash::Empty
                | Crash::Mixed(_)
                | Crash::Ragged(_) => keep_names.unwrap_or_else(|| draw(&mut bits)),
            };
            if survives {
                change.apply(&mut disk.durable);
            }
        }
        if crash == Crash::Kept {
            return self.clone();
        }
        disk.names.clone_from(&disk.durable);
        let used: Vec<u64> = disk.names.values().copied().collect();
        disk.nodes.retain(|number, _| used.contains(number));
        disk.last = None;
        disk
    }
}

impl Node {
    fn settle(&mut self, crash: Crash, is_last: bool, bits: &mut u64) {
        let mut changes = core::mem::take(&mut self.changes);
        match crash {
            Crash::Kept | Crash::Nameless | Crash::LastName => {}
            Crash::Lost | Crash::Empty => changes.clear(),
            Crash::Head(bytes) if is_last => {
                let last = changes.pop().and_then(|last| last.part(0, bytes));
                changes.extend(last);
            }
            Crash::Tail(bytes) if is_last => {
                let last = changes.pop().and_then(|last| last.part(bytes, usize::MAX));
                changes.extend(last);
            }
            Crash::Head(_) | Crash::Tail(_) => {}
            Crash::Mixed(_) => changes.retain(|_| draw(bits)),
            Crash::Ragged(_) => {
                let last = changes.pop().and_then(|last| {
                    draw(bits);
                    let byte = (*bits >> 8) as usize % last.size().max(1);
                    match draw(bits) {
                        true => last.part(byte, usize::MAX),
                        false => last.part(0, byte),
                    }
                });
                changes.extend(last);
            }
        }
        changes
            .iter()
            .for_each(|change| change.apply(&mut self.synced));
    }
}

impl Crash {
    fn bits(self) -> u64 {
        match self {
            Self::Mixed(bits) | Self::Ragged(bits) => bits | 1,
            Self::Lost
            | Self::Kept
            | Self::Head(_)
            | Self::Tail(_)
            | Self::Nameless
            | Self::LastName
            | Self::Empty => 1,
        }
    }
}

fn draw(bits: &mut u64) -> bool {
    // An xorshift: enough for a coin.
    *bits ^= *bits << 13;
    *bits ^= *bits >> 7;
    *bits ^= *bits << 17;
    *bits & 4 == 4
}
