//! The scenarios: for each theme the plans that its seeds generate.
//!
//! All of them run the same machines under the same checks; a scenario decides only what its
//! plans hold. Faults stay within the budget: any of them may be combined, but flips never meet
//! wiped stores, and a majority of the voters of every chain keeps its store.

mod behind;
mod calm;
mod clocks;
mod disks;
mod leaders;
mod network;
mod parts;
mod process;
mod scene;
mod shapes;
mod simpler;
mod staying;
mod swarm;

pub use scene::{Scene, SceneHook, hook};

use crate::cfg::{Cfg, Plan};

/// Every scenario.
pub fn all() -> Vec<Scene> {
    [
        calm::SCENES,
        network::SCENES,
        process::SCENES,
        behind::SCENES,
        leaders::SCENES,
        clocks::SCENES,
        disks::SCENES,
        staying::SCENES,
        swarm::SCENES,
    ]
    .concat()
}

/// The scenario of that name.
pub fn named(name: &str) -> Option<Scene> {
    all().into_iter().find(|scene| scene.name == name)
}

/// A plan without faults and clients, to be filled by hand.
pub fn blank(seed: u64, nodes: u16) -> Plan {
    Plan::new("steady-state", seed, nodes, Cfg::default())
}

/// The scenario of plans that are filled by hand.
pub fn plain() -> Scene {
    calm::SCENES[0]
}
