//! Formats a store directory once, and opens it at every start.
//!
//! A directory without an identity is never formatted on the way: a disk that was wiped must not
//! come back under its old StoreId, for its votes and acknowledgements are gone (D1, *amnesia*).

use crate::directory::{Directory, DirectoryError, read_files};
use crate::store::{StoreExecutor, is_full, perform};
use meshos_core::chain::boots::Boots;
use meshos_core::chain::peers::PeerMemory;
use meshos_core::chain::read::sort_out;
use meshos_core::chain::recover::{Damage, Files, RecoverError, recover};
use meshos_core::chain::store::{
    FileOp, Founding, Identity, Layout, Named, Part, StoreLimits, format,
};
use meshos_core::event::Boot;
use meshos_core::hello::{Refusal, check_owned};
use meshos_core::id::{ClusterId, FormatNonce, Incarnation, RunNonce};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a store cannot be formatted or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be had.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A file cannot be read or written.
    #[error("store directory {path}: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no store yet.
    #[error(
        "store directory {path} is not formatted; if this is a new node, start it once with \
         --format; if a store was here, it is lost and must not be formatted again under its id: \
         the other members of its chains go on without this node, and until members can be \
         replaced only a new cluster takes it in"
    )]
    Unformatted {
        /// The directory.
        path: PathBuf,
    },
    /// There is something already.
    #[error(
        "store directory {path} is not empty, it holds {found}; --format is for an empty directory: \
         leave it out to go on with this store"
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// The store cannot be read any more.
    #[error("store directory {path}: {source}")]
    Lost {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: Box<RecoverError>,
    },
    /// It is somebody else's.
    #[error(
        "store directory {path} belongs to {}, expected {}",
        Shown(found),
        Shown(expected)
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose store it is.
        found: Box<Identity>,
        /// Whose the config says.
        expected: Box<Identity>,
    },
    /// A peer told an earlier run that it is an older image, or formatted anew.
    #[error("store directory {path}: {why}")]
    Disowned {
        /// The directory.
        path: PathBuf,
        /// What the peer knew.
        why: Refusal,
    },
    /// It is this node's, from before its cluster was another one.
    #[error(
        "store directory {path} was formatted for cluster {:032x}, and the config is of cluster \
         {:032x}: its nodes, their stores, the chains, their members, cluster.deployment, \
         limits.clients_max or limits.client_window are not those that the store was formatted \
         with; put them back as they were (a node or a chain cannot be added yet, only a new \
         cluster has others)",
        found.get(),
        expected.get()
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// The cluster of the store.
        found: ClusterId,
        /// The cluster of the config.
        expected: ClusterId,
    },
}

impl OpenError {
    /// Whether the same may succeed once there is more space: everything that was done of it may
    /// be done again.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_full(source),
            Self::Directory(DirectoryError::Io { source, .. }) => is_full(source),
            Self::Directory(DirectoryError::InUse(_)) => false,
            Self::Unformatted { .. } | Self::NotEmpty { .. } | Self::Disowned { .. } => false,
            Self::Lost { .. } | Self::Foreign { .. } | Self::OtherCluster { .. } => false,
        }
    }
}

struct Shown<'a>(&'a Identity);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Identity {
            cluster,
            node,
            store,
        } = self.0;
        let (cluster, store) = (cluster.get(), store.get());
        write!(f, "node {node}, store {store:032x}, cluster {cluster:032x}")
    }
}

/// A store as it was found, on which nothing was changed yet. A start that is refused for another
/// reason leaves it so, and counts no boot.
#[derive(Debug)]
pub struct Found {
    /// What the node starts from.
    pub boot: Boot,
    /// Which formatting of the store it is.
    pub format: FormatNonce,
    /// Its boots, this one included.
    pub boots: Boots,
    /// What earlier runs learned of the stores of peers.
    pub peers: PeerMemory,
    /// What is not as it was written, and has to be repaired.
    pub damage: Vec<Damage>,
    /// What is not as it was written, and nothing is missing for: peers repaired it before.
    pub mended: Vec<Damage>,
    /// The torn ends that a crash left, which is normal.
    pub torn: Vec<Damage>,
    /// What has to be performed before the first step.
    pub repairs: Repairs,
}

/// What makes a store that was found ready for the first step of a run.
#[derive(Debug)]
pub struct Repairs {
    directory: Directory,
    ops: Vec<FileOp>,
    layout: Layout,
    path: PathBuf,
}

impl Repairs {
    /// Performs them, from the first again where there was no space before.
    ///
    /// # Errors
    /// When the disk fails, or has no space for them: see [`OpenError::is_full`].
    pub fn perform(&mut self) -> Result<(), OpenError> {
        let performed = perform_all(&mut self.directory, &self.ops);
        performed.map_err(|source| OpenError::Io {
            path: self.path.clone(),
            source,
        })
    }

