//! The files of a store: as the simulated disk keeps them, and as the core asks for them.

use super::{node_id, store_id};
use meshos_core::chain::recover::{Files, RecoverError, Recovered, recover};
use meshos_core::chain::store::{self, FileOp, Identity};
use meshos_core::config::Config;
use meshos_core::hello::check_owned;
use meshos_core::id::{FormatNonce, RunNonce};
use meshos_sim::disk::{self, Disk};
use meshos_sim::machine;
use std::sync::Arc;

/// What the disk holds, formatted first if it holds nothing: the operations that format, and
/// what recovery finds behind them. `None` when the store is beyond opening.
pub(super) fn open(
    config: &Config,
    boot: &machine::Boot<'_>,
    limits: &store::StoreLimits,
    run: RunNonce,
) -> Option<(Vec<FileOp>, Recovered)> {
    // As `meshosd`: what cannot be read is no damage that recovery could judge, for a batch that
    // is not sealed would pass for a torn one.
    let mut names = boot.disk.files().map(|(name, _)| name);
    if names.any(|name| boot.disk.unreadable(name).is_some()) {
        return None;
    }
    let mut files: Files = files_of(boot.disk);
    match recover(&files, limits, run) {
        Ok(recovered) if check_owned(&recovered).is_err() => None,
        Ok(recovered) => Some((Vec::new(), recovered)),
        Err(RecoverError::Unformatted) => {
            let node = node_id(boot.node);
            let store = store_id(boot.node, boot.store);
            let identity = Identity {
                cluster: config.cluster(),
                node,
                store,
            };
            let nonce = FormatNonce::new(boot.seed);
            let ops = store::format(&identity, nonce, &config.foundings(node));
            apply(&mut files, &ops);
            let recovered = recover(&files, limits, run).ok()?;
            Some((ops, recovered))
        }
        Err(RecoverError::Identity { .. }) => None,
    }
}

/// The files of a disk as recovery wants them.
pub fn files_of(disk: &Disk) -> Files {
    let copy = |(name, bytes): (&Arc<str>, &[u8])| (name.clone(), bytes.to_vec().into());
    disk.files().map(copy).collect()
}

/// Performs operations on files in memory.
fn apply(files: &mut Files, ops: &[FileOp]) {
    for op in ops {
        match op {
            FileOp::Append { file, bytes } => {
                let mut all = files.get(file).map_or_else(Vec::new, |old| old.to_vec());
                all.extend_from_slice(bytes);
                files.insert(file.clone(), all.into());
            }
            FileOp::Write {
                file,
                offset,
                bytes,
            } => {
                // A fresh store is files that are written once.
                if *offset == 0 && !files.contains_key(file) {
                    files.insert(file.clone(), bytes.clone());
                    continue;
                }
                let mut all = files.get(file).map_or_else(Vec::new, |old| old.to_vec());
                let end = *offset as usize + bytes.len();
                all.resize(all.len().max(end), 0);
                all[*offset as usize..end].copy_from_slice(bytes);
                files.insert(file.clone(), all.into());
            }
            FileOp::Truncate { file, length } => {
                if let Some(old) = files.get_mut(file) {
                    old.truncate(*length as usize);
                }
            }
            FileOp::Rename { from, to } => {
                if let Some(bytes) = files.remove(from) {
                    files.insert(to.clone(), bytes);
                }
            }
            FileOp::Remove { file } => {
                files.remove(file);
            }
            FileOp::Sync { .. } | FileOp::SyncDir => {}
        }
    }
}

pub(super) fn file_op(op: FileOp) -> disk::FileOp {
    match op {
        FileOp::Append { file, bytes } => disk::FileOp::Append { file, bytes },
        FileOp::Write {
            file,
            offset,
            bytes,
        } => disk::FileOp::Write {
            file,
            offset,
            bytes,
        },
        FileOp::Truncate { file, length } => disk::FileOp::Truncate { file, length },
        FileOp::Sync { file } => disk::FileOp::Sync { file },
        FileOp::Rename { from, to } => disk::FileOp::Rename { from, to },
        FileOp::Remove { file } => disk::FileOp::Remove { file },
        FileOp::SyncDir => disk::FileOp::SyncDir,
    }
}
