//! A recorder of what happened, as structured lines; costs one branch per step when off.

use crate::disk::FileOp;
use crate::fault::Fault;
use crate::machine::{Input, Machine};
use crate::node::NodeIndex;
use crate::time::Instant;
use serde::{Serialize, Serializer};
use std::collections::VecDeque;

mod text;

/// The last lines of a run.
#[derive(Clone, Debug)]
pub struct Trace {
    lines: VecDeque<Line>,
    lines_max: usize,
    dropped: u64,
    states: bool,
    /// The number of the message behind each handle; zero for one that was sent unseen.
    numbers: Vec<u64>,
    /// Messages that were sent so far.
    sent: u64,
    /// The message that was taken from its link last.
    in_hand: Option<u64>,
    /// What each node was when it last told.
    roles: Vec<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How many lines of the run came before it.
    pub place: u64,
    /// True time.
    pub at: Instant,
    /// Where, if it happened to one node.
    pub node: Option<NodeIndex>,
    /// Which message it is about, if it is about one: sending a message gives it the next number,
    /// from 1, and whatever becomes of each of its copies has that number, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
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
    /// The node ended its process.
    Exit {},
    /// Something came for a node that is down.
    Refused {
        /// What.
        what: String,
    },
    /// A fault was applied.
    Fault {
        /// The fault; in JSON its text, its name in a plan as `kind`, and the `nodes` that it
        /// names. A fault that names none is about all of them.
        #[serde(flatten, serialize_with = "fault_json")]
        fault: Fault,
    },
    /// The node has stepped and its state hash is known; only where states were asked for.
    State {
        /// The hash.
        hash: u64,
    },
    /// The role of the node is another one; see [`Machine::describe`].
    Role {
        /// Its role.
        role: String,
        /// All that it tells of its state.
        state: String,
    },
    /// The node logged something; only with the feature `tracing`.
    Log {
        /// How important it is.
        level: String,
        /// What, with its fields.
        text: String,
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
            numbers: Vec::new(),
            sent: 0,
            in_hand: None,
            roles: Vec::new(),
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
        self.push_about(None, at, node, event);
    }

    /// Adds a line about the message of that number.
    pub(crate) fn push_about(
        &mut self,
        number: Option<u64>,
        at: Instant,
        node: Option<NodeIndex>,
        event: Event,
    ) {
        let place = self.dropped + self.lines.len() as u64;
        if self.lines.len() >= self.lines_max {
            self.lines.pop_front();
            self.dropped += 1;
        }
        if self.lines_max > 0 {
            self.lines.push_back(Line {
                place,
                at,
                node,
                number,
                event,
            });
        }
    }

    /// Adds a line if the role of a node, as `state` tells it, is another one than before; a node
    /// that is down has none.
    pub(crate) fn tell_role(&mut self, at: Instant, node: NodeIndex, state: Option<String>) {
        if self.roles.len() <= node.at() {
            self.roles.resize(node.at() + 1, String::new());
        }
        let role = state.as_deref().map_or_else(String::new, role_of);
        if self.roles[node.at()] != role {
            self.roles[node.at()].clone_from(&role);
            if let Some(state) = state {
                self.push(at, Some(node), Event::Role { role, state });
            }
        }
    }

    /// Numbers the message that is sent next.
    pub(crate) const fn number_next(&mut self) -> Option<u64> {
        self.sent += 1;
        Some(self.sent)
    }

    /// The message that was sent last is behind `handle` from now on.
    pub(crate) fn sent_as(&mut self, handle: u32) {
        self.set_number(handle, self.sent);
    }

    /// A copy of a message is behind a handle of its own.
    pub(crate) fn copied(&mut self, handle: u32, copy: u32) {
        let number = self.number_of(handle).unwrap_or(0);
        self.set_number(copy, number);
    }

    fn set_number(&mut self, handle: u32, number: u64) {
        let handle = handle as usize;
        if self.numbers.len() <= handle {
            self.numbers.resize(handle + 1, 0);
        }
        self.numbers[handle] = number;
    }

    /// The number of the message behind `handle`, unless it was sent before the trace began.
    pub(crate) fn number_of(&self, handle: u32) -> Option<u64> {
        let number = self.numbers.get(handle as usize).copied();
        number.filter(|number| *number > 0)
    }

    /// The message behind `handle` is taken from its link: the next line is about it.
    #[cold]
    pub(crate) fn take_up(&mut self, handle: u32) {
        self.in_hand = self.number_of(handle);
    }

    /// The number of the message that was taken from its link last.
    pub(crate) const fn in_hand(&self) -> Option<u64> {
        self.in_hand
    }
}

impl Event {
    /// The names of all kinds of events, as [`Self::kind`] gives them.
    pub const KINDS: [&'static str; 18] = [
        "boot", "crash", "wake", "receive", "op", "link", "stored", "send", "lost", "persist",
        "output", "exit", "refused", "fault", "state", "role", "log", "note",
    ];

    /// The name of what happened, as a trace in JSON has it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Boot { .. } => "boot",
            Self::Crash {} => "crash",
            Self::Wake {} => "wake",
            Self::Receive { .. } => "receive",
            Self::Op { .. } => "op",
            Self::Link { .. } => "link",
            Self::Stored { .. } => "stored",
            Self::Send { .. } => "send",
            Self::Lost { .. } => "lost",
            Self::Persist { .. } => "persist",
            Self::Output { .. } => "output",
            Self::Exit {} => "exit",
            Self::Refused { .. } => "refused",
            Self::Fault { .. } => "fault",
            Self::State { .. } => "state",
            Self::Role { .. } => "role",
            Self::Log { .. } => "log",
            Self::Note { .. } => "note",
        }
    }

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

fn fault_json<S: Serializer>(fault: &Fault, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told {
        fault: String,
        kind: &'static str,
        nodes: Vec<NodeIndex>,
    }
    let told = Told {
        fault: format!("{fault:?}"),
        kind: fault.kind(),
        nodes: fault.nodes().collect(),
    };
    told.serialize(to)
}

/// The role in what a machine tells of its state.
fn role_of(state: &str) -> String {
    let roles = state.lines().filter_map(|line| line.split(',').next());
    roles.map(str::trim).collect::<Vec<_>>().join("; ")
}

/// A batch as an event.
pub(crate) fn persist(token: u64, ops: &[FileOp]) -> Event {
    Event::Persist {
        token,
        ops: ops.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests;
