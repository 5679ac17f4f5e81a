//! Grows the corpora by what sweeps find: `cargo run --release --bin grow -- SEEDS`, in this
//! directory.
//!
//! A run is interesting when it reaches a mark that no run before it reached, or breaks a property.
//! Of each interesting run the plan is kept, and of each kind of message that it sent the first one
//! of every order of size. What is there already stays, and the same seeds give the same files.

use meshos_core::wire::encode;
use meshos_scenarios::cfg::Cfg;
use meshos_scenarios::cfg::Plan;
use meshos_scenarios::model::{Host, HostConfig};
use meshos_scenarios::scenes::{self, Scene, SceneHook};
use meshos_sim::hook::{Hook, Schedule, Step};
use meshos_sim::machine::{Effect, Message as _, NodeIndex};
use meshos_sim::machines::rally::Rally;
use meshos_sim::plan::{Expect, InvalidPlan};
use meshos_sim::run::run;
use meshos_sim::scenario::{PlanOf, Scenario};
use meshos_sim::violation::Violation;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The first message of each kind and order of size.
type Sent = BTreeMap<(u16, u32), Vec<u8>>;

fn main() -> std::io::Result<()> {
    let seeds = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let seeds: u64 = seeds.unwrap_or(20);
    let (mut marks, mut shapes) = (BTreeSet::new(), BTreeSet::new());
    for scene in scenes::all() {
        for seed in 0..seeds {
            let tap = Tapped {
                scene,
                sent: Arc::default(),
            };
            let mut plan = tap.plan(seed);
            let report = run(&tap, &plan);
            let is_new = report
                .marks
                .into_keys()
                .fold(false, |new, mark| marks.insert(mark) || new);
            if !is_new && report.finding.is_none() {
                continue;
            }
            plan.expect = Expect::default();
            let name = format!("swept-{}-{seed}", scene.name());
            write("plan_parse", &name, plan.to_text().as_bytes())?;
            let sent = tap.sent.lock().unwrap_or_else(PoisonError::into_inner);
            for (shape, bytes) in sent.iter() {
                if shapes.insert(*shape) {
                    write("message", &format!("swept-{}-{}", shape.0, shape.1), bytes)?;
                }
            }
        }
    }
    let mut kinds = BTreeSet::new();
    for seed in 0..seeds {
        let plan: PlanOf<Rally> = Rally.plan(seed);
        let of_plan = plan.faults.iter().map(|fault| fault.fault.kind());
        if of_plan.fold(false, |new, kind| kinds.insert(kind) || new) {
            write(
                "plan_run",
                &format!("swept-{seed}"),
                plan.to_text().as_bytes(),
            )?;
        }
    }
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let directory = Path::new("corpus").join(target);
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join(name), bytes)
}

/// A scenario whose messages are kept.
struct Tapped {
    scene: Scene,
    sent: Arc<Mutex<Sent>>,
}

struct Tap(Arc<Mutex<Sent>>);

impl Hook<Host> for Tap {
    fn on_step(&mut self, step: &Step<'_, Host>, _: &mut Schedule<Host>) -> Result<(), Violation> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for effect in step.effects {
            if let Effect::Send { message, .. } | Effect::Broadcast { message } = effect {
                let shape = (message.kind(), message.size().max(1).ilog2());
                sent.entry(shape)
                    .or_insert_with(|| encode(&message.message));
            }
        }
        Ok(())
    }
}

impl Scenario for Tapped {
    type Machine = Host;
    type Cfg = Cfg;
    type Hook = (Tap, SceneHook);

    fn name(&self) -> &str {
        self.scene.name()
    }

    fn about(&self) -> &str {
        self.scene.about()
    }

    fn plan(&self, seed: u64) -> Plan {
        self.scene.plan(seed)
    }

    fn check(&self, plan: &PlanOf<Self>) -> Result<(), InvalidPlan> {
        self.scene.check(plan)
    }

    fn config(&self, plan: &PlanOf<Self>, node: NodeIndex) -> HostConfig {
        self.scene.config(plan, node)
    }

    fn hook(&self, plan: &PlanOf<Self>) -> Self::Hook {
        (Tap(Arc::clone(&self.sent)), self.scene.hook(plan))
    }
}
