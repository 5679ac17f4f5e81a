//! What is planned for later: by the plan of a run, by the hook, or by the world itself.

use super::{Planned, World};
use crate::fault::Fault;
use crate::hook::Wish;
use crate::machine::Machine;
use crate::node::NodeIndex;
use crate::queue::{Entry, EventClass, Tie};
use crate::time::Instant;
use crate::trace::Event;

impl<M: Machine> World<M> {
    #[inline]
    pub(super) fn push(&mut self, at: Instant, tie: Tie, handle: u32) {
        let at = at.max(self.now).as_nanos();
        self.queue.push(Entry { at, tie, handle });
    }

    pub(super) fn push_numbered(&mut self, at: Instant, class: EventClass, handle: u32) {
        let tie = Tie::numbered(class, self.numbered);
        self.numbered += 1;
        self.push(at, tie, handle);
    }

    /// Applies `fault` at true time `at`, or now if that is past.
    ///
    /// Faults of one instant are applied in the order in which they were scheduled.
    pub fn schedule_fault(&mut self, at: Instant, fault: Fault) {
        self.plan(at, Planned::Fault(fault));
    }

    pub(super) fn plan(&mut self, at: Instant, planned: Planned) {
        let handle = self.faults.insert(planned);
        self.push_numbered(at, EventClass::Fault, handle);
    }

    /// Gives `op` to `node` at true time `at`, or now if that is past.
    pub fn schedule_op(&mut self, at: Instant, node: NodeIndex, op: M::Op) {
        assert!(node.at() < self.hosts.len(), "{node} is not a node");
        let handle = self.ops.insert((node, op));
        self.push_numbered(at, EventClass::Op, handle);
    }

    /// Calls [`crate::hook::Hook::on_alarm`] at true time `at`, or now if that is past.
    pub fn schedule_alarm(&mut self, at: Instant, tag: u64) {
        let handle = self.alarms.insert(tag);
        self.push_numbered(at, EventClass::Alarm, handle);
    }

    /// Schedules what the hook asked for.
    #[inline]
    pub(super) fn grant(&mut self) {
        if !self.schedule.wishes.is_empty() {
            self.grant_all();
        }
    }

    #[cold]
    fn grant_all(&mut self) {
        let mut wishes = core::mem::take(&mut self.schedule.wishes);
        for wish in wishes.drain(..) {
            match wish {
                Wish::Op(at, node, op) => self.schedule_op(at, node, op),
                Wish::Alarm(at, tag) => self.schedule_alarm(at, tag),
                Wish::Fault(at, fault) => self.schedule_fault(at, fault),
                Wish::Crash(at, node, unsynced, restart_at) => {
                    let planned = Planned::Crash {
                        node,
                        unsynced,
                        restart_at,
                    };
                    self.plan(at, planned);
                }
                Wish::Note(node, text) => self.record(node, || Event::Note { text }),
            }
        }
        self.schedule.wishes = wishes;
    }
}
