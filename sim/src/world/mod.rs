//! A cluster of machines under simulated time.
//!
//! The world jumps from event to event: there are no ticks, so a run costs what happens in it.
//! It owns true time, links, disks and clocks, and calls the machines and the hook. It decides
//! nothing that the seed, the scheduled faults and operations and the machines do not: two worlds
//! that were set up alike take the same steps, whatever the build, the process or the container
//! of their events.

mod connecting;
mod effects;
mod faults;
mod footprint;
pub(crate) mod host;
mod planning;
mod processes;
mod recording;
mod sending;
mod setup;
mod snapshot;
pub(crate) mod steering;
mod stepping;
mod storage;
mod travelling;

pub use crate::network::Link;
pub use effects::Applied;
pub use footprint::Footprint;
pub use host::{Medium, View};
pub use setup::Setup;

use crate::clock::Clock;
use crate::connection::Streams;
use crate::digest::Digest;
use crate::disk::Disk;
use crate::draw::{Draws, Site};
use crate::fault::{Fault, Unsynced};
use crate::hook::{Hook, Schedule};
use crate::machine::{Effect, Machine, Message, Outbox};
use crate::network::Network;
use crate::node::NodeIndex;
use crate::queue::{Entry, EventClass, Queue, Tie};
use crate::slab::Slab;
use crate::time::Instant;
use crate::timers::Timers;
use crate::trace::Trace;
use crate::violation::{INSTANT_BUDGET, STEP_BUDGET, Violation};
use crate::weather::Weather;
use effects::Effects;
use host::{Drive, Host};
use std::sync::Arc;

/// Why a world stopped running.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The time that was asked for is reached; there is more to come.
    Limit,
    /// Nothing will ever happen again, unless something is scheduled.
    Idle,
}

/// A message on its way, perhaps to several nodes.
#[derive(Clone, Debug)]
struct Letter<T> {
    message: T,
    /// Arrivals to come.
    copies: u32,
}

/// A fault that waits for its time.
#[derive(Clone, Debug)]
enum Planned {
    Fault(Fault),
    /// A crash that ends by itself.
    Crash {
        node: NodeIndex,
        unsynced: Unsynced,
        restart_at: Instant,
    },
    /// The end of a crash, which has a number.
    RestartOf {
        node: NodeIndex,
        crash: u64,
    },
}

/// A run in progress.
pub struct World<M: Machine> {
    now: Instant,
    steps: u64,
    steps_max: u64,
    instant_steps: u32,
    instant_steps_max: u32,
    digest: Digest,
    draw: Draws,
    queue: Queue,
    timers: Timers,
    hosts: Vec<Host<M>>,
    network: Network,
    letters: Slab<Letter<M::Message>>,
    ops: Slab<(NodeIndex, M::Op)>,
    faults: Slab<Planned>,
    effects: Effects,
    alarms: Slab<u64>,
    /// Messages on clogged links.
    held: Vec<(Tie, u32)>,
    /// Number of the next numbered event.
    numbered: u64,
    out: Outbox<M>,
    schedule: Schedule<M>,
    configs: Arc<[M::Config]>,
    weather: Weather,
    disk_us: (u64, u64),
    wall_ms: u64,
    seed: u64,
    /// Whether messages pass through their codec.
    codec: bool,
    /// Whose machine was called last.
    acting: Option<NodeIndex>,
    trace: Option<Box<Trace>>,
}

