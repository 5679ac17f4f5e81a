//! A disk of byte files in one directory, with the crash semantics of the cruellest file system
//! that POSIX allows.
//!
//! What the machine wrote is visible at once, but survives a crash for certain only when a
//! `Sync` of the file (its bytes and length) and a `SyncDir` (names: created, renamed, removed)
//! followed. What was not synced is lost, kept, reordered or torn, operation by operation, as
//! [`Unsynced`] says and the draws of the run decide. Reads happen at boot only.

mod crash;
mod file;
mod names;
mod op;

pub use op::{DiskError, FileOp};

use crate::draw::Draws;
use crate::fault::Unsynced;
use file::File;
use names::{NameOp, Names};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// The files of one node.
///
/// Cloning is cheap: bytes are shared until one of the two disks writes to them.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Names as the machine sees them.
    names: Names,
    /// Names as a crash may leave them.
    durable_names: Names,
    name_ops: Vec<NameOp>,
    inodes: BTreeMap<u32, File>,
    inode_next: u32,
}

impl Disk {
    /// The bytes of a file as last written, or as the crash left them when asked at boot.
    pub fn read(&self, file: &str) -> Option<&[u8]> {
        self.file(file).map(File::bytes)
    }

    /// All files by name.
    pub fn files(&self) -> impl Iterator<Item = (&Arc<str>, &[u8])> {
        self.names.iter().filter_map(|(name, inode)| {
            let file = self.inodes.get(inode)?;
            Some((name, file.bytes()))
        })
    }

    /// How many bytes at the start of a file are synced and not written to since.
    pub fn synced(&self, file: &str) -> u64 {
        self.file(file).map_or(0, File::synced)
    }

    /// The bytes of all files together, of removed ones too as long as a crash may bring them
    /// back.
    pub fn size(&self) -> u64 {
        self.inodes
            .values()
            .map(|file| file.bytes().len() as u64)
            .sum()
    }

