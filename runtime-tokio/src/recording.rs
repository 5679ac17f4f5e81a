//! Writes what is fed to the node into files, from which the run can be repeated (D65).
//!
//! An event is handed to the writing thread before it is fed, so the one that stops a node is on
//! record. When the disk is slower than the node, the node waits. When the disk fails, the
//! recording ends there and the node goes on. Files are not synced: they are there to explain a
//! run, and nothing depends on them.

use crate::config::RecordingTable;
use crate::ports::Journal;
use bytes::Bytes;
use meshos_core::action::Action;
use meshos_core::chain::recording::{PayloadMode, Recorded, Recorder, Said, Settings, parse_name};
use meshos_core::chain::store::FileName;
use meshos_core::event::Event;
use meshos_core::id::{Incarnation, NodeId, StoreId};
use meshos_core::node::Node;
use meshos_core::time::Instant;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;

/// Most pieces that wait for the disk.
const WAITING_MAX: usize = 256;

/// What recordings name as their author: only the same commit is sure to replay them.
const BUILD: &str = concat!("meshosd ", env!("CARGO_PKG_VERSION"), env!("BUILD_COMMIT"));

/// Why a run cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The directory cannot be had.
    #[error("recording directory {path}: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is a recording of another store.
    #[error(
        "recording directory {path} holds {file} of node {node}, store {store:032x}; name \
         another directory in recording.path"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// The file.
        file: FileName,
        /// Whose run it is.
        node: NodeId,
        /// The store of that run.
        store: u128,
    },
    /// There is a recording of this very run, or of a later one.
    #[error(
        "recording directory {path} holds {file}, of this boot of the store or of a later one: an \
         older image of the store was put back, which forgot its votes and acknowledgements; put \
         the newest one back, or give the node a new store id in a new cluster config"
    )]
    Taken {
        /// The directory.
        path: PathBuf,
        /// The file.
        file: FileName,
    },
    /// There is a recording of a store that shall be formatted.
    #[error(
        "recording directory {path} holds {file}: this store id has already run (boot {boot}), and \
         a lost store must not come back under its old id, for its votes and acknowledgements are \
         gone; if the store is elsewhere, name it in store.path and start without --format; if it \
         is lost, leave this node stopped: the other members of its chains go on without it, and \
         until members can be replaced only a new cluster, with ids of its own, takes it in (see \
         `meshosd config new-cluster`)"
    )]
    Ran {
        /// The directory.
        path: PathBuf,
        /// The newest file.
        file: FileName,
        /// The boot that it was recorded of.
        boot: Incarnation,
    },
}

/// Makes sure that what the directory at `path` holds, if anything, was recorded of this store.
/// Changes nothing.
///
/// # Errors
/// When it cannot be read, or holds a recording of another store.
pub fn check_owner(path: &Path, node: NodeId, store: StoreId) -> Result<(), RecordingError> {
    let failed = |source| RecordingError::Io {
        path: path.to_owned(),
        source,
    };
    let names = match recorded(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names.map_err(failed)?,
    };
    // Each run looked before it began, so one file that can be read stands for all.
    for file in names.into_iter().rev() {
        let bytes = Bytes::from(fs::read(path.join(&*file)).map_err(failed)?);
        let incarnation = parse_name(&file).map_or(Incarnation::new(0), |(run, _)| run);
        let run = Recorded::of(incarnation, vec![(&file, &bytes)]);
        let Some(Ok(Said::Start(start))) = run.replay().next() else {
            continue;
        };
        if (start.run.node, start.run.store) == (node, store) {
            return Ok(());
        }
        return Err(RecordingError::Foreign {
            path: path.to_owned(),
            file,
            node: start.run.node,
            store: start.run.store.get(),
        });
    }
    Ok(())
}

/// Makes sure that what the directory at `path` holds, if anything, was recorded before the boot
/// `incarnation` of this store. Changes nothing.
///
/// # Errors
/// When it cannot be read, or holds a recording of this boot or of a later one.
pub fn check_newest(path: &Path, incarnation: Incarnation) -> Result<(), RecordingError> {
    match newest(path)? {
        Some((run, file)) if run >= incarnation => Err(RecordingError::Taken {
            path: path.to_owned(),
            file,
        }),
        Some(_) | None => Ok(()),
    }
}

/// Makes sure that the directory at `path`, which belongs to a store that shall be formatted, holds
/// no recording of it. Changes nothing.
///
/// # Errors
/// When it cannot be read, or the store has run before.
pub fn check_never_ran(path: &Path) -> Result<(), RecordingError> {
    match newest(path)? {
        Some((boot, file)) => Err(RecordingError::Ran {
            path: path.to_owned(),
            file,
            boot,
        }),
        None => Ok(()),
    }
}

/// The newest file in the directory at `path`, and of which boot it is.
fn newest(path: &Path) -> Result<Option<(Incarnation, FileName)>, RecordingError> {
    let names = match recorded(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        names => names.map_err(|source| RecordingError::Io {
            path: path.to_owned(),
            source,
        })?,
    };
    let newest = names.into_iter().next_back();
    Ok(newest.and_then(|file| Some((parse_name(&file)?.0, file))))
}

enum Piece {
    Begin(FileName),
    Bytes(Vec<u8>),
}

/// Whether a recording ended before its run; clones share it.
#[derive(Clone, Debug, Default)]
pub struct CutShort(Arc<AtomicBool>);

