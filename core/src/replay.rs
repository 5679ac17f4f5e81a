//! Feeds a recorded run to the core again and compares what it does (D65, *replay*).
//!
//! Every action, every recorded state and every image is compared. The verdict is that the run is
//! identical, or the first difference: with the step, its time, its event, and what was expected
//! and found.

use crate::action::{Action, Actions};
use crate::chain::record::Unreadable;
use crate::chain::recording::{Recorded, Said, Start, Step, runs};
use crate::chain::recover::{Damage, Files};
use crate::chain::store::FileName;
use crate::event::Event;
use crate::hash::StateHash;
use crate::id::{Incarnation, Run};
use crate::node::Node;
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// How the replay of one recorded run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The run.
    pub incarnation: Incarnation,
    /// Which store of which node ran; unknown when not even the start could be read.
    pub run: Option<Run>,
    /// The build that recorded.
    pub build: String,
    /// Number of the first recorded step; 1 unless older files were removed.
    pub first: u64,
    /// How many steps were taken and compared.
    pub steps: u64,
    /// How many states were compared.
    pub states: u64,
    /// Whether the run stopped in order.
    pub has_end: bool,
    /// The record at which the recording is torn, if it is: the process died while it wrote.
    pub torn: Option<Damage>,
    /// The verdict.
    pub verdict: Verdict,
}

/// Whether a run came out the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every action and every state is the same.
    Identical,
    /// Something is not.
    Differs(Box<Difference>),
    /// The recording cannot be read any further.
    Unreadable(Damage),
}

/// The first difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The step, counted from 1 in the run; the next one for a difference between two steps.
    pub step: u64,
    /// When, and what was fed; absent for a difference between two steps.
    pub fed: Option<(Instant, Event)>,
    /// The file.
    pub file: FileName,
    /// What differs.
    pub what: What,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An action of the step.
    Action {
        /// Which one, from 0.
        index: usize,
        /// Its digest in the recording; absent when the recorded step had no more actions.
        expected: Option<u32>,
        /// What the core does now; absent when it does nothing more.
        found: Option<Action>,
    },
    /// The state.
    State {
        /// In the recording.
        expected: StateHash,
        /// Now.
        found: StateHash,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: step {}", self.file, self.step)?;
        if let Some((now, event)) = &self.fed {
            let seconds = now.as_nanos() / 1_000_000_000;
            let nanos = now.as_nanos() % 1_000_000_000;
            write!(f, " at {seconds}.{nanos:09} s, fed {:?}", event.input)?;
        }
        match &self.what {
            What::Action {
                index,
                expected: Some(expected),
                found: Some(found),
            } => write!(
                f,
                ": action {index} differs, expected digest {expected:08x}, found {found:?}"
            ),
            What::Action {
                index,
                expected: Some(expected),
                found: None,
            } => write!(
                f,
                ": expected action {index} with digest {expected:08x}, found none"
            ),
            What::Action { index, found, .. } => {
                write!(f, ": expected no action {index}, found {found:?}")
            }
            What::State { expected, found } => write!(
                f,
                ": expected state {:016x}, found {:016x}",
                expected.0, found.0
            ),
        }
    }
}

impl Report {
    /// Whether the run came out the same.
    pub fn is_identical(&self) -> bool {
        self.verdict == Verdict::Identical
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incarnation, .. } = self;
        match &self.run {
            Some(run) => write!(f, "node {} run {incarnation}: ", run.node)?,
            None => write!(f, "run {incarnation}: ")?,
        }
        match &self.verdict {
            Verdict::Identical => {
                let end = if self.has_end {
                    "stopped in order"
                } else {
                    "cut off"
                };
                let Self { steps, states, .. } = self;
                write!(f, "identical, {steps} steps, {states} states, {end}")
            }
            Verdict::Differs(difference) => write!(f, "differs: {difference}"),
            Verdict::Unreadable(damage) => write!(f, "cannot be read: {damage}"),
        }
    }
}

/// Replays every recorded run among `files`, oldest first; files with other names are ignored.
pub fn replay_all(files: &Files) -> Vec<Report> {
    runs(files).iter().map(replay).collect()
}

