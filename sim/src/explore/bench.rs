//! The bench on which states are taken apart: one world, whose nodes are exchanged for those of
//! the state that is looked at.
//!
//! A state is a handful of numbers. Nodes, messages, operations and hooks are kept once, however
//! many states have them, and are told apart by their fingerprints.

mod choices;

use super::Explorable;
use super::budgets::{Budgets, Spent};
use super::fingerprint::Fingerprint;
use super::seen::Arena;
use super::steered::in_order;
use crate::machine::Machine;
use crate::node::NodeIndex;
use crate::plan::Choice;
use crate::scenario::PlanOf;
use crate::session::steered_setup;
use crate::violation::Violation;
use crate::world::World;
use crate::world::host::Host;
use crate::world::steering::{Posted, Standing};

/// A state: numbers of what it is made of.
#[derive(Clone, Debug)]
pub(super) struct State {
    hook: u32,
    spent: Spent,
    ops: u16,
    /// Nodes, then operations that wait, then messages on their way.
    parts: Box<[u32]>,
}

struct Mail<T> {
    from: NodeIndex,
    to: NodeIndex,
    message: T,
}

/// A node that is in no other way in the state of this one.
struct Kept<M> {
    host: Host<M>,
    standing: Standing,
}

pub(super) struct Bench<'a, S: Explorable> {
    scenario: &'a S,
    budgets: Budgets,
    world: World<S::Machine>,
    /// The numbers of the nodes that are in the world now.
    loaded: Vec<Option<u32>>,
    hosts: Arena<Kept<S::Machine>>,
    mail: Arena<Mail<<S::Machine as Machine>::Message>>,
    ops: Arena<(NodeIndex, <S::Machine as Machine>::Op)>,
    hooks: Arena<S::Hook>,
    /// What the state that is being made has waiting.
    waiting_ops: Vec<u32>,
    waiting_mail: Vec<u32>,
}

impl<'a, S: Explorable> Bench<'a, S> {
    /// A bench with the world of `plan`, and its first state.
    pub(super) fn new(
        scenario: &'a S,
        plan: &PlanOf<S>,
        budgets: Budgets,
    ) -> Result<(Self, State, u128), Violation> {
        let nodes = usize::from(plan.nodes);
        let mut bench = Self {
            scenario,
            budgets,
            world: World::new(steered_setup(scenario, plan)),
            loaded: vec![None; nodes],
            hosts: Arena::new(),
            mail: Arena::new(),
            ops: Arena::new(),
            hooks: Arena::new(),
            waiting_ops: Vec::new(),
            waiting_mail: Vec::new(),
        };
        let mut hook = scenario.hook(plan);
        bench.world.begin_steered(&mut hook)?;
        for (node, op) in in_order(&plan.ops) {
            bench.await_op(node, op);
        }
        bench.collect();
        let hosts = (0..plan.nodes).map(|node| bench.keep_host(NodeIndex(node), Spent::default()));
        let hosts: Vec<u32> = hosts.collect();
        let (state, key) = bench.finish(hosts, Spent::default(), hook);
        Ok((bench, state, key))
    }

    /// How many bytes it holds, roughly: what machines and hooks own on the heap is guessed.
    pub(super) fn bytes(&self) -> u64 {
        let each = [
            self.hosts.len() * (size_of::<Kept<S::Machine>>() + 2_048),
            self.mail.len() * (size_of::<Mail<<S::Machine as Machine>::Message>>() + 256),
            self.hooks.len() * (size_of::<S::Hook>() + 1_024),
        ];
        each.iter().sum::<usize>() as u64
    }

    /// The state after a choice that is the `number`-th of its run, and its fingerprint.
    pub(super) fn after(
        &mut self,
        state: &State,
        (choice, spent): (Choice, Spent),
        number: u32,
    ) -> Result<(State, u128), Violation> {
        self.load(state);
        let mut hosts = self.parts(state).0.to_vec();
        let mut hook = self.hooks.get(state.hook).clone();
        self.world.begin_step(number);
        self.world.forget_counts();
        let node = choice.node();
        // Only the node that acts becomes another; what is in the world is of no state until it is
        // kept.
        let acts = !matches!(choice, Choice::Lose { .. });
        if acts {
            self.loaded[node.at()] = None;
        }
        self.act(choice, &mut hook)?;
        self.collect();
        if acts {
            hosts[node.at()] = self.keep_host(node, spent);
        }
        if spent.crashes != state.spent.crashes {
            // With the last crash the disks of all others cease to matter.
            for other in (0..hosts.len() as u16).map(NodeIndex) {
                hosts[other.at()] = self.keep_host(other, spent);
            }
        }
        Ok(self.finish(hosts, spent, hook))
    }

