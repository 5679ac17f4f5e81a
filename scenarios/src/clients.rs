//! Clients: they open a session at some node, send requests to drawn nodes, repeat what did not
//! end well under the same number, and read.
//!
//! A client knows only what it was answered. A late answer to an attempt that it had given up on
//! counts like any other, and a request that was acknowledged may be asked for again. Every draw
//! is keyed by session and count, so two plans that differ in one fault have the same clients.

use crate::cfg::{Cfg, ClientCfg};
use crate::model::{Ask, Freshness, Host, Op, Output, node_index};
use meshos_core::client::{Answer, Reason};
use meshos_core::id::NodeId;
use meshos_sim::hook::{Hook, Schedule};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// All clients of a run.
#[derive(Clone, Debug)]
pub struct Clients {
    sessions: Vec<Session>,
}

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
struct Attempt {
    purpose: Purpose,
    node: NodeIndex,
    given_up: bool,
}

/// What an alarm of a client is about.
#[derive(Copy, Clone, Debug)]
enum Alarm {
    /// It is time for the next request.
    Next,
    /// The attempt of this number took too long.
    Patience(u64),
    /// The pause before another attempt is over.
    Open,
    Retry(u64),
    /// An acknowledged request is asked for once more.
    Again(u64),
    /// The faults are over: what was written is read once more.
    Close,
}

