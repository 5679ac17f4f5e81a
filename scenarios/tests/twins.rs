//! Runs that have to be alike: the same plan twice, its text, and the same plan with other
//! payload bytes.

use meshos_scenarios::cfg::Cfg;
use meshos_scenarios::cfg::Plan;
use meshos_scenarios::checks::payload_blind::{Shape, twins};
use meshos_scenarios::model::{Host, HostConfig};
use meshos_scenarios::scenes::{Scene, SceneHook, all, hook, named};
use meshos_sim::machine::NodeIndex;
use meshos_sim::run::run;
use meshos_sim::scenario::{NotChecked, Scenario};
use meshos_sim::violation::Violation;
use meshos_sim::world::World;
use std::path::Path;
use std::sync::Mutex;

/// A scenario that also keeps the shape of its last run.
struct Shaped {
    scene: Scene,
    shape: Mutex<Shape>,
}

impl Scenario for Shaped {
    type Machine = Host;
    type Cfg = Cfg;
    type Hook = (SceneHook, Shape);

    fn name(&self) -> &str {
        Scenario::name(&self.scene)
    }

    fn about(&self) -> &str {
        Scenario::about(&self.scene)
    }

    fn plan(&self, seed: u64) -> Plan {
        self.scene.plan(seed)
    }

    fn config(&self, plan: &Plan, node: NodeIndex) -> HostConfig {
        self.scene.config(plan, node)
    }

    fn hook(&self, plan: &Plan) -> Self::Hook {
        (hook(plan), Shape::default())
    }

    fn finish(
        &self,
        _: &Plan,
        _: &World<Host>,
        hook: &mut Self::Hook,
        _: &mut NotChecked,
    ) -> Result<(), Violation> {
        *self.shape.lock().expect("nobody panicked") = hook.1;
        Ok(())
    }
}

#[test]
fn payload_bytes_influence_nothing() {
    for scene in all() {
        let shaped = Shaped {
            scene,
            shape: Mutex::default(),
        };
        for seed in 0..6 {
            let shapes = [0, 12_345].map(|salt| {
                let mut plan = shaped.plan(seed);
                plan.cfg.salt = salt;
                let report = run(&shaped, &plan);
                assert!(report.holds(), "{:?}", report.finding);
                *shaped.shape.lock().expect("nobody panicked")
            });
            let name = Scenario::name(&shaped);
            let alike = twins(&shapes[0], &shapes[1]);
            assert!(alike.is_ok(), "{name}, seed {seed}: {alike:?}");
            assert_ne!(shapes[0], Shape::default(), "the run had steps");
        }
    }
}

#[test]
fn a_plan_means_the_same_as_its_text_and_twice() {
    for scene in all() {
        for seed in 20..24 {
            let plan = scene.plan(seed);
            let text = plan.to_text();
            let read = Plan::parse(Path::new("plan.toml"), &text).expect("it was just written");
            assert_eq!(read, plan, "{text}");
            let (one, other) = (run(&scene, &plan), run(&scene, &read));
            assert_eq!(one.digest, other.digest, "{text}");
        }
    }
}

#[test]
fn digests_do_not_depend_on_what_ran_before() {
    let swarm = named("swarm").expect("there is a swarm");
    let alone = run(&swarm, &swarm.plan(7)).digest;
    for seed in 0..7 {
        run(&swarm, &swarm.plan(seed));
    }
    assert_eq!(run(&swarm, &swarm.plan(7)).digest, alone);
    let thread = std::thread::spawn(move || run(&swarm, &swarm.plan(7)).digest);
    assert_eq!(thread.join().expect("it does not panic"), alone);
}

#[test]
fn a_mistyped_cfg_is_refused_with_its_place() {
    let swarm = named("swarm").expect("there is a swarm");
    let text = swarm
        .plan(1)
        .to_text()
        .replace("chains = [{ name", "chains = [{ nam");
    let error = Plan::parse(Path::new("plan.toml"), &text).expect_err("nam is no key");
    assert!(error.to_string().contains("nam"), "{error}");
}

/// What a peer reads is what was said, so encoding and decoding it changes nothing.
#[test]
fn the_codec_influences_nothing() {
    for name in ["swarm", "zones"] {
        let scene = named(name).expect("it is a scenario");
        for seed in 0..6 {
            let mut plan = scene.plan(seed);
            plan.codec = true;
            let coded = run(&scene, &plan);
            plan.codec = false;
            let plain = run(&scene, &plan);
            assert_eq!(coded.digest, plain.digest, "{name}, seed {seed}");
        }
    }
}
