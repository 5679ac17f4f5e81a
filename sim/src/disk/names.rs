//! The names of files: a change of them is durable only with the directory.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A change of names that is not durable yet.
#[derive(Clone, Debug, Hash)]
pub(super) enum NameOp {
    Create {
        name: Arc<str>,
        inode: u32,
    },
    Rename {
        from: Arc<str>,
        to: Arc<str>,
        inode: u32,
    },
    Remove {
        name: Arc<str>,
        inode: u32,
    },
}

pub(super) type Names = BTreeMap<Arc<str>, u32>;

impl NameOp {
    pub(super) const fn inode(&self) -> u32 {
        match self {
            Self::Create { inode, .. } | Self::Rename { inode, .. } => *inode,
            Self::Remove { inode, .. } => *inode,
        }
    }

    /// Applies the change, as far as the names still mean the same file.
    pub(super) fn apply(&self, names: &mut Names) {
        match self {
            Self::Create { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            Self::Rename { from, to, inode } => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
            Self::Remove { name, inode } => {
                if names.get(name) == Some(inode) {
                    names.remove(name);
                }
            }
        }
    }
}
