//! What a machine asks of its disk, and how that may fail.

use bytes::Bytes;
use std::sync::Arc;

/// Why a batch was not performed as a whole.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DiskError {
    /// The disk had no room for an operation of the batch. Those before it were performed, of
    /// itself a write left as many first bytes as there was room for, and later ones were not
    /// begun. A sync that found no room failed: what it should have synced is unreliable.
    #[error("disk full at operation {at}")]
    Full {
        /// Which operation of the batch, from 0.
        at: u32,
    },
    /// A sync failed. Operations before it were performed, later ones were not, and the bytes
    /// that it should have synced are unreliable.
    #[error("sync failed")]
    Failed,
}

/// One operation on the disk of a node. Files are created by writing to them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FileOp {
    /// Adds bytes at the end.
    Append {
        /// The file.
        file: Arc<str>,
        /// The bytes.
        bytes: Bytes,
    },
    /// Replaces bytes, or adds them beyond the end; a gap is filled with zeros.
    Write {
        /// The file.
        file: Arc<str>,
        /// Where the first byte goes.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Shortens a file; one that is not longer stays as it is.
    Truncate {
        /// The file.
        file: Arc<str>,
        /// The new length.
        length: u64,
    },
    /// Makes the bytes and the length of a file durable, not its name.
    Sync {
        /// The file.
        file: Arc<str>,
    },
    /// Gives a file another name; a file that had that name is gone.
    Rename {
        /// The old name.
        from: Arc<str>,
        /// The new name.
        to: Arc<str>,
    },
    /// Removes a file.
    Remove {
        /// The file.
        file: Arc<str>,
    },
    /// Makes all names durable.
    SyncDir,
}

impl FileOp {
    /// Whether it writes bytes.
    pub(crate) const fn is_write(&self) -> bool {
        matches!(self, Self::Append { .. } | Self::Write { .. })
    }
}
