//! foca 2.0, an implementation of SWIM, as a machine of the simulator.
//!
//! The crate asks for everything that a machine may not own: its generator is a type parameter,
//! timers and datagrams go to its caller. So there is nothing to tame, only to pass on.

pub mod checks;
pub mod dice;
pub mod scenario;

use bytes::Bytes;
use dice::Dice;
use foca::{
    AccumulatingRuntime, Config, Error, Foca, Identity, NoCustomBroadcast, PeriodicParams,
    PostcardCodec, State, Timer,
};
use meshos_sim::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZero;

/// Who a node is. It comes back from a crash, and from being called dead, with a higher life.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    pub node: u16,
    pub life: u64,
}

impl Identity for Name {
    type Addr = u16;

    fn renew(&self) -> Option<Self> {
        let life = self.life + 1;
        Some(Self { life, ..*self })
    }

    fn addr(&self) -> u16 {
        self.node
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        self.life > other.life
    }
}

/// What the crate wants sent.
#[derive(Clone, Debug)]
pub struct Datagram(Bytes);

impl Message for Datagram {
    fn fingerprint(&self) -> u64 {
        stable_hash(&self.0[..])
    }

    fn size(&self) -> u32 {
        self.0.len() as u32
    }
}

/// One node.
pub struct Member {
    foca: Foca<Name, PostcardCodec, Dice, NoCustomBroadcast>,
    /// By deadline, and in the order in which they were asked for.
    timers: BTreeMap<(Instant, u64), Timer<Name>>,
    asked: u64,
    /// When to look for the others again, as long as it knows nobody.
    join_at: Instant,
    seeds: Vec<Name>,
}

impl Machine for Member {
    type Config = ();
    type Message = Datagram;
    type Op = Nothing;
    type Output = Error;

    fn boot(_: &(), boot: Boot<'_>, _: &mut Outbox<Self>) -> Self {
        let name = Name {
            node: boot.node.0,
            // Room for the lives that it renews itself to before it crashes again.
            life: boot.run << 32,
        };
        // Nobody has a life that low: it stands for whoever is at that address.
        let seed = |node| Name { node, life: 0 };
        Self {
            foca: Foca::new(name, config(), Dice::new(boot.seed), PostcardCodec),
            timers: BTreeMap::new(),
            asked: 0,
            join_at: boot.now.instant,
            seeds: (0..boot.nodes)
                .filter(|node| *node != boot.node.0)
                .map(seed)
                .collect(),
        }
    }

    fn step(&mut self, now: Now, input: Input<Self>, out: &mut Outbox<Self>) {
        let mut runtime = AccumulatingRuntime::new();
        let mut results = Vec::new();
        match input {
            Input::Message { message, .. } => {
                results.push(self.foca.handle_data(&message.0, &mut runtime));
            }
            Input::Wake => {
                if now.instant >= self.join_at {
                    self.join_at = now.instant.after(JOIN);
                    if self.foca.num_members() == 0 {
                        let seeds = self.seeds.iter();
                        results.extend(seeds.map(|seed| self.foca.announce(*seed, &mut runtime)));
                    }
                }
                while let Some(entry) = self.timers.first_entry()
                    && entry.key().0 <= now.instant
                {
                    results.push(self.foca.handle_timer(entry.remove(), &mut runtime));
                }
            }
            Input::Op(Nothing {}) | Input::Link(_) | Input::Disk { .. } => {}
        }
        results
            .into_iter()
            .filter_map(Result::err)
            .for_each(|error| out.output(error));
        while let Some((after, timer)) = runtime.to_schedule() {
            self.asked += 1;
            self.timers
                .insert((now.instant.after(after), self.asked), timer);
        }
        while let Some((to, bytes)) = runtime.to_send() {
            out.send(NodeIndex(to.node), Datagram(bytes));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let timer = self.timers.first_key_value();
        timer
            .map(|((at, _), _)| *at)
            .into_iter()
            .chain([self.join_at])
            .min()
    }

    fn state_hash(&self) -> u64 {
        let states = self.foca.iter_membership_state();
        let states =
            states.map(|member| (*member.id(), member.incarnation(), member.state() as u8));
        let timers: Vec<_> = self.timers.keys().collect();
        let (name, backlog) = (self.foca.identity(), self.foca.updates_backlog());
        stable_hash(&(
            name,
            states.collect::<Vec<_>>(),
            backlog,
            timers,
            self.join_at,
        ))
    }

    fn describe(&self) -> Option<String> {
        let known = |state| {
            let all = self.foca.iter_membership_state();
            all.filter(|member| member.state() == state).count()
        };
        Some(format!(
            "sees {} alive, {} suspect, {} down",
            known(State::Alive),
            known(State::Suspect),
            known(State::Down)
        ))
    }
}

impl Member {
    pub fn name(&self) -> Name {
        *self.foca.identity()
    }

    /// Whom it takes for members, suspects among them.
    pub fn members(&self) -> impl Iterator<Item = Name> {
        self.foca.iter_members().map(|member| *member.id())
    }
}

fn config() -> Config {
    const fn each(ms: u64, members: usize) -> Option<PeriodicParams> {
        Some(PeriodicParams {
            frequency: Duration::from_millis(ms),
            num_members: NonZero::new(members).expect("somebody"),
        })
    }
    Config {
        probe_period: PROBE_PERIOD,
        probe_rtt: Duration::from_millis(200),
        suspect_to_down_after: SUSPICION,
        notify_down_members: true,
        periodic_announce: each(2_000, 1),
        periodic_announce_to_down_members: each(1_000, 2),
        periodic_gossip: each(200, 2),
        ..Config::simple()
    }
}

pub const PROBE_PERIOD: Duration = Duration::from_millis(500);
pub const SUSPICION: Duration = Duration::from_millis(1_500);
const JOIN: Duration = Duration::from_millis(500);
