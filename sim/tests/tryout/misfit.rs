//! A machine that ticks, and in some seeds does what it must not.

use meshos_sim::explore::{Explorable, Fingerprint};
use meshos_sim::hook::{Cause, Hook, Schedule, Step};
use meshos_sim::machine::{Boot, Input, Machine, Message, NodeIndex, Outbox};
use meshos_sim::marks::Mark;
use meshos_sim::plan::Nothing;
use meshos_sim::scenario::{Blocked, NotChecked, PlanOf, Scenario};
use meshos_sim::storm::Family;
use meshos_sim::time::{Instant, Now};
use meshos_sim::violation::Violation;
use meshos_sim::world::World;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What goes wrong, in every fifth seed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    Breaks,
    Panics,
    Loops,
    Spins,
    Blocks,
    Flickers,
    Unmarked,
    Undecided,
    Dawdles,
    Crowds,
    Regrets,
    /// It is held where a sweep is to be killed, as long as the environment says so.
    Waits,
}

impl Defect {
    pub(crate) const ALL: [Self; 12] = [
        Self::Dawdles,
        Self::Waits,
        Self::Breaks,
        Self::Panics,
        Self::Loops,
        Self::Spins,
        Self::Blocks,
        Self::Flickers,
        Self::Unmarked,
        Self::Undecided,
        Self::Crowds,
        Self::Regrets,
    ];
}

#[derive(Copy, Clone, Debug)]
pub(crate) struct Misfit(pub(crate) Defect);

#[derive(Clone, Debug)]
pub(crate) struct Ticker {
    kind: Defect,
    bad: bool,
    ticks: u64,
    run: u64,
    next: Instant,
}

#[derive(Clone, Debug)]
pub(crate) struct Silence;

