//! Two nodes under any loss, duplication, reordering and restart, against a model of rows.

use super::*;
use proptest::prelude::*;

/// One thing that happens to two nodes and the channel between them.
#[derive(Clone, Debug)]
enum Step {
    Publish {
        node: usize,
        chain: u32,
        state: Option<RowState>,
        replica: u32,
    },
    Regular(usize),
    Urgent(usize),
    Deliver(prop::sample::Index),
    Duplicate(prop::sample::Index),
    Lose(prop::sample::Index),
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let state =
        prop::option::weighted(0.8, (0..3_u64, 0..3_u64).prop_map(|(n, end)| state(n, end)));
    prop_oneof![
        8 => (0..2_usize, 0..CHAINS, state, 1..3_u32).prop_map(|(node, chain, state, replica)| {
            Step::Publish { node, chain, state, replica }
        }),
        4 => (0..2_usize).prop_map(Step::Regular),
        2 => (0..2_usize).prop_map(Step::Urgent),
        6 => index().prop_map(Step::Deliver),
        2 => index().prop_map(Step::Duplicate),
        2 => index().prop_map(Step::Lose),
        1 => (0..2_usize).prop_map(Step::Restart),
    ]
}

const CHAINS: u32 = 30;
const IDS: [NodeId; 2] = [A, B];

/// What one life of a node published: the content of every version, and the present rows.
#[derive(Default)]
struct Life {
    versions: Vec<(u32, Option<Row>)>,
    present: BTreeMap<u32, Row>,
}

struct Pair {
    nodes: Vec<Liveness>,
    lives: [Vec<Life>; 2],
    channel: Vec<(usize, Incarnation, Heartbeat)>,
    timing: Timing,
}

impl Pair {
    fn new(timing: Timing) -> Self {
        let nodes = vec![
            Liveness::new(run(1), [B], timing, at(0)),
            Liveness::new(run(1), [A], timing, at(0)),
        ];
        let lives = [vec![Life::default()], vec![Life::default()]];
        Self {
            nodes,
            lives,
            channel: Vec::new(),
            timing,
        }
    }

    fn send(&mut self, from: usize, sent: Vec<(NodeId, Heartbeat)>) {
        for (to, heartbeat) in sent {
            assert_eq!(to, IDS[1 - from]);
            assert!(heartbeat.rows.len() <= self.timing.rows_max());
            self.judge_acknowledgement(from, &heartbeat);
            self.channel.push((from, self.nodes[from].me, heartbeat));
        }
    }

    /// Ground truth: whoever acknowledges a version knows every row whose last change is not
    /// above it.
    fn judge_acknowledgement(&self, from: usize, heartbeat: &Heartbeat) {
        let Some((incarnation, upto)) = heartbeat.acknowledged else {
            return;
        };
        let other = 1 - from;
        let life = &self.lives[other][incarnation.get() as usize - 1];
        let mut changed = BTreeSet::new();
        for (index, (name, row)) in life.versions.iter().enumerate().rev() {
            if changed.insert(*name) && (index as u64) < upto {
                let known = self.nodes[from].row(IDS[other], chain(*name), GEN);
                assert_eq!(row.as_ref(), known, "acknowledged, but unknown");
            }
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Publish {
                node,
                chain: name,
                state,
                replica,
            } => {
                let (me, peer) = (&mut self.nodes[node], IDS[1 - node]);
                let before = me.own.version();
                let replica = Replica::new(replica);
                me.publish(chain(name), GEN, replica, state, &[peer]);
                let life = self.lives[node].last_mut().expect("every run has a life");
                let row = state.map(|_| Row {
                    chain: chain(name),
                    generation: GEN,
                    replica,
                    state,
                });
                if me.own.version() != before {
                    life.versions.push((name, row.clone()));
                }
                match row {
                    Some(row) => drop(life.present.insert(name, row)),
                    None => drop(life.present.remove(&name)),
                }
            }
            Step::Regular(node) => {
                let sent = regular(&mut self.nodes[node]);
                self.send(node, sent);
            }
            Step::Urgent(node) => {
                let sent = urgent(&mut self.nodes[node]);
                self.send(node, sent);
            }
            Step::Deliver(index) if !self.channel.is_empty() => {
                let message = self.channel.remove(index.index(self.channel.len()));
                self.deliver(&message);
            }
            Step::Duplicate(index) if !self.channel.is_empty() => {
                let message = self.channel[index.index(self.channel.len())].clone();
                self.deliver(&message);
            }
            Step::Lose(index) if !self.channel.is_empty() => {
                self.channel.remove(index.index(self.channel.len()));
            }
            Step::Deliver(_) | Step::Duplicate(_) | Step::Lose(_) => {}
            Step::Restart(node) => {
                self.lives[node].push(Life::default());
                let me = run(self.lives[node].len() as u64);
                self.nodes[node] = Liveness::new(me, [IDS[1 - node]], self.timing, at(0));
            }
        }
    }

    fn deliver(&mut self, (from, incarnation, heartbeat): &(usize, Incarnation, Heartbeat)) {
        let to = &mut self.nodes[1 - from];
        to.on_heartbeat(IDS[*from], *incarnation, heartbeat, at(0));
    }

    fn round(&mut self) -> usize {
        let mut rows = 0;
        for node in 0..2 {
            let sent = regular(&mut self.nodes[node]);
            rows += sent
                .iter()
                .map(|(_, heartbeat)| heartbeat.rows.len())
                .sum::<usize>();
            self.send(node, sent);
            for message in core::mem::take(&mut self.channel) {
                self.deliver(&message);
            }
        }
        rows
    }
}

proptest! {
    #[test]
    fn rows_converge_after_any_loss_duplication_reordering_and_restart(
        rows_per_page_max in 1_u32..5,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut pair = Pair::new(timing(rows_per_page_max));
        for step in steps {
            pair.apply(step);
        }
        // What is still under way arrives first, in any order: the newest counts.
        pair.channel.reverse();
        let pages = CHAINS.div_ceil(rows_per_page_max) as usize;
        for _ in 0..2 + pages.div_ceil(rows::PAGES_MAX) {
            pair.round();
        }
        prop_assert_eq!(pair.round(), 0, "a settled pair sends no rows");
        for (node, id) in IDS.into_iter().enumerate() {
            let life = pair.lives[node].last().expect("every run has a life");
            for name in 0..CHAINS {
                let known = pair.nodes[1 - node].row(id, chain(name), GEN);
                prop_assert_eq!(known, life.present.get(&name));
            }
        }
    }
}
