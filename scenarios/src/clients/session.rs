//! One client: its requests, its attempts and what it knows.

pub(super) mod end;

use super::alarm::Alarm;
use crate::cfg::{Cfg, ClientCfg};
use crate::model::{Ask, Freshness, Host, Op};
use meshos_sim::hook::Schedule;
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;
use meshos_sim::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What an attempt was for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Open,
    Append {
        number: u64,
        again: bool,
    },
    /// An append without a number, or a read: one attempt and no more.
    Once,
    /// The read that ends the session, repeated until it is answered.
    Close,
}

/// One attempt that was not answered.
#[derive(Copy, Clone, Debug)]
struct Try {
    purpose: Purpose,
    node: NodeIndex,
    given_up: bool,
}

/// One client.
#[derive(Clone, Debug)]
pub(super) struct Session {
    cfg: ClientCfg,
    index: u32,
    place: u16,
    draw: Draw,
    salt: u64,
    until: Instant,
    nodes: u16,
    /// The members of its chain; all nodes when empty.
    members: Vec<NodeIndex>,
    /// The client, once it is open.
    client: Option<u64>,
    /// Clients opened so far, so that requests of two of them differ.
    opened: u64,
    issued: u64,
    next_number: u64,
    /// Appends that have not ended.
    open: BTreeSet<u64>,
    once: u32,
    attempts: BTreeMap<u64, Try>,
    tries: u64,
    /// Who answered well last.
    favourite: Option<NodeIndex>,
    /// End of what this client saw committed.
    seen: u64,
    /// Whether its last read is asked and not answered.
    unread: bool,
    /// Whether it is answered; an attempt that was given up may have been, too.
    has_read: bool,
}

/// Below this many numbers behind, the request table still knows a request: it remembers the last
/// `client_window` of each client (`docs/decisions/clients.md`, appends).
const WINDOW: u64 = 48;

impl Session {
    /// A client of the group `client`, which has not begun.
    pub(super) fn new(
        cfg: &Cfg,
        client: &ClientCfg,
        (index, draw): (u32, Draw),
        (nodes, until): (u16, Instant),
    ) -> Self {
        Self {
            index,
            place: cfg.place(client.chain),
            draw,
            cfg: client.clone(),
            salt: u64::from(cfg.salt),
            until,
            nodes,
            members: cfg.members(client.chain),
            client: None,
            opened: 0,
            issued: 0,
            next_number: 1,
            open: BTreeSet::new(),
            once: 0,
            attempts: BTreeMap::new(),
            tries: 0,
            favourite: None,
            seen: 0,
            unread: false,
            has_read: false,
        }
    }

    /// What its last read waits for, if it is not answered.
    pub(super) fn unread(&self) -> Option<String> {
        let client = self.index;
        self.unread
            .then(|| format!("the last linearizable read of client {client} is not answered"))
    }

    /// What it still waits for.
    pub(super) fn waits_for(&self) -> Option<String> {
        let client = self.index;
        let opening = || {
            self.attempts
                .values()
                .any(|it| it.purpose == Purpose::Open && !it.given_up)
        };
        if self.client.is_none() && self.opened == 0 && opening() {
            return Some(format!("client {client} is not open yet"));
        }
        let number = self.open.first()?;
        Some(format!("request {number} of client {client} has not ended"))
    }

    fn alarm_in(&self, ms: u64, at: Instant, alarm: Alarm, later: &mut Schedule<Host>) {
        later.alarm(at.after(Duration::from_millis(ms)), alarm.tag(self.index));
    }

    pub(super) fn begin(&self, later: &mut Schedule<Host>) {
        let stagger = self.draw.of("start").below(self.cfg.interval_ms.max(1));
        let at = Instant::from_millis(self.cfg.start_ms + stagger);
        later.alarm(at, Alarm::Open.tag(self.index));
        if self.cfg.reads_ppm > 0 && self.cfg.linearizable_ppm > 0 {
            later.alarm(self.until, Alarm::Close.tag(self.index));
        }
    }

    fn somewhere(&self, draw: Draw) -> NodeIndex {
        // The last read has to succeed, so it goes where it can.
        if self.unread && !self.members.is_empty() {
            return *draw.of("member").pick(&self.members);
        }
        match self.favourite {
            Some(node) if draw.of("sticky").chance(self.cfg.sticky_ppm) => node,
            Some(_) | None => NodeIndex(draw.of("node").below(u64::from(self.nodes)) as u16),
        }
    }

    /// Sends one attempt.
    fn send(&mut self, purpose: Purpose, ask: Ask, at: Instant, later: &mut Schedule<Host>) {
        self.tries += 1;
        let node = self.somewhere(self.draw.of("try").nth(self.tries));
        let ticket = u64::from(self.index + 1) << 32 | self.tries & 0xffff_ffff;
        let given_up = false;
        self.attempts.insert(
            self.tries,
            Try {
                purpose,
                node,
                given_up,
            },
        );
        let chain = self.place;
        later.op(at, node, Op { chain, ticket, ask });
        self.alarm_in(self.cfg.patience_ms, at, Alarm::Patience(self.tries), later);
    }

