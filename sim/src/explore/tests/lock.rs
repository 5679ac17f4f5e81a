//! A lock service in few lines: node 0 grants one lock and writes down to whom.

use crate::disk::FileOp;
use crate::draw::mix;
use crate::explore::{Budgets, Explorable, Fingerprint};
use crate::fault::{Fault, Unsynced};
use crate::hook::{Hook, Schedule, Step};
use crate::machine::{Boot, Input, Machine, Message, Outbox};
use crate::node::NodeIndex;
use crate::plan::Nothing;
use crate::scenario::{PlanOf, Scenario};
use crate::storm::Family;
use crate::swarm::Draw;
use crate::time::{Instant, Now};
use crate::violation::Violation;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// What is wrong with the server.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Defect {
    /// It answers before the disk does.
    AnswersEarly,
    /// It takes the lock from whoever holds it, however old the word that gives it back.
    FreesAnything,
}

impl Defect {
    pub(super) const ALL: [Self; 2] = [Self::AnswersEarly, Self::FreesAnything];
}

#[derive(Copy, Clone, Debug)]
pub(super) struct Lock(pub(super) Option<Defect>);

/// Claims have numbers.
#[derive(Clone, Debug)]
pub(super) enum Word {
    Ask(u64),
    Granted(u64),
    Done(u64),
}

impl Message for Word {
    fn fingerprint(&self) -> u64 {
        mix(match self {
            Self::Ask(claim) => claim << 2,
            Self::Granted(claim) => claim << 2 | 1,
            Self::Done(claim) => claim << 2 | 2,
        })
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Want {
    Take,
    Give,
}

#[derive(Clone, Debug, Hash)]
pub(super) enum Node {
    Server {
        defect: Option<Defect>,
        holder: Option<(u16, u64)>,
        /// The batch whose answer grants what the holder asked for.
        granting: Option<u64>,
        /// Batches so far.
        batches: u64,
    },
    Client {
        claim: u64,
        asks: bool,
        holds: bool,
        /// The claim that is given back, and is said again.
        gives: bool,
        again_at: Option<Instant>,
    },
}

const AGAIN: Duration = Duration::from_millis(50);
const SERVER: NodeIndex = NodeIndex(0);

impl Machine for Node {
    type Config = Option<Defect>;
    type Message = Word;
    type Op = Want;
    type Output = ();

    fn boot(defect: &Option<Defect>, boot: Boot<'_>, _: &mut Outbox<Self>) -> Self {
        if boot.node == SERVER {
            let held = boot.disk.read("holder").filter(|bytes| bytes.len() == 10);
            let holder = held.map(|bytes| {
                let (node, claim) = bytes.split_at(2);
                let number = |bytes: &[u8]| bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b));
                (number(node) as u16, number(claim))
            });
            return Self::Server {
                holder: holder.filter(|(node, _)| *node != 0),
                defect: *defect,
                granting: None,
                batches: 0,
            };
        }
        // Claims of an earlier run are over.
        Self::Client {
            claim: boot.run << 8,
            asks: false,
            holds: false,
            gives: boot.run > 1,
            again_at: (boot.run > 1).then_some(boot.now.instant),
        }
    }

    fn step(&mut self, now: Now, input: Input<Self>, out: &mut Outbox<Self>) {
        match self {
            Self::Server { .. } => self.serve(input, out),
            Self::Client {
                claim,
                asks,
                holds,
                gives,
                again_at,
            } => {
                match input {
                    Input::Op(Want::Take) if !*asks && !*holds => {
                        *claim += 1;
                        (*asks, *gives) = (true, false);
                    }
                    Input::Op(Want::Give) if *asks || *holds => {
                        (*asks, *holds, *gives) = (false, false, true);
                    }
                    Input::Message {
                        message: Word::Granted(granted),
                        ..
                    } => {
                        if *asks && granted == *claim {
                            (*asks, *holds) = (false, true);
                        }
                        return;
                    }
                    Input::Wake => {}
                    Input::Op(_) | Input::Message { .. } | Input::Link(_) | Input::Disk { .. } => {
                        return;
                    }
                }
                *again_at = None;
                if *asks || *gives {
                    let word = if *asks { Word::Ask } else { Word::Done };
                    out.send(SERVER, word(*claim));
                    *again_at = Some(now.instant.after(AGAIN));
                }
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Server { .. } => None,
            Self::Client { again_at, .. } => *again_at,
        }
    }

    fn state_hash(&self) -> u64 {
        let mut print = Fingerprint::new();
        self.hash(&mut print);
        print.value() as u64
    }
}

impl Node {
    fn serve(&mut self, input: Input<Self>, out: &mut Outbox<Self>) {
        let Self::Server {
            defect,
            holder,
            granting,
            batches,
        } = self
        else {
            return;
        };
        match input {
            Input::Message {
                from,
                message: Word::Ask(claim),
            } => {
                if holder.is_some_and(|(node, held)| node != from.0 || held > claim) {
                    return;
                }
                *holder = Some((from.0, claim));
                match *defect {
                    Some(Defect::AnswersEarly) => out.send(from, Word::Granted(claim)),
                    Some(Defect::FreesAnything) | None => *granting = Some(*batches + 1),
                }
            }
            Input::Message {
                from,
                message: Word::Done(claim),
            } => {
                let is_late = |held| held > claim && *defect != Some(Defect::FreesAnything);
                if holder.is_none_or(|(node, held)| node != from.0 || is_late(held)) {
                    return;
                }
                (*holder, *granting) = (None, None);
            }
            Input::Disk { token, .. } => {
                let granted = granting.take_if(|batch| *batch == token);
                if let Some((node, claim)) = holder.filter(|_| granted.is_some()) {
                    out.send(NodeIndex(node), Word::Granted(claim));
                }
                return;
            }
            Input::Wake | Input::Message { .. } | Input::Link(_) | Input::Op(_) => return,
        }
        let (node, claim) = holder.unwrap_or((0, 0));
        let mut bytes = node.to_be_bytes().to_vec();
        bytes.extend(claim.to_be_bytes());
        let file = || "holder".into();
        let write = FileOp::Write {
            file: file(),
            offset: 0,
            bytes: bytes.into(),
        };
        *batches += 1;
        let sync = FileOp::Sync { file: file() };
        out.disk(*batches, vec![write, sync, FileOp::SyncDir]);
    }

