//! The files of one store directory, held by one process at a time.

use crate::store::{Files, SharedFiles};
use bytes::Bytes;
use meshos_core::chain::store::FileName;
use rustix::fs::{FlockOperation, flock};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most files held open in one hand; more are closed and opened again when needed. All hands of a
/// node together stay well below the usual limit of a process.
const OPEN_MAX: usize = 16;

/// A locked directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Open to sync names: opened once for each hand, since the system reports a failure once for
    /// each time a file was opened.
    itself: File,
    /// Open for the lock, which lasts as long as any hand.
    held: Arc<File>,
    open: BTreeMap<FileName, File>,
    /// Files written since their last sync: closing one could lose the report of a failed write.
    dirty: BTreeSet<FileName>,
}

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The system refuses.
    #[error("store directory {path}: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// Another process holds it.
    #[error("store directory {0} is in use by another process")]
    InUse(PathBuf),
}

impl Directory {
    /// Locks the directory at `path`, which has to exist.
    ///
    /// # Errors
    /// When there is none, or another process holds it.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let held = lock(path, FlockOperation::NonBlockingLockExclusive)?;
        Self::hand(path, Arc::new(held)).map_err(|source| DirectoryError::Io {
            path: path.to_owned(),
            source,
        })
    }

    fn hand(path: &Path, held: Arc<File>) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            itself: File::open(path)?,
            held,
            open: BTreeMap::new(),
            dirty: BTreeSet::new(),
        })
    }

    /// Everything in the directory.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(&self) -> io::Result<BTreeMap<FileName, Bytes>> {
        read_files(&self.path)
    }

    fn file(&mut self, name: &FileName) -> io::Result<&File> {
        if !self.open.contains_key(name) {
            if self.open.len() >= OPEN_MAX {
                let dirty = &self.dirty;
                self.open.retain(|open, _| dirty.contains(open));
            }
            let file = OpenOptions::new()
                .read(true)
                .append(false)
                .write(true)
                .create(true)
                .truncate(false)
                .open(self.path.join(&**name))?;
            self.open.insert(name.clone(), file);
        }
        Ok(&self.open[name])
    }

    fn written(&mut self, name: &FileName) -> io::Result<&File> {
        self.dirty.insert(name.clone());
        self.file(name)
    }
}

fn lock(path: &Path, how: FlockOperation) -> Result<File, DirectoryError> {
    let itself = File::open(path).map_err(|source| DirectoryError::Io {
        path: path.to_owned(),
        source,
    })?;
    match flock(&itself, how) {
        Ok(()) => Ok(itself),
        Err(_) => Err(DirectoryError::InUse(path.to_owned())),
    }
}

/// The contents of the plain files of a store that no process writes to meanwhile.
///
/// # Errors
/// When a file cannot be read, or a node runs on the store.
pub fn read_idle(path: &Path) -> Result<BTreeMap<FileName, Bytes>, DirectoryError> {
    let _held = lock(path, FlockOperation::NonBlockingLockShared)?;
    read_files(path).map_err(|source| DirectoryError::Io {
        path: path.to_owned(),
        source,
    })
}

/// The contents of the plain files in the directory at `path`, by name.
///
/// # Errors
/// When a file cannot be read.
pub fn read_files(path: &Path) -> io::Result<BTreeMap<FileName, Bytes>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_file()
            && let Some(name) = entry.file_name().to_str()
        {
            files.insert(FileName::from(name), fs::read(entry.path())?.into());
        }
    }
    Ok(files)
}

impl SharedFiles for Directory {
    fn another(&self) -> io::Result<Self> {
        Self::hand(&self.path, Arc::clone(&self.held))
    }
}

impl Files for Directory {
    fn append(&mut self, file: &FileName, bytes: &[u8]) -> io::Result<()> {
        use std::io::Seek;
        let mut file = self.written(file)?;
        file.seek(io::SeekFrom::End(0))?;
        file.write_all(bytes)
    }

    fn write(&mut self, file: &FileName, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.written(file)?.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, file: &FileName, length: u64) -> io::Result<()> {
        self.written(file)?.set_len(length)
    }

    fn sync(&mut self, file: &FileName) -> io::Result<()> {
        self.file(file)?.sync_data()?;
        self.dirty.remove(file);
        Ok(())
    }

    fn rename(&mut self, from: &FileName, to: &FileName) -> io::Result<()> {
        fs::rename(self.path.join(&**from), self.path.join(&**to))?;
        self.dirty.remove(to);
        self.open.remove(to);
        if let Some(file) = self.open.remove(from) {
            self.open.insert(to.clone(), file);
        }
        if self.dirty.remove(from) {
            self.dirty.insert(to.clone());
        }
        Ok(())
    }

    fn remove(&mut self, file: &FileName) -> io::Result<()> {
        self.open.remove(file);
        self.dirty.remove(file);
        match fs::remove_file(self.path.join(&**file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.itself.sync_all()
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