impl CutShort {
    /// Whether it did.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Records one run, or nothing.
#[derive(Debug)]
pub struct FileJournal {
    recording: Option<Recording>,
    cut_short: CutShort,
}

#[derive(Debug)]
struct Recording {
    recorder: Recorder,
    payloads: PayloadMode,
    queue: SyncSender<Piece>,
    /// What is not handed over yet: the outcome of the last step.
    buffer: Vec<u8>,
}

impl FileJournal {
    /// A journal that keeps nothing.
    pub fn none() -> Self {
        Self {
            recording: None,
            cut_short: CutShort::default(),
        }
    }

    /// Whether the recording ends before its run.
    pub fn cut_short(&self) -> CutShort {
        self.cut_short.clone()
    }

    /// Records the run of `node` into the directory at `path` with what `payloads` says, in a
    /// thread that ends with the journal.
    ///
    /// # Errors
    /// When the directory cannot be had.
    pub fn start(
        path: &Path,
        payloads: PayloadMode,
        table: &RecordingTable,
        node: &Node,
    ) -> Result<(Self, JoinHandle<()>), RecordingError> {
        let failed = |source| RecordingError::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(failed)?;
        let run = node.me();
        let settings = Settings {
            build: BUILD.to_owned(),
            run,
            payloads,
            file_bytes_max: table.rotate_bytes,
            state_every: u64::from(table.hash_steps),
        };
        let (queue, pieces) = mpsc::sync_channel(WAITING_MAX);
        let writer = Writer {
            path: path.to_owned(),
            files_max: table.files_max as usize,
            file: None,
        };
        let builder = std::thread::Builder::new().name("recording".to_owned());
        let thread = builder.spawn(move || writer.run(&pieces)).map_err(failed)?;
        let recording = Recording {
            recorder: Recorder::new(settings),
            payloads,
            queue,
            buffer: Vec::new(),
        };
        let journal = Self {
            recording: Some(recording),
            cut_short: CutShort::default(),
        };
        Ok((journal, thread))
    }

    /// Does something with the recording, which ends when its thread has.
    fn with(&mut self, act: impl FnOnce(&mut Recording) -> Result<(), Ended>) {
        if let Some(recording) = &mut self.recording
            && act(recording).is_err()
        {
            tracing::error!("the recording has ended; the node goes on without");
            self.recording = None;
            self.cut_short.0.store(true, Ordering::Relaxed);
        }
    }
}

struct Ended;

impl Recording {
    fn hand_over(&mut self) -> Result<(), Ended> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.buffer);
        self.queue.send(Piece::Bytes(bytes)).map_err(|_| Ended)
    }

    fn image(&self, node: &Node) -> Bytes {
        let image = match self.payloads {
            PayloadMode::Full => postcard::to_allocvec(node),
            PayloadMode::Digest => postcard::to_allocvec(&node.redacted()),
        };
        image.expect("a node encodes into memory").into()
    }
}

impl Journal<Node> for FileJournal {
    fn event(&mut self, node: &Node, now: Instant, event: &Event) {
        self.with(|recording| {
            if recording.recorder.is_due() {
                recording.hand_over()?;
                let image = recording.image(node);
                let recorder = &mut recording.recorder;
                let name = recorder.begin(image, node.state_hash(), &mut recording.buffer);
                recording
                    .queue
                    .send(Piece::Begin(name))
                    .map_err(|_| Ended)?;
            }
            recording.recorder.event(now, event, &mut recording.buffer);
            recording.hand_over()
        });
    }

    fn stepped(&mut self, node: &Node, actions: &[Action]) {
        self.with(|recording| {
            let state = || node.state_hash();
            recording
                .recorder
                .outcome(actions, state, &mut recording.buffer);
            Ok(())
        });
    }

    fn finish(&mut self, node: &Node) {
        self.with(|recording| {
            recording
                .recorder
                .end(node.state_hash(), &mut recording.buffer);
            recording.hand_over()
        });
    }
}

/// The recording's files in a directory, oldest first.
fn recorded(path: &Path) -> io::Result<Vec<FileName>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        if let Some(name) = entry?.file_name().to_str()
            && let Some(key) = parse_name(name)
        {
            names.push((key, FileName::from(name)));
        }
    }
    names.sort();
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

struct Writer {
    path: PathBuf,
    files_max: usize,
    file: Option<File>,
}

impl Writer {
    fn run(mut self, pieces: &Receiver<Piece>) {
        while let Ok(first) = pieces.recv() {
            // What waits is written at once.
            let mut bytes = Vec::new();
            for piece in std::iter::once(first).chain(pieces.try_iter()) {
                let written = match piece {
                    Piece::Bytes(more) if bytes.is_empty() => {
                        bytes = more;
                        Ok(())
                    }
                    Piece::Bytes(more) => {
                        bytes.extend_from_slice(&more);
                        Ok(())
                    }
                    Piece::Begin(name) => self.write(&mut bytes).and_then(|()| self.begin(&name)),
                };
                if let Err(error) = written {
                    tracing::error!(path = %self.path.display(), %error, "cannot record");
                    return;
                }
            }
            if let Err(error) = self.write(&mut bytes) {
                tracing::error!(path = %self.path.display(), %error, "cannot record");
                return;
            }
        }
    }

    fn write(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let bytes = std::mem::take(bytes);
        match &mut self.file {
            Some(file) => file.write_all(&bytes),
            None => Ok(()),
        }
    }

    /// Begins a file, and removes the oldest ones when there are too many.
    fn begin(&mut self, name: &FileName) -> io::Result<()> {
        self.file = Some(File::create_new(self.path.join(&**name))?);
        let names = recorded(&self.path)?;
        let surplus = names.len().saturating_sub(self.files_max);
        for name in &names[..surplus] {
            fs::remove_file(self.path.join(&**name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
