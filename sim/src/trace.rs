//! A recorder of what happened, as structured lines; costs one branch per step when off.

use crate::disk::FileOp;
use crate::machine::{Input, Machine};
use crate::node::NodeIndex;
use crate::time::Instant;
use core::fmt;
use serde::Serialize;
use std::collections::VecDeque;

/// The last lines of a run.
#[derive(Clone, Debug)]
pub struct Trace {
    lines: VecDeque<Line>,
    lines_max: usize,
    dropped: u64,
    states: bool,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// True time.
    pub at: Instant,
    /// Where, if it happened to one node.
    pub node: Option<NodeIndex>,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened; contents are rendered with `Debug`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The node booted.
    Boot {
        /// Boots of its store so far.
        run: u64,
        /// Its store.
        store: u64,
    },
    /// The node crashed.
    Crash {},
    /// The node stepped because a deadline was reached.
    Wake {},
    /// The node stepped because a message arrived.
    Receive {
        /// The sender.
        from: NodeIndex,
        /// The content.
        message: String,
    },
    /// The node stepped because of an operation.
    Op {
        /// The operation.
        op: String,
    },
    /// The node stepped because something happened to a connection.
    Link {
        /// To which, and what.
        link: String,
    },
    /// The node stepped because its disk answered.
    Stored {
        /// The number of the batch.
        token: u64,
        /// Why it failed, if it did.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The node sent a message.
    Send {
        /// The receiver; without it, every other node.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<NodeIndex>,
        /// The content.
        message: String,
    },
    /// The network lost a message that the node sent.
    Lost {
        /// The receiver.
        to: NodeIndex,
        /// The content.
        message: String,
    },
    /// The node handed a batch to its disk.
    Persist {
        /// The number of the batch.
        token: u64,
        /// The operations.
        ops: Vec<String>,
    },
    /// The node put something out.
    Output {
        /// What.
        output: String,
    },
    /// Something came for a node that is down.
    Refused {
        /// What.
        what: String,
    },
    /// A fault was applied.
    Fault {
        /// The fault.
        fault: String,
    },
    /// The node has stepped and its state hash is known; only where states were asked for.
    State {
        /// The hash.
        hash: u64,
    },
    /// A hook said something.
    Note {
        /// What.
        text: String,
    },
}

impl Trace {
    /// A recorder that keeps the last `lines_max` lines.
    pub const fn new(lines_max: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            lines_max,
            dropped: 0,
            states: false,
        }
    }

    /// Also records the hash of a machine's state after each of its steps.
    #[must_use]
    pub const fn with_states(mut self) -> Self {
        self.states = true;
        self
    }

    /// Whether states are recorded, too.
    pub(crate) const fn has_states(&self) -> bool {
        self.states
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &Line> + DoubleEndedIterator {
        self.lines.iter()
    }

    /// How many older lines are gone.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn push(&mut self, at: Instant, node: Option<NodeIndex>, event: Event) {
        if self.lines.len() >= self.lines_max {
            self.lines.pop_front();
            self.dropped += 1;
        }
        if self.lines_max > 0 {
            self.lines.push_back(Line { at, node, event });
        }
    }
}

impl Event {
    /// What a machine is about to take in.
    pub(crate) fn of_input<M: Machine>(input: &Input<M>) -> Self {
        match input {
            Input::Wake => Self::Wake {},
            Input::Message { from, message } => Self::Receive {
                from: *from,
                message: format!("{message:?}"),
            },
            Input::Link(link) => Self::Link {
                link: link.to_string(),
            },
            Input::Op(op) => Self::Op {
                op: format!("{op:?}"),
            },
            Input::Disk { token, result } => Self::Stored {
                token: *token,
                error: result.err().map(|error| error.to_string()),
            },
        }
    }
}

/// A batch as an event.
pub(crate) fn persist(token: u64, ops: &[FileOp]) -> Event {
    Event::Persist {
        token,
        ops: ops.iter().map(ToString::to_string).collect(),
    }
}

impl fmt::Display for FileOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { file, bytes } => write!(f, "append {file} +{}", bytes.len()),
            Self::Write {
                file,
                offset,
                bytes,
            } => write!(f, "write {file} @{offset} +{}", bytes.len()),
            Self::Truncate { file, length } => write!(f, "truncate {file} @{length}"),
            Self::Sync { file } => write!(f, "sync {file}"),
            Self::Rename { from, to } => write!(f, "rename {from} {to}"),
            Self::Remove { file } => write!(f, "remove {file}"),
            Self::SyncDir => write!(f, "sync-dir"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>14}  ", self.at.to_string())?;
        match self.node {
            Some(node) => write!(f, "{:<5}", node.to_string())?,
            None => write!(f, "{:<5}", "-")?,
        }
        write!(f, "{}", self.event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot { run, store } => write!(f, "boot run {run} of store {store}"),
            Self::Crash {} => write!(f, "crash"),
            Self::Wake {} => write!(f, "wake"),
            Self::Receive { from, message } => write!(f, "<- {from} {message}"),
            Self::Op { op } => write!(f, "op {op}"),
            Self::Link { link } => write!(f, "link {link}"),
            Self::Stored { token, error: None } => write!(f, "stored {token}"),
            Self::Stored {
                token,
                error: Some(error),
            } => write!(f, "stored {token}: {error}"),
            Self::Send {
                to: Some(to),
                message,
            } => write!(f, "-> {to} {message}"),
            Self::Send { to: None, message } => write!(f, "-> all {message}"),
            Self::Lost { to, message } => write!(f, "-x {to} {message}"),
            Self::Persist { token, ops } => write!(f, "persist {token}: {}", ops.join(", ")),
            Self::Output { output } => write!(f, "output {output}"),
            Self::Refused { what } => write!(f, "refused {what}"),
            Self::Fault { fault } => write!(f, "fault {fault}"),
            Self::State { hash } => write!(f, "state {hash:016x}"),
            Self::Note { text } => write!(f, "note {text}"),
        }
    }
}
