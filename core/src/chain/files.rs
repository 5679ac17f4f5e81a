//! The files of a store as they were read, and what is wrong in them.

use super::record::Unreadable;
use super::store::FileName;
use alloc::collections::BTreeMap;
use bytes::Bytes;

/// The files of a store, by name.
pub type Files = BTreeMap<FileName, Bytes>;

/// A place in a file where something else was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, offset {offset}: {fault}")]
pub struct Damage {
    /// The file.
    pub file: FileName,
    /// Where.
    pub offset: u64,
    /// How many bytes are affected.
    pub length: u64,
    /// What was expected.
    pub fault: Unreadable,
}
