//! Files in memory for the tests of the store, and who gives it orders.

use crate::ports::Work;
use crate::store::{Files, StoreExecutor, perform};
use bytes::Bytes;
use meshos_core::chain::entry::{Entry, EntryHash, EntryKind, LogPosition, Membership};
use meshos_core::chain::order::{Checkpoint, Order, Slot, Vote};
use meshos_core::chain::payload::Payload;
use meshos_core::chain::recover::{Recovered, recover};
use meshos_core::chain::store::{FileName, Founding, Identity, Layout, StoreLimits, format};
use meshos_core::id::{
    ChainId, ClusterId, Epoch, FormatNonce, Gen, Incarnation, Member, NodeId, OpId, OpNumber,
    Replica, RunNonce, Seq, StoreId,
};
use meshos_core::time::Wall;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Files in memory that know what of them is durable, and fail when told to.
#[derive(Debug, Default)]
pub(crate) struct MemoryFiles {
    pub(crate) files: BTreeMap<FileName, Vec<u8>>,
    pub(crate) durable: BTreeMap<FileName, Vec<u8>>,
    pub(crate) log: Vec<String>,
    /// Bytes by which files may still grow.
    pub(crate) space: Option<usize>,
    /// Files whose sync fails from now on, by a part of the name.
    pub(crate) unsyncable: Option<String>,
}

impl MemoryFiles {
    pub(crate) fn syncs(&mut self) -> usize {
        let log = std::mem::take(&mut self.log);
        log.iter().filter(|line| line.starts_with("sync ")).count()
    }

    /// What is there after the power went: nothing that was not synced.
    pub(crate) fn crashed(&self) -> BTreeMap<FileName, Bytes> {
        let kept = self.durable.iter();
        kept.map(|(name, bytes)| (name.clone(), bytes.clone().into()))
            .collect()
    }
}