/// One client.
#[derive(Clone, Debug)]
struct Session {
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
    attempts: BTreeMap<u64, Attempt>,
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

/// Below this many numbers behind, the request table still knows a request (D15).
const WINDOW: u64 = 48;
const NAMESPACE: u64 = 0xc1 << 56;

impl Clients {
    /// The clients of a plan's configuration.
    pub fn new(cfg: &Cfg, seed: u64, nodes: u16, until: Instant) -> Self {
        let mut sessions = Vec::new();
        for (group, client) in cfg.clients.iter().enumerate() {
            for number in 0..client.sessions {
                let draw = Draw::new(seed).of("client").nth(group as u64);
                sessions.push(Session {
                    index: sessions.len() as u32,
                    place: cfg.place(client.chain),
                    draw: draw.nth(u64::from(number)),
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
                });
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
        let unread = self.sessions.iter().find(|session| session.unread)?;
        let client = unread.index;
        Some(format!(
            "the last linearizable read of client {client} is not answered"
        ))
    }

    fn session(&mut self, ticket: u64) -> Option<&mut Session> {
        let index = (ticket >> 32).checked_sub(1)?;
        self.sessions.get_mut(usize::try_from(index).ok()?)
    }
}

impl Session {
    fn waits_for(&self) -> Option<String> {
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

    fn tag(&self, alarm: Alarm) -> u64 {
        let (kind, detail) = match alarm {
            Alarm::Next => (0, 0),
            Alarm::Patience(number) => (1, number),
            Alarm::Open => (2, 0),
            Alarm::Retry(number) => (3, number),
            Alarm::Again(number) => (4, number),
            Alarm::Close => (5, 0),
        };
        // 16 bits of session are enough for any plan, and leave 2^36 for the detail.
        NAMESPACE | u64::from(self.index as u16) << 40 | kind << 36 | (detail & 0xf_ffff_ffff)
    }

    fn untag(tag: u64) -> Option<(usize, Alarm)> {
        if tag & (0xff << 56) != NAMESPACE {
            return None;
        }
        let session = (tag >> 40 & 0xffff) as usize;
        let detail = tag & 0xf_ffff_ffff;
        let alarm = match tag >> 36 & 0xf {
            0 => Alarm::Next,
            1 => Alarm::Patience(detail),
            2 => Alarm::Open,
            3 => Alarm::Retry(detail),
            4 => Alarm::Again(detail),
            _ => Alarm::Close,
        };
        Some((session, alarm))
    }

    fn alarm_in(&self, ms: u64, at: Instant, alarm: Alarm, later: &mut Schedule<Host>) {
        later.alarm(at.after(Duration::from_millis(ms)), self.tag(alarm));
    }

    fn begin(&self, later: &mut Schedule<Host>) {
        let stagger = self.draw.of("start").below(self.cfg.interval_ms.max(1));
        let at = Instant::from_millis(self.cfg.start_ms + stagger);
        later.alarm(at, self.tag(Alarm::Open));
        if self.cfg.reads_ppm > 0 && self.cfg.linearizable_ppm > 0 {
            later.alarm(self.until, self.tag(Alarm::Close));
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
            Attempt {
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
            let ask = self.append(number);
            self.send(
                Purpose::Append {
                    number,
                    again: false,
                },
                ask,
                at,
                later,
            );
        }
    }

    fn on_alarm(&mut self, alarm: Alarm, at: Instant, later: &mut Schedule<Host>) {
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
                    let ask = self.append(number);
                    self.send(
                        Purpose::Append {
                            number,
                            again: true,
                        },
                        ask,
                        at,
                        later,
                    );
                }
            }
        }
    }

    fn retry(&mut self, number: u64, at: Instant, later: &mut Schedule<Host>) {
        if self.open.contains(&number) {
            let ask = self.append(number);
            self.send(
                Purpose::Append {
                    number,
                    again: false,
                },
                ask,
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

    /// An attempt ended.
    fn on_end(&mut self, tried: u64, end: End<'_>, at: Instant, later: &mut Schedule<Host>) {
        let Some(attempt) = self.attempts.remove(&tried) else {
            return;
        };
        let (node, given_up) = (attempt.node, attempt.given_up);
        match end {
            End::Refused => self.favourite = None,
            End::Answer(Answer::NotLeader { hint }) => {
                self.favourite = hint.map(|hint: NodeId| node_index(hint));
            }
            End::Answer(Answer::Acked { .. } | Answer::Entries { .. } | Answer::Transferred) => {
                self.favourite = Some(node);
            }
            End::Answer(
                Answer::Rejected(_)
                | Answer::NotMember { .. }
                | Answer::Unknown
                | Answer::Corrupt { .. },
            ) => {}
        }
        match attempt.purpose {
            Purpose::Open => self.on_open_end(end, given_up, at, later),
            Purpose::Append { number, again } => {
                self.on_append_end(number, again || given_up, end, at, later);
            }
            Purpose::Once => {
                if let End::Answer(Answer::Entries { commit, .. }) = end {
                    self.seen = self.seen.max(commit.get());
                }
                if !given_up {
                    self.once -= 1;
                }
            }
            Purpose::Close => match end {
                End::Answer(Answer::Entries { .. } | Answer::Corrupt { .. }) => {
                    (self.unread, self.has_read) = (false, true);
                }
                End::Answer(_) | End::Refused if given_up => {}
                End::Answer(_) | End::Refused => {
                    self.alarm_in(self.cfg.pause_ms, at, Alarm::Close, later);
                }
            },
        }
    }

    fn on_open_end(
        &mut self,
        end: End<'_>,
        given_up: bool,
        at: Instant,
        later: &mut Schedule<Host>,
    ) {
        let opened = match end {
            End::Answer(answer) => answer.client(),
            End::Refused => None,
        };
        match opened {
            Some(client) if self.client.is_none() => {
                self.client = Some(client.0.get());
                self.opened += 1;
                self.next_number = 1;
                self.on_alarm(Alarm::Next, at, later);
            }
            Some(_) => {}
            None if given_up => {}
            None => self.alarm_in(self.cfg.pause_ms, at, Alarm::Open, later),
        }
    }

    fn on_append_end(
        &mut self,
        number: u64,
        superseded: bool,
        end: End<'_>,
        at: Instant,
        later: &mut Schedule<Host>,
    ) {
        let verdict = match end {
            End::Refused => Verdict::Retry,
            End::Answer(answer) => Verdict::of(answer),
        };
        match verdict {
            Verdict::Done(seq) => {
                let first = self.open.remove(&number);
                self.seen = self.seen.max(seq + 1);
                let draw = self.draw.of("again").nth(self.opened).nth(number);
                if first && draw.chance(self.cfg.repeat_ppm) {
                    let ms = draw.of("ms").within(1..=self.cfg.repeat_ms_max.max(1));
                    self.alarm_in(ms, at, Alarm::Again(number), later);
                }
            }
            Verdict::Refused => {
                self.open.remove(&number);
            }
            Verdict::Retry if superseded => {}
            Verdict::Retry => self.alarm_in(self.cfg.pause_ms, at, Alarm::Retry(number), later),
            Verdict::Forgotten if superseded => {}
            Verdict::Forgotten => {
                // The chain no longer knows this client; what it asked for stays undecided.
                self.client = None;
                self.open.clear();
                self.attempts.retain(|_, it| it.purpose == Purpose::Close);
                self.once = 0;
                self.alarm_in(self.cfg.pause_ms, at, Alarm::Open, later);
            }
        }
    }
}

/// How an attempt ended.
#[derive(Copy, Clone, Debug)]
enum End<'a> {
    Answer(&'a Answer),
    /// The node was down, or not serving yet.
    Refused,
}

/// What a client makes of the end of an append.
enum Verdict {
    Done(u64),
    Retry,
    Refused,
    Forgotten,
}

impl Verdict {
    fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Acked { seq, .. } => Self::Done(seq.get()),
            Answer::NotLeader { .. } | Answer::NotMember { .. } | Answer::Unknown => Self::Retry,
            Answer::Rejected(reason) => match reason {
                Reason::Busy
                | Reason::Transferring
                | Reason::StoreFull
                | Reason::Stopped
                | Reason::UnknownChain => Self::Retry,
                Reason::TooLarge | Reason::TooOld | Reason::BadNumber | Reason::NoSuchTarget => {
                    Self::Refused
                }
                Reason::UnknownClient => Self::Forgotten,
            },
            Answer::Entries { .. } | Answer::Corrupt { .. } | Answer::Transferred => Self::Refused,
        }
    }
}

/// How many later attempts a client makes before it forgets one that it gave up on.
const GIVEN_UP_MAX: u64 = 64;

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
        if let Some((index, alarm)) = Session::untag(tag)
            && let Some(session) = self.sessions.get_mut(index)
        {
            session.on_alarm(alarm, view.at(), later);
        }
        Ok(())
    }
}
