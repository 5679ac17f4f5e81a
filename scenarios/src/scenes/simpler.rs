//! What is simpler than a plan in the eyes of MeshOS, beyond leaving things out.

use crate::cfg::{ClientCfg, Plan};

/// Plans with fewer clients that ask for less, the simplest first. Less work never keeps a sound
/// cluster from what it owes, so this may be tried whatever was found.
pub(super) fn simpler(plan: &Plan) -> Vec<Plan> {
    let changes: [fn(&mut ClientCfg); 5] = [
        |clients| (clients.sessions, clients.count) = (1, 1),
        |clients| clients.sessions = 1,
        |clients| clients.count = 1,
        |clients| clients.count /= 2,
        |clients| clients.pipeline = 1,
    ];
    let groups = 0..plan.cfg.clients.len();
    let all = groups.flat_map(|group| changes.iter().map(move |change| (group, change)));
    let changed = all.map(|(group, change)| {
        let mut other = plan.clone();
        change(&mut other.cfg.clients[group]);
        other
    });
    changed
        .filter(|other| other != plan && other.cfg.clients.iter().all(|group| group.count > 0))
        .collect()
}