impl<M: Machine> World<M> {
    /// A world at time zero; the nodes that are not absent boot, in order, as the first thing that
    /// happens.
    pub fn new(setup: Setup<M>) -> Self {
        const {
            assert!(
                size_of::<M::Message>() <= 64,
                "a message has at most 64 bytes"
            );
            assert!(
                size_of::<Effect<M>>() <= 80,
                "an effect has at most 80 bytes"
            );
        }
        let nodes = setup.configs.len();
        assert!(nodes <= usize::from(u16::MAX), "at most 65,535 nodes");
        let draw = Draws::new(setup.seed);
        let hosts = (0..nodes).map(|node| {
            let span = setup.origin_ms_max.saturating_mul(1_000_000);
            let origin = draw.below(Site::Origin, node as u64, 0, span);
            let drift = setup.clock_ppm.get(node).copied().unwrap_or_default();
            let clock = Clock::new(Instant::from_nanos(origin), setup.wall_ms, drift);
            Host::new(clock, Drive::new(setup.disk_us))
        });
        let mut world = Self {
            now: Instant::ZERO,
            steps: 0,
            steps_max: setup.steps_max,
            instant_steps: 0,
            instant_steps_max: setup.instant_steps_max,
            digest: Digest::new(),
            draw,
            queue: Queue::new(setup.queue, nodes),
            timers: Timers::new(nodes),
            hosts: hosts.collect(),
            network: Network::new(nodes, setup.weather, &setup.matrix),
            letters: Slab::new(),
            ops: Slab::new(),
            faults: Slab::new(),
            effects: Effects::default(),
            acting: None,
            alarms: Slab::new(),
            held: Vec::new(),
            numbered: 0,
            out: Outbox::new(),
            schedule: Schedule::new(),
            configs: setup.configs.into(),
            weather: setup.weather,
            disk_us: setup.disk_us,
            wall_ms: setup.wall_ms,
            seed: setup.seed,
            codec: setup.codec,
            trace: None,
        };
        if let Some(rules) = setup.connections {
            let streams = Streams::new(rules, nodes, M::Message::LANES);
            world.network.connect(streams);
        }
        let present = |node: &u64| !setup.absent.contains(&NodeIndex(*node as u16));
        for node in (0..nodes as u64).filter(present) {
            world.push(Instant::ZERO, Tie::numbered(EventClass::Boot, node), 0);
        }
        world
    }

    /// Runs everything that happens up to and including `limit`, and moves to `limit`.
    ///
    /// # Errors
    /// The first property that did not hold; the world is then where it was noticed.
    pub fn run_until<H: Hook<M>>(
        &mut self,
        limit: Instant,
        hook: &mut H,
    ) -> Result<Stop, Violation> {
        while self.run_next(limit, hook)? {}
        let idle = self.queue.len() == 0 && self.timers.first_at() == u64::MAX;
        Ok(if idle { Stop::Idle } else { Stop::Limit })
    }

    /// Runs the next event if it happens at `limit` or before, else moves to `limit` and returns
    /// false.
    ///
    /// # Errors
    /// A property that did not hold.
    #[inline]
    pub fn run_next<H: Hook<M>>(
        &mut self,
        limit: Instant,
        hook: &mut H,
    ) -> Result<bool, Violation> {
        let queued = self.queue.next_at();
        let timer = self.timers.first_at();
        let at = queued.min(timer);
        if at > limit.as_nanos() || at == u64::MAX {
            self.now = self.now.max(limit);
            return Ok(false);
        }
        if at == self.now.as_nanos() {
            self.instant_steps += 1;
        } else {
            self.instant_steps = 0;
            self.now = Instant::from_nanos(at);
        }
        self.steps += 1;
        if self.steps > self.steps_max || self.instant_steps > self.instant_steps_max {
            return Err(self.over_budget());
        }
        let ran = if timer < queued {
            self.wake(hook)
        } else if let Some(entry) = self.queue.pop() {
            if entry.tie.is_message() {
                self.deliver(entry, hook)
            } else {
                self.run_other(entry, hook)
            }
        } else {
            Ok(())
        };
        match ran {
            Ok(()) => Ok(true),
            Err(violation) => Err(self.located(violation)),
        }
    }