impl Message for Silence {
    fn fingerprint(&self) -> u64 {
        0
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Op {
    Hurry { ticks: u64 },
}

/// What was wrong happened long before the end.
const REGRETTED: Instant = Instant::from_millis(145);

static TICKS: AtomicU64 = AtomicU64::new(0);

impl Machine for Ticker {
    type Config = (Defect, bool);
    type Message = Silence;
    type Op = Op;
    type Output = ();

    fn boot(config: &Self::Config, boot: Boot<'_>, _: &mut Outbox<Self>) -> Self {
        Self {
            kind: config.0,
            bad: config.1,
            ticks: 0,
            run: boot.run,
            next: boot.now.instant,
        }
    }

    fn step(&mut self, now: Now, input: Input<Self>, _: &mut Outbox<Self>) {
        self.ticks += 1;
        if let Input::Op(Op::Hurry { ticks }) = input {
            self.ticks += ticks;
        }
        self.next = now.instant.after(Duration::from_millis(10));
        if matches!(self.kind, Defect::Dawdles | Defect::Waits) {
            // Some tens of microseconds of work.
            self.ticks -= (0..50_000).fold(0, |sum, n| sum & std::hint::black_box(n));
        }
        if !self.bad || self.ticks < 20 {
            return;
        }
        match self.kind {
            Defect::Panics => panic!("the tick {} is one too many", self.ticks),
            Defect::Loops => loop {
                std::thread::park();
            },
            Defect::Waits => {
                while std::env::var_os("TRYOUT_HOLD").is_some() {
                    std::thread::park();
                }
            }
            Defect::Spins => self.next = now.instant,
            Defect::Flickers => self.ticks += TICKS.fetch_add(1, Ordering::Relaxed),
            Defect::Breaks
            | Defect::Blocks
            | Defect::Unmarked
            | Defect::Undecided
            | Defect::Dawdles
            | Defect::Crowds
            | Defect::Regrets => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.next)
    }

    fn state_hash(&self) -> u64 {
        self.ticks
    }

    fn describe(&self) -> Option<String> {
        let busy = if self.ticks < 10 { "fresh" } else { "busy" };
        (self.kind != Defect::Panics)
            .then(|| format!("{busy}, {} ticks\nrun {}", self.ticks, self.run))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Watcher(Defect);

impl Hook<Ticker> for Watcher {
    fn on_step(
        &mut self,
        step: &Step<'_, Ticker>,
        _: &mut Schedule<Ticker>,
    ) -> Result<(), Violation> {
        let (node, ticker) = (step.node, step.machine);
        if self.0 == Defect::Crowds && step.cause == Cause::Op && ticker.bad && ticker.run > 1 {
            return Err(Violation::new("hurried-again", "after a restart").at_node(node));
        }
        match self.0 == Defect::Breaks && step.machine.bad && step.machine.ticks > 20 {
            true => Err(Violation::new("few-ticks", "more than 20").at_node(step.node)),
            false => Ok(()),
        }
    }
}

impl Scenario for Misfit {
    type Machine = Ticker;
    type Cfg = Nothing;
    type Hook = Watcher;

    fn name(&self) -> &str {
        match self.0 {
            Defect::Breaks => "breaks",
            Defect::Panics => "panics",
            Defect::Loops => "loops",
            Defect::Spins => "spins",
            Defect::Blocks => "blocks",
            Defect::Flickers => "flickers",
            Defect::Unmarked => "unmarked",
            Defect::Undecided => "undecided",
            Defect::Dawdles => "dawdles",
            Defect::Crowds => "crowds",
            Defect::Regrets => "regrets",
            Defect::Waits => "waits",
        }
    }

    fn about(&self) -> &str {
        "misbehaves on purpose"
    }

    fn plan(&self, seed: u64) -> PlanOf<Self> {
        let mut plan = PlanOf::<Self>::new(Scenario::name(self), seed, 2, Nothing {});
        plan.safety_ms = 1_000;
        plan.liveness_ms = 500;
        plan.op(Instant::from_millis(5), 1, Op::Hurry { ticks: 2 });
        if self.0 == Defect::Regrets {
            plan.safety_ms = 200_000;
        }
        if self.0 == Defect::Crowds {
            plan.nodes = 5;
            plan.safety_ms = 20_000;
            plan.storm(&[Family::NETWORK, Family::PROCESS].concat());
            for at in 0..200 {
                let at_us = Instant::from_micros(97_003 * at);
                plan.op(at_us, at as u16 % 5, Op::Hurry { ticks: at });
            }
        }
        plan
    }

    fn config(&self, plan: &PlanOf<Self>, node: NodeIndex) -> (Defect, bool) {
        let is_bad = match self.0 == Defect::Waits {
            true => plan.seed > 600,
            false => plan.seed % 5 == 3,
        };
        (self.0, node.0 == 1 && is_bad)
    }

    fn hook(&self, _: &PlanOf<Self>) -> Watcher {
        Watcher(self.0)
    }

    fn converged(
        &self,
        plan: &PlanOf<Self>,
        _: &World<Ticker>,
        _: &Watcher,
    ) -> Result<(), Blocked> {
        match self.0 == Defect::Blocks && plan.seed % 5 == 3 {
            true => {
                let obligation = "node 1 waits for a tick that is due";
                Err(Blocked::new("tick-again", obligation).at_node(NodeIndex(1)))
            }
            false => Ok(()),
        }
    }

    fn finish(
        &self,
        plan: &PlanOf<Self>,
        _: &World<Ticker>,
        _: &mut Watcher,
        not_checked: &mut NotChecked,
    ) -> Result<(), Violation> {
        if self.0 == Defect::Undecided && plan.seed % 5 == 3 {
            not_checked.push("linearizable", "the search ran out");
        }
        if self.0 == Defect::Regrets && plan.seed % 5 == 3 {
            let violation = Violation::new("in-order", "the fifteenth tick was too much");
            return Err(violation.at_node(NodeIndex(1)).happened(REGRETTED));
        }
        Ok(())
    }

    fn marks(&self) -> Vec<Mark> {
        match self.0 {
            Defect::Unmarked => vec![
                Mark::required("a state that is never reached"),
                Mark::dormant("a state that cannot be", "it needs three nodes"),
            ],
            Defect::Breaks
            | Defect::Panics
            | Defect::Loops
            | Defect::Spins
            | Defect::Blocks
            | Defect::Flickers
            | Defect::Undecided
            | Defect::Dawdles
            | Defect::Crowds
            | Defect::Regrets
            | Defect::Waits => Vec::new(),
        }
    }
}

impl Explorable for Misfit {
    fn begin(&self) -> PlanOf<Self> {
        self.plan(3)
    }

    fn fold_hook(&self, _: &Watcher, _: &mut Fingerprint) {}
}