impl Files for MemoryFiles {
    fn append(&mut self, file: &FileName, bytes: &[u8]) -> io::Result<()> {
        self.log.push(format!("append {file}"));
        let place = self.files.entry(file.clone()).or_default();
        let room = self.space.unwrap_or(usize::MAX);
        if bytes.len() > room {
            place.extend_from_slice(&bytes[..room]);
            self.space = Some(0);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.space = self.space.map(|space| space - bytes.len());
        place.extend_from_slice(bytes);
        Ok(())
    }

    fn write(&mut self, file: &FileName, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.log.push(format!("write {file}"));
        let place = self.files.entry(file.clone()).or_default();
        let end = offset as usize + bytes.len();
        let room = self.space.unwrap_or(usize::MAX);
        let growth = end.saturating_sub(place.len());
        let written = bytes.len() - growth.saturating_sub(room);
        self.space = self.space.map(|space| space.saturating_sub(growth));
        let end = offset as usize + written;
        place.resize(place.len().max(end), 0);
        place[offset as usize..end].copy_from_slice(&bytes[..written]);
        if written < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn truncate(&mut self, file: &FileName, length: u64) -> io::Result<()> {
        self.log.push(format!("truncate {file}"));
        let place = self.files.get_mut(file).ok_or(io::ErrorKind::NotFound)?;
        place.truncate(length as usize);
        Ok(())
    }

    fn sync(&mut self, file: &FileName) -> io::Result<()> {
        self.log.push(format!("sync {file}"));
        if let Some(part) = &self.unsyncable
            && file.contains(part.as_str())
        {
            return Err(io::Error::other("input/output error"));
        }
        let bytes = self.files.get(file).ok_or(io::ErrorKind::NotFound)?;
        self.durable.insert(file.clone(), bytes.clone());
        Ok(())
    }

    fn rename(&mut self, from: &FileName, to: &FileName) -> io::Result<()> {
        let bytes = self.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.files.insert(to.clone(), bytes);
        if let Some(bytes) = self.durable.remove(from) {
            self.durable.insert(to.clone(), bytes);
        }
        Ok(())
    }

    fn remove(&mut self, file: &FileName) -> io::Result<()> {
        self.files.remove(file);
        self.durable.remove(file);
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) const GENERATION: Gen = Gen::new(0);

pub(crate) fn identity() -> Identity {
    Identity {
        cluster: ClusterId::new(1),
        node: NodeId::new(1),
        store: StoreId::new(1),
    }
}

pub(crate) fn founding(name: &str) -> Founding {
    let member = Member {
        node: NodeId::new(1),
        store: StoreId::new(1),
        replica: Replica::new(1),
    };
    Founding {
        chain: ChainId::of(name),
        generation: GENERATION,
        checkpoint: Checkpoint {
            floor: LogPosition::default(),
            membership: Arc::new(Membership {
                voters: vec![member],
                learners: Vec::new(),
            }),
            membership_seq: Seq::ZERO,
            clients: Default::default(),
            stamp: Default::default(),
        },
    }
}

pub(crate) fn reopened(files: &BTreeMap<FileName, Bytes>) -> Recovered {
    recover(files, &StoreLimits::default(), RunNonce::new(1)).unwrap()
}

/// A store of new chains, ready for orders.
pub(crate) fn opened(chains: &[&str]) -> StoreExecutor<MemoryFiles> {
    let (files, layout) = opened_files(chains);
    StoreExecutor::new(files, layout)
}

/// What such a store is made of.
pub(crate) fn opened_files(chains: &[&str]) -> (MemoryFiles, Layout) {
    let foundings: Vec<Founding> = chains.iter().map(|name| founding(name)).collect();
    let mut files = MemoryFiles::default();
    for op in format(&identity(), FormatNonce::new(1), &foundings) {
        perform(&mut files, &op).unwrap();
    }
    let recovered = reopened(&files.crashed());
    for op in &recovered.repairs {
        perform(&mut files, op).unwrap();
    }
    files.log.clear();
    (files, recovered.layout)
}

/// Makes contiguous entries for one chain, and orders with consecutive numbers.
pub(crate) struct Author {
    pub(crate) chain: ChainId,
    pub(crate) end: Seq,
    pub(crate) hash: EntryHash,
    pub(crate) ops: u64,
}

impl Author {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            chain: ChainId::of(name),
            end: Seq::ZERO,
            hash: EntryHash::default(),
            ops: 0,
        }
    }

    pub(crate) fn work(&mut self, order: Order) -> Work {
        self.ops += 1;
        Work {
            op: op(self.ops),
            chain: self.chain,
            generation: GENERATION,
            commit: Seq::ZERO,
            checkpoint_bytes: 0,
            order,
        }
    }

    pub(crate) fn append(&mut self, count: usize) -> Work {
        let mut entries = Vec::new();
        for _ in 0..count {
            let entry = Entry {
                generation: GENERATION,
                seq: self.end,
                epoch: Epoch {
                    n: 1,
                    node: NodeId::new(1),
                },
                store: StoreId::new(1),
                incarnation: Incarnation::new(1),
                stamp: Wall::from_ms(1),
                kind: EntryKind::Data(None),
                payload: Payload::new(Bytes::from_static(b"bytes")),
                hash: EntryHash::default(),
            };
            let entry = entry.linked(self.hash);
            self.end = entry.seq.next();
            self.hash = entry.hash;
            entries.push(Arc::new(entry));
        }
        self.work(Order::Append(entries.into()))
    }

    pub(crate) fn vote(&mut self) -> Work {
        self.work(Order::Vote(Vote::default()))
    }
}

pub(crate) fn op(number: u64) -> OpId {
    OpId {
        incarnation: Incarnation::new(1),
        number: OpNumber::new(number),
    }
}

pub(crate) fn kept(files: &BTreeMap<FileName, Bytes>, name: &str) -> usize {
    let recovered = reopened(files);
    let mut images = recovered.boot.images.iter();
    let image = images.find(|image| image.chain == ChainId::of(name));
    let slots = &image.unwrap().slots;
    assert!(slots.iter().all(|slot| matches!(slot, Slot::Known(_))));
    slots.len()
}
