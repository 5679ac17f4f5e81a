//! What is due: expiries before the event, suspicions after it, then the settling of every
//! chain that was touched.

use super::Node;
use crate::action::Actions;
use crate::count::Count;
use crate::deadline::{ChainIndex, Timer, TimerClass};
use crate::id::NodeId;
use crate::message::{Body, Confirm};
use crate::replica::{Chain, Shared, StepContext};
use crate::time::Wall;
use crate::turns::Pass;
use crate::wire;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

impl Node {
    pub(super) fn fire_expiries(&mut self, wall: Wall, out: &mut Actions) {
        self.fire_due(TimerClass::Expiry, wall, out);
    }

    pub(super) fn fire_suspicions(&mut self, wall: Wall, out: &mut Actions) {
        if !self.chains.is_empty() {
            self.watch_peers(wall, out);
        }
        self.fire_due(TimerClass::Suspicion, wall, out);
    }

    /// Fires what was due when it was called: a timer that fires may arm another for now.
    fn fire_due(&mut self, class: TimerClass, wall: Wall, out: &mut Actions) {
        if self.deadlines.earliest().is_none_or(|at| at > self.now) {
            return;
        }
        let heartbeat = self.config.heartbeat();
        let mut due = Vec::new();
        while let Some(timer) = self.deadlines.pop(class, self.now) {
            due.push(timer);
        }
        for (index, kind, late) in due {
            self.with(index, wall, out, |chain, cx| {
                fire(chain, kind, late > heartbeat, cx)
            });
        }
    }

    fn watch_peers(&mut self, wall: Wall, out: &mut Actions) {
        let mut suspected = Vec::new();
        let rearmed = self.liveness.poll_suspicion(self.now, &mut suspected);
        self.counters.add_many(Count::SuspicionRearmed, rearmed);
        for peer in suspected {
            tracing::info!(%peer, "peer is unreachable");
            self.touch_led_by(peer);
        }
        if self.liveness.heartbeat_due() <= self.now {
            self.look_after_led(wall, out);
        }
    }

    /// What leaders do with every heartbeat: count their quorum, hand over, ask for confirms again.
    ///
    /// An idle chain costs nothing here. Its voters do not change while it is led, so a leadership
    /// that counted its quorum by echoes alone keeps it until some peer's echo becomes too old, and
    /// then every leader counts again. Whatever else a leader has to look after again makes its
    /// chain a watched one when it is settled.
    fn look_after_led(&mut self, wall: Wall, out: &mut Actions) {
        let window = self.config.suspicion();
        if self.liveness.poll_contact(self.now, window) {
            self.each_led(wall, out, Chain::check_quorum);
        }
        let watched: Vec<ChainIndex> = self.watched.iter().copied().collect();
        for &index in &watched {
            self.with(index, wall, out, |chain, cx| {
                chain.check_quorum(cx);
                chain.consider_transfer(cx);
                chain.look_after_round(cx);
            });
        }
        self.ask_confirms(watched, wall, out);
    }

    /// Settles every touched chain, then tells the peers what they have to know.
    pub(super) fn settle(&mut self, wall: Wall, out: &mut Actions) {
        for at in 0..self.touched.list.len() {
            let index = self.touched.list[at];
            self.with(index, wall, out, Chain::settle_first);
        }
        self.send_bulk(wall, out);
        for at in 0..self.touched.list.len() {
            let index = self.touched.list[at];
            self.with(index, wall, out, Chain::settle_rest);
            let chain = &self.chains[index.0 as usize];
            set(&mut self.watched, index, chain.is_watched(self.leaving));
            set(&mut self.asking, index, chain.is_asking());
        }
        let chains = &mut self.chains;
        let begun = |index: &ChainIndex| chains.lend(index.0 as usize).take_new_round();
        let asking = self.touched.list.iter().copied().filter(begun).collect();
        self.ask_confirms(asking, wall, out);
        if self.liveness.heartbeat_due() <= self.now {
            for index in core::mem::take(&mut self.stale) {
                self.with(index, wall, out, Chain::publish_row);
            }
        }
        self.touched.end_step();
        let mut heartbeats = Vec::new();
        self.liveness
            .poll_heartbeats(self.now, wall, &mut heartbeats);
        self.liveness.urgent_heartbeats(wall, &mut heartbeats);
        for (peer, heartbeat) in heartbeats {
            self.send(peer, Body::Heartbeat(heartbeat), out);
        }
    }

    /// Sends entries and parts of checkpoints, turn by turn, as far as windows and budget admit.
    fn send_bulk(&mut self, wall: Wall, out: &mut Actions) {
        if self.turns.is_empty() {
            return;
        }
        let (mut pass, mut shared) = (Pass::default(), Shared::default());
        while let Some((class, peer, index)) = self.turns.next(&pass, self.now) {
            let turn = self.with(index, wall, out, |chain, cx| {
                chain.take_turn(peer, &mut shared, cx)
            });
            self.turns.note(&mut pass, (class, peer), turn);
        }
    }

    /// Asks each peer for the confirms of all chains that want one, in as few messages as hold them.
    fn ask_confirms(&mut self, chains: Vec<ChainIndex>, wall: Wall, out: &mut Actions) {
        let mut asks: BTreeMap<NodeId, Vec<Confirm>> = BTreeMap::new();
        for index in chains {
            self.with(
                index,
                wall,
                out,
                |chain: &mut Chain, cx: &mut StepContext<'_>| {
                    for voter in chain.other_voters() {
                        if let Some(confirm) = chain.poll_confirm(voter, cx) {
                            asks.entry(voter.node).or_default().push(confirm);
                        }
                    }
                },
            );
        }
        let items_max = wire::items_max(self.config.limits().message_bytes_max);
        for (peer, confirms) in asks {
            for page in confirms.chunks(items_max) {
                self.send(peer, Body::Confirm(page.to_vec()), out);
            }
        }
    }
}

/// Puts a chain into a set, or takes it out.
fn set(chains: &mut BTreeSet<ChainIndex>, index: ChainIndex, is_in: bool) {
    if is_in {
        chains.insert(index);
    } else {
        chains.remove(&index);
    }
}

fn fire(chain: &mut Chain, kind: Timer, late: bool, cx: &mut StepContext<'_>) {
    match kind {
        Timer::Requests => chain.on_requests_due(cx),
        Timer::Transfer => chain.on_transfer_due(cx),
        Timer::Election => chain.on_election_due(late, cx),
        Timer::Early => chain.on_early_due(cx),
        Timer::Round => chain.on_round_due(cx),
        Timer::Pull => chain.on_pull_due(cx),
        Timer::Seal => chain.on_seal_due(),
        // The settling that follows does what is due.
        Timer::Repair | Timer::Budget | Timer::Retry | Timer::Age => {}
    }
}
