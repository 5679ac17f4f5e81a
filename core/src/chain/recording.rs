//! Recordings: everything that was fed to a node, so that the run can be repeated (D65).
//!
//! A recording is a directory of files `recording-INCARNATION-NUMBER`, any number of runs of one
//! node. Each file can be replayed alone: it starts with an image of the node, and holds every
//! event that was fed to it, in order, each followed by what the node did.
//!
//! ```text
//! Recording  postcard of `Start`; the first record of a file
//! Event      postcard of (Instant, Event), written before the event is fed
//! Outcome    postcard of `Outcome`, written after the step
//! End        postcard of StateHash; the run stopped in order
//! ```
//!
//! No decision reads payload bytes, so they may be left out ([`PayloadMode`]). A file that ends
//! inside a record was torn by a crash and is good up to there; anything else that is not as it
//! was written is named by file, offset and expectation.

mod read;
mod redact;
#[cfg(test)]
mod tests;

pub use read::{Recorded, Replay, Said, Step, runs};
pub use redact::redacted;

use super::record::{self, RecordKind, Salt};
use super::store::FileName;
use crate::action::Action;
use crate::event::Event;
use crate::hash::{StateHash, stable_hash};
use crate::id::{Incarnation, Run};
use crate::time::Instant;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What of payloads is recorded. To record nothing of them is to record no run: without their
/// hashes the hash links over entries could not be rebuilt.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadMode {
    /// Their bytes.
    #[default]
    Full,
    /// Their length and hash. The run replays just as well.
    Digest,
}

/// How a file of a recording starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The build that recorded.
    pub build: String,
    /// The run that is recorded.
    pub run: Run,
    /// What of payloads is in it.
    pub payloads: PayloadMode,
    /// Counts the files of the run, from 1.
    pub file: u64,
    /// Number of the first step in it; steps count from 1.
    pub step: u64,
    /// The postcard image of the node before that step.
    pub image: Bytes,
    /// The state of that node. A build that keeps other state may find an image that it can read
    /// all the same, but not one in this state.
    pub state: StateHash,
}

/// What a node did in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// A digest of each action.
    pub actions: Vec<u32>,
    /// The state after the step, once in a while.
    pub state: Option<StateHash>,
}

impl Outcome {
    /// What to compare of these actions; payloads count by length and hash.
    pub fn of(actions: &[Action], state: Option<StateHash>) -> Self {
        Self {
            actions: actions.iter().map(digest).collect(),
            state,
        }
    }

    /// The first action that is not the same as here; one more or less counts.
    pub fn first_difference(&self, actions: &[Action]) -> Option<usize> {
        let same = self.actions.iter().zip(actions);
        let same = same.take_while(|(recorded, action)| **recorded == digest(action));
        let same = same.count();
        (same < self.actions.len().max(actions.len())).then_some(same)
    }
}

fn digest(action: &Action) -> u32 {
    stable_hash(action).0 as u32
}

/// How to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The build that records.
    pub build: String,
    /// The run that is recorded.
    pub run: Run,
    /// What of payloads is recorded. The images have to be made accordingly.
    pub payloads: PayloadMode,
    /// A file that holds this much behind its image, and as much as its image, is not continued.
    pub file_bytes_max: u64,
    /// Every how many steps the state is recorded; at least 1.
    pub state_every: u64,
}

/// Turns one run into the bytes of its recording.
///
/// The host appends the bytes that each call adds to `out` to the file that [`Recorder::begin`]
/// named last. A call of `event` is followed by one of `outcome`.
#[derive(Clone, Debug)]
pub struct Recorder {
    settings: Settings,
    file: u64,
    step: u64,
    length: u64,
    /// The length at which the file is not continued. A large image makes it longer: otherwise a
    /// node that keeps much would spend its time on images.
    due: u64,
}

impl Recorder {
    /// Nothing is recorded yet, and the first file is due.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            file: 0,
            step: 1,
            length: 0,
            due: 0,
        }
    }

    /// Whether the next event goes to a new file, which [`Recorder::begin`] begins.
    pub fn is_due(&self) -> bool {
        self.length >= self.due
    }

    /// Begins a file with the image and the state of the node as it is between two steps.
    pub fn begin(&mut self, image: Bytes, state: StateHash, out: &mut Vec<u8>) -> FileName {
        self.file += 1;
        self.length = 0;
        let start = Start {
            build: self.settings.build.clone(),
            run: self.settings.run,
            payloads: self.settings.payloads,
            file: self.file,
            step: self.step,
            image,
            state,
        };
        self.write(RecordKind::Recording, &start, out);
        let behind = self.length.max(self.settings.file_bytes_max);
        self.due = self.length.saturating_add(behind);
        file_name(self.settings.run.incarnation, self.file)
    }

    /// Records an event that is about to be fed to the node.
    ///
    /// # Panics
    /// If no file was begun.
    pub fn event(&mut self, now: Instant, event: &Event, out: &mut Vec<u8>) {
        assert!(self.file > 0, "a recording begins with the node's image");
        let event: Cow<'_, Event> = redacted(event, self.settings.payloads);
        self.write(RecordKind::Event, &(now, event), out);
    }

    /// Records what the node did with that event.
    pub fn outcome(
        &mut self,
        actions: &[Action],
        state: impl FnOnce() -> StateHash,
        out: &mut Vec<u8>,
    ) {
        let is_due = self.step.is_multiple_of(self.settings.state_every.max(1));
        let outcome = Outcome::of(actions, is_due.then(state));
        self.step += 1;
        self.write(RecordKind::Outcome, &outcome, out);
    }

    /// Records that the run stopped in order.
    pub fn end(&mut self, state: StateHash, out: &mut Vec<u8>) {
        self.write(RecordKind::End, &state, out);
    }

    fn write(&mut self, kind: RecordKind, value: &impl Serialize, out: &mut Vec<u8>) {
        let start = out.len();
        record::write(out, salt(), self.length, kind, |out| {
            let bytes = core::mem::take(out);
            *out = postcard::to_extend(value, bytes).expect("plain data encodes into memory");
        });
        self.length += (out.len() - start) as u64;
    }
}

/// A recording may be copied and renamed: only the place within the file counts.
fn salt() -> Salt {
    Salt::of_file("recording")
}

/// Name of one file.
pub fn file_name(incarnation: Incarnation, file: u64) -> FileName {
    format!("{PREFIX}{:06}-{file:06}", incarnation.get()).into()
}

/// The run and the number of a file, by its name.
pub fn parse_name(name: &str) -> Option<(Incarnation, u64)> {
    let (incarnation, file) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let incarnation = Incarnation::new(incarnation.parse().ok()?);
    let file = file.parse().ok()?;
    (*file_name(incarnation, file) == *name).then_some((incarnation, file))
}

const PREFIX: &str = "recording-";
