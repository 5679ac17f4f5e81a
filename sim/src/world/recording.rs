//! What a trace keeps of a run, if there is one: texts are made only then.

use super::World;
use crate::machine::{Effect, Input, Machine};
use crate::node::NodeIndex;
use crate::trace::{self, Event, Trace};

impl<M: Machine> World<M> {
    /// Adds a line to the trace, if there is one.
    #[inline]
    pub(super) fn record(&mut self, node: Option<NodeIndex>, event: impl FnOnce() -> Event) {
        if let Some(trace) = &mut self.trace {
            trace.push(self.now, node, event());
        }
    }

    /// Adds what a node said in its last step to the trace, if there is one.
    #[cfg(feature = "tracing")]
    #[inline]
    pub(crate) fn record_said(&mut self, node: NodeIndex) {
        let Some(trace) = &mut self.trace else { return };
        for said in crate::logs::take() {
            let (level, text) = (said.level.to_string(), said.text);
            trace.push(self.now, Some(node), Event::Log { level, text });
        }
    }

    /// Records what a step made of a node.
    #[cold]
    pub(super) fn record_state(&mut self, node: NodeIndex) {
        self.record_role(node);
        if let Some(trace) = self.trace.as_mut().filter(|trace| trace.has_states()) {
            let machine = self.hosts[node.at()].machine.as_ref();
            let hash = machine.map_or(0, M::state_hash);
            trace.push(self.now, Some(node), Event::State { hash });
        }
    }

    /// Adds a line to the trace, if there is one and the role of the node changed.
    pub(super) fn record_role(&mut self, node: NodeIndex) {
        if let Some(trace) = &mut self.trace {
            let machine = self.hosts[node.at()].machine.as_ref();
            trace.tell_role(self.now, node, machine.and_then(M::describe));
        }
    }

    /// Adds a line about the message that was taken from its link last.
    pub(super) fn record_in_hand(&mut self, node: NodeIndex, event: impl FnOnce() -> Event) {
        if let Some(trace) = &mut self.trace {
            trace.push_about(trace.in_hand(), self.now, Some(node), event());
        }
    }

    #[cold]
    pub(super) fn record_lost(&mut self, from: NodeIndex, to: NodeIndex, handle: u32) {
        if let Some(trace) = &mut self.trace {
            let message = format!("{:?}", self.letters.get_mut(handle).message);
            let number = trace.number_of(handle);
            trace.push_about(number, self.now, Some(from), Event::Lost { to, message });
        }
    }

    /// Remembers which message is behind a handle.
    #[inline]
    pub(super) fn record_sent(&mut self, handle: u32) {
        if let Some(trace) = &mut self.trace {
            trace.sent_as(handle);
        }
    }

    #[cold]
    pub(super) fn record_unreadable(
        &mut self,
        from: NodeIndex,
        to: NodeIndex,
        message: &M::Message,
    ) {
        self.record_in_hand(to, || Event::Refused {
            what: format!("unreadable {message:?} from {from}"),
        });
    }

    #[cold]
    pub(super) fn record_input(&mut self, node: NodeIndex, input: &Input<M>) {
        match input {
            Input::Message { .. } => self.record_in_hand(node, || Event::of_input(input)),
            Input::Wake | Input::Link(_) | Input::Op(_) | Input::Disk { .. } => {
                self.record(Some(node), || Event::of_input(input));
            }
        }
    }

    #[cold]
    pub(super) fn record_effect(&mut self, node: NodeIndex, effect: &Effect<M>) {
        let Some(trace) = &mut self.trace else { return };
        let number = match effect {
            Effect::Send { .. } | Effect::Broadcast { .. } => trace.number_next(),
            Effect::Disk { .. } | Effect::Output(_) | Effect::Exit => None,
        };
        let event = match effect {
            Effect::Send { to, message } => Event::Send {
                to: Some(*to),
                message: format!("{message:?}"),
            },
            Effect::Broadcast { message } => Event::Send {
                to: None,
                message: format!("{message:?}"),
            },
            Effect::Disk { token, ops } => trace::persist(*token, ops),
            Effect::Output(output) => Event::Output {
                output: format!("{output:?}"),
            },
            Effect::Exit => Event::Exit {},
        };
        trace.push_about(number, self.now, Some(node), event);
    }

    /// Records what a step ordered that nobody performs any more: it may be what is wrong with it.
    #[cold]
    pub(super) fn record_unperformed(&mut self, node: NodeIndex) {
        for effect in core::mem::take(&mut self.out.effects) {
            self.record_effect(node, &effect);
        }
    }

    /// Records what happens from now on in `trace`.
    pub fn record_in(&mut self, trace: Trace) {
        self.trace = Some(Box::new(trace));
        self.schedule.traced = true;
    }

    /// What was recorded.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_deref()
    }
}
