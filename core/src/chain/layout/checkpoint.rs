//! The two files of a chain's checkpoint, and the room that is kept in them.
//!
//! A checkpoint is written to two drafts, which then take the places of the files. That needs
//! its size twice, and on a full disk nothing else makes room: so each file is as long as a
//! checkpoint of what the store holds may get, and where drafts find no space the files are
//! overwritten, one after the other, as those of a vote record are (`docs/decisions/store-format.md`).
//! The checkpoint of a peer may be longer: then they are made longer first.

use crate::chain::checkpoint::{file_body, file_length, write_record};
use crate::chain::order::Checkpoint;
use crate::chain::record::{HEAD, Salt};
use crate::chain::store::{
    DRAFT_OPS, FileName, FileOp, Identity, Names, overwrite, remove_draft, rename_draft, replace,
    write_draft,
};
use crate::chain::vote::Place;
use crate::id::Replica;
use alloc::vec;
use alloc::vec::Vec;

/// What a file of a checkpoint says: of which replica, the first segment of its log, and the
/// checkpoint.
type Kept<'a> = (Replica, u64, &'a Checkpoint);

/// The files of a checkpoint, as far as their lengths go.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::chain) struct CheckpointFiles {
    lengths: [u64; 2],
    /// How many bytes a checkpoint of what is stored may have.
    wanted: u64,
    /// Whether the last order found no space, unless that was to overwrite the files.
    is_full: bool,
    /// How many operations made the files longer before the last checkpoint was to overwrite them;
    /// `None` if drafts were planned.
    overwriting: Option<usize>,
}

impl CheckpointFiles {
    /// Files that are there, of these lengths.
    pub(in crate::chain) fn found(lengths: [u64; 2]) -> Self {
        Self {
            lengths,
            ..Self::default()
        }
    }

    /// A checkpoint of what the next batch ends may have as many bytes. What is wanted never
    /// shrinks, for the log may still have positions where the request table was larger.
    pub(in crate::chain) fn want(&mut self, bytes: u64) {
        self.wanted = self.wanted.max(bytes);
    }

    /// What makes room for the checkpoints that are wanted: of each file a write, then a sync.
    pub(super) fn grow(&mut self, names: &Names) -> Vec<FileOp> {
        self.grow_for(self.wanted, names)
    }

    fn grow_for(&mut self, bytes: u64, names: &Names) -> Vec<FileOp> {
        let mut ops = Vec::new();
        for (place, length) in PLACES.into_iter().zip(&mut self.lengths) {
            if *length < bytes {
                let longer = file_length(bytes);
                let file = names.checkpoint(place);
                ops.push(FileOp::Write {
                    file: file.clone(),
                    offset: *length,
                    bytes: vec![0; (longer - *length) as usize].into(),
                });
                ops.push(FileOp::Sync { file });
                *length = longer;
            }
        }
        ops
    }

    /// What takes back the room that was made since `before`.
    pub(super) fn shorten(&self, names: &Names, before: &Self) -> Vec<FileOp> {
        let lengths = self.lengths.into_iter().zip(before.lengths);
        let grown = PLACES.into_iter().zip(lengths);
        let grown = grown.filter(|(_, (length, before))| before < length);
        let shorten = |(place, (_, length))| {
            let file: FileName = names.checkpoint(place);
            let sync = FileOp::Sync { file: file.clone() };
            [FileOp::Truncate { file, length }, sync]
        };
        grown.flat_map(shorten).collect()
    }

    /// The last order found no space.
    pub(super) fn found_no_space(&mut self) {
        self.is_full = true;
    }

    /// Whether the last order found no space, unless that was to overwrite the files.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The last order, which was a checkpoint behind `before`, found no space: what takes back the
    /// room that it took. Where files cannot be overwritten as they are, which may need space for a
    /// copy, drafts are the next thing to try. Where they were to be longer a shorter one may fit.
    pub(super) fn back_to(&mut self, before: Self, names: &Names) -> Vec<FileOp> {
        let is_full = self.overwriting != Some(0);
        let undo = match self.overwriting {
            // The next attempt needs the room of the drafts.
            None => Vec::from(PLACES.map(|place| remove_draft(&names.checkpoint(place)))),
            Some(_) => self.shorten(names, &before),
        };
        *self = Self { is_full, ..before };
        undo
    }

