//! A machine that uses everything the engine offers, and remembers what happened to it.

use crate::connection::Notice;
use crate::disk::{DiskError, FileOp};
use crate::draw::mix;
use crate::machine::{Boot, Input, Machine, Message, Outbox};
use crate::node::NodeIndex;
use crate::time::{Instant, Now};
use bytes::Bytes;
use core::time::Duration;
use std::sync::Arc;

const TICK: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
pub(super) enum Word {
    Hello(u64),
    Answer(u64),
}

impl Message for Word {
    fn fingerprint(&self) -> u64 {
        match self {
            Self::Hello(number) => mix(*number),
            Self::Answer(number) => mix(!*number),
        }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Hello(_) => 1,
            Self::Answer(_) => 2,
        }
    }

    /// Answers do not wait for words.
    const LANES: u8 = 2;

    fn lane(&self) -> u8 {
        match self {
            Self::Hello(_) => 0,
            Self::Answer(_) => 1,
        }
    }

    /// Numbers above two million are as long as they say.
    fn size(&self) -> u32 {
        match self {
            Self::Hello(number @ 2_000_000..3_000_000) => *number as u32 - 2_000_000,
            Self::Hello(_) | Self::Answer(_) => 100,
        }
    }

    fn decoded(self) -> Self {
        match self {
            Self::Hello(number) => Self::Hello(number | CODED),
            Self::Answer(_) => self,
        }
    }

    fn corrupt(&self, bits: u64) -> Option<Self> {
        (bits & 1 == 0).then_some(Self::Hello(GARBLED))
    }
}

/// What a codec leaves in a number that passed through it.
pub(super) const CODED: u64 = 1 << 40;
/// What is heard of a word that was damaged and can still be read.
pub(super) const GARBLED: u64 = 1 << 41;
/// A number of a word that nobody can read.
pub(super) const UNREADABLE: u64 = 1 << 42;

/// What a machine is asked for that ends its process, with all that it orders for it.
pub(super) const LAST: u64 = 1 << 43;

/// What a busy machine reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Booted { run: u64, store: u64, bytes: usize },
    Heard(NodeIndex, u64),
    Stored(u64, Result<(), DiskError>),
    Asked(u64),
    Link(Notice),
}

#[derive(Clone, Debug)]
pub(super) struct Busy {
    pub(super) woken: Vec<Now>,
    tick_at: Option<Instant>,
    name: u16,
    number: u64,
    hash: u64,
    wakes_kept: usize,
    tick: Duration,
}

/// How a busy machine behaves.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Habits {
    /// Ticks, stores and talks on its own.
    pub(super) talks: bool,
    /// Ticks once a second.
    pub(super) slow: bool,
    /// Ticks only.
    pub(super) ticks: bool,
    /// What it says of itself, and expects of others.
    pub(super) name: u16,
    /// Never moves a deadline that has passed.
    pub(super) stuck: bool,
}

impl Busy {
    fn note(&mut self, word: u64) {
        self.hash = mix(self.hash ^ word);
    }

    fn store(&mut self, now: Now, out: &mut Outbox<Self>) {
        let file: Arc<str> = Arc::from("log");
        let bytes = Bytes::copy_from_slice(&self.number.to_le_bytes());
        let spare: Arc<str> = Arc::from("spare");
        let mut ops = vec![
            FileOp::Append {
                file: file.clone(),
                bytes: bytes.clone(),
            },
            FileOp::Sync { file: file.clone() },
            FileOp::Write {
                file: spare.clone(),
                offset: now.wall_ms % 16,
                bytes,
            },
            FileOp::SyncDir,
        ];
        if self.number.is_multiple_of(64) {
            ops.push(FileOp::Remove { file });
        }
        ops.push(FileOp::Sync { file: spare });
        out.disk(self.number, ops);
    }
}

impl Machine for Busy {
    type Config = Habits;
    type Message = Word;
    type Op = u64;
    type Output = Report;

    fn boot(habits: &Habits, boot: Boot<'_>, out: &mut Outbox<Self>) -> Self {
        let bytes = boot.disk.read("log").map_or(0, <[u8]>::len);
        let (run, store) = (boot.run, boot.store);
        out.output(Report::Booted { run, store, bytes });
        let ticks = habits.talks || habits.ticks || habits.stuck;
        let tick = if habits.slow { TICK * 20 } else { TICK };
        let content = boot
            .disk
            .files()
            .map(|(_, bytes)| crate::digest::digest_bytes(bytes));
        Self {
            woken: Vec::new(),
            tick_at: ticks.then(|| boot.now.instant.after(tick)),
            name: habits.name,
            number: if habits.talks { boot.run << 32 } else { 0 },
            hash: content.fold(boot.seed, |hash, file| mix(hash ^ file)),
            tick,
            wakes_kept: if habits.stuck { usize::MAX } else { 64 },
        }
    }

    fn step(&mut self, now: Now, input: Input<Self>, out: &mut Outbox<Self>) {
        self.note(now.instant.as_nanos() ^ now.wall_ms.rotate_left(20));
        match input {
            Input::Wake => {
                if self.woken.len() < self.wakes_kept.min(1_000) {
                    self.woken.push(now);
                }
                if self.wakes_kept == usize::MAX {
                    return;
                }
                self.tick_at = Some(now.instant.after(self.tick));
                if self.number > 0 {
                    self.number += 1;
                    self.store(now, out);
                    out.broadcast(Word::Hello(self.number));
                }
            }
            Input::Message { from, message } => {
                self.note(message.fingerprint());
                if let Word::Hello(number) = message {
                    out.output(Report::Heard(from, number));
                    if number.is_multiple_of(3) {
                        out.send(from, Word::Answer(number));
                    }
                }
            }
            Input::Op(number) => {
                out.output(Report::Asked(number));
                self.number = self.number.max(number);
                self.store(now, out);
                out.broadcast(Word::Hello(number));
                if number == LAST {
                    out.exit();
                    out.output(Report::Asked(0));
                }
            }
            Input::Disk { token, result } => out.output(Report::Stored(token, result)),
            Input::Link(link) => out.output(Report::Link(link)),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.tick_at
    }

    fn state_hash(&self) -> u64 {
        self.hash
    }

    fn hello(&self, _: NodeIndex) -> Arc<[u8]> {
        self.name.to_le_bytes().into()
    }

    fn judge(&self, peer: NodeIndex, hello: &[u8]) -> Result<(), Arc<str>> {
        match hello == self.name.to_le_bytes() {
            true => Ok(()),
            false => Err(format!("{peer} is of another cluster").into()),
        }
    }

    fn can_read(&self, word: &Word) -> bool {
        !matches!(word, Word::Hello(UNREADABLE))
    }
}
