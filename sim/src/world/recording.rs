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

    #[cold]
    pub(super) fn record_state(&mut self, node: NodeIndex) {
        if let Some(trace) = self.trace.as_mut().filter(|trace| trace.has_states()) {
            let machine = self.hosts[node.at()].machine.as_ref();
            let hash = machine.map_or(0, M::state_hash);
            trace.push(self.now, Some(node), Event::State { hash });
        }
    }

    #[cold]
    pub(super) fn record_lost(&mut self, from: NodeIndex, to: NodeIndex, handle: u32) {
        if let Some(trace) = &mut self.trace {
            let message = format!("{:?}", self.letters.get_mut(handle).message);
            trace.push(self.now, Some(from), Event::Lost { to, message });
        }
    }

    #[cold]
    pub(super) fn record_unreadable(
        &mut self,
        from: NodeIndex,
        to: NodeIndex,
        message: &M::Message,
    ) {
        self.record(Some(to), || Event::Refused {
            what: format!("unreadable {message:?} from {from}"),
        });
    }

    #[cold]
    pub(super) fn record_input(&mut self, node: NodeIndex, input: &Input<M>) {
        self.record(Some(node), || Event::of_input(input));
    }

    #[cold]
    pub(super) fn record_effect(&mut self, node: NodeIndex, effect: &Effect<M>) {
        self.record(Some(node), || match effect {
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
        });
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