    /// Whether nothing that is needed is lost when operation `at` of the last checkpoint found no
    /// space: both drafts are whole before one of them takes the place of a checkpoint, and one of
    /// the files is whole while the other one is overwritten. Once the first one is, the
    /// checkpoint counts.
    pub(super) fn may_fail_at(&self, at: usize) -> bool {
        match self.overwriting {
            Some(grown) => at <= grown && at.is_multiple_of(2),
            None => at == 0 || at == DRAFT_OPS,
        }
    }

    /// Puts a checkpoint in both places of the one before.
    pub(in crate::chain) fn replace(
        &mut self,
        identity: &Identity,
        names: &Names,
        (replica, segment_first, checkpoint): Kept<'_>,
    ) -> Vec<FileOp> {
        let body = file_body(replica, segment_first, checkpoint);
        let bytes = (HEAD + body.len()) as u64;
        self.overwriting = None;
        if core::mem::take(&mut self.is_full) {
            let mut ops = self.grow_for(bytes, names);
            self.overwriting = Some(ops.len());
            ops.extend(overwrite_both(identity, names, &body));
            return ops;
        }
        self.want(bytes);
        let length = file_length(self.wanted);
        self.lengths = self.lengths.map(|before| before.max(length));
        let mut ops = Vec::new();
        for (place, length) in PLACES.into_iter().zip(self.lengths) {
            let file = names.checkpoint(place);
            ops.extend(write_draft(&file, padded(identity, &file, &body, length)));
        }
        // A crash may leave one of them as it was: then the newer one counts, and as nothing was
        // removed yet the older one is as good.
        ops.extend(PLACES.map(|place| rename_draft(&names.checkpoint(place))));
        ops.push(FileOp::SyncDir);
        ops
    }

    /// Makes both places durable, which an earlier process may have been killed before.
    pub(in crate::chain) fn sync(names: &Names) -> [FileOp; 2] {
        PLACES.map(|place| {
            let file = names.checkpoint(place);
            FileOp::Sync { file }
        })
    }

    /// Makes the place that does not hold the checkpoint like the one that does.
    pub(in crate::chain) fn double(
        &mut self,
        identity: &Identity,
        names: &Names,
        (whole, (replica, segment_first, checkpoint)): (Place, Kept<'_>),
    ) -> Vec<FileOp> {
        let body = file_body(replica, segment_first, checkpoint);
        // It may only be in memory yet.
        let mut ops = vec![FileOp::Sync {
            file: names.checkpoint(whole),
        }];
        let file = names.checkpoint(whole.other());
        let length = match whole.other() {
            Place::A => &mut self.lengths[0],
            Place::B => &mut self.lengths[1],
        };
        let bytes = (HEAD + body.len()) as u64;
        if bytes <= *length {
            let record = write_record(Salt::of_store(identity, &file), &body);
            overwrite(&mut ops, file, record);
        } else {
            *length = file_length(bytes);
            ops.extend(replace(&file, padded(identity, &file, &body, *length)));
        }
        ops
    }
}

const PLACES: [Place; 2] = [Place::A, Place::B];

fn overwrite_both(identity: &Identity, names: &Names, body: &[u8]) -> Vec<FileOp> {
    let mut ops = Vec::new();
    for file in PLACES.map(|place| names.checkpoint(place)) {
        let record = write_record(Salt::of_store(identity, &file), body);
        overwrite(&mut ops, file, record);
    }
    ops
}

fn padded(identity: &Identity, file: &FileName, body: &[u8], length: u64) -> Vec<u8> {
    let mut bytes = write_record(Salt::of_store(identity, file), body);
    bytes.resize(length as usize, 0);
    bytes
}