    fn act(&mut self, choice: Choice, hook: &mut S::Hook) -> Result<(), Violation> {
        match choice {
            Choice::Op { node } => {
                let place = self
                    .waiting_ops
                    .iter()
                    .position(|op| self.ops.get(*op).0 == node);
                match place.map(|place| self.waiting_ops.remove(place)) {
                    Some(op) => {
                        let op = self.ops.get(op).1.clone();
                        self.world.steer_op(node, op, hook)
                    }
                    None => Ok(()),
                }
            }
            Choice::Deliver {
                from,
                to,
                nth,
                again,
            } => match self.place(from, to, nth) {
                Some(place) => {
                    let letter = match again {
                        true => self.waiting_mail[place],
                        false => self.waiting_mail.remove(place),
                    };
                    let message = self.mail.get(letter).message.clone();
                    let entry = self.world.put_mail(from, to, message);
                    self.world.steer_mail(entry, false, hook)
                }
                None => Ok(()),
            },
            Choice::Lose { from, to, nth } => {
                if let Some(place) = self.place(from, to, nth) {
                    self.waiting_mail.remove(place);
                }
                Ok(())
            }
            Choice::Store { node } => self.world.steer_disk(node, hook),
            Choice::Expire { node } => self.world.steer_deadline(node, hook),
            Choice::Crash {
                node,
                unsynced,
                performed,
            } => self.world.steer_crash(node, unsynced, performed, hook),
            Choice::Restart { node } => self.world.steer_boot(node, hook),
        }
    }

    fn place(&self, from: NodeIndex, to: NodeIndex, nth: u16) -> Option<usize> {
        let way = (from, to);
        let mail = self.waiting_mail.iter().enumerate();
        let mut places = mail.filter(|(_, letter)| {
            let letter = self.mail.get(**letter);
            (letter.from, letter.to) == way
        });
        places.nth(nth.into()).map(|(place, _)| place)
    }

    /// Puts the nodes of a state into the world, as far as they are not there.
    fn load(&mut self, state: &State) {
        let nodes = self.loaded.len();
        let (hosts, waiting) = state.parts.split_at(nodes);
        for (place, number) in hosts.iter().enumerate() {
            if self.loaded[place] != Some(*number) {
                let host = self.hosts.get(*number).host.clone();
                self.world.replace_host(NodeIndex(place as u16), host);
                self.loaded[place] = Some(*number);
            }
        }
        let (ops, mail) = waiting.split_at(usize::from(state.ops));
        self.waiting_ops.clear();
        self.waiting_ops.extend(ops);
        self.waiting_mail.clear();
        self.waiting_mail.extend(mail);
    }

    fn parts<'s>(&self, state: &'s State) -> (&'s [u32], &'s [u32], &'s [u32]) {
        let (hosts, waiting) = state.parts.split_at(self.loaded.len());
        let (ops, mail) = waiting.split_at(usize::from(state.ops));
        (hosts, ops, mail)
    }

    /// Takes in what the last step left for later.
    fn collect(&mut self) {
        while let Some(posted) = self.world.next_posted() {
            match posted {
                Posted::Op(node, op) => self.await_op(node, op),
                Posted::Mail(entry) => {
                    let (from, to) = (entry.tie.sender(), entry.tie.receiver());
                    let mut print = Fingerprint::new();
                    print.word(u64::from(from.0) << 16 | u64::from(to.0));
                    print.word(self.world.mail_fingerprint(entry));
                    let message = self.world.take_mail(entry);
                    let letter = self.mail.keep(print.value(), || Mail { from, to, message });
                    if !self.waiting_mail.contains(&letter) {
                        self.waiting_mail.push(letter);
                    }
                }
            }
        }
    }

    fn await_op(&mut self, node: NodeIndex, op: <S::Machine as Machine>::Op) {
        let mut print = Fingerprint::new();
        print.word(node.0.into());
        print.word(S::Machine::op_fingerprint(&op));
        // Operations without fingerprints are told apart by their texts.
        print.word(crate::digest::digest_bytes(format!("{op:?}").as_bytes()));
        let number = self.ops.keep(print.value(), || (node, op));
        self.waiting_ops.push(number);
    }

    /// The number of a node as it is in the world now.
    fn keep_host(&mut self, node: NodeIndex, spent: Spent) -> u32 {
        let standing = self.world.standing(node);
        let is_read_again = !standing.is_up || spent.crashes < self.budgets.crashes;
        let mut print = Fingerprint::new();
        print.word(node.0.into());
        let scenario = self.scenario;
        self.world
            .fold_host(node, is_read_again, &mut print, |machine, now, print| {
                scenario.fold_machine(machine, now, print);
            });
        let world = &self.world;
        let number = self.hosts.keep(print.value(), || Kept {
            host: world.copy_host(node),
            standing,
        });
        // Another one of the same fingerprint may be in the world, which is as good.
        self.loaded[node.at()] = None;
        number
    }

    fn finish(&mut self, mut parts: Vec<u32>, spent: Spent, hook: S::Hook) -> (State, u128) {
        let mut print = Fingerprint::new();
        self.scenario.fold_hook(&hook, &mut print);
        let hook = self.hooks.keep(print.value(), || hook);
        let mut key = Fingerprint::new();
        key.wide(self.hooks.key(hook));
        key.word(spent.word());
        for host in &parts {
            key.wide(self.hosts.key(*host));
        }
        for op in &self.waiting_ops {
            key.wide(self.ops.key(*op));
        }
        // Messages on their way have no order.
        let mail = self
            .waiting_mail
            .iter()
            .map(|letter| self.mail.key(*letter));
        key.wide(mail.fold(0, u128::wrapping_add));
        let ops = self.waiting_ops.len() as u16;
        parts.extend(&self.waiting_ops);
        parts.extend(&self.waiting_mail);
        let state = State {
            hook,
            spent,
            ops,
            parts: parts.into(),
        };
        (state, key.value())
    }
}