    /// The append of a number; equal however often it is sent.
    fn append(&self, number: u64) -> Ask {
        let draw = self.draw.of("append").nth(self.opened).nth(number);
        let (low, high) = self.cfg.bytes;
        Ask::Append {
            client: self.client,
            number,
            tag: draw.of("tag").any() >> 1 ^ self.salt,
            bytes: draw.of("bytes").within(u64::from(low)..=u64::from(high)) as u32,
            local: draw.of("local").chance(self.cfg.local_ppm),
        }
    }

    fn read(&self, draw: Draw) -> Ask {
        // The end is read as often as any place before it.
        let from = match draw.of("end").chance(500_000) {
            true => self.seen,
            false => draw.of("from").below(self.seen + 1),
        };
        let freshness = match draw.of("fresh").chance(self.cfg.linearizable_ppm) {
            true => Freshness::Linearizable,
            false => Freshness::Stale,
        };
        let bytes_max = draw.of("bytes").within(1..=4_096) as u32;
        Ask::Read {
            freshness,
            from,
            bytes_max,
        }
    }

    /// Makes the next request if it may, and plans the one after it.
    fn next(&mut self, at: Instant, later: &mut Schedule<Host>) {
        if self.issued >= self.cfg.count || at >= self.until {
            return;
        }
        let draw = self.draw.of("next").nth(self.issued);
        let mean = self.cfg.interval_ms;
        let pause = draw.of("pause").within(mean / 2..=mean + mean / 2).max(1);
        self.alarm_in(pause, at, Alarm::Next, later);
        let oldest = self.open.first().copied().unwrap_or(self.next_number);
        let busy = self.open.len() + self.once as usize >= self.cfg.pipeline as usize;
        if busy || self.next_number - oldest >= WINDOW {
            return;
        }
        self.issued += 1;
        if draw.of("read").chance(self.cfg.reads_ppm) {
            self.once += 1;
            let ask = self.read(draw);
            self.send(Purpose::Once, ask, at, later);
        } else if draw.of("anonymous").chance(self.cfg.anonymous_ppm) {
            self.once += 1;
            let tag = draw.of("tag").any() >> 1 ^ self.salt;
            let bytes = self.cfg.bytes.0;
            let ask = Ask::Append {
                client: None,
                number: 0,
                tag,
                bytes,
                local: false,
            };
            self.send(Purpose::Once, ask, at, later);
        } else if self.client.is_some() {
            let number = self.next_number;
            self.next_number += 1;
            self.open.insert(number);
            self.send_append(number, false, at, later);
        }
    }

    fn send_append(&mut self, number: u64, again: bool, at: Instant, later: &mut Schedule<Host>) {
        let purpose = Purpose::Append { number, again };
        self.send(purpose, self.append(number), at, later);
    }

    pub(super) fn on_alarm(&mut self, alarm: Alarm, at: Instant, later: &mut Schedule<Host>) {
        match alarm {
            Alarm::Next => self.next(at, later),
            Alarm::Open if self.client.is_none() => {
                self.send(Purpose::Open, Ask::Open {}, at, later);
            }
            Alarm::Open => {}
            Alarm::Patience(attempt) => self.on_patience(attempt, at, later),
            Alarm::Retry(number) => self.retry(number, at, later),
            Alarm::Close if self.has_read => {}
            Alarm::Close => {
                self.unread = true;
                let ask = Ask::Read {
                    freshness: Freshness::Linearizable,
                    from: self.seen,
                    bytes_max: 4_096,
                };
                self.send(Purpose::Close, ask, at, later);
            }
            Alarm::Again(number) => {
                let behind = self.next_number.checked_sub(number);
                if self.client.is_some()
                    && behind.is_some_and(|behind| (1..WINDOW).contains(&behind))
                {
                    self.send_append(number, true, at, later);
                }
            }
        }
    }

    fn retry(&mut self, number: u64, at: Instant, later: &mut Schedule<Host>) {
        if self.open.contains(&number) {
            let again = false;
            self.send(
                Purpose::Append { number, again },
                self.append(number),
                at,
                later,
            );
        }
    }

    /// The attempt took too long: another one starts, and the answer may still come.
    fn on_patience(&mut self, number: u64, at: Instant, later: &mut Schedule<Host>) {
        let Some(attempt) = self.attempts.get_mut(&number).filter(|it| !it.given_up) else {
            return;
        };
        attempt.given_up = true;
        let (purpose, node) = (attempt.purpose, attempt.node);
        // An answer that takes that much longer is as good as none.
        self.attempts
            .retain(|old, it| !it.given_up || number - *old < GIVEN_UP_MAX);
        if self.favourite == Some(node) {
            self.favourite = None;
        }
        match purpose {
            Purpose::Open => self.on_alarm(Alarm::Open, at, later),
            Purpose::Append {
                number,
                again: false,
            } => self.retry(number, at, later),
            Purpose::Append { again: true, .. } => {}
            Purpose::Once => self.once -= 1,
            Purpose::Close => self.on_alarm(Alarm::Close, at, later),
        }
    }
}

/// How many later attempts a client makes before it forgets one that it gave up on.
const GIVEN_UP_MAX: u64 = 64;
