//! Reads recordings back.

use super::{Outcome, Start, parse_name, salt};
use crate::chain::record::{self, Frame, RecordKind, Unreadable};
use crate::chain::recover::{Damage, Files};
use crate::chain::store::FileName;
use crate::event::Event;
use crate::hash::StateHash;
use crate::id::Incarnation;
use crate::time::Instant;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// The files of one recorded run, in order.
#[derive(Clone, Debug)]
pub struct Recorded<'a> {
    /// The run.
    pub incarnation: Incarnation,
    files: Vec<(&'a FileName, &'a Bytes)>,
}

/// One step of a recorded run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number within the run, from 1.
    pub number: u64,
    /// When.
    pub now: Instant,
    /// What was fed to the node.
    pub event: Event,
    /// What the node did; absent when the recording ends in the middle of the step.
    pub outcome: Option<Outcome>,
    /// The file that it is in.
    pub file: FileName,
    /// Where the event is in the file.
    pub offset: u64,
}

/// What a recording says next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A file starts, with an image of the node as it is now.
    Start(Start),
    /// The node took a step.
    Step(Step),
    /// The run stopped in order, in this state.
    End(StateHash),
}

/// The recorded runs among `files`, oldest first; files with other names are ignored.
pub fn runs(files: &Files) -> Vec<Recorded<'_>> {
    let mut named: Vec<_> = files
        .iter()
        .filter_map(|(name, bytes)| Some((parse_name(name)?, (name, bytes))))
        .collect();
    named.sort_by_key(|(key, _)| *key);
    let mut runs: Vec<Recorded<'_>> = Vec::new();
    for ((incarnation, _), file) in named {
        match runs.last_mut() {
            Some(run) if run.incarnation == incarnation => run.files.push(file),
            Some(_) | None => runs.push(Recorded {
                incarnation,
                files: alloc::vec![file],
            }),
        }
    }
    runs
}

impl<'a> Recorded<'a> {
    /// A run whose files are known from elsewhere, in order.
    pub fn of(incarnation: Incarnation, files: Vec<(&'a FileName, &'a Bytes)>) -> Self {
        Self { incarnation, files }
    }

    /// Reads the run from its start.
    pub fn replay(&self) -> Replay<'a> {
        Replay {
            files: self.files.clone(),
            current: 0,
            at: 0,
            file: None,
            step: None,
            torn: None,
            is_over: false,
        }
    }
}

/// A walk through one recorded run. It ends after the first error.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    files: Vec<(&'a FileName, &'a Bytes)>,
    current: usize,
    at: usize,
    /// Number of the file that is being read, once its start was.
    file: Option<u64>,
    /// Number of the next step.
    step: Option<u64>,
    torn: Option<Damage>,
    is_over: bool,
}