    /// The room that the files take up, as the machine sees them.
    pub fn used(&self) -> u64 {
        self.files().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Operations whose fate a crash would decide.
    pub fn unsynced(&self) -> usize {
        let bytes: usize = self.inodes.values().map(File::unsynced).sum();
        bytes + self.name_ops.len()
    }

    fn file(&self, name: &str) -> Option<&File> {
        self.inodes.get(self.names.get(name)?)
    }

    fn file_mut(&mut self, name: &Arc<str>) -> &mut File {
        let inode = match self.names.get(name) {
            Some(inode) => *inode,
            None => {
                let inode = self.inode_next;
                self.inode_next += 1;
                self.names.insert(name.clone(), inode);
                let name = name.clone();
                self.name_ops.push(NameOp::Create { name, inode });
                inode
            }
        };
        self.inodes.entry(inode).or_default()
    }

    /// Performs one operation with `room` for more bytes: of a write that needs more, as many
    /// first bytes as there is room for. Whether there was enough.
    pub(crate) fn perform_within(&mut self, room: u64, op: &FileOp) -> bool {
        let (file, offset, bytes) = match op {
            FileOp::Append { file, bytes } => {
                let length = self.read(file).map_or(0, <[u8]>::len);
                (file, length, bytes)
            }
            FileOp::Write {
                file,
                offset,
                bytes,
            } => {
                let offset = usize::try_from(*offset).expect("an offset fits into memory");
                (file, offset, bytes)
            }
            FileOp::Truncate { .. }
            | FileOp::Sync { .. }
            | FileOp::Rename { .. }
            | FileOp::Remove { .. }
            | FileOp::SyncDir => {
                self.perform(op);
                return true;
            }
        };
        let length = self.read(file).map_or(0, <[u8]>::len) as u64;
        let end = length.saturating_add(room);
        if (offset + bytes.len()) as u64 <= end {
            self.perform(op);
            return true;
        }
        let fits = usize::try_from(end.saturating_sub(offset as u64)).unwrap_or(usize::MAX);
        let file = self.file_mut(file);
        if fits > 0 {
            file.write(offset, &bytes.slice(..fits));
        }
        false
    }

    /// Whether a sync of `file` makes bytes durable that made it longer.
    pub(crate) fn has_grown(&self, file: &str) -> bool {
        self.file(file).is_some_and(File::has_grown)
    }

    /// Performs one operation.
    pub(crate) fn perform(&mut self, op: &FileOp) {
        match op {
            FileOp::Append { file, bytes } => {
                let file = self.file_mut(file);
                file.write(file.bytes().len(), bytes);
            }
            FileOp::Write {
                file,
                offset,
                bytes,
            } => {
                let offset = usize::try_from(*offset).expect("an offset fits into memory");
                self.file_mut(file).write(offset, bytes);
            }
            FileOp::Truncate { file, length } => {
                if self.names.contains_key(file) {
                    let length = usize::try_from(*length).unwrap_or(usize::MAX);
                    self.file_mut(file).truncate(length);
                }
            }
            FileOp::Sync { file } => {
                if self.names.contains_key(file) {
                    self.file_mut(file).sync();
                }
            }
            FileOp::Rename { from, to } => self.rename(from, to),
            FileOp::Remove { file } => {
                if let Some(inode) = self.names.remove(file) {
                    let name = file.clone();
                    self.name_ops.push(NameOp::Remove { name, inode });
                }
            }
            FileOp::SyncDir => self.sync_dir(),
        }
    }

    fn rename(&mut self, from: &Arc<str>, to: &Arc<str>) {
        if from == to {
            return;
        }
        if let Some(inode) = self.names.remove(from) {
            self.names.insert(to.clone(), inode);
            let (from, to) = (from.clone(), to.clone());
            self.name_ops.push(NameOp::Rename { from, to, inode });
        }
    }

    fn sync_dir(&mut self) {
        for op in self.name_ops.drain(..) {
            op.apply(&mut self.durable_names);
        }
        debug_assert_eq!(self.names, self.durable_names);
        self.collect();
    }

    /// Forgets files that no name leads to, whatever a crash would decide.
    fn collect(&mut self) {
        if self.inodes.len() == self.names.len() && self.name_ops.is_empty() {
            return;
        }
        let mut live: std::collections::BTreeSet<u32> = self.names.values().copied().collect();
        live.extend(self.durable_names.values());
        live.extend(self.name_ops.iter().map(NameOp::inode));
        self.inodes.retain(|inode, _| live.contains(inode));
    }

    /// A sync of `file` that fails: what was not synced is kept or lost now, unnoticed.
    pub(crate) fn fail_sync(&mut self, file: &Arc<str>, draw: &Draws, lane: u64, counter: u64) {
        if self.names.contains_key(file) {
            self.file_mut(file).fail_sync(draw, lane, counter);
        }
    }

    /// A failing sync of the names: each change is kept or lost now, unnoticed.
    pub(crate) fn fail_sync_dir(&mut self, draw: &Draws, lane: u64, counter: u64) {
        crash::settle_names(self, Unsynced::Reordered, draw, lane, counter);
    }

    /// Decides the fate of everything that is not synced, and returns it.
    pub(crate) fn crash(
        &mut self,
        style: Unsynced,
        draw: &Draws,
        lane: u64,
        counter: u64,
    ) -> Unsynced {
        crash::crash(self, style, draw, lane, counter)
    }

    /// What is durable: everything that no crash can take.
    pub(crate) fn durable(&self) -> Self {
        let mut image = self.clone();
        image.crash(Unsynced::Lost, &Draws::new(0), 0, 0);
        image
    }

    /// A write that changes nothing but the length of its file.
    pub(crate) fn unwritten(&self, op: &FileOp) -> FileOp {
        match op {
            FileOp::Append { file, bytes } => FileOp::Append {
                file: file.clone(),
                bytes: vec![0; bytes.len()].into(),
            },
            FileOp::Write {
                file,
                offset,
                bytes,
            } => {
                let at = usize::try_from(*offset).unwrap_or(usize::MAX);
                let old = self.read(file).and_then(|old| old.get(at..));
                let mut old = old.unwrap_or_default().to_vec();
                old.resize(bytes.len(), 0);
                FileOp::Write {
                    file: file.clone(),
                    offset: *offset,
                    bytes: old.into(),
                }
            }
            FileOp::Truncate { .. }
            | FileOp::Sync { .. }
            | FileOp::Rename { .. }
            | FileOp::Remove { .. }
            | FileOp::SyncDir => op.clone(),
        }
    }

    /// Puts the bytes of a write over synced ones that `bits` choose, as far as the file goes.
    pub(crate) fn misdirect(&mut self, op: &FileOp, bits: u64) {
        let (FileOp::Append { bytes, .. } | FileOp::Write { bytes, .. }) = op else {
            return;
        };
        let sizes: Vec<(Arc<str>, u64)> = self
            .files()
            .map(|(name, _)| (name.clone(), self.synced(name)))
            .collect();
        let total = sizes.iter().map(|(_, size)| size).sum();
        let mut place = crate::draw::scale(bits, total);
        for (name, size) in sizes {
            if place < size {
                let end = size.min(place + bytes.len() as u64);
                let bytes = &bytes[..(end - place) as usize];
                if let Some(inode) = self.names.get(&name)
                    && let Some(file) = self.inodes.get_mut(inode)
                {
                    file.replace(place as usize, bytes);
                }
                return;
            }
            place -= size;
        }
    }

    /// Makes a range of a file unreadable; false when there is no such file.
    pub(crate) fn damage(&mut self, file: &str, range: Range<u64>) -> bool {
        let inode = self.names.get(file);
        let Some(file) = inode.and_then(|inode| self.inodes.get_mut(inode)) else {
            return false;
        };
        file.damage(range);
        true
    }

    /// Makes everything readable.
    pub(crate) fn mend(&mut self) {
        for file in self.inodes.values_mut() {
            file.damage(0..0);
        }
    }

    /// The bytes of a file that cannot be read, which a machine has to ask for at boot: what
    /// [`Disk::read`] shows of them means nothing.
    pub fn unreadable(&self, file: &str) -> Option<Range<u64>> {
        self.file(file).and_then(File::unreadable)
    }

    /// Flips one bit of a synced byte; false when there is no such byte.
    pub(crate) fn flip(&mut self, file: &str, offset: u64, bit: u8) -> bool {
        if offset >= self.synced(file) {
            return false;
        }
        let Some(inode) = self.names.get(file) else {
            return false;
        };
        let Some(file) = self.inodes.get_mut(inode) else {
            return false;
        };
        file.flip(offset as usize, bit);
        true
    }
}

/// What of two disks can be told apart: inodes that stand behind the same names are the same, unless
/// a crash has to know which is which.
impl Hash for Disk {
    fn hash<H: Hasher>(&self, into: &mut H) {
        if self.name_ops.is_empty() {
            for (name, inode) in &self.names {
                name.hash(into);
                self.inodes.get(inode).hash(into);
            }
        } else {
            self.names.hash(into);
            self.durable_names.hash(into);
            self.name_ops.hash(into);
            self.inodes.hash(into);
        }
    }
}

#[cfg(test)]
mod tests;
