//! The run of a plan that says itself what happens next.

use crate::hook::Hook;
use crate::machine::Machine;
use crate::node::NodeIndex;
use crate::plan::{Choice, OpAt};
use crate::queue::Entry;
use crate::time::Instant;
use crate::violation::Violation;
use crate::world::World;
use crate::world::steering::{Posted, STEP};

/// Lets `choices` happen in `world`, or those before `until`.
pub(crate) fn run<M: Machine, H: Hook<M>>(
    world: &mut World<M>,
    (ops, choices): (&[OpAt<M::Op>], &[Choice]),
    until: Option<Instant>,
    hook: &mut H,
) -> Result<(), Violation> {
    let mut waiting = Waiting::begin(world, ops, hook)?;
    for (number, choice) in (1..).zip(choices) {
        let end = Instant::ZERO.after(STEP * number);
        if until.is_some_and(|until| until < end) {
            break;
        }
        waiting.choose(world, (number, *choice), hook)?;
    }
    Ok(())
}

/// What waits to be chosen.
///
/// On one way a message is there once: one that equals another, which has not arrived, is lost.
struct Waiting<M: Machine> {
    mail: Vec<(Entry, u64)>,
    ops: Vec<(NodeIndex, M::Op)>,
}

impl<M: Machine> Waiting<M> {
    /// Boots the nodes of `world`; its first operations are `ops`.
    fn begin<H: Hook<M>>(
        world: &mut World<M>,
        ops: &[OpAt<M::Op>],
        hook: &mut H,
    ) -> Result<Self, Violation> {
        let mut waiting = Self {
            mail: Vec::new(),
            ops: in_order(ops),
        };
        world.begin_steered(hook)?;
        waiting.collect(world);
        Ok(waiting)
    }

    /// Lets the `number`-th choice, from 1, happen.
    fn choose<H: Hook<M>>(
        &mut self,
        world: &mut World<M>,
        (number, choice): (u32, Choice),
        hook: &mut H,
    ) -> Result<(), Violation> {
        world.begin_step(number);
        match choice {
            Choice::Op { node } => {
                let place = self.ops.iter().position(|(to, _)| *to == node);
                if let Some(place) = place {
                    let (node, op) = self.ops.remove(place);
                    world.steer_op(node, op, hook)?;
                }
            }
            Choice::Deliver {
                from,
                to,
                nth,
                again,
            } => {
                if let Some(place) = self.place(from, to, nth) {
                    let entry = match again {
                        true => self.mail[place].0,
                        false => self.mail.remove(place).0,
                    };
                    world.steer_mail(entry, again, hook)?;
                }
            }
            Choice::Lose { from, to, nth } => {
                if let Some(place) = self.place(from, to, nth) {
                    let (entry, _) = self.mail.remove(place);
                    world.lose_mail(entry);
                }
            }
            Choice::Store { node } => world.steer_disk(node, hook)?,
            Choice::Expire { node } => world.steer_deadline(node, hook)?,
            Choice::Crash {
                node,
                unsynced,
                performed,
            } => world.steer_crash(node, unsynced, performed, hook)?,
            Choice::Restart { node } => world.steer_boot(node, hook)?,
        }
        self.collect(world);
        Ok(())
    }

    fn place(&self, from: NodeIndex, to: NodeIndex, nth: u16) -> Option<usize> {
        let way = (from, to);
        let places = self.mail.iter().enumerate();
        let mut places = places.filter(|(_, (entry, _))| way_of(entry) == way);
        places.nth(nth.into()).map(|(place, _)| place)
    }

    fn collect(&mut self, world: &mut World<M>) {
        while let Some(posted) = world.next_posted() {
            match posted {
                Posted::Op(node, op) => self.ops.push((node, op)),
                Posted::Mail(entry) => {
                    let print = world.mail_fingerprint(entry);
                    let is_twin = |other: &(Entry, u64)| {
                        other.1 == print && way_of(&other.0) == way_of(&entry)
                    };
                    match self.mail.iter().any(is_twin) {
                        true => world.lose_mail(entry),
                        false => self.mail.push((entry, print)),
                    }
                }
            }
        }
    }
}

const fn way_of(entry: &Entry) -> (NodeIndex, NodeIndex) {
    (entry.tie.sender(), entry.tie.receiver())
}

/// The operations of a plan in the order of their times.
pub(super) fn in_order<Op: Clone>(ops: &[OpAt<Op>]) -> Vec<(NodeIndex, Op)> {
    let mut ops: Vec<_> = ops.iter().collect();
    ops.sort_by_key(|op| op.at);
    ops.into_iter().map(|op| (op.node, op.op.clone())).collect()
}
