//! One peer: what it said, whether it is heard, and what it still has to be told.

use super::rows::{Key, Outbox, Own, Page};
use super::{Heard, Timing};
use crate::hash::SummedMap;
use crate::id::{HeartbeatNumber, Incarnation, NodeId};
use crate::message::{Heartbeat, Row};
use crate::time::{Instant, Sample, Wall};
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Peer {
    /// The newest heartbeat; `None` if none came in this run.
    newest: Option<(Incarnation, HeartbeatNumber)>,
    /// When it came.
    pub(super) last_heard: Option<Instant>,
    /// What the wall clock showed there when it left.
    pub(super) clock: Option<Sample>,
    /// Its rows up to this version are known.
    known: u64,
    /// Its rows, gone ones too, each with the number of the heartbeat that said it.
    rows: SummedMap<Key, (HeartbeatNumber, Row)>,
    /// The newest of our heartbeats that it echoed.
    echoed: HeartbeatNumber,
    /// When it first echoed that one.
    pub(super) last_echo: Option<Instant>,
    /// Whether that was recent at the last look.
    in_contact: bool,
    /// Since when it is silent.
    silent_since: Instant,
    suspicion: Suspicion,
    /// Whether what is sent to it can reach it, as far as the driver said.
    pub(super) is_reachable: bool,
    /// The heartbeats sent to it.
    sent: HeartbeatNumber,
    pub(super) outbox: Outbox,
}

/// What its silence is taken for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Suspicion {
    /// The peer counts as live.
    None,
    /// The same, but this silence has been excused once by our own deafness.
    Rearmed,
    /// The peer counts as lost.
    Suspected,
}

/// What a look at a silent peer led to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is due.
    Unchanged,
    /// Its silence was excused, for the last time until it is heard.
    Rearmed,
    /// It counts as lost from now on.
    Suspected,
}

impl Peer {
    /// A peer of which nothing is known; its silence begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            newest: None,
            last_heard: None,
            clock: None,
            known: 0,
            rows: SummedMap::default(),
            echoed: HeartbeatNumber::new(0),
            last_echo: None,
            in_contact: false,
            silent_since: now,
            suspicion: Suspicion::None,
            is_reachable: true,
            sent: HeartbeatNumber::new(0),
            outbox: Outbox::default(),
        }
    }

    /// The incarnation that was heard last.
    pub(super) fn incarnation(&self) -> Option<Incarnation> {
        self.newest.map(|(incarnation, _)| incarnation)
    }

    /// Whether the peer counts as lost.
    pub(super) fn is_suspected(&self) -> bool {
        self.suspicion == Suspicion::Suspected
    }

    /// It counts as lost until it is heard again.
    pub(super) fn suspect(&mut self) {
        self.suspicion = Suspicion::Suspected;
    }

    /// When its silence will have lasted for the whole window; `None` once it is suspected.
    pub(super) fn suspicion_due(&self, timing: &Timing) -> Option<Instant> {
        match self.suspicion {
            Suspicion::None | Suspicion::Rearmed => Some(self.silent_since.after(timing.window())),
            Suspicion::Suspected => None,
        }
    }

    /// Judges its silence.
    pub(super) fn poll_suspicion(&mut self, now: Instant, timing: &Timing) -> Verdict {
        let Some(due) = self.suspicion_due(timing) else {
            return Verdict::Unchanged;
        };
        if due > now {
            return Verdict::Unchanged;
        }
        if self.suspicion == Suspicion::None && now.since(due) > timing.heartbeat {
            self.suspicion = Suspicion::Rearmed;
            self.silent_since = now;
            return Verdict::Rearmed;
        }
        self.suspicion = Suspicion::Suspected;
        Verdict::Suspected
    }

    /// Takes a heartbeat; `None` if it is not newer than the newest. `own` is for the outbox of
    /// a peer that restarted.
    pub(super) fn on_heartbeat(
        &mut self,
        id: NodeId,
        incarnation: Incarnation,
        heartbeat: &Heartbeat,
        own: &Own,
        now: Instant,
    ) -> Option<Heard> {
        if self
            .newest
            .is_some_and(|newest| newest >= (incarnation, heartbeat.number))
        {
            return None;
        }
        let restarted = self
            .incarnation()
            .is_some_and(|before| before < incarnation);
        if restarted {
            // What an incarnation said and acknowledged ends with it.
            self.rows.clear();
            self.known = 0;
            self.outbox = Outbox::anew(own, id);
        }
        let recovered = self.is_suspected();
        self.newest = Some((incarnation, heartbeat.number));
        self.last_heard = Some(now);
        self.clock = Some(Sample {
            wall: heartbeat.wall,
            heard: now,
        });
        self.silent_since = now;
        self.suspicion = Suspicion::None;
        self.remember(heartbeat);
        Some(Heard {
            restarted,
            recovered,
            echoed: false,
        })
    }

    /// Takes an echo of our heartbeat `number`; whether it is newer than every one before.
    pub(super) fn on_echo(&mut self, number: HeartbeatNumber, now: Instant) -> bool {
        if number <= self.echoed || number > self.sent {
            return false;
        }
        self.echoed = number;
        self.last_echo = Some(now);
        true
    }

    /// Whether its last echo was recent at the last look and is not any more.
    pub(super) fn poll_contact(&mut self, now: Instant, window: Duration) -> bool {
        let was = self.in_contact;
        self.in_contact = self.last_echo.is_some_and(|at| now.since(at) < window);
        was && !self.in_contact
    }

    /// What the peer last said of its replica of a chain, if that is not gone.
    pub(super) fn row(&self, key: &Key) -> Option<&Row> {
        self.said(key).filter(|row| row.state.is_some())
    }

    /// What the peer last said of its replica of a chain.
    pub(super) fn said(&self, key: &Key) -> Option<&Row> {
        self.rows.get(key).map(|(_, row)| row)
    }

    /// Takes the rows of a heartbeat that newer ones overtook, and gives those of which nothing
    /// newer is known. It shows nothing else.
    pub(super) fn on_overtaken(
        &mut self,
        incarnation: Incarnation,
        heartbeat: &Heartbeat,
    ) -> Vec<Row> {
        match self.incarnation() == Some(incarnation) {
            true => self.remember(heartbeat),
            false => Vec::new(),
        }
    }

    /// Takes those rows of which nothing newer is known.
    fn remember(&mut self, heartbeat: &Heartbeat) -> Vec<Row> {
        let (mut news, mut complete) = (Vec::new(), true);
        for row in &heartbeat.rows {
            let key = (row.chain, row.generation);
            match self.rows.get(&key) {
                Some((number, _)) if *number >= heartbeat.number => {}
                None if self.rows.len() >= ROWS_MAX => complete = false,
                Some(_) | None => {
                    self.rows.insert(key, (heartbeat.number, row.clone()));
                    news.push(row.clone());
                }
            }
        }
        // A page that does not join what is known leaves a gap, so it is not acknowledged.
        if complete && heartbeat.after <= self.known {
            self.known = self.known.max(heartbeat.upto);
        }
        news
    }

    /// The next heartbeat to this peer, with one page of rows.
    pub(super) fn heartbeat(&mut self, page: Page, wall: Wall) -> Heartbeat {
        Heartbeat {
            number: self.sent.advance(),
            echo: self.newest,
            acknowledged: self
                .incarnation()
                .map(|incarnation| (incarnation, self.known)),
            wall,
            after: page.after,
            upto: page.upto,
            rows: page.rows,
        }
    }
}

/// Rows that are remembered of one peer; what exceeds them is not acknowledged.
const ROWS_MAX: usize = 1 << 16;