/// Replays one recorded run.
pub fn replay(recorded: &Recorded<'_>) -> Report {
    let mut replayer = Replayer {
        node: None,
        actions: Actions::new(),
        report: Report {
            incarnation: recorded.incarnation,
            run: None,
            build: String::new(),
            first: 1,
            steps: 0,
            states: 0,
            has_end: false,
            torn: None,
            verdict: Verdict::Identical,
        },
        file: FileName::from(""),
        next: 1,
    };
    let mut walk = recorded.replay();
    for said in walk.by_ref() {
        let result = match said {
            Ok(said) => replayer.take(said),
            Err(damage) => Err(Verdict::Unreadable(damage)),
        };
        if let Err(verdict) = result {
            replayer.report.verdict = verdict;
            return replayer.report;
        }
    }
    replayer.report.torn = walk.torn().cloned();
    replayer.report
}

struct Replayer {
    node: Option<Node>,
    actions: Actions,
    report: Report,
    file: FileName,
    next: u64,
}

impl Replayer {
    fn take(&mut self, said: Said) -> Result<(), Verdict> {
        match said {
            Said::Start(start) => self.start(&start),
            Said::Step(step) => self.step(step),
            Said::End(expected) => {
                self.report.has_end = true;
                self.compare_state(expected, None)
            }
        }
    }

    fn start(&mut self, start: &Start) -> Result<(), Verdict> {
        self.file = crate::chain::recording::file_name(start.run.incarnation, start.file);
        self.next = start.step;
        if self.report.run.is_some_and(|run| run != start.run) {
            return Err(self.unreadable("a file of the same node and store as the one before"));
        }
        self.report.run = Some(start.run);
        self.report.build.clone_from(&start.build);
        let Some(image) = image(start) else {
            return Err(self.unreadable("an image of a node in the state that this build keeps"));
        };
        if self.node.is_some() {
            return self.compare_state(start.state, None);
        }
        self.report.first = start.step;
        self.node = Some(image);
        Ok(())
    }

    /// The start of the present file cannot be used.
    fn unreadable(&self, expected: &'static str) -> Verdict {
        Verdict::Unreadable(Damage {
            file: self.file.clone(),
            offset: 0,
            length: 0,
            fault: Unreadable::Body { expected },
        })
    }

    fn step(&mut self, step: Step) -> Result<(), Verdict> {
        let node = self.node.as_mut().expect("a run starts with an image");
        let fed = (step.now, step.event.clone());
        self.file = step.file;
        self.next = step.number;
        node.step(step.now, step.event, &mut self.actions);
        self.report.steps += 1;
        if let Some(outcome) = step.outcome {
            let found = self.actions.as_slice();
            if let Some(index) = outcome.first_difference(found) {
                let what = What::Action {
                    index,
                    expected: outcome.actions.get(index).copied(),
                    found: found.get(index).cloned(),
                };
                return Err(self.differs(Some(fed), what));
            }
            if let Some(expected) = outcome.state {
                self.compare_state(expected, Some(fed))?;
            }
        }
        self.actions.drain();
        self.next = step.number.saturating_add(1);
        Ok(())
    }

    fn compare_state(
        &mut self,
        expected: StateHash,
        fed: Option<(Instant, Event)>,
    ) -> Result<(), Verdict> {
        let node = self.node.as_ref().expect("a run starts with an image");
        let found = node.state_hash();
        self.report.states += 1;
        if found == expected {
            Ok(())
        } else {
            Err(self.differs(fed, What::State { expected, found }))
        }
    }

    fn differs(&self, fed: Option<(Instant, Event)>, what: What) -> Verdict {
        Verdict::Differs(Box::new(Difference {
            step: self.next,
            fed,
            file: self.file.clone(),
            what,
        }))
    }
}

/// The node of an image, unless this build keeps other state than the one that recorded.
fn image(start: &Start) -> Option<Node> {
    match postcard::take_from_bytes::<Node>(&start.image) {
        Ok((node, [])) => {
            let is_same = node.me() == start.run && node.state_hash() == start.state;
            is_same.then_some(node)
        }
        Ok(_) | Err(_) => None,
    }
}