    fn holds(&self) -> bool {
        matches!(self, Self::Client { holds: true, .. })
    }
}

/// At most one client holds the lock.
#[derive(Clone, Debug)]
pub(super) struct OneHolder;

impl Hook<Node> for OneHolder {
    fn on_step(&mut self, step: &Step<'_, Node>, _: &mut Schedule<Node>) -> Result<(), Violation> {
        let holders = step.view.nodes().filter_map(|node| step.view.node(node));
        match holders.filter(|node| node.holds()).count() {
            0 | 1 => Ok(()),
            count => Err(Violation::new(
                "one-holder",
                format!("{count} hold the lock"),
            )),
        }
    }
}

impl Scenario for Lock {
    type Machine = Node;
    type Cfg = Nothing;
    type Hook = OneHolder;

    fn name(&self) -> &str {
        "lock"
    }

    fn about(&self) -> &str {
        "one lock and two clients"
    }

    fn plan(&self, seed: u64) -> PlanOf<Self> {
        let mut plan = PlanOf::<Self>::new("lock", seed, 3, Nothing {});
        let draw = Draw::new(seed).of("lock");
        for index in 0..60 {
            let draw = draw.nth(index);
            let client = draw.of("client").within(1..=2) as u16;
            let want = *draw.of("want").pick(&[Want::Take, Want::Give]);
            let at = Instant::from_millis(draw.of("at").below(5_000));
            plan.op(at, client, want);
        }
        for index in 0..4 {
            let fault = Fault::CrashAtPersist {
                node: SERVER,
                op: draw.of("op").nth(index).within(1..=9),
                unsynced: Unsynced::Drawn,
                restart_after_ms: Some(5),
            };
            let at = draw.of("crash").nth(index).below(5_000);
            plan.fault(Instant::from_millis(at), fault);
        }
        plan.storm(&[Family::PROCESS, Family::NETWORK].concat());
        plan
    }

    fn config(&self, _: &PlanOf<Self>, _: NodeIndex) -> Option<Defect> {
        self.0
    }

    fn hook(&self, _: &PlanOf<Self>) -> OneHolder {
        OneHolder
    }
}

impl Explorable for Lock {
    fn begin(&self) -> PlanOf<Self> {
        let mut plan = PlanOf::<Self>::new("lock", 0, 3, Nothing {});
        let wants = [Want::Take, Want::Give, Want::Take];
        for (at, want) in (1..).zip(wants) {
            plan.op(Instant::from_millis(at), 1, want);
        }
        plan.op(Instant::from_millis(4), 2, Want::Take);
        plan
    }

    fn budgets(&self) -> Budgets {
        Budgets {
            crashes: 1,
            timeouts: Some(1),
            ..Budgets::default()
        }
    }

    fn fold_machine(&self, machine: &Node, now: Now, into: &mut Fingerprint) {
        // The time itself matters to nobody, only how long it is until the deadline.
        let mut machine = machine.clone();
        if let Node::Client { again_at, .. } = &mut machine {
            *again_at = again_at.map(|at| Instant::ZERO.after(at.since(now.instant)));
        }
        machine.hash(into);
    }

    fn fold_hook(&self, _: &OneHolder, _: &mut Fingerprint) {}
}