    #[cold]
    #[inline(never)]
    fn run_other<H: Hook<M>>(&mut self, entry: Entry, hook: &mut H) -> Result<(), Violation> {
        self.digest.fold(entry.at, entry.tie.0);
        match entry.tie.class() {
            EventClass::Boot => {
                let node = NodeIndex(entry.tie.number() as u16);
                self.boot(node, hook).map(|_| ())
            }
            EventClass::Fault => {
                self.acting = None;
                match self.faults.take(entry.handle) {
                    Planned::Fault(fault) => self.apply_counted(&fault, hook),
                    Planned::Crash {
                        node,
                        unsynced,
                        restart_at,
                    } => self.crash_for_a_while(node, unsynced, restart_at, hook),
                    Planned::RestartOf { node, crash } => self.restart_of(node, crash, hook),
                }
            }
            EventClass::Disk => self.on_disk(entry.tie.number(), hook),
            EventClass::Op => self.on_op(entry.handle, hook),
            EventClass::Link => self.on_link(entry.handle, hook),
            // Handled by the caller.
            EventClass::Message => Ok(()),
            EventClass::Alarm => {
                self.acting = None;
                let tag = self.alarms.take(entry.handle);
                let view = View::new(self.now, &self.hosts, &self.network);
                hook.on_alarm(view, tag, &mut self.schedule)?;
                self.grant();
                Ok(())
            }
        }
    }

    #[cold]
    fn over_budget(&self) -> Violation {
        let is_due = self.timers.first_at() <= self.now.as_nanos();
        let due = is_due.then(|| self.timers.first());
        let mut violation = if self.steps > self.steps_max {
            let detail = format!("more than {} steps", self.steps_max);
            Violation::new(STEP_BUDGET, detail)
        } else {
            let why = due.map_or_else(String::new, |node| {
                format!(
                    ": the deadline of {node} is not after now when its step ends; a step that \
                     sees its deadline reached has to move it"
                )
            });
            let detail = format!("more than {} steps at once{why}", self.instant_steps_max);
            Violation::new(INSTANT_BUDGET, detail)
        };
        violation.at = self.now;
        violation.node = due;
        violation
    }

    #[cold]
    fn located(&self, mut violation: Violation) -> Violation {
        violation.at = self.now;
        violation
    }

    /// True time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// How many events have happened so far.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// When the next event happens.
    pub fn next_at(&mut self) -> Option<Instant> {
        let at = self.queue.next_at().min(self.timers.first_at());
        (at != u64::MAX).then_some(Instant::from_nanos(at))
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> u16 {
        self.hosts.len() as u16
    }

    /// Everything that checks may look at.
    pub fn view(&self) -> View<'_, M> {
        View::new(self.now, &self.hosts, &self.network)
    }

    /// The machine of a node, unless it is down.
    pub fn node(&self, node: NodeIndex) -> Option<&M> {
        self.view().node(node)
    }

    /// The disk of a node, up or down.
    pub fn disk(&self, node: NodeIndex) -> &Disk {
        self.view().disk(node)
    }

    /// Whether a node is running; a paused one is.
    pub fn is_up(&self, node: NodeIndex) -> bool {
        self.view().is_up(node)
    }

    /// Digest of everything that happened so far and of the machines as they are now.
    pub fn digest(&self) -> u64 {
        let mut digest = self.digest;
        for (node, host) in self.hosts.iter().enumerate() {
            let hash = host.machine.as_ref().map_or(0, M::state_hash);
            digest.fold(node as u64, hash);
        }
        digest.fold(self.steps, 0);
        digest.value()
    }

    /// Whose machine was called last, unless a fault or an alarm came after it.
    pub const fn acting(&self) -> Option<NodeIndex> {
        self.acting
    }

    /// How many faults of the plan and of the hook were applied so far.
    pub const fn faults_applied(&self) -> u64 {
        self.effects.applied()
    }

    /// How many of them changed nothing, and the first thousand of those. A fault that lies in
    /// wait, for a file operation or a message, counts until what it waits for has come.
    pub fn faults_inert(&self) -> (u64, Vec<Applied>) {
        self.effects.inert(|fault| {
            matches!(fault, Fault::Filter { message, from, to }
                if self.network.is_met(*message, *from, *to))
        })
    }
}

#[cfg(test)]
mod tests;
