//! Clients: they open a session at some node, send requests to drawn nodes, repeat what did not
//! end well under the same number, and read.
//!
//! A client knows only what it was answered. A late answer to an attempt that it had given up on
//! counts like any other, and a request that was acknowledged may be asked for again. Every draw
//! is keyed by session and count, so two plans that differ in one fault have the same clients.

mod alarm;
mod session;

use crate::cfg::Cfg;
use crate::model::{Host, Op, Output};
use alarm::Alarm;
use meshos_sim::hook::{Hook, Schedule};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use session::Session;
use session::end::End;

/// All clients of a run.
#[derive(Clone, Debug)]
pub struct Clients {
    sessions: Vec<Session>,
}

impl Clients {
    /// The clients of a plan's configuration.
    pub fn new(cfg: &Cfg, seed: u64, nodes: u16, until: Instant) -> Self {
        let mut sessions = Vec::new();
        for (group, client) in cfg.clients.iter().enumerate() {
            for number in 0..client.sessions {
                let draw = Draw::new(seed).of("client").nth(group as u64);
                let draw = draw.nth(u64::from(number));
                let index = sessions.len() as u32;
                sessions.push(Session::new(cfg, client, (index, draw), (nodes, until)));
            }
        }
        Self { sessions }
    }

    /// The first client that still waits for something, and for what.
    pub fn first_waiting(&self) -> Option<String> {
        self.sessions.iter().find_map(Session::waits_for)
    }

    /// The first client whose last read is not answered.
    pub fn first_unread(&self) -> Option<String> {
        self.sessions.iter().find_map(Session::unread)
    }

    fn session(&mut self, ticket: u64) -> Option<&mut Session> {
        let index = (ticket >> 32).checked_sub(1)?;
        self.sessions.get_mut(usize::try_from(index).ok()?)
    }
}

impl Hook<Host> for Clients {
    fn on_boot(
        &mut self,
        view: View<'_, Host>,
        node: NodeIndex,
        later: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        // The boot of the first node is the first thing that happens in a run.
        if node == NodeIndex(0) && view.at() == Instant::ZERO && view.run(node) == 1 {
            self.sessions
                .iter()
                .for_each(|session| session.begin(later));
        }
        Ok(())
    }

    fn on_output(
        &mut self,
        view: View<'_, Host>,
        _: NodeIndex,
        output: &Output,
        later: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        let (ticket, end) = match output {
            Output::Answer { ticket, answer } => (*ticket, End::Answer(answer)),
            Output::Refused { ticket } => (*ticket, End::Refused),
            Output::Note { .. } => return Ok(()),
        };
        if let Some(session) = self.session(ticket) {
            session.on_end(ticket & 0xffff_ffff, end, view.at(), later);
        }
        Ok(())
    }

    fn on_refused(
        &mut self,
        view: View<'_, Host>,
        _: NodeIndex,
        op: &Op,
        later: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        if let Some(session) = self.session(op.ticket) {
            session.on_end(op.ticket & 0xffff_ffff, End::Refused, view.at(), later);
        }
        Ok(())
    }

    fn on_alarm(
        &mut self,
        view: View<'_, Host>,
        tag: u64,
        later: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        if let Some((index, alarm)) = Alarm::untag(tag)
            && let Some(session) = self.sessions.get_mut(index)
        {
            session.on_alarm(alarm, view.at(), later);
        }
        Ok(())
    }
}