    /// Takes the orders of the node once they are performed.
    pub fn into_executor(self) -> StoreExecutor<Directory> {
        StoreExecutor::new(self.directory, self.layout)
    }
}

/// Formats the empty or missing directory at `path`; `nonce` is drawn for it alone.
///
/// # Errors
/// When there is something in it but the leavings of an interrupted attempt, or when there is no
/// space for it: see [`OpenError::is_full`].
pub fn format_store(
    path: &Path,
    identity: &Identity,
    nonce: FormatNonce,
    foundings: &[Founding],
) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(path).map_err(failed)?;
    let mut directory = Directory::open(path)?;
    may_format(path)?;
    perform_all(&mut directory, &format(identity, nonce, foundings)).map_err(failed)?;
    // The name of the directory itself.
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = fs::File::open(parent.unwrap_or(Path::new("."))).map_err(failed)?;
    parent.sync_all().map_err(failed)
}

/// Whether a store may be made at `path`. Changes nothing.
///
/// # Errors
/// When there is something in it but the leavings of an interrupted attempt.
pub fn may_format(path: &Path) -> Result<(), OpenError> {
    let files = match read_files(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files.map_err(|source| OpenError::Io {
            path: path.to_owned(),
            source,
        })?,
    };
    let is_unfinished = is_unfinished(&files);
    for name in files.into_keys() {
        let is_leaving = match Named::of(&name) {
            // The identity is written last, and nothing is appended before it.
            Some(Named::Chain { part, .. }) => match part {
                Part::Vote(_) | Part::Checkpoint(_) | Part::Draft => true,
                Part::Segment(_) | Part::Repairs => false,
            },
            Some(Named::Identity(_)) => is_unfinished,
            Some(Named::Peers(_)) | None => false,
        };
        if !is_leaving {
            return Err(OpenError::NotEmpty {
                path: path.to_owned(),
                found: name.to_string(),
            });
        }
    }
    Ok(())
}

/// Whether formatting was interrupted: no boot of the store was ever counted, and of the two
/// places of its identity one at least is not there.
fn is_unfinished(files: &Files) -> bool {
    match recover(files, &StoreLimits::default(), RunNonce::default()) {
        Ok(recovered) => {
            let is_identity =
                |damage: &Damage| matches!(Named::of(&damage.file), Some(Named::Identity(_)));
            recovered.boot.incarnation == FIRST_BOOT && recovered.damage.iter().any(is_identity)
        }
        Err(RecoverError::Unformatted) => true,
        Err(RecoverError::Identity { .. }) => false,
    }
}

const FIRST_BOOT: Incarnation = Incarnation::new(1);

/// Looks for the store at `path` for the run `run`. Changes nothing but the lock in it.
///
/// # Errors
/// When there is no store of `identity` at `path`, or it cannot be read.
pub fn find_store(
    path: &Path,
    identity: &Identity,
    limits: &StoreLimits,
    run: RunNonce,
) -> Result<Found, OpenError> {
    let failed = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let unformatted = || OpenError::Unformatted {
        path: path.to_owned(),
    };
    let directory = match Directory::open(path) {
        Err(DirectoryError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(unformatted());
        }
        opened => opened?,
    };
    let files = directory.read().map_err(failed)?;
    let recovered = recover(&files, limits, run).map_err(|source| match source {
        RecoverError::Unformatted => unformatted(),
        RecoverError::Identity { .. } => OpenError::Lost {
            path: path.to_owned(),
            source: Box::new(source),
        },
    })?;
    if recovered.identity != *identity {
        return Err(foreign(path, recovered.identity, *identity));
    }
    check_owned(&recovered).map_err(|why| OpenError::Disowned {
        path: path.to_owned(),
        why,
    })?;
    let (damage, mended) = sort_out(recovered.damage, &recovered.boot.images);
    Ok(Found {
        boot: recovered.boot,
        format: recovered.format,
        boots: recovered.boots,
        peers: recovered.peers,
        damage,
        mended,
        torn: recovered.torn,
        repairs: Repairs {
            directory,
            ops: recovered.repairs,
            layout: recovered.layout,
            path: path.to_owned(),
        },
    })
}

fn foreign(path: &Path, found: Identity, expected: Identity) -> OpenError {
    let path = path.to_owned();
    if (found.node, found.store) == (expected.node, expected.store) {
        return OpenError::OtherCluster {
            path,
            found: found.cluster,
            expected: expected.cluster,
        };
    }
    OpenError::Foreign {
        path,
        found: Box::new(found),
        expected: Box::new(expected),
    }
}

fn perform_all(directory: &mut Directory, ops: &[FileOp]) -> io::Result<()> {
    ops.iter().try_for_each(|op| perform(directory, op))
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