impl Replay<'_> {
    /// The torn end of the last file, if the walk is over and met one. Everything before is
    /// good.
    pub fn torn(&self) -> Option<&Damage> {
        self.torn.as_ref()
    }

    fn advance(&mut self) -> Result<Option<Said>, Damage> {
        loop {
            let Some(&(_, bytes)) = self.files.get(self.current) else {
                return Ok(None);
            };
            if self.file.is_none() {
                return self.start().map(|start| start.map(Said::Start));
            }
            if self.at < bytes.len() {
                return self.say();
            }
            self.current += 1;
            self.at = 0;
            self.file = None;
        }
    }

    /// The next record; `None` for the torn end of the run.
    fn frame(&mut self, at: usize) -> Result<Option<Frame<'_>>, Damage> {
        let (name, bytes) = self.files[self.current];
        let is_last = self.current + 1 == self.files.len();
        match record::read(bytes, salt(), at) {
            Ok(frame) => Ok(Some(frame)),
            Err(fault @ Unreadable::Short { .. }) if is_last => {
                self.torn = Some(damage(name, at, bytes.len() - at, fault));
                Ok(None)
            }
            Err(fault) => Err(damage(name, at, bytes.len() - at, fault)),
        }
    }

    fn start(&mut self) -> Result<Option<Start>, Damage> {
        let (name, _) = self.files[self.current];
        let Some(frame) = self.frame(0)? else {
            return Ok(None);
        };
        let length = frame.body.len();
        let (kind, end) = (frame.kind, frame.end());
        if kind != RecordKind::Recording {
            let found = kind;
            return Err(damage(name, 0, length, Unreadable::Misplaced { found }));
        }
        let start: Start = body(&frame, "the start of a recording")
            .map_err(|fault| damage(name, 0, length, fault))?;
        // The oldest files may have been removed; the rest has to be complete.
        if self.step.is_some_and(|step| step != start.step) {
            let expected = "a file that continues the one before";
            return Err(damage(name, 0, length, Unreadable::Body { expected }));
        }
        self.at = end;
        self.file = Some(start.file);
        self.step = Some(start.step);
        Ok(Some(start))
    }

    fn say(&mut self) -> Result<Option<Said>, Damage> {
        let (name, _) = self.files[self.current];
        let at = self.at;
        let number = self.step.expect("a file was started");
        let Some(frame) = self.frame(at)? else {
            return Ok(None);
        };
        let (kind, end, length) = (frame.kind, frame.end(), frame.body.len());
        let wrong = |fault| damage(name, at, length, fault);
        match kind {
            RecordKind::Event => {
                let (now, event) = body(&frame, "an event").map_err(wrong)?;
                self.at = end;
                let outcome = self.outcome()?;
                self.step = Some(number.saturating_add(1));
                Ok(Some(Said::Step(Step {
                    number,
                    now,
                    event,
                    outcome,
                    file: name.clone(),
                    offset: at as u64,
                })))
            }
            RecordKind::End => {
                let state = body(&frame, "the end of a run").map_err(wrong)?;
                self.at = end;
                Ok(Some(Said::End(state)))
            }
            RecordKind::Segment
            | RecordKind::Seal
            | RecordKind::Entry
            | RecordKind::Repair
            | RecordKind::Checkpoint
            | RecordKind::Vote
            | RecordKind::Identity
            | RecordKind::Peers
            | RecordKind::Recording
            | RecordKind::Outcome => Err(wrong(Unreadable::Misplaced { found: kind })),
        }
    }

    fn outcome(&mut self) -> Result<Option<Outcome>, Damage> {
        let (name, bytes) = self.files[self.current];
        let at = self.at;
        let is_last = self.current + 1 == self.files.len();
        if at == bytes.len() && is_last {
            return Ok(None);
        }
        let Some(frame) = self.frame(at)? else {
            self.at = bytes.len();
            return Ok(None);
        };
        let (kind, end, length) = (frame.kind, frame.end(), frame.body.len());
        if kind != RecordKind::Outcome {
            let found = kind;
            return Err(damage(name, at, length, Unreadable::Misplaced { found }));
        }
        let outcome = body(&frame, "the outcome of a step");
        let outcome = outcome.map_err(|fault| damage(name, at, length, fault))?;
        self.at = end;
        Ok(Some(outcome))
    }
}

impl Iterator for Replay<'_> {
    type Item = Result<Said, Damage>;

    fn next(&mut self) -> Option<Result<Said, Damage>> {
        if self.is_over {
            return None;
        }
        let said = self.advance().transpose();
        self.is_over = !matches!(said, Some(Ok(_)));
        said
    }
}

fn damage(file: &FileName, offset: usize, length: usize, fault: Unreadable) -> Damage {
    Damage {
        file: file.clone(),
        offset: offset as u64,
        length: length as u64,
        fault,
    }
}

fn body<T: DeserializeOwned>(frame: &Frame<'_>, expected: &'static str) -> Result<T, Unreadable> {
    match postcard::take_from_bytes(frame.body) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(Unreadable::Body { expected }),
    }
}
